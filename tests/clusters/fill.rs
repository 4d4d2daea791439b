//! x
use kube::Client;
pub async fn fill(_client: Client, _nodes: usize, _pods: usize, _namespaces: usize) -> Result<(), String> { Ok(()) }
