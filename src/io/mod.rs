//! The only room that touches the outside: the API server, files, processes.
pub mod connection;
