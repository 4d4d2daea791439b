//! Family 06, BYO0620 to BYO0639. What the values of a release, its pools and its version forbid, before anything is
//! rendered.

use crate::core::code::{Change, Code, Severity};

/// No pool given, and none that the cluster names passes the checks.
pub static POOL_REQUIRED: Code = Code {
    id: "BYO0620",
    slug: "pool-required",
    severity: Severity::Error,
    blocks: &[Change::Install],
    title: "A pool of pod addresses must be chosen",
    means: "No pool was given, and what the cluster takes for the pods' range itself (kube-proxy's \
            cluster CIDR, kubeadm's podSubnet, the nodes' podCIDRs) is not there or touches something \
            else. The chart's own default is never used unseen: Cilium's 10.0.0.0/8 contains the \
            service range that AKS uses by default. A pool cannot be changed on a running cluster.",
    matters: "A pool that overlaps services, nodes or a connected network takes their addresses away, \
              one block after the other. It shows weeks later, as DNS or a database that cannot be \
              reached from some nodes.",
    see: "kubectl get daemonset kube-proxy -n kube-system -o yaml\n\
          kubectl get nodes -o wide\n\
          kubectl get servicecidrs",
    fix: "The finding's fix has a pool that is apart from everything that can be seen from inside the \
          cluster. Compare it with what cannot be seen, such as peered networks and on-premises \
          ranges, and give it yourself:\n\
          kubectl byocni install cilium --pod-cidr CIDR\n\
          Name ranges that only you know, and the proposal stays apart from them too:\n\
          kubectl byocni install cilium --reserved-cidr CIDR --dry-run",
    sources: &[
        "https://github.com/cilium/cilium/issues/31504",
        "https://docs.cilium.io/en/stable/network/concepts/ipam/cluster-pool/",
        "https://learn.microsoft.com/azure/aks/use-byo-cni",
    ],
};

/// Fewer blocks than nodes and the surge of an upgrade.
pub static POOL_TOO_SMALL: Code = Code {
    id: "BYO0621",
    slug: "pool-too-small",
    severity: Severity::Error,
    blocks: &[Change::Install],
    title: "The pool has fewer blocks than the nodes need",
    means: "Every node gets a block of the pool. A block has to hold as many pods as the kubelet \
            allows, and there has to be one for every node and for those that an upgrade adds before \
            it takes others away (one in ten, one at least). The pool that is planned has fewer.",
    matters: "The node that finds no block left stays NotReady. An upgrade of the nodes stops there.",
    see: "kubectl get nodes -o custom-columns='NAME:.metadata.name,PODS:.status.allocatable.pods'",
    fix: "1. Give a larger pool; the finding's fix has one that is free:\n\
          kubectl byocni install cilium --pod-cidr CIDR\n\
          2. Or make the blocks smaller, where the nodes take fewer pods than a block holds:\n\
          kubectl byocni install cilium --set ipam.operator.clusterPoolIPv4MaskSize=26",
    sources: &["https://docs.cilium.io/en/stable/network/concepts/ipam/cluster-pool/"],
};

/// A planned pool touches a range that no pool may touch.
pub static POOL_RESERVED: Code = Code {
    id: "BYO0622",
    slug: "pool-reserved",
    severity: Severity::Error,
    blocks: &[Change::Install, Change::Upgrade],
    title: "The planned pool touches a range that is reserved",
    means: "The pool shares addresses with a range that ordinary hosts do not use (loopback, \
            link-local, multicast), or that AKS keeps for itself: 169.254.0.0/16, 172.30.0.0/16, \
            172.31.0.0/16 and 192.0.2.0/24. For pools that are in use, `reserved-range` says the same.",
    matters: "Pods that get such an address cannot be reached, or take traffic that belongs to the \
              platform. Microsoft does not support a cluster like that.",
    see: "kubectl get nodes -o wide",
    fix: "Give a pool elsewhere; the finding's fix has one that is free:\n\
          kubectl byocni install cilium --pod-cidr CIDR",
    sources: &[
        "https://learn.microsoft.com/azure/aks/use-byo-cni",
        "https://www.rfc-editor.org/rfc/rfc6890",
    ],
};

