//! The documents say what the program does: their commands are run, their links lead somewhere, their schemas hold, their
//! pictures are made from real runs.
//!
//! `UPDATE=1 cargo test --test docs` writes the output of their `console` blocks anew.

mod blocks;
mod commands;
mod json;
mod links;
mod outputs;
mod pictures;
#[path = "../clusters/programs.rs"]
#[allow(dead_code, reason = "only helm, charts and what is said of skipping")]
mod programs;
mod schema;
