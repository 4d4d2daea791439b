//! Changing a cluster: lock, journal, steps, and the way back.

pub mod apply;
pub mod identity;
pub mod journal;
pub mod kept;
pub mod lock;
