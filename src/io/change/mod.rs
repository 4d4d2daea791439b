//! Changing a cluster: lock, journal, steps, and the way back.

mod apply;
mod back;
mod brought;
mod held;
mod identity;
pub mod journal;
mod kept;
pub mod lock;
pub mod planning;
mod records;
mod run;
pub mod trial;
mod tries;
mod watching;

pub(super) use apply::FIELD_MANAGER;
pub use identity::{random, who};
pub use run::{ChangeError, Job, abort, begin, interrupted, resume};