/// A planned pool of a family that the nodes or the services do not have.
pub static POOL_FAMILY_MISMATCH: Code = Code {
    id: "BYO0623",
    slug: "pool-family-mismatch",
    severity: Severity::Error,
    blocks: &[Change::Install],
    title: "The planned pool is of the wrong address family",
    means: "A pool is planned of a family (IPv4 or IPv6) that no node has an address of, or none is \
            planned of the family that services have. Nodes, pods and services of a cluster need a \
            family in common.",
    matters: "Agents do not start where their node has no address of the pool's family. Pods without \
              an address of the services' family reach no Service, cluster DNS among them.",
    see: "kubectl get nodes -o wide\n\
          kubectl get servicecidrs\n\
          kubectl get service kubernetes -n default -o yaml",
    fix: "Give a pool of the family that nodes and services have; both, where both are dual-stack:\n\
          kubectl byocni install cilium --pod-cidr CIDR --pod-cidr CIDR6",
    sources: &["https://kubernetes.io/docs/concepts/services-networking/dual-stack/"],
};

/// `--pod-cidr` and the values name different pools.
pub static POOL_CONFLICT: Code = Code {
    id: "BYO0624",
    slug: "pool-conflict",
    severity: Severity::Error,
    blocks: &[Change::Install],
    title: "The flag and the values name different pools",
    means: "--pod-cidr names one pool, and the values that were given with --values or --set name \
            another. Values of the user's win over what is planned, so the flag would have no effect.",
    matters: "The cluster would get a pool that half of the command does not mention, and a pool \
              cannot be changed later.",
    see: "kubectl get configmap cilium-config -n kube-system -o yaml",
    fix: "Name the pool in one place only: leave out --pod-cidr, or the key in the values.",
    sources: &["https://docs.cilium.io/en/stable/network/concepts/ipam/cluster-pool/"],
};

/// A planned network that does not hold the nodes' podCIDRs, for a CNI that takes its blocks from there.
pub static POOL_MISSES_NODES: Code = Code {
    id: "BYO0625",
    slug: "pool-misses-nodes",
    severity: Severity::Error,
    blocks: &[Change::Install],
    title: "The planned network does not contain the nodes' podCIDRs",
    means: "This CNI does not cut blocks itself: each node's is its spec.podCIDR, which the \
            kube-controller-manager has cut from its --cluster-cidr. The network that is planned does \
            not contain all of them. Flannel's agents end with an error on a node whose podCIDR lies \
            outside their network.",
    matters: "Agents crash on the nodes concerned, which stay NotReady.",
    see: "kubectl get nodes -o custom-columns='NAME:.metadata.name,CIDR:.spec.podCIDR'\n\
          kubectl get configmap kubeadm-config -n kube-system -o yaml",
    fix: "Leave out --pod-cidr: the network is then taken from the cluster. A node's podCIDR cannot be \
          changed; to move to another range, change the controller manager's --cluster-cidr and \
          replace the nodes.",
    sources: &["https://github.com/flannel-io/flannel/blob/master/Documentation/troubleshooting.md"],
};

/// A key of the user's values that the chart does not have.
pub static VALUE_UNKNOWN: Code = Code {
    id: "BYO0626",
    slug: "value-unknown",
    severity: Severity::Error,
    blocks: &[Change::Install, Change::Upgrade],
    title: "The chart does not have this value",
    means: "A key among the values that were given is not one of the chart's: not in its values.yaml, \
            nor in its schema, nor there as a comment. Helm ignores such keys without a word, so the \
            chart's default stands. Most often it is a typing error or another letter's case.",
    matters: "What was asked for does not happen, and nothing says so. With a pool or an encryption \
              setting, that is found out when it hurts.",
    see: "kubectl get configmap cilium-config -n kube-system -o yaml",
    fix: "Correct the key; the finding names the nearest one that the chart has. All of them:\n\
          helm show values CHART --version VERSION",
    sources: &["https://helm.sh/docs/chart_template_guide/values_files/"],
};

/// A key that an earlier chart had and this one ignores or rejects.
pub static VALUE_REMOVED: Code = Code {
    id: "BYO0627",
    slug: "value-removed",
    severity: Severity::Error,
    blocks: &[Change::Install, Change::Upgrade],
    title: "The chart no longer has this value",
    means: "A key among the values that were given belonged to an earlier chart. This one rejects it \
            or, which is worse, ignores it. Cilium's singular clusterPoolIPv4PodCIDR failed the \
            rendering up to 1.18 and is ignored since: the pool is then the chart's 10.0.0.0/8.",
    matters: "A setting that was there is gone without a word: a pool, an encryption, a strict mode.",
    see: "kubectl get configmap cilium-config -n kube-system -o yaml",
    fix: "Take the key out of the values, and set what came in its place; the finding names it. The \
          release's upgrade notes have the details.",
    sources: &[
        "https://docs.cilium.io/en/stable/operations/upgrade/",
        "https://helm.sh/docs/chart_template_guide/values_files/",
    ],
};

