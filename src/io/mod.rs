//! The only room that touches the outside: the API server, files, processes.
pub mod capture_file;
pub mod change;
pub mod charts;
pub mod cluster;
pub mod completer;
pub mod connection;
pub mod helm;
pub mod lookup;
mod private_folder;
pub mod probe;
pub mod recorded;
