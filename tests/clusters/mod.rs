//! Clusters to test against. Any test binary takes them in with
//! `#[path = "clusters/mod.rs"] mod clusters;`; by hand: `cargo run --example cluster -- --help`.
//!
//! Programs come from Go modules: `tests/clusters/build.sh` builds them once, outside the repository. A tier that
//! cannot run is skipped with one line, see [`required_or_skip`]; `BYOCNI_TEST_KEEP=1` keeps a cluster's folder with
//! the programs' logs.
//!
//! * [`ControlPlane`]: real etcd, API server, controller manager and scheduler on free ports.
//! * [`aks`], [`kubeadm`]: what such a cluster contains before anyone brings a CNI.
//! * [`kubelet`]: plays its nodes, and the CNI's agents on them.
//! * [`files`]: serves what is fetched by URL; [`registry`]: serves charts as a registry does.
//! * [`Proxy`]: stands before an API server and fails as it is told.
//! * [`RealNodes`]: real kubelets and containerd beside a real control plane, on which real CNIs run.
//! * [`fill`]: thousands of nodes and pods; [`benchmark`]: what `status` takes there, beside kubectl.
//!
//! Everything that waits has a limit and panics with what it waited for: this is test code.

// Each test binary uses its own part of this.
#![allow(dead_code, unused_imports, clippy::print_stderr)]

pub mod aks;
pub mod api;
pub mod benchmark;
pub mod control_plane;
pub mod files;
pub mod fill;
pub mod kubeadm;
pub mod kubelet;
mod pki;
pub mod programs;
pub mod proxy;
pub mod real_nodes;
pub mod registry;

pub use api::Objects;
pub use control_plane::{ControlPlane, Options};
pub use kubelet::{Behaviour, FakeKubelet, Which};
pub use programs::{assets, helm, required_or_skip};
pub use proxy::{Asked, Fault, Proxy};
pub use real_nodes::{RealNodes, RealNodesOptions};
