//! Family 02. The CNI's own workload: whether there is one, whether it runs everywhere, and which one
//! it is.

use crate::core::code::{Code, Severity};

/// Nodes, but no CNI workload and no sign of one: a fresh BYOCNI cluster.
pub static CNI_MISSING: Code = Code {
    id: "BYO0201",
    slug: "cni-missing",
    severity: Severity::Error,
    blocks: &[],
    title: "No CNI is installed",
    means: "The cluster has nodes, and no DaemonSet that is or looks like a CNI, no CRDs, conditions \
            or annotations of one. This is what a fresh cluster made with network plugin none looks \
            like: the nodes wait for you to bring a CNI. Nodes that are NotReady and CoreDNS that is \
            Pending are consequences.",
    matters: "No pod without hostNetwork can start, so nothing useful runs. AKS does not repair this: \
              with BYOCNI the network is yours.",
    see: "kubectl get nodes\n\
          kubectl get daemonsets -A\n\
          kubectl get pods -n kube-system -o wide",
    fix: "Choose a pod range that overlaps neither the nodes' network, nor the service range, nor \
          anything that pods must reach. On AKS, use the range that was given as --pod-cidr when the \
          cluster was made.\n\
          kubectl byocni install cilium --pod-cidr CIDR\n\
          Add --dry-run to see the plan first. Microsoft does not support CNI problems on these \
          clusters; the CNI's community or vendor does.",
    sources: &[
        "https://learn.microsoft.com/azure/aks/use-byo-cni",
        "https://docs.cilium.io/en/stable/installation/k8s-install-helm/",
    ],
};

/// No CNI workload, yet traces of one on Ready nodes, or sandboxes that fail since its loss.
pub static CNI_LEFTOVER: Code = Code {
    id: "BYO0202",
    slug: "cni-leftover",
    severity: Severity::Error,
    blocks: &[],
    title: "The CNI was removed and its traces remain on the nodes",
    means: "No CNI workload runs, but something of a named CNI is still here: its CRDs and objects, \
            node annotations, a condition such as CiliumIsUp, or pods that fail at sandbox creation \
            since it went away. The configuration files in /etc/cni/net.d outlive an uninstall, so \
            nodes stay Ready although no pod can start or end. The runtime takes the first file by \
            name: a forgotten 05-cilium.conflist wins over a new 10-flannel.conflist.",
    matters: "The cluster looks healthy and is not: running pods keep their addresses, every new pod \
              hangs in ContainerCreating and every deleted one in Terminating.",
    see: "kubectl get pods -A -o wide --field-selector status.phase=Pending\n\
          kubectl get events -A --field-selector reason=FailedCreatePodSandBox\n\
          kubectl get crds",
    fix: "To go back to the same CNI, install it again with the same version and pod range; it cures \
          its own leftovers.\n\
          kubectl byocni install CNI --version X.Y.Z --pod-cidr CIDR\n\
          To use another CNI, replace the nodes first, or remove the old files in /etc/cni/net.d and \
          reboot them one by one: new nodes carry no leftovers.\n\
          Then remove what is stale in the API: start-up taints, CRDs, and webhooks of the old CNI.",
    sources: &[
        "https://github.com/cilium/cilium/issues/12260",
        "https://github.com/cilium/cilium/issues/13152",
        "https://github.com/cilium/cilium/issues/27715",
    ],
};

