//! `install` against a real control plane: real API server, real helm 3 and 4, real charts; nodes and the CNI's agents are
//! played. The acceptance scenarios that a test covers stand in its name or its comment.

#![allow(clippy::print_stderr)]

#[path = "../clusters/mod.rs"]
mod clusters;
#[path = "../clusters/plugin.rs"]
mod plugin;

mod calico;
mod cilium;
mod failing;
mod flannel;
mod generic;
mod going_back;
mod refused;
mod story;
