//! One file a verb.

pub mod abort;
pub mod capture;
pub mod completion;
pub mod explain;
pub mod history;
pub mod install;
pub mod resume;
pub mod rollback;
pub mod status;
pub mod upgrade;
pub mod version;