/// Two CNIs that both give addresses and interfaces.
pub static CNI_MULTIPLE: Code = Code {
    id: "BYO0203",
    slug: "cni-multiple",
    severity: Severity::Error,
    blocks: &[],
    title: "Two CNIs compete for the pods",
    means: "Two workloads that both give pods addresses and interfaces run at the same time. On each \
            node the container runtime uses the configuration file whose name sorts first, so which of \
            the two serves a pod depends on the file names there. Policy-only, chained and meta \
            plugins are not meant by this and are listed under `cni-companion`.",
    matters: "Pods of one CNI may not reach pods of the other, policies hold for half of the pods, and \
              two overlays on the same UDP port (8472 for Cilium and Flannel) stop each other from \
              starting.",
    see: "kubectl get daemonsets -A\n\
          kubectl get pods -A -o wide\n\
          kubectl get configmaps -n kube-system",
    fix: "1. Decide which CNI stays, by where the running pods have their addresses from.\n\
          2. If the second one was installed by mistake and serves no pod, uninstall it with what \
          installed it (helm uninstall, kubectl delete -f), then recreate the pods that it attached.\n\
          3. If this is a migration that stopped half-way, finish it by that CNI's own guide: a \
          second pod range, another tunnel port, node by node with drain and reboot.",
    sources: &[
        "https://github.com/cilium/cilium/issues/18373",
        "https://github.com/cilium/cilium/issues/8990",
        "https://docs.cilium.io/en/stable/installation/k8s-install-migration/",
    ],
};

/// A CNI-like DaemonSet that is not known by name, or Ready nodes without any trace of a CNI.
pub static CNI_UNKNOWN: Code = Code {
    id: "BYO0204",
    slug: "cni-unknown",
    severity: Severity::Info,
    blocks: &[],
    title: "The CNI is not one that is known by name",
    means: "Nodes have a network, or a DaemonSet looks like a CNI (host network, privileged, mounts \
            /etc/cni/net.d or /opt/cni/bin), but its names match none that are known here. It may also \
            be embedded in the distribution, as in k3s. The message lists the evidence.",
    matters: "Nodes, pods, CoreDNS and addresses are still checked. Pools, blocks and the CNI's own \
              health are not, because their place is unknown.",
    see: "kubectl get daemonsets -A -o wide\n\
          kubectl describe daemonset NAME -n NAMESPACE",
    fix: "Nothing needs repair. If it is a CNI that you brought, its chart or manifest can be \
          changed under the same health gates:\n\
          kubectl byocni install --chart PATH --assume-byocni --dry-run",
    sources: &[
        "https://kubernetes.io/docs/concepts/cluster-administration/addons/",
        "https://kubernetes.io/docs/concepts/extend-kubernetes/compute-storage-net/network-plugins/",
    ],
};

/// Azure CNI in any form or kubenet: the platform runs the CNI.
pub static CNI_MANAGED: Code = Code {
    id: "BYO0205",
    slug: "cni-managed",
    severity: Severity::Info,
    blocks: &[],
    title: "The platform manages this cluster's CNI",
    means: "Node labels, DaemonSets or images show a network plugin that the platform runs: Azure CNI \
            (node subnet, pod subnet or overlay), Azure CNI powered by Cilium, or kubenet. This is not \
            a BYOCNI cluster. Its configuration is set back by the platform if it is edited, and Helm \
            does not own it.",
    matters: "Everything here can still be inspected. Every change is refused, without an override: a \
              second CNI on top would break the cluster and its support.",
    see: "kubectl get nodes -L \
          kubernetes.azure.com/ebpf-dataplane,kubernetes.azure.com/podnetwork-type,kubernetes.azure.com/azure-cni-overlay\n\
          kubectl get daemonsets -n kube-system",
    fix: "Nothing to repair. Change the network through AKS, and send its problems to Microsoft \
          support, which covers managed CNIs.\n\
          az aks show --resource-group GROUP --name CLUSTER --query networkProfile\n\
          To run your own CNI, make a new cluster with --network-plugin none; an existing one cannot \
          be switched.",
    sources: &[
        "https://learn.microsoft.com/azure/aks/azure-cni-powered-by-cilium",
        "https://learn.microsoft.com/azure/aks/use-byo-cni",
        "https://github.com/Azure/AKS/issues/4045",
    ],
};

