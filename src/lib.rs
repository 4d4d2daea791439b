//! `kubectl byocni`: what the network of a cluster without a built-in CNI is doing, and why.
//!
//! Four rooms; the arrows are the only `use` allowed (ARCHITECTURE.md, kept by `tests/tidy.rs`):
//!
//! ```text
//! cli ──► io ──► core ◄── render ◄── cli
//! ```
pub mod cli;
pub mod core;
pub mod io;
pub mod render;
pub mod yaml;
