//! One file a verb.

pub mod capture;
pub mod explain;
pub mod install;
pub mod status;
pub mod version;