/// A Linux node without an agent pod that the DaemonSet does not exclude on purpose.
pub static AGENT_MISSING: Code = Code {
    id: "BYO0206",
    slug: "agent-missing",
    severity: Severity::Error,
    blocks: &[],
    title: "Nodes have no CNI agent pod",
    means: "The CNI's DaemonSet should run on these nodes and has no pod there. The usual reasons are \
            a taint which the DaemonSet does not tolerate, too little CPU or memory, a quota or \
            admission webhook that refuses the pod, or a DaemonSet controller that is not working. The \
            message names what was found. Nodes that the DaemonSet's own selector leaves out are not \
            meant (`node-without-cni`), nor are virtual nodes.",
    matters: "New pods on these nodes get no network, or keep what an earlier agent left, which goes \
              stale.",
    see: "kubectl get daemonsets -A\n\
          kubectl describe daemonset NAME -n NAMESPACE\n\
          kubectl describe node NODE",
    fix: "1. Read the DaemonSet's events: they name a quota, a webhook or a policy that refuses the \
          pod.\n\
          2. Compare the node's taints with the DaemonSet's tolerations. A CNI agent should tolerate \
          all taints; set that in the release's values.\n\
          3. If the pod is Pending for resources, free some on the node; the agent's priority class \
          should be system-node-critical.",
    sources: &[
        "https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/",
        "https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/",
    ],
};

/// An agent container restarts in a loop; wins over agent-not-ready.
pub static AGENT_CRASH_LOOPING: Code = Code {
    id: "BYO0207",
    slug: "agent-crash-looping",
    severity: Severity::Error,
    blocks: &[],
    title: "CNI agents are crash-looping",
    means: "A container of the CNI's agent starts, ends and is started again with growing pauses \
            (CrashLoopBackOff). The message has its last exit code and reason. OOMKilled is a memory \
            limit that is too low; exit code 1 soon after the start is mostly configuration, a missing \
            node CIDR or an API server that cannot be reached.",
    matters: "New pods on these nodes get no network. Running pods mostly keep theirs until something \
              changes; policies and services are no longer updated.",
    see: "kubectl get pods -n NAMESPACE -o wide\n\
          kubectl describe pod POD -n NAMESPACE\n\
          kubectl logs POD -n NAMESPACE --previous",
    fix: "1. Other findings of this report are often the cause: a node without a CIDR, a pool that \
          overlaps, a kernel that is too old.\n\
          2. If it began with a change of the CNI, go back: kubectl byocni rollback\n\
          3. Otherwise read the last log. `kubectl logs` can fail while the network is down, because \
          its tunnel to the nodes may need pods; the node's own log files always work.\n\
          Microsoft does not support CNI problems on BYOCNI clusters. For the CNI's community, \
          collect the version, this report, the pod's description and its last log:\n\
          kubectl byocni capture -f capture.yaml",
    sources: &[
        "https://kubernetes.io/docs/tasks/debug/debug-application/debug-pods/",
        "https://docs.cilium.io/en/stable/operations/troubleshooting/",
    ],
};

/// An agent pod waits on ErrImagePull or ImagePullBackOff.
pub static AGENT_IMAGE_PULL: Code = Code {
    id: "BYO0208",
    slug: "agent-image-pull",
    severity: Severity::Error,
    blocks: &[],
    title: "CNI agents cannot pull their image",
    means: "The kubelet cannot fetch an image of the agent pod, init containers included. The message \
            names the image. Typical causes are a wrong tag or registry, a firewall or proxy that \
            blocks the registry from the nodes, missing credentials, or a registry's rate limit.",
    matters: "An agent that waits for an image does nothing: its node has no network for new pods. \
              During an upgrade the old agent there is already gone.",
    see: "kubectl describe pod POD -n NAMESPACE\n\
          kubectl get daemonset NAME -n NAMESPACE -o wide\n\
          kubectl get events -n NAMESPACE --field-selector involvedObject.name=POD",
    fix: "1. Read the pull error in the pod's events: not found, unauthorized, timeout and \"too many \
          requests\" need different cures.\n\
          2. Wrong image after a change: kubectl byocni rollback\n\
          3. Blocked registry: allow it from the nodes' subnet, or mirror the images and set the \
          registry in the release's values.\n\
          4. Credentials: name a pull secret in the release's values and create it in the CNI's \
          namespace.",
    sources: &[
        "https://kubernetes.io/docs/concepts/containers/images/",
        "https://learn.microsoft.com/azure/aks/outbound-rules-control-egress",
    ],
};

