//! The built binary as its users call it: exit code, standard output and standard error of each command line, in an
//! environment that holds nothing but what the test puts there.
//!
//! `INSTA_UPDATE=always cargo test --test cli` writes the snapshots anew.

mod cluster;
mod completion;
mod display;
mod examples;
mod explain;
mod files;
mod help;
mod install;
mod kubectl;
mod oci;
#[path = "../clusters/pki.rs"]
#[allow(dead_code, reason = "only what a server needs")]
mod pki;
mod plans;
#[path = "../clusters/programs.rs"]
#[allow(dead_code, reason = "only helm and what is said of skipping")]
mod programs;
#[path = "../clusters/registry.rs"]
mod registry;
mod run;
mod server;
mod shells;
