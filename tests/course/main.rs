//! The course of an upgrade, followed in a small world that is played: a journal, helm's history, agents. Whoever follows
//! it is killed, stopped and resumed by lot; what it promises is asserted at every step.
#![allow(missing_docs, reason = "a test")]

mod drawn;
mod played;
mod told;