/// An agent pod is not Ready for another reason than a crash loop or an image.
pub static AGENT_NOT_READY: Code = Code {
    id: "BYO0209",
    slug: "agent-not-ready",
    severity: Severity::Error,
    blocks: &[],
    title: "CNI agents are not Ready",
    means: "The agent pod exists and is not Ready, and it neither crash-loops nor waits for an image. \
            If an init container is waiting, the message names it: Cilium's `config` waits for the API \
            server, its agent waits for CRDs that its operator creates. A pod that is still within its \
            start-up budget is counted as joining instead.",
    matters: "The node's pods get no network, or an outdated one, until the agent is Ready.",
    see: "kubectl get pods -n NAMESPACE -o wide\n\
          kubectl describe pod POD -n NAMESPACE\n\
          kubectl logs POD -n NAMESPACE --all-containers --tail=50",
    fix: "1. Look at the CNI's operator first: without it agents wait for CRDs and for their node's \
          block.\n\
          2. An agent that cannot reach the API server: is kube-proxy running, and if not, is \
          k8sServiceHost set to the API server's name (never the kubernetes ClusterIP)?\n\
          3. If it began with a change: kubectl byocni rollback\n\
          Microsoft does not support CNI problems on BYOCNI clusters. For the CNI's community, \
          collect this report, the pod's description and its logs:\n\
          kubectl byocni capture -f capture.yaml",
    sources: &[
        "https://docs.cilium.io/en/stable/operations/troubleshooting/",
        "https://github.com/cilium/cilium/issues/41921",
        "https://github.com/cilium/cilium/issues/26561",
    ],
};

/// An agent is Ready now but restarted in the last 10 minutes.
pub static AGENT_RESTARTING: Code = Code {
    id: "BYO0210",
    slug: "agent-restarting",
    severity: Severity::Warning,
    blocks: &[],
    title: "CNI agents restarted in the last ten minutes",
    means: "The agent is Ready, but one of its containers ended and was started again within the last \
            ten minutes. The message has the count, the exit code and the reason. A single restart \
            with a node reboot or a failed liveness probe is not alarming; a count that grows is a \
            slow crash loop.",
    matters: "While an agent is away, new pods on its node wait and policy changes do not arrive.",
    see: "kubectl get pods -n NAMESPACE -o wide\n\
          kubectl describe pod POD -n NAMESPACE\n\
          kubectl logs POD -n NAMESPACE --previous --tail=50",
    fix: "1. OOMKilled: raise the agent's memory limit in the release's values.\n\
          2. Failed liveness probes: look for an API server that is slow, or a node short of CPU.\n\
          3. Otherwise read the previous log and look again in ten minutes:\n\
          kubectl byocni status",
    sources: &[
        "https://kubernetes.io/docs/tasks/debug/debug-application/debug-pods/",
        "https://docs.cilium.io/en/stable/operations/troubleshooting/",
    ],
};

