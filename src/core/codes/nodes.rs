//! Family 01. Nodes: whether they are ready, and what keeps pods off them.

use crate::core::code::{Change, Code, Severity};

/// Ready=False by NetworkPluginNotReady ("cni plugin not initialized").
pub static NODE_NETWORK_NOT_READY: Code = Code {
    id: "BYO0101",
    slug: "node-network-not-ready",
    severity: Severity::Error,
    blocks: &[],
    title: "Nodes are NotReady because no CNI plugin is initialized",
    means: "The kubelet reports Ready=False and its container runtime says NetworkPluginNotReady: \
            there is no usable CNI configuration in /etc/cni/net.d on the node. With no CNI installed \
            this is the normal state of a fresh cluster made with network plugin none, and \
            `cni-missing` is its cause. With a CNI installed, its agent on that node has not written \
            its configuration yet, or it has been removed.",
    matters: "Only hostNetwork pods can run on these nodes. Everything else stays Pending or in \
              ContainerCreating, CoreDNS included.",
    see: "kubectl get nodes\n\
          kubectl describe node NODE\n\
          kubectl get pods -A -o wide --field-selector spec.nodeName=NODE",
    fix: "With no CNI: install one, with a pod range that touches no other network.\n\
          kubectl byocni install cilium --pod-cidr CIDR\n\
          With a CNI: look at its agent pod on the node; the findings about the agent come first. \
          The node turns Ready without a reboot once the agent has written its configuration.",
    sources: &[
        "https://learn.microsoft.com/azure/aks/use-byo-cni",
        "https://kubernetes.io/docs/concepts/extend-kubernetes/compute-storage-net/network-plugins/",
    ],
};

/// Ready is False or Unknown for another reason than the network plugin.
pub static NODE_NOT_READY: Code = Code {
    id: "BYO0102",
    slug: "node-not-ready",
    severity: Severity::Error,
    blocks: &[],
    title: "Nodes are NotReady for a reason other than the CNI plugin",
    means: "The condition Ready is False or Unknown, and the kubelet does not name the network plugin. \
            Unknown means that the kubelet has stopped reporting: the machine is down, frozen or cut \
            off from the API server. False means that the kubelet is alive and says why; the message \
            quotes it.",
    matters: "Pods on the node count as lost and are moved after a few minutes. The CNI's agent there \
              can neither be updated nor judged.",
    see: "kubectl describe node NODE\n\
          kubectl get events -A --field-selector involvedObject.kind=Node,involvedObject.name=NODE\n\
          kubectl get lease NODE -n kube-node-lease -o yaml",
    fix: "1. Read the reason: memory, disk or PID pressure, a container runtime that is down, or no \
          heartbeat at all.\n\
          2. On AKS, auto-repair reboots and then reimages a node that stays NotReady; a node that \
          it cannot save is best replaced by scaling the pool.\n\
          3. Elsewhere, look at the kubelet and the container runtime on the machine itself.\n\
          This is not a CNI problem: on AKS, Microsoft support covers it.",
    sources: &[
        "https://kubernetes.io/docs/reference/node/node-status/",
        "https://learn.microsoft.com/azure/aks/node-auto-repair",
    ],
};

