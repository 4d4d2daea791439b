//! `install`, `resume` and `abort` on a real control plane while something goes wrong: processes are killed and signalled,
//! the API server fails, somebody else is at work. The numbers are those of the acceptance scenarios.

#![allow(clippy::print_stderr)]

#[path = "install_interrupted/by_lot.rs"]
mod by_lot;
#[path = "clusters/mod.rs"]
mod clusters;
#[path = "install_interrupted/faults.rs"]
mod faults;
#[path = "install_interrupted/killed.rs"]
mod killed;
#[path = "install_interrupted/live.rs"]
mod live;
#[path = "install_interrupted/others.rs"]
mod others;
#[path = "install_interrupted/signals.rs"]
mod signals;
#[path = "install_interrupted/stage.rs"]
mod stage;
#[path = "install_interrupted/upgraded.rs"]
mod upgraded;
#[path = "install_interrupted/upgraded_faults.rs"]
mod upgraded_faults;
#[path = "install_interrupted/upgraded_stopped.rs"]
mod upgraded_stopped;