/// The DaemonSet's generation is not observed, or pods of an older template are left.
pub static ROLLOUT_INCOMPLETE: Code = Code {
    id: "BYO0211",
    slug: "rollout-incomplete",
    severity: Severity::Warning,
    blocks: &[],
    title: "The CNI's DaemonSet is only partly rolled out",
    means: "The DaemonSet was changed and not all of its pods run the new template, or its controller \
            has not seen the change yet. The message names the nodes that run the older one, and since \
            when. With the update strategy OnDelete this is final until somebody deletes the pods; \
            with RollingUpdate a rollout that stands still has an agent that does not get Ready.",
    matters: "Two versions of the agent serve the cluster. That is meant to last minutes, not days; \
              features that need all nodes do not work meanwhile.",
    see: "kubectl rollout status daemonset/NAME -n NAMESPACE --timeout=10s\n\
          kubectl get pods -n NAMESPACE -L controller-revision-hash -o wide\n\
          kubectl get daemonset NAME -n NAMESPACE -o jsonpath='{.spec.updateStrategy}'",
    fix: "If a change of ours was interrupted, finish or undo it:\n\
          kubectl byocni resume\n\
          kubectl byocni abort\n\
          If an agent is not Ready, repair that first; the rollout goes on by itself.\n\
          With OnDelete and no change in progress, delete the old pods one node at a time and wait \
          for Ready in between:\n\
          kubectl delete pod POD -n NAMESPACE",
    sources: &["https://kubernetes.io/docs/tasks/manage-daemon/update-daemon-set/"],
};

/// The CNI's operator or controller has no ready replica.
pub static OPERATOR_NOT_READY: Code = Code {
    id: "BYO0212",
    slug: "operator-not-ready",
    severity: Severity::Error,
    blocks: &[],
    title: "The CNI's operator has no ready replica",
    means: "The Deployment that steers the CNI (cilium-operator, tigera-operator, antrea-controller \
            and the like) has no ready pod. If its pods cannot be scheduled, the message names the \
            taint that keeps them off. Since 1.18, Cilium's operator no longer tolerates every taint, \
            so a cluster with only CriticalAddonsOnly nodes has no place for it. One Pending replica \
            of two on a single node is normal and not meant here.",
    matters: "Running pods keep their network. New nodes get no block of addresses, and agents that \
              start now wait for CRDs that nobody creates.",
    see: "kubectl get deployments -n NAMESPACE\n\
          kubectl describe pods -n NAMESPACE -l io.cilium/app=operator\n\
          kubectl get nodes -o custom-columns='NAME:.metadata.name,TAINTS:.spec.taints[*].key'",
    fix: "1. Unschedulable by a taint: add the toleration to the release's values \
          (`operator.tolerations` for Cilium, with the chart's own repeated) and upgrade, or add an \
          untainted Linux pool.\n\
          2. Crash or image trouble: read the pod's description and log, as for an agent.\n\
          3. If it began with a change: kubectl byocni rollback",
    sources: &[
        "https://github.com/cilium/cilium/issues/41921",
        "https://github.com/cilium/cilium/issues/40137",
    ],
};

/// The CNI's ConfigMap changed after the agents started.
pub static CONFIG_DRIFT: Code = Code {
    id: "BYO0213",
    slug: "config-drift",
    severity: Severity::Warning,
    blocks: &[],
    title: "The CNI's configuration is newer than its running agents",
    means: "The CNI's ConfigMap was written after the agents started, and agents read it only when \
            they start. They still run with the old settings. A Helm upgrade that changes settings and \
            no image restarts nothing by itself: Cilium's `rollOutCiliumPods` is off by default.",
    matters: "The change is not in force, and it will come into force unwatched, node by node, with the \
              next restart or reboot. If it is a bad one, that is when it hurts.",
    see: "kubectl get configmap cilium-config -n kube-system -o yaml --show-managed-fields\n\
          kubectl get pods -n kube-system -l k8s-app=cilium -o \
          custom-columns='POD:.metadata.name,STARTED:.status.startTime'",
    fix: "1. Read what changed: kubectl byocni history\n\
          2. If it is wanted, restart the operator first, then the agents:\n\
          kubectl rollout restart deployment/cilium-operator -n kube-system\n\
          kubectl rollout restart daemonset/cilium -n kube-system\n\
          3. If it is not, undo it before anything restarts: kubectl byocni rollback",
    sources: &[
        "https://github.com/cilium/cilium/issues/24772",
        "https://github.com/cilium/cilium/issues/27867",
        "https://github.com/cilium/cilium/issues/48534",
    ],
};