/// A value that the chart or the CNI cannot take.
pub static VALUE_INVALID: Code = Code {
    id: "BYO0628",
    slug: "value-invalid",
    severity: Severity::Error,
    blocks: &[Change::Install, Change::Upgrade],
    title: "A value is not what the chart can take",
    means: "One of the values that were given has a form that the chart or the CNI rejects: a network \
            that is none, a prefix length that is no number, a name of a cluster that is too long, a \
            word in place of true or false. The finding quotes it.",
    matters: "The rendering fails, or the agents do, one by one, with a message that names no key.",
    see: "kubectl get configmap cilium-config -n kube-system -o yaml",
    fix: "Correct the value. With --set, quote lists and braces for your shell:\n\
          kubectl byocni install cilium --set 'ipam.operator.clusterPoolIPv4PodCIDRList={CIDR}'",
    sources: &["https://docs.cilium.io/en/stable/helm-reference/"],
};

/// aksbyocni.enabled with an IPAM mode that it does not have.
pub static AKSBYOCNI_IPAM_MODE: Code = Code {
    id: "BYO0629",
    slug: "aksbyocni-ipam-mode",
    severity: Severity::Error,
    blocks: &[Change::Install, Change::Upgrade],
    title: "aksbyocni does not work with this IPAM mode",
    means: "With aksbyocni.enabled=true Cilium's chart knows the mode cluster-pool, and from 1.19 on \
            multi-pool. For any other mode charts up to 1.18 render cluster-pool without a pool, and \
            later ones no mode at all. Nodes of AKS BYOCNI have no podCIDRs, so ipam.mode=kubernetes \
            has nothing to take anyway.",
    matters: "Agents run with a mode or a pool that nobody chose.",
    see: "kubectl get nodes -o custom-columns='NAME:.metadata.name,CIDR:.spec.podCIDR'",
    fix: "Leave out ipam.mode: cluster-pool is planned with a pool that is shown.",
    sources: &[
        "https://docs.cilium.io/en/stable/installation/k8s-install-helm/",
        "https://docs.cilium.io/en/stable/network/concepts/ipam/cluster-pool/",
    ],
};

/// Nothing leads agents to the API server.
pub static API_HOST_REQUIRED: Code = Code {
    id: "BYO0630",
    slug: "api-host-required",
    severity: Severity::Error,
    blocks: &[Change::Install, Change::Upgrade],
    title: "Agents would not find the API server",
    means: "Pods reach the API server through the Service `kubernetes`, which kube-proxy makes \
            reachable. Where no kube-proxy runs, or the CNI is to replace it, the agents need the \
            server's own address: k8sServiceHost and k8sServicePort. It is not set, or it is an \
            address that only kube-proxy or only this machine can reach.",
    matters: "Agents wait in their init container for ever, and no node becomes Ready.",
    see: "kubectl cluster-info\n\
          kubectl get endpointslices -n default -l kubernetes.io/service-name=kubernetes\n\
          kubectl get daemonset kube-proxy -n kube-system",
    fix: "Give the address under which nodes reach the API server; on AKS the cluster's FQDN, and port \
          443:\n\
          kubectl byocni install cilium --set k8sServiceHost=HOST,k8sServicePort=PORT\n\
          A name outlives an address: AKS keeps the name when the address moves.",
    sources: &[
        "https://docs.cilium.io/en/stable/network/kubernetes/kubeproxy-free/",
        "https://github.com/cilium/cilium/issues/26561",
        "https://github.com/cilium/cilium/issues/22039",
    ],
};

/// kube-proxy in IPVS mode with a version that hangs on it.
pub static KUBE_PROXY_IPVS: Code = Code {
    id: "BYO0631",
    slug: "kube-proxy-ipvs",
    severity: Severity::Error,
    blocks: &[Change::Install, Change::Upgrade],
    title: "Agents of this version hang where kube-proxy uses IPVS",
    means: "kube-proxy runs in IPVS mode. Agents of Cilium 1.19 then lose the way to the API server \
            while they start, and hang in their init container. Versions up to 1.18 start.",
    matters: "Nodes lose their network one by one as agents restart. Some were rebooted to recover.",
    see: "kubectl get daemonset kube-proxy -n kube-system -o yaml\n\
          kubectl get configmap kube-proxy -n kube-system -o yaml",
    fix: "1. Install a version that is not concerned:\n\
          kubectl byocni install cilium --version 1.18\n\
          2. Or let kube-proxy use iptables or nftables; on AKS by --kube-proxy-config.\n\
          3. The issue names a workaround for 1.19: extraConfig.enable-k8s-host-firewall-bypass=false.",
    sources: &["https://github.com/cilium/cilium/issues/44464"],
};

