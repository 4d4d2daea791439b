//! The rollout's state machine, fed with looks at a small cluster that is played. The numbers are those of the
//! acceptance scenarios.
#![allow(missing_docs, reason = "a test")]

mod cluster;
mod looks;
mod random;
mod stories;