/// Components of the CNI that share a version scheme differ.
pub static VERSION_SKEW: Code = Code {
    id: "BYO0214",
    slug: "version-skew",
    severity: Severity::Warning,
    blocks: &[],
    title: "Components of the CNI run different versions",
    means: "Components which are released together run different versions: Cilium's agent and \
            operator, or calico-node, Typha and kube-controllers. Envoy and the Tigera operator have \
            versions of their own and are not compared, nor are images with a digest only or a tag of \
            your own. During an upgrade this is normal for minutes.",
    matters: "Such a mix is not tested by the project beyond the time that an upgrade takes. It mostly \
              means that an upgrade stopped, or that an image was set by hand.",
    see: "kubectl get daemonsets,deployments -n NAMESPACE -o wide\n\
          kubectl get pods -n NAMESPACE -o \
          custom-columns='POD:.metadata.name,IMAGES:.spec.containers[*].image'",
    fix: "1. An upgrade stopped half-way: kubectl byocni resume, or kubectl byocni rollback\n\
          2. An image was overridden in the release's values or by hand: take the override out, and \
          upgrade to one version.\n\
          kubectl byocni upgrade --version X.Y.Z",
    sources: &[
        "https://docs.cilium.io/en/stable/operations/upgrade/",
        "https://docs.tigera.io/calico/latest/operations/upgrading/kubernetes-upgrade",
    ],
};

/// Policy-only, chained and meta plugins beside the CNI: Multus, Calico policy, Canal's pair.
pub static CNI_COMPANION: Code = Code {
    id: "BYO0215",
    slug: "cni-companion",
    severity: Severity::Info,
    blocks: &[],
    title: "Another network plugin works beside the CNI",
    means: "Besides the CNI that gives pods their addresses, a plugin was found that works on top of \
            it: Multus adds further interfaces, Calico may enforce policy only, and Canal is Flannel \
            for networking with Calico for policy. These are known pairs and do not compete for pods.",
    matters: "Nothing is wrong. Know who does what before changing either: a meta plugin often writes \
              the configuration file that sorts first and calls the other one.",
    see: "kubectl get daemonsets -A\n\
          kubectl get network-attachment-definitions -A",
    fix: "Nothing to repair. When the CNI changes, restart the companion after it and create one new \
          pod on each node pool to see that both still work.",
    sources: &[
        "https://github.com/k8snetworkplumbingwg/multus-cni",
        "https://docs.tigera.io/calico/latest/getting-started/kubernetes/flannel/install-for-flannel",
    ],
};

/// A node that the CNI DaemonSet's own selector leaves out.
pub static NODE_WITHOUT_CNI: Code = Code {
    id: "BYO0216",
    slug: "node-without-cni",
    severity: Severity::Info,
    blocks: &[],
    title: "The CNI's DaemonSet leaves nodes out on purpose",
    means: "The node selector or node affinity of the CNI's DaemonSet does not match these nodes, so \
            no agent is wanted there and no block of addresses is needed. Virtual nodes and nodes \
            which serve another data plane are the usual reason.",
    matters: "Pods without hostNetwork cannot run there unless something else gives them a network. If \
              nobody chose this, a label was lost: selectors that match nothing have taken whole \
              clusters down.",
    see: "kubectl get daemonset NAME -n NAMESPACE -o \
          jsonpath='{.spec.template.spec.nodeSelector}{.spec.template.spec.affinity}'\n\
          kubectl get nodes --show-labels",
    fix: "If it is meant so: nothing. Taint those nodes, so that ordinary pods stay away.\n\
          If not: give the label back (on AKS through the node pool, so that new nodes have it too), \
          or change the selector in the release's values.\n\
          az aks nodepool update --resource-group GROUP --cluster-name CLUSTER --name POOL --labels \
          KEY=VALUE",
    sources: &[
        "https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/",
        "https://www.reddit.com/r/RedditEng/comments/11xx5o0/",
    ],
};
