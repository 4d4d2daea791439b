//! `upgrade`, `rollback` and `history` against a real control plane: real API server, real helm 3 and 4, real charts; nodes
//! and the CNI's agents are played. The acceptance scenarios that a test covers stand in its name or its comment.

#![allow(clippy::print_stderr)]

#[path = "../clusters/mod.rs"]
mod clusters;
#[path = "../clusters/plugin.rs"]
mod plugin;
#[path = "../install_control_plane/story.rs"]
mod story;

mod back;
mod canary;
mod edited;
mod every_minor;
mod hops;
mod library;
mod nodes;
mod others;
mod refused;
mod running;
mod values;
mod watched;
mod waves;
