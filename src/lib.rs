//! `kubectl byocni`: what the network of a cluster without a built-in CNI is doing, and why.
//!
//! Four rooms; the arrows are the only `use` allowed (ARCHITECTURE.md, kept by `tests/tidy.rs`):
//!
//! ```text
//! cli ──► io ──► core ◄── render ◄── cli
//! ```
// The doors of the rooms (clippy.toml). Tests build what they need themselves.
#![cfg_attr(not(test), warn(clippy::disallowed_methods, clippy::disallowed_types))]

pub mod cli;
pub mod core;
pub mod io;
pub mod render;
pub mod yaml;