/// Condition NetworkUnavailable=True; a leftover of a CNI that is gone says so.
pub static NODE_NETWORK_UNAVAILABLE: Code = Code {
    id: "BYO0103",
    slug: "node-network-unavailable",
    severity: Severity::Error,
    blocks: &[],
    title: "Nodes carry the condition NetworkUnavailable=True",
    means: "A CNI or a cloud route controller says that the node's pod network is not set up. Cilium, \
            Calico and Flannel write this condition themselves, and its reason names the writer \
            (CiliumIsUp, CalicoIsDown, FlannelIsUp). If that CNI is no longer in the cluster, the \
            condition is a leftover which nobody will ever clear.",
    matters: "The control plane taints the node with node.kubernetes.io/network-unavailable:NoSchedule, \
              so new pods avoid it even where the network works.",
    see: "kubectl get nodes -o \
          custom-columns='NAME:.metadata.name,STATUS:.status.conditions[?(@.type==\"NetworkUnavailable\")].status,REASON:.status.conditions[?(@.type==\"NetworkUnavailable\")].reason'\n\
          kubectl describe node NODE",
    fix: "If the reason's CNI is installed: repair its agent on that node; it clears the condition \
          when it is up.\n\
          If that CNI is gone: a CNI that writes the condition (Cilium, Calico, Flannel) overwrites \
          it once its agent is up. Where none will, replace the node, or clear the condition by \
          hand:\n\
          kubectl patch node NODE --subresource=status --type=strategic -p \
          '{\"status\":{\"conditions\":[{\"type\":\"NetworkUnavailable\",\"status\":\"False\",\"reason\":\"ClearedByHand\"}]}}'",
    sources: &[
        "https://github.com/projectcalico/calico/issues/7816",
        "https://kubernetes.io/docs/reference/node/node-status/",
    ],
};

/// A CNI's start-up taint on a node whose agent is Ready, or with no such CNI.
pub static NODE_AGENT_TAINT: Code = Code {
    id: "BYO0104",
    slug: "node-agent-taint",
    severity: Severity::Warning,
    blocks: &[],
    title: "A CNI's start-up taint stays on nodes that do not need it",
    means: "The node carries a taint that says \"wait for the CNI's agent\", such as \
            node.cilium.io/agent-not-ready. Either the agent there is Ready and should have removed \
            it, or that CNI is not installed at all. Cilium's operator takes its taint away once the \
            agent is ready; uninstalling Cilium does not.",
    matters: "With NoSchedule, no new pod lands on the node. With NoExecute, running pods without a \
              toleration are evicted as well.",
    see: "kubectl get nodes -o custom-columns='NAME:.metadata.name,TAINTS:.spec.taints[*].key'\n\
          kubectl describe node NODE",
    fix: "1. If the CNI is gone, remove the taint:\n\
          kubectl taint node NODE node.cilium.io/agent-not-ready-\n\
          2. On AKS, a taint given with --node-taints belongs to the node pool and changes only \
          through the AKS API. Use --node-init-taints for start-up taints: those may be removed in \
          the cluster.\n\
          3. If the agent is Ready and the taint comes back, look at the Cilium operator: it sets \
          and removes the taint.",
    sources: &[
        "https://docs.cilium.io/en/stable/installation/taints/",
        "https://github.com/cilium/cilium/issues/31943",
        "https://learn.microsoft.com/azure/aks/use-node-taints",
    ],
};

/// A Windows node with a CNI that runs on Linux only, or a kernel below the CNI's minimum.
pub static NODE_UNSUPPORTED: Code = Code {
    id: "BYO0105",
    slug: "node-unsupported",
    severity: Severity::Error,
    blocks: &[],
    title: "The CNI does not support these nodes",
    means: "The node is a Windows node and the installed CNI has agents for Linux only, or its Linux \
            kernel is older than what this version of the CNI needs. Cilium needs 5.10 or newer from \
            1.18 on; Calico asks for 5.10 as well. No agent is expected there, so no missing agent is \
            reported for the node.",
    matters: "Pods on such a node never get a network. An agent on a kernel that is too old crashes or \
              runs with features missing.",
    see: "kubectl get nodes -o wide\n\
          kubectl get nodes -L kubernetes.io/os",
    fix: "Windows: move these workloads to a cluster with a CNI that supports Windows, or remove the \
          Windows node pool. On AKS that means a network plugin run by Microsoft.\n\
          Kernel: move the pool to a newer node image or OS SKU, node by node.\n\
          az aks nodepool upgrade --resource-group GROUP --cluster-name CLUSTER --name POOL \
          --node-image-only",
    sources: &[
        "https://docs.cilium.io/en/stable/operations/system_requirements/",
        "https://learn.microsoft.com/azure/aks/use-byo-cni",
    ],
};

