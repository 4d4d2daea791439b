//! Family 07. The platform under the CNI: what it is, what it does at the moment, and what it forbids.

use crate::core::code::{Code, Severity};

/// Not recognised as AKS; --assume-byocni changes what is allowed.
pub static PLATFORM_UNKNOWN: Code = Code {
    id: "BYO0701",
    slug: "platform-unknown",
    severity: Severity::Info,
    blocks: &[],
    title: "The platform could not be recognised",
    means: "Neither the nodes' labels and provider IDs nor the workloads show a platform that is known \
            here. Checks that hold for AKS only (reserved ranges, auto-repair, upgrades) were left \
            out. Whether the CNI is yours or the platform's could not be told either.",
    matters: "Status is complete apart from the platform's own rules. Changes ask for a confirmation \
              that the network is really yours.",
    see: "kubectl get nodes -o custom-columns='NAME:.metadata.name,PROVIDER:.spec.providerID'\n\
          kubectl get nodes --show-labels",
    fix: "Nothing to repair. If this is a cluster without a CNI of its own, say so when you change \
          something:\n\
          kubectl byocni install cilium --pod-cidr CIDR --assume-byocni --dry-run",
    sources: &["https://learn.microsoft.com/azure/aks/use-labels"],
};

/// No kube-proxy, and the CNI does not replace it.
pub static KUBE_PROXY_MISSING: Code = Code {
    id: "BYO0702",
    slug: "kube-proxy-missing",
    severity: Severity::Warning,
    blocks: &[],
    title: "No kube-proxy runs and the CNI does not replace it",
    means: "No kube-proxy was found that runs on any node (a DaemonSet with 0 desired pods counts as \
            none, and windows-kube-proxy-initializer is not kube-proxy), and the CNI is not set to \
            replace it. Some distributions embed kube-proxy in their own binary; those that are known \
            are not reported.",
    matters: "If it is true, no ClusterIP works, the API server's included: CoreDNS and every controller \
              inside the cluster fail.",
    see: "kubectl get daemonsets -A -l component=kube-proxy\n\
          kubectl get pods -n kube-system -o wide\n\
          kubectl get configmap cilium-config -n kube-system -o \
          jsonpath='{.data.kube-proxy-replacement}'",
    fix: "Either let the CNI replace it. For Cilium, in the release's values, with the API server's \
          name and never its ClusterIP:\n\
          kubeProxyReplacement=true, k8sServiceHost=HOST, k8sServicePort=443\n\
          Or bring kube-proxy back. On AKS it is turned on and off through the AKS API only:\n\
          az aks update --resource-group GROUP --name CLUSTER --kube-proxy-config FILE",
    sources: &[
        "https://learn.microsoft.com/azure/aks/configure-kube-proxy",
        "https://github.com/Azure/AKS/issues/4952",
        "https://github.com/cilium/cilium/issues/26561",
    ],
};

/// Mixed kubelet versions within a pool, or AKS upgrade marks or events under 30 minutes old.
pub static AKS_UPGRADE_RUNNING: Code = Code {
    id: "BYO0703",
    slug: "aks-upgrade-running",
    severity: Severity::Warning,
    blocks: &[],
    title: "An AKS upgrade appears to be running",
    means: "Nodes of one pool have different kubelet versions, or marks and events of an AKS upgrade \
            are less than 30 minutes old. AKS adds surge nodes, drains and reimages the others, one \
            after the other. An upgrade that failed half-way leaves the same mixed versions behind.",
    matters: "Nodes come and go during the upgrade. A CNI change at the same time cannot tell its own \
              effects from the upgrade's, and both may stop at a node that is not ready.",
    see: "kubectl get nodes -L \
          kubernetes.azure.com/agentpool,kubernetes.azure.com/node-image-version\n\
          kubectl get events -A --field-selector involvedObject.kind=Node",
    fix: "1. Wait for its end, or see how it stands:\n\
          az aks show --resource-group GROUP --name CLUSTER --query provisioningState\n\
          2. If it failed half-way, finish the node pool's upgrade before the CNI is changed:\n\
          az aks nodepool upgrade --resource-group GROUP --cluster-name CLUSTER --name POOL \
          --kubernetes-version X.Y.Z",
    sources: &["https://learn.microsoft.com/azure/aks/upgrade-aks-cluster"],
};

/// Azure CNI powered by Cilium: its limits that this cluster's objects run into.
pub static UNSUPPORTED_FEATURES: Code = Code {
    id: "BYO0704",
    slug: "unsupported-features",
    severity: Severity::Info,
    blocks: &[],
    title: "Objects here meet limits of Azure CNI powered by Cilium",
    means: "The cluster runs Azure CNI powered by Cilium and has objects that fall under its published \
            limits, named in the message: Services with internalTrafficPolicy=Local, policies at layer \
            7, ipBlock rules meant for pods or nodes, one host port with two protocols, or Windows \
            nodes. Which limits hold depends on the Cilium version that AKS runs and on paid features \
            such as Advanced Container Networking Services.",
    matters: "Such objects are accepted by the API and may do nothing, or something else than they say.",
    see: "kubectl get services -A -o \
          custom-columns='NS:.metadata.namespace,NAME:.metadata.name,INTERNAL:.spec.internalTrafficPolicy'\n\
          kubectl get networkpolicies,ciliumnetworkpolicies -A",
    fix: "Compare the named objects with the limits on Microsoft's page for this plugin, then change \
          or remove them.\n\
          Where the limit rules the plugin out, the way is a new cluster with --network-plugin none \
          and Cilium of your own. The managed one cannot be reconfigured.",
    sources: &[
        "https://learn.microsoft.com/azure/aks/azure-cni-powered-by-cilium",
        "https://github.com/cilium/cilium/issues/17796",
        "https://github.com/cilium/cilium/issues/14287",
    ],
};
