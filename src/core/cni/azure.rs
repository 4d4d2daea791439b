//! What AKS runs itself: Azure CNI in its forms. Not BYOCNI; never changed by us.
//! Marks: <https://github.com/Azure/azure-container-networking>,
//! <https://learn.microsoft.com/azure/aks/azure-cni-powered-by-cilium>.

use super::{Agent, Cni, Network, PLAIN, Role, cilium};

/// Azure CNI powered by Cilium: Cilium's agent, run by AKS. Recognised by the platform's labels (see
/// `facts::platform`), for its DaemonSet looks like everybody's.
pub static AZURE_CILIUM: Cni = Cni {
    id: "azure-cilium",
    name: "Azure CNI powered by Cilium",
    role: Role::Managed,
    agents: cilium::CILIUM.agents,
    operators: &["cilium-operator"],
    resources: cilium::CILIUM.resources,
    // Addresses come from azure-cns (delegated IPAM), which the blocks of Cilium say nothing about.
    network: |look, notes| Network {
        replaces_kube_proxy: true,
        ..(cilium::CILIUM.network)(look, notes)
    },
    taint: Some("node.cilium.io/agent-not-ready"),
    config_map: Some("cilium-config"),
    ..PLAIN
};

/// Azure CNI with Azure's own data plane: `azure-cns` where addresses come from an overlay or a pod subnet.
pub static AZURE_CNI: Cni = Cni {
    id: "azure-cni",
    name: "Azure CNI",
    role: Role::Managed,
    agents: &[
        Agent {
            container: "cns-container",
            daemon_sets: &[],
            image_word: None,
        },
        Agent {
            container: "azure-cns",
            daemon_sets: &[],
            image_word: None,
        },
    ],
    linux_only: false,
    groups: &["acn.azure.com"],
    ..PLAIN
};

/// AKS's older plugin: routes and `node.spec.podCIDR`, no workload of its own.
pub static KUBENET: Cni = Cni {
    id: "kubenet",
    name: "kubenet",
    role: Role::Managed,
    ..PLAIN
};

/// Azure CNI without `azure-cns`: addresses from the node's own subnet, no workload of its own.
pub static AZURE_CNI_PLAIN: Cni = Cni {
    id: "azure-cni",
    name: "Azure CNI",
    role: Role::Managed,
    linux_only: false,
    ..PLAIN
};
