//! Stories of real CNIs on real nodes (see `clusters/real_nodes/stories.rs`), one test for each; every stage is
//! waited for, so that a test that passes has shown that the stage was reached.
//!
//! `BYOCNI_TEST_CAPTURES=DIR` writes what the API says at each stage to `DIR/STAGE.yaml` (a kubectl List), the names
//! of the CustomResourceDefinitions to `DIR/STAGE.crds`, and the ConfigMaps with their managed fields, which say when
//! each was changed, to `DIR/STAGE.configmaps.yaml`.

#![allow(clippy::print_stderr)]

#[path = "clusters/mod.rs"]
mod clusters;

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use clusters::real_nodes::{RealNodes, charts, prerequisites, stories};
use clusters::required_or_skip;

/// One cluster at a time: two of them would be too much for a small machine.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn flannel() {
    tell(&["flannel"], stories::flannel);
}

#[test]
fn flannel_on_nodes_without_podcidr() {
    tell(&["flannel"], stories::flannel_without_node_cidrs);
}

#[test]
fn cilium() {
    tell(&["cilium-v1.19.6", "cilium-v1.20.0"], stories::cilium);
}

fn tell(images: &[&str], story: impl FnOnce(stories::AtStage) -> Result<(), String>) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let possible = prerequisites(images).and_then(|()| charts()).map(drop);
    if required_or_skip("real-nodes", possible).is_none() {
        return;
    }
    let mut since = Instant::now();
    let told = story(&mut |stage, cluster| {
        eprintln!("{stage}: reached after {:.0?}", since.elapsed());
        at_stage(stage, cluster);
        since = Instant::now();
    });
    if let Err(reason) = told {
        panic!("{reason}");
    }
    eprintln!("removed after {:.0?}", since.elapsed());
}

fn at_stage(stage: &str, cluster: &RealNodes) {
    let Some(folder) = std::env::var_os("BYOCNI_TEST_CAPTURES").filter(|folder| !folder.is_empty()) else {
        return;
    };
    let folder = PathBuf::from(folder);
    std::fs::create_dir_all(&folder).expect("the folder for captures");
    let configmaps = [
        "get",
        "configmaps",
        "--all-namespaces",
        "--output=yaml",
        "--show-managed-fields",
    ];
    let texts = [
        ("yaml", cluster.capture()),
        ("crds", cluster.crds()),
        ("configmaps.yaml", cluster.kubectl_ok(&configmaps)),
    ];
    for (kind, text) in texts {
        // Whole or not at all for someone who reads it meanwhile.
        let partial = folder.join(format!(".{stage}.{kind}"));
        std::fs::write(&partial, text).expect("write a capture");
        std::fs::rename(&partial, folder.join(format!("{stage}.{kind}"))).expect("name a capture");
    }
}
