//! One file a verb.

pub mod abort;
pub mod capture;
pub mod explain;
pub mod install;
pub mod resume;
pub mod status;
pub mod version;