/// An AKS node that was Ready once is NotReady for over 5 minutes, or is being repaired.
pub static NODE_REPAIR_RISK: Code = Code {
    id: "BYO0106",
    slug: "node-repair-risk",
    severity: Severity::Warning,
    blocks: &[],
    title: "AKS is about to repair, or is repairing, NotReady nodes",
    means: "The node was Ready before and has been NotReady for more than five minutes, or events from \
            aks-auto-repair show a repair in progress. AKS acts on nodes that stay NotReady for about \
            ten minutes: it reboots them, then reimages them, then redeploys them. Nodes that never \
            were Ready are left alone, so a fresh cluster without a CNI is not at risk.",
    matters: "A reboot or reimage in the middle of a CNI change restarts the agent, empties the node's \
              local data and makes a slow rollout look like a failed one.",
    see: "kubectl get nodes\n\
          kubectl get events -A --field-selector involvedObject.kind=Node,involvedObject.name=NODE\n\
          kubectl describe node NODE",
    fix: "1. Do not start a CNI change now. If one is running, stop it at a safe point and finish it \
          later:\n\
          kubectl byocni resume\n\
          2. Bring the node back, or let the repair end, and check that it is Ready again.\n\
          3. Keep rollouts small, so that no node is without its agent for long: --max-parallel 1",
    sources: &["https://learn.microsoft.com/azure/aks/node-auto-repair"],
};

/// A node or agent pod younger than its start-up budget.
pub static NODE_JOINING: Code = Code {
    id: "BYO0107",
    slug: "node-joining",
    severity: Severity::Info,
    blocks: &[],
    title: "Nodes or agents are still starting",
    means: "The node or its agent pod is younger than the time that it may take to start: the agent's \
            startupProbe, or five minutes where it has none. What it lacks is expected for now and is \
            not counted as an error elsewhere. A crash loop, an image that cannot be pulled and wrong \
            CIDRs count at any age.",
    matters: "Nothing to repair yet. If it is still here after the budget, the errors that it covers \
              will appear.",
    see: "kubectl get nodes --sort-by=.metadata.creationTimestamp\n\
          kubectl get pods -A -o wide --field-selector spec.nodeName=NODE",
    fix: "Wait, or let the command wait for you:\n\
          kubectl byocni status --wait --timeout 10m",
    sources: &[
        "https://kubernetes.io/docs/concepts/workloads/pods/probes/",
        "https://docs.cilium.io/en/stable/installation/taints/",
    ],
};

/// The cluster has no Linux node.
pub static NO_NODES: Code = Code {
    id: "BYO0108",
    slug: "no-nodes",
    severity: Severity::Error,
    blocks: &[Change::Install],
    title: "The cluster has no Linux node",
    means: "The node list was read and holds no node with the operating system linux. Every CNI \
            handled here runs its agent on Linux nodes, and so do CoreDNS and the CNI's operator.",
    matters: "Nothing can run, and no statement about the network can be tested. An install would only \
              leave Pending pods behind.",
    see: "kubectl get nodes -o wide\n\
          kubectl get pods -A --field-selector status.phase=Pending",
    fix: "Add a Linux node pool, or scale the existing one up. On AKS:\n\
          az aks nodepool list --resource-group GROUP --cluster-name CLUSTER -o table\n\
          az aks nodepool scale --resource-group GROUP --cluster-name CLUSTER --name POOL \
          --node-count 3\n\
          A stopped AKS cluster starts again with: az aks start --resource-group GROUP --name \
          CLUSTER",
    sources: &[
        "https://learn.microsoft.com/azure/aks/use-byo-cni",
        "https://learn.microsoft.com/azure/aks/scale-cluster",
    ],
};