/// A row of what is known to do harm.
pub static KNOWN_BAD_VERSION: Code = Code {
    id: "BYO0632",
    slug: "known-bad-version",
    severity: Severity::Error,
    blocks: &[Change::Install, Change::Upgrade],
    title: "This version is known to do harm on a cluster like this one",
    means: "The CNI's project has an open or a fixed issue about this version, and its condition holds \
            here: the finding says which, with a link. Later versions are not concerned.",
    matters: "What the issue describes is likely to happen here too.",
    see: "kubectl get nodes -o wide\n\
          kubectl get configmap cilium-config -n kube-system -o yaml",
    fix: "Read the issue that the finding links to, and take a version behind it:\n\
          kubectl byocni install cilium --version VERSION",
    sources: &["https://github.com/cilium/cilium/issues/41986"],
};

/// Kubernetes outside the versions that the CNI's project names as tested.
pub static KUBERNETES_UNTESTED: Code = Code {
    id: "BYO0633",
    slug: "kubernetes-untested",
    severity: Severity::Warning,
    blocks: &[],
    title: "The CNI was not tested with this version of Kubernetes",
    means: "The documentation of this version of the CNI lists the versions of Kubernetes that it was \
            tested with, and this one is not among them. That does not mean that it does not work: \
            other versions depend on how compatible Kubernetes is with itself.",
    matters: "Problems on such a pair are found by its users. Most pairs that are a version or two \
              apart work.",
    see: "kubectl version",
    fix: "Choose a version of the CNI that names this Kubernetes where there is one; else go on, and \
          try it on a cluster of less importance first.",
    sources: &[
        "https://docs.cilium.io/en/stable/network/kubernetes/compatibility/",
        "https://docs.tigera.io/calico/latest/getting-started/kubernetes/requirements",
    ],
};

/// A version outside those that this tool knows.
pub static CNI_VERSION_OUT_OF_RANGE: Code = Code {
    id: "BYO0634",
    slug: "cni-version-out-of-range",
    severity: Severity::Warning,
    blocks: &[Change::Upgrade],
    title: "This version of the CNI is not one that is known here",
    means: "The version is older or newer than those whose charts this tool was built with. The values \
            that it plans are those of the nearest known version. Rules about keys, kernels and known \
            faults may be missing or out of date. An upgrade goes to no such version: from an older one \
            it goes to the nearest that is known, if that is the next minor.",
    matters: "The plan may leave out what that version needs. Read it with the release's own notes at \
              hand.",
    see: "kubectl version",
    fix: "Take a version within the range that the finding names, or a newer release of this tool:\n\
          kubectl byocni version",
    sources: &["https://docs.cilium.io/en/stable/operations/upgrade/"],
};

/// A version that the source does not offer.
pub static VERSION_UNKNOWN: Code = Code {
    id: "BYO0635",
    slug: "version-unknown",
    severity: Severity::Error,
    blocks: &[Change::Install, Change::Upgrade],
    title: "The chart's source does not offer this version",
    means: "The repository or folder that charts are taken from has no chart of the version that was \
            asked for, or none of those that are known here. A mirror may be behind the project's own \
            repository.",
    matters: "Nothing can be planned without a chart.",
    see: "kubectl version",
    fix: "Take one that is offered; the finding names the nearest:\n\
          helm search repo CHART --versions\n\
          Or name another source: --repo URL, --repo FOLDER, --chart FILE.",
    sources: &["https://helm.sh/docs/topics/chart_repository/"],
};

/// No version suits the cluster, or the one that was asked for does not.
pub static VERSION_UNSUITABLE: Code = Code {
    id: "BYO0636",
    slug: "version-unsuitable",
    severity: Severity::Error,
    blocks: &[Change::Install, Change::Upgrade],
    title: "This version of the CNI does not run on this cluster",
    means: "The chart asks for other versions of Kubernetes than the cluster's, or a node's kernel is \
            older than the CNI's agents need. Helm reads a version with a suffix, such as \
            1.34.4-gke.1, as one that comes before 1.34.4: a chart has to allow for it with >= \
            1.21.0-0.",
    matters: "Helm refuses to install the chart, or agents crash on the nodes with the old kernel.",
    see: "kubectl version\n\
          kubectl get nodes -o custom-columns='NAME:.metadata.name,KERNEL:.status.nodeInfo.kernelVersion'",
    fix: "1. Take an older version of the CNI with --version.\n\
          2. Or move the nodes to an image with a newer kernel; on AKS with an upgrade of their node \
          image or their OS version.",
    sources: &[
        "https://docs.cilium.io/en/stable/operations/system_requirements/",
        "https://helm.sh/docs/topics/charts/#the-kubeversion-field",
    ],
};
