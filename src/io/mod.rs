//! The only room that touches the outside: the API server, files, processes.
pub mod capture_file;
pub mod change;
pub mod charts;
pub mod cluster;
pub mod connection;
pub mod helm;
mod private_folder;
pub mod probe;
pub mod recorded;
