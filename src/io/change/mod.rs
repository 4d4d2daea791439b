//! Changing a cluster: lock, journal, steps, and the way back.

mod adopting;
mod apply;
mod at_helm;
mod back;
mod brought;
mod held;
mod identity;
pub mod journal;
mod kept;
pub mod lock;
pub mod planning;
pub mod records;
mod rendered;
mod replace;
mod replacing;
mod roll;
mod run;
pub mod trial;
mod tries;
mod watching;

pub(super) use apply::FIELD_MANAGER;
pub use identity::{random, who};
pub use replace::{at_ease, still};
pub use run::{ChangeError, Former, Job, abort, begin, interrupted, resume};
