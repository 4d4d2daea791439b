//! Family 06. What forbids a change before it starts, and what its gates can find. Shared with `status`
//! where the same state can be seen running.

use crate::core::code::{Change, Code, Severity};

/// IPIP, BGP or direct routing on Azure: planned, or in use.
pub static ENCAPSULATION_UNSUPPORTED: Code = Code {
    id: "BYO0601",
    slug: "encapsulation-unsupported",
    severity: Severity::Error,
    blocks: &[Change::Install, Change::Upgrade],
    title: "Azure does not carry this kind of pod traffic",
    means: "The CNI is configured, or would be, to send pod traffic in a way that Azure's network does \
            not deliver: IP-in-IP packets, routes announced by BGP, or direct routing without \
            encapsulation. Azure drops IPIP and forwards only packets between addresses that it knows. \
            VXLAN and Geneve are plain UDP to it and pass. Calico's operator chooses IPIP when it is \
            not told otherwise.",
    matters: "Pods on one node reach each other, pods on different nodes do not. Nodes and agents look \
              healthy all the while.",
    see: "kubectl get ippools -o \
          custom-columns='NAME:.metadata.name,CIDR:.spec.cidr,IPIP:.spec.ipipMode,VXLAN:.spec.vxlanMode'\n\
          kubectl get installation default -o yaml\n\
          kubectl get configmap cilium-config -n kube-system -o yaml",
    fix: "Calico: encapsulation VXLAN and BGP disabled. In the release's values:\n\
          installation.cni.type=Calico, installation.calicoNetwork.bgp=Disabled, \
          installation.calicoNetwork.ipPools[0].encapsulation=VXLAN\n\
          Cilium: routingMode=tunnel with tunnelProtocol=vxlan, which aksbyocni.enabled=true demands \
          anyway.\n\
          Changing it on a live cluster breaks connections between changed and unchanged nodes until \
          all are done: plan an outage, or move to a new cluster.\n\
          A network security group must let the overlay through between nodes: UDP 8472 for Cilium \
          and Flannel, UDP 4789 for Calico.",
    sources: &[
        "https://docs.tigera.io/calico/latest/reference/public-cloud/azure",
        "https://docs.cilium.io/en/stable/installation/k8s-install-helm/",
        "https://github.com/Azure/AKS/issues/87",
    ],
};
