//! Plugins that stand beside a CNI: meta plugins, meshes' redirection, policy engines.

use super::{Agent, Cni, PLAIN, Role};

/// Multus attaches more than one network; the first comes from another CNI.
pub static MULTUS: Cni = Cni {
    id: "multus",
    name: "Multus",
    role: Role::Companion,
    agents: &[Agent {
        container: "kube-multus",
        daemon_sets: &[],
        image_word: None,
    }],
    groups: &["k8s.cni.cncf.io"],
    ..PLAIN
};

/// Istio's redirection, chained behind the CNI.
pub static ISTIO_CNI: Cni = Cni {
    id: "istio-cni",
    name: "Istio CNI",
    role: Role::Companion,
    agents: &[Agent {
        container: "install-cni",
        daemon_sets: &["istio-cni-node"],
        image_word: None,
    }],
    ..PLAIN
};

/// Linkerd's redirection, chained behind the CNI.
pub static LINKERD_CNI: Cni = Cni {
    id: "linkerd-cni",
    name: "Linkerd CNI",
    role: Role::Companion,
    agents: &[Agent {
        container: "install-cni",
        daemon_sets: &["linkerd-cni"],
        image_word: None,
    }],
    ..PLAIN
};

/// Azure's policy engine.
pub static AZURE_NPM: Cni = Cni {
    id: "azure-npm",
    name: "Azure NPM",
    role: Role::Companion,
    agents: &[Agent {
        container: "azure-npm",
        daemon_sets: &[],
        image_word: None,
    }],
    linux_only: false,
    ..PLAIN
};
