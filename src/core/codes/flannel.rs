//! Family 22. What only Flannel has: its backend, told by node annotations.

use crate::core::code::{Code, Severity};

/// The nodes' flannel backend-type annotations differ: such nodes cannot talk to each other.
pub static FLANNEL_BACKEND_DIFFERS: Code = Code {
    id: "BYO2201",
    slug: "flannel-backend-differs",
    severity: Severity::Error,
    blocks: &[],
    title: "Flannel nodes use different backends",
    means: "The annotation flannel.alpha.coreos.com/backend-type is not the same on all nodes. Flannel \
            reads its backend only when it starts, so a backend that was changed in net-conf.json \
            reaches the nodes one by one, as their agents restart. A node builds tunnels only to nodes \
            with its own backend type, and skips the others.",
    matters: "Pods on nodes with different backends cannot reach each other, while every node is Ready \
              and every agent runs. That is why this is an error and not a warning.",
    see: "kubectl get nodes -o \
          custom-columns='NAME:.metadata.name,BACKEND:.metadata.annotations.flannel\\.alpha\\.coreos\\.com/backend-type'\n\
          kubectl get configmap kube-flannel-cfg -n kube-flannel -o yaml\n\
          kubectl get pods -n kube-flannel -o wide",
    fix: "Flannel does not support a change of backend at run time; every way to one backend \
          interrupts traffic between nodes.\n\
          1. Changed by mistake: set the old backend again (kubectl byocni rollback), then restart \
          the agents that took the new one.\n\
          2. Meant to change: take an outage, restart all agents at once, and reboot nodes that keep \
          old interfaces or routes.\n\
          kubectl rollout restart daemonset/kube-flannel-ds -n kube-flannel\n\
          On Azure only encapsulating backends work, vxlan above all; host-gw does not.",
    sources: &[
        "https://github.com/flannel-io/flannel/blob/master/Documentation/backends.md",
        "https://github.com/flannel-io/flannel/blob/master/Documentation/troubleshooting.md",
    ],
};
