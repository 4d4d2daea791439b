//! Family 03. Address ranges: where they overlap, where they run out, and where two places disagree.

use crate::core::code::{Change, Code, Severity};

/// A pool shares addresses with a service range (ServiceCIDR, or inferred from ClusterIPs).
pub static POD_CIDR_OVERLAPS_SERVICE_CIDR: Code = Code {
    id: "BYO0301",
    slug: "pod-cidr-overlaps-service-cidr",
    severity: Severity::Error,
    blocks: &[Change::Install, Change::Upgrade],
    title: "The pod range overlaps the service range",
    means: "A pool that pods get addresses from shares addresses with the range of ClusterIPs. The \
            service range comes from ServiceCIDR objects, or on older clusters is inferred from the \
            ClusterIPs in use. Cilium's default pool 10.0.0.0/8 contains the service range 10.0.0.0/16 \
            that AKS uses by default, so an install without a chosen pool does this.",
    matters: "Sooner or later a pod gets an address that is also a Service, kube-dns's for example, and \
              traffic for one goes to the other. DNS dying at random is how it usually shows.",
    see: "kubectl get servicecidrs\n\
          kubectl get services -A\n\
          kubectl get configmap cilium-config -n kube-system -o yaml",
    fix: "The service range of a cluster cannot be moved on AKS, so the pool has to.\n\
          1. New cluster, nothing of value on it: uninstall the CNI, replace the nodes, and install \
          it with a range of its own:\n\
          kubectl byocni install cilium --pod-cidr CIDR\n\
          2. Live cluster: do not edit the pool in place. Nodes keep their old blocks and new ones \
          get others. Build a second cluster and move, or follow the CNI's guide for changing pools, \
          with every pod recreated.\n\
          3. An upgrade neither makes this nor mends it, so it is not refused for the pools that are \
          there; one that adds such a pool is.",
    sources: &[
        "https://github.com/cilium/cilium/issues/31504",
        "https://github.com/cilium/cilium/issues/13766",
        "https://docs.cilium.io/en/stable/network/concepts/ipam/cluster-pool/",
    ],
};

/// A pool contains a node's InternalIP, or touches a --reserved-cidr.
pub static POD_CIDR_OVERLAPS_NODE_NETWORK: Code = Code {
    id: "BYO0302",
    slug: "pod-cidr-overlaps-node-network",
    severity: Severity::Error,
    blocks: &[Change::Install, Change::Upgrade],
    title: "The pod range overlaps the network of the nodes",
    means: "A pool contains the address of at least one node, or touches a network that was named with \
            --reserved-cidr. Each node then has a route into the pod network for addresses that belong \
            to machines. Only node addresses are visible from inside the cluster: the rest of the \
            virtual network, its peerings and on-premises ranges are known only through \
            --reserved-cidr.",
    matters: "Nodes lose the way to other nodes, to the API server or to whatever lives in the overlap, \
              as blocks are handed out one after the other.",
    see: "kubectl get nodes -o wide\n\
          kubectl get configmap cilium-config -n kube-system -o yaml\n\
          kubectl get ippools -o yaml",
    fix: "The pool has to move; the nodes' network stays.\n\
          1. Choose a range that lies in no connected network. Name those that only you know:\n\
          kubectl byocni install cilium --pod-cidr CIDR --reserved-cidr CIDR --dry-run\n\
          2. On a live cluster this is a rebuild or a migration to a new pool with every pod \
          recreated, not an edit of the old one. An upgrade is not refused for the pools that are \
          there, only for one that it adds.",
    sources: &[
        "https://docs.cilium.io/en/stable/network/concepts/ipam/cluster-pool/",
        "https://learn.microsoft.com/azure/aks/use-byo-cni",
        "https://github.com/cilium/cilium/issues/31543",
    ],
};

/// A service range contains node addresses, or touches a --reserved-cidr.
pub static SERVICE_CIDR_OVERLAPS_NODE_NETWORK: Code = Code {
    id: "BYO0303",
    slug: "service-cidr-overlaps-node-network",
    severity: Severity::Error,
    blocks: &[],
    title: "The service range overlaps the network of the nodes",
    means: "A service range contains the address of at least one node, or touches a network that was \
            named with --reserved-cidr. Inside the cluster those addresses mean Services; outside they \
            mean machines. AKS asks for a service range that overlaps neither the virtual network nor \
            anything connected to it.",
    matters: "Pods and nodes cannot reach a machine whose address is also a ClusterIP. It starts when \
              such a Service is created, which may be long after the cluster was.",
    see: "kubectl get nodes -o wide\n\
          kubectl get servicecidrs\n\
          kubectl get service kubernetes -n default",
    fix: "The service range is set when a cluster is made and AKS cannot change it. Make a new \
          cluster with another one:\n\
          az aks create --resource-group GROUP --name CLUSTER --network-plugin none --service-cidr \
          CIDR --dns-service-ip IP --pod-cidr CIDR\n\
          Until then, put no node or machine that pods must reach into the overlap.",
    sources: &[
        "https://learn.microsoft.com/azure/aks/use-byo-cni",
        "https://kubernetes.io/docs/concepts/services-networking/cluster-ip-allocation/",
    ],
};

/// Two pools, or two entries of one pool list, overlap.
pub static POD_CIDR_OVERLAPS_ITSELF: Code = Code {
    id: "BYO0304",
    slug: "pod-cidr-overlaps-itself",
    severity: Severity::Error,
    blocks: &[Change::Install, Change::Upgrade],
    title: "Two pod ranges overlap each other",
    means: "Two pools, or two entries in the list of one pool, share addresses. The allocator treats \
            them as separate and may hand out the same block or address from both. An entry that \
            contains another one, or that is listed twice, counts as well.",
    matters: "Two nodes or two pods can end up with the same addresses. Both are then reachable at times \
              and not at others.",
    see: "kubectl get configmap cilium-config -n kube-system -o yaml\n\
          kubectl get ciliumpodippools -o yaml\n\
          kubectl get ippools -o yaml",
    fix: "1. Find out from which entry blocks were handed out:\n\
          kubectl get ciliumnodes -o \
          custom-columns='NODE:.metadata.name,PODCIDRS:.spec.ipam.podCIDRs'\n\
          2. Take out the entry that no node uses. An entry in use must stay as it is: append a \
          separate range instead.\n\
          3. With Calico, disable the pool that is to go (spec.disabled: true), recreate its pods, \
          and delete it when it is empty.\n\
          An upgrade is not refused for the pools that are there, only for one that it adds.",
    sources: &[
        "https://docs.cilium.io/en/stable/network/concepts/ipam/cluster-pool/",
        "https://docs.tigera.io/calico/latest/networking/ipam/migrate-pools",
    ],
};

/// A pool, service or node range touches a range that AKS reserves.
pub static RESERVED_RANGE: Code = Code {
    id: "BYO0305",
    slug: "reserved-range",
    severity: Severity::Error,
    blocks: &[],
    title: "A range uses addresses that AKS reserves",
    means: "A pod, service or node range touches 169.254.0.0/16, 172.30.0.0/16, 172.31.0.0/16 or \
            192.0.2.0/24. AKS uses these itself and forbids them for pods, services and the virtual \
            network, with BYOCNI too. 169.254.0.0/16 also holds the instance metadata service.",
    matters: "Traffic to addresses in the overlap can end inside the platform, and AKS documents such a \
              cluster as not allowed.",
    see: "kubectl get nodes -o wide\n\
          kubectl get servicecidrs\n\
          kubectl get configmap cilium-config -n kube-system -o yaml",
    fix: "A pool: choose another range before the CNI is installed; on a live cluster, move to a new \
          pool with every pod recreated.\n\
          A service or node range: it is fixed when the cluster is made, so this takes a new cluster \
          with other ranges.",
    sources: &["https://learn.microsoft.com/azure/aks/use-byo-cni"],
};

/// A service range of /12 or larger on AKS.
pub static SERVICE_CIDR_TOO_LARGE: Code = Code {
    id: "BYO0306",
    slug: "service-cidr-too-large",
    severity: Severity::Warning,
    blocks: &[],
    title: "The service range is larger than AKS allows",
    means: "The service range has a prefix of /12 or shorter. AKS asks for one that is smaller than \
            /12. On other platforms this is not checked.",
    matters: "A range this large overlaps private networks sooner or later, and AKS may refuse later \
              changes of the cluster.",
    see: "kubectl get servicecidrs\n\
          kubectl get service kubernetes -n default",
    fix: "It cannot be changed on this cluster. Use a smaller range for the next one; /16 has room \
          for 65,000 Services:\n\
          az aks create --resource-group GROUP --name CLUSTER --network-plugin none --service-cidr \
          10.0.0.0/16 --dns-service-ip 10.0.0.10 --pod-cidr CIDR",
    sources: &["https://learn.microsoft.com/azure/aks/use-byo-cni"],
};

/// kube-dns's ClusterIP lies outside every service range.
pub static DNS_SERVICE_IP: Code = Code {
    id: "BYO0307",
    slug: "dns-service-ip",
    severity: Severity::Error,
    blocks: &[],
    title: "The DNS Service's address is outside the service range",
    means: "The ClusterIP of the Service kube-dns lies in none of the cluster's service ranges. Either \
            the Service was made under an earlier range, or the ranges were changed around it. Every \
            pod's resolv.conf points to the address that the kubelet was given, which is normally this \
            one.",
    matters: "Data planes that route only the service range do not deliver DNS queries. Without DNS, \
              nearly everything fails.",
    see: "kubectl get service kube-dns -n kube-system -o yaml\n\
          kubectl get servicecidrs",
    fix: "1. On AKS the DNS Service belongs to the platform: do not edit it. Compare it with the \
          cluster's settings and open a support case if they differ:\n\
          az aks show --resource-group GROUP --name CLUSTER --query networkProfile\n\
          2. Elsewhere, recreate the Service with an address inside the range, and give the same \
          address to every kubelet as clusterDNS.",
    sources: &[
        "https://learn.microsoft.com/azure/aks/use-byo-cni",
        "https://kubernetes.io/docs/concepts/services-networking/cluster-ip-allocation/",
    ],
};

/// kube-dns's ClusterIP is the first address of a service range.
pub static DNS_SERVICE_IP_FIRST: Code = Code {
    id: "BYO0308",
    slug: "dns-service-ip-first",
    severity: Severity::Warning,
    blocks: &[],
    title: "The DNS Service uses the first address of the service range",
    means: "The ClusterIP of kube-dns is the first usable address of a service range. Kubernetes gives \
            that one to the Service `kubernetes` in the namespace default, and AKS forbids it for DNS.",
    matters: "Two Services cannot share it. The cluster works only as long as the API Service has \
              another address.",
    see: "kubectl get service kube-dns -n kube-system\n\
          kubectl get service kubernetes -n default\n\
          kubectl get servicecidrs",
    fix: "Choose another address, commonly the tenth, when the cluster is made:\n\
          az aks create --resource-group GROUP --name CLUSTER --network-plugin none --service-cidr \
          10.0.0.0/16 --dns-service-ip 10.0.0.10 --pod-cidr CIDR",
    sources: &[
        "https://learn.microsoft.com/azure/aks/use-byo-cni",
        "https://kubernetes.io/docs/concepts/services-networking/cluster-ip-allocation/",
    ],
};

/// The CNI needs node.spec.podCIDR and nodes have none.
pub static NODE_POD_CIDR_MISSING: Code = Code {
    id: "BYO0309",
    slug: "node-pod-cidr-missing",
    severity: Severity::Error,
    blocks: &[Change::Install],
    title: "The CNI needs a podCIDR on every node and nodes have none",
    means: "Flannel, kube-router, Cilium with ipam=kubernetes and Antrea without its own node IPAM \
            take a node's range from node.spec.podCIDR. These nodes have none, because nothing \
            allocates it: the controller manager runs without --allocate-node-cidrs. That is so on AKS \
            with BYOCNI, for new and surge nodes as well.",
    matters: "The agent on such a node cannot start. Flannel says \"pod cidr not assigned\" and \
              crash-loops.",
    see: "kubectl get nodes -o custom-columns='NAME:.metadata.name,PODCIDRS:.spec.podCIDRs'\n\
          kubectl logs -n kube-flannel -l app=flannel --tail=20",
    fix: "On AKS: use a CNI that gives out blocks itself, Cilium with cluster-pool or Calico with \
          its own IPAM.\n\
          kubectl byocni install cilium --pod-cidr CIDR\n\
          Elsewhere: start kube-controller-manager with --allocate-node-cidrs=true and \
          --cluster-cidr=CIDR.\n\
          Patching podCIDR onto nodes by hand works until the next node joins without one; do not \
          rely on it.",
    sources: &[
        "https://learn.microsoft.com/azure/aks/use-byo-cni",
        "https://github.com/flannel-io/flannel/blob/master/Documentation/troubleshooting.md",
        "https://github.com/flannel-io/flannel/issues/728",
    ],
};

/// A node's effective block lies in no configured pool.
pub static NODE_BLOCK_OUTSIDE_POOL: Code = Code {
    id: "BYO0310",
    slug: "node-block-outside-pool",
    severity: Severity::Error,
    blocks: &[],
    title: "Nodes use blocks that are in no configured pool",
    means: "The block that a node really uses (its CiliumNode, BlockAffinity or node.spec.podCIDR) \
            lies in none of the pools that the CNI is configured with. This is what a changed pool \
            looks like on a live cluster: existing nodes keep their old blocks. Nodes stay Ready and \
            agents 1/1; only the CiliumNode says \"allocator not configured for the requested CIDR\". \
            With Flannel it means that Network in net-conf.json does not contain the nodes' podCIDRs.",
    matters: "The operator no longer knows that these blocks are taken, masquerading and routes follow \
              the new pool, and nodes that restart or join behave differently from those that run.",
    see: "kubectl get ciliumnodes -o \
          custom-columns='NODE:.metadata.name,PODCIDRS:.spec.ipam.podCIDRs,ERROR:.status.ipam.operator-status.error'\n\
          kubectl get configmap cilium-config -n kube-system -o yaml\n\
          kubectl get nodes -o custom-columns='NAME:.metadata.name,PODCIDRS:.spec.podCIDRs'",
    fix: "Changed by mistake: put the old pool back, and append further ranges after it instead of \
          editing it.\n\
          kubectl byocni rollback\n\
          Meant to change (Cilium): move node by node. Every pod of the node is recreated.\n\
          1. kubectl drain NODE --ignore-daemonsets --delete-emptydir-data\n\
          2. kubectl delete ciliumnode NODE\n\
          3. kubectl delete pod -n kube-system -l k8s-app=cilium --field-selector spec.nodeName=NODE\n\
          4. kubectl uncordon NODE\n\
          Flannel: set Network so that it contains the podCIDRs again; a node's podCIDR cannot be \
          changed.",
    sources: &[
        "https://github.com/cilium/cilium/issues/28266",
        "https://github.com/cilium/cilium/issues/15977",
        "https://docs.cilium.io/en/stable/network/concepts/ipam/cluster-pool/",
    ],
};

/// Two nodes' effective blocks overlap or are equal.
pub static NODE_BLOCKS_OVERLAP: Code = Code {
    id: "BYO0311",
    slug: "node-blocks-overlap",
    severity: Severity::Error,
    blocks: &[],
    title: "Two nodes hold overlapping blocks of pod addresses",
    means: "The blocks of two nodes share addresses or are the same. The message names both nodes and \
            both blocks. A pool whose mask or list was changed under a running cluster does this, and \
            so does a known fault of Cilium 1.17.7 and later before 1.18.0 with multi-pool.",
    matters: "Pods on both nodes can have the same address. Traffic goes to one node or the other; the \
              loss comes and goes.",
    see: "kubectl get ciliumnodes -o \
          custom-columns='NODE:.metadata.name,PODCIDRS:.spec.ipam.podCIDRs'\n\
          kubectl get blockaffinities -o yaml\n\
          kubectl get pods -A -o wide --field-selector spec.nodeName=NODE",
    fix: "1. Stop adding nodes. Restart the operator, so that it reads again what is taken (Cilium):\n\
          kubectl rollout restart deployment/cilium-operator -n kube-system\n\
          2. Of each pair, give up the block of the node with fewer pods:\n\
          kubectl drain NODE --ignore-daemonsets --delete-emptydir-data\n\
          kubectl delete ciliumnode NODE\n\
          kubectl delete pod -n kube-system -l k8s-app=cilium --field-selector spec.nodeName=NODE\n\
          3. Check that it got another block before uncordoning it. Replacing the node does the \
          same.\n\
          4. Upgrade away from a version that is known for this: kubectl byocni upgrade",
    sources: &[
        "https://github.com/cilium/cilium/issues/41986",
        "https://github.com/cilium/cilium/issues/17277",
    ],
};

/// The CNI is up and a node has no block; the operator's error is quoted.
pub static NODE_BLOCK_MISSING: Code = Code {
    id: "BYO0312",
    slug: "node-block-missing",
    severity: Severity::Error,
    blocks: &[],
    title: "Nodes have no block of pod addresses",
    means: "The CNI is running, but these nodes were given no block to take pod addresses from. If the \
            CNI's operator left an error (`status.ipam.operator-status.error` of a CiliumNode), the \
            message quotes it: \"allocator full\" means that the pool is used up. Without an error, the \
            operator is down or has not seen the node.",
    matters: "The agent there waits or crash-loops, and pods on the node get no address.",
    see: "kubectl get ciliumnodes -o \
          custom-columns='NODE:.metadata.name,PODCIDRS:.spec.ipam.podCIDRs,ERROR:.status.ipam.operator-status.error'\n\
          kubectl get deployment cilium-operator -n kube-system\n\
          kubectl logs -n kube-system deployment/cilium-operator --tail=50",
    fix: "1. Operator not ready: repair it first.\n\
          2. \"allocator full\": append another range to the pool (see `pool-exhausted`), or remove \
          nodes that are not needed.\n\
          3. Otherwise restart the operator and read its log:\n\
          kubectl rollout restart deployment/cilium-operator -n kube-system",
    sources: &[
        "https://github.com/cilium/cilium/issues/41130",
        "https://docs.cilium.io/en/stable/network/concepts/ipam/cluster-pool/",
    ],
};

/// Pods whose IP lies outside their node's effective block (exclusive block model).
pub static POD_IP_OUTSIDE_NODE_BLOCK: Code = Code {
    id: "BYO0313",
    slug: "pod-ip-outside-node-block",
    severity: Severity::Error,
    blocks: &[],
    title: "Pods have addresses outside their node's block",
    means: "These pods have an address that is not in the block of the node they run on. Pods on the \
            host's network and finished pods are left out. A CNI with exclusive blocks cannot have \
            given out such an address: the pods were attached by another or an earlier CNI, or before \
            the node's block changed.",
    matters: "The CNI does not know these pods. Other nodes have no route to them, network policies do \
              not apply to them, and their address may be given to another pod.",
    see: "kubectl get pods -A -o wide --field-selector spec.nodeName=NODE\n\
          kubectl get ciliumnodes -o \
          custom-columns='NODE:.metadata.name,PODCIDRS:.spec.ipam.podCIDRs'\n\
          kubectl get nodes -o custom-columns='NAME:.metadata.name,PODCIDRS:.spec.podCIDRs'",
    fix: "Recreate the pods, CoreDNS first. Prefer restarting what owns them, which respects rollout \
          limits:\n\
          kubectl rollout restart deployment/NAME -n NAMESPACE\n\
          A pod without an owner has to be deleted and made again. If new pods get such addresses \
          too, a second CNI's configuration is still on the node: see `cni-leftover`.",
    sources: &[
        "https://github.com/cilium/cilium/issues/39844",
        "https://github.com/cilium/cilium/issues/16602",
    ],
};

/// One IP on two running pods.
pub static POD_IP_DUPLICATE: Code = Code {
    id: "BYO0314",
    slug: "pod-ip-duplicate",
    severity: Severity::Error,
    blocks: &[],
    title: "Two running pods have the same IP address",
    means: "Two pods that run, are not terminating and do not use the host's network report the same \
            address. A second read said the same, so it is not a pod that was just replaced. \
            Overlapping blocks, or pods left by an earlier CNI whose range is used again, are the \
            usual causes.",
    matters: "Traffic for one pod arrives at the other, connections break at random, and policies match \
              the wrong pod.",
    see: "kubectl get pods -A -o wide --field-selector status.phase=Running\n\
          kubectl describe pod POD -n NAMESPACE",
    fix: "1. Repair the cause first: `node-blocks-overlap`, `node-block-outside-pool` or \
          `cni-multiple`, if one of them is in the report.\n\
          2. Recreate both pods, the older one first: it is likelier to be the leftover.\n\
          kubectl delete pod POD -n NAMESPACE\n\
          3. Look again: kubectl byocni status",
    sources: &[
        "https://github.com/cilium/cilium/issues/41986",
        "https://github.com/cilium/cilium/issues/17277",
    ],
};

/// No block is left for an existing node.
pub static POOL_EXHAUSTED: Code = Code {
    id: "BYO0315",
    slug: "pool-exhausted",
    severity: Severity::Error,
    blocks: &[],
    title: "The pod range has no block left for existing nodes",
    means: "The pool, cut into one block per node, has fewer blocks than the cluster has nodes, and at \
            least one node has none. A /20 with blocks of /24 serves 16 nodes. Surge nodes of an \
            upgrade need blocks too.",
    matters: "Nodes without a block run no pods. An AKS upgrade that adds a surge node stops at it.",
    see: "kubectl get nodes\n\
          kubectl get configmap cilium-config -n kube-system -o yaml\n\
          kubectl get ciliumnodes -o \
          custom-columns='NODE:.metadata.name,PODCIDRS:.spec.ipam.podCIDRs,ERROR:.status.ipam.operator-status.error'",
    fix: "Cilium: append a range to ipam.operator.clusterPoolIPv4PodCIDRList and restart the \
          operator. Never change or remove an entry in use, and leave clusterPoolIPv4MaskSize as it \
          is.\n\
          kubectl rollout restart deployment/cilium-operator -n kube-system\n\
          Calico: create a further IPPool that overlaps no other range.\n\
          Flannel: its one Network comes from the controller manager's range and cannot be extended \
          in place; remove nodes, or move to a new cluster.",
    sources: &[
        "https://github.com/cilium/cilium/issues/41130",
        "https://docs.cilium.io/en/stable/network/concepts/ipam/cluster-pool/",
        "https://docs.tigera.io/calico/latest/networking/ipam/ippools",
    ],
};

/// Room for fewer new nodes than a surge needs: max(1, 10 %).
pub static POOL_NEARLY_EXHAUSTED: Code = Code {
    id: "BYO0316",
    slug: "pool-nearly-exhausted",
    severity: Severity::Warning,
    blocks: &[],
    title: "The pod range has room for fewer nodes than an upgrade adds",
    means: "Fewer blocks are free than a node surge needs, taken as a tenth of the nodes and at least \
            one. Every existing node has its block; the message has the numbers.",
    matters: "Scaling up or upgrading the node pools will produce nodes that never get a network.",
    see: "kubectl get nodes\n\
          kubectl get ciliumnodes -o \
          custom-columns='NODE:.metadata.name,PODCIDRS:.spec.ipam.podCIDRs'\n\
          kubectl get configmap cilium-config -n kube-system -o yaml",
    fix: "Add room before the next scale-up or node upgrade. Cilium: append a range to \
          ipam.operator.clusterPoolIPv4PodCIDRList in the release's values. Calico: create a further \
          IPPool.\n\
          Delete stale CiliumNode objects of nodes that are gone; their blocks become free:\n\
          kubectl delete ciliumnode NODE",
    sources: &[
        "https://docs.cilium.io/en/stable/network/concepts/ipam/cluster-pool/",
        "https://learn.microsoft.com/azure/aks/upgrade-aks-cluster",
    ],
};

/// A block's usable addresses are fewer than the node's max pods.
pub static NODE_BLOCK_TOO_SMALL: Code = Code {
    id: "BYO0317",
    slug: "node-block-too-small",
    severity: Severity::Warning,
    blocks: &[],
    title: "Nodes may run more pods than their block has addresses",
    means: "The kubelet accepts more pods than the node's block has addresses once the CNI's own are \
            taken off. On AKS, max pods is a limit of the kubelet only; with BYOCNI nothing compares \
            it with the CNI's block size. The check does not apply where a node can hold several \
            blocks, as with Calico and Cilium's multi-pool.",
    matters: "The scheduler fills the node, and the last pods stay in ContainerCreating for lack of an \
              address.",
    see: "kubectl get nodes -o \
          custom-columns='NAME:.metadata.name,PODS:.status.allocatable.pods,PODCIDRS:.spec.podCIDRs'\n\
          kubectl get ciliumnodes -o \
          custom-columns='NODE:.metadata.name,PODCIDRS:.spec.ipam.podCIDRs'\n\
          kubectl get events -A --field-selector reason=FailedCreatePodSandBox",
    fix: "The block size cannot be changed on a live cluster. Lower the pods per node instead, on a \
          new node pool:\n\
          az aks nodepool add --resource-group GROUP --cluster-name CLUSTER --name POOL --max-pods \
          110\n\
          For the next install choose the block by the largest max pods: a /24 leaves about 250 \
          addresses for pods.",
    sources: &[
        "https://docs.cilium.io/en/stable/network/concepts/ipam/cluster-pool/",
        "https://learn.microsoft.com/azure/aks/use-byo-cni",
    ],
};

/// kube-proxy's cluster CIDR does not contain the pool; silent under kube-proxy replacement.
pub static KUBE_PROXY_CIDR_MISMATCH: Code = Code {
    id: "BYO0318",
    slug: "kube-proxy-cidr-mismatch",
    severity: Severity::Warning,
    blocks: &[],
    title: "kube-proxy's cluster CIDR does not contain the pod range",
    means: "kube-proxy tells pods from other clients by its cluster CIDR, and the CNI's pool lies \
            outside it. It then treats pods as outsiders and rewrites their source to the node's \
            address when they call a Service. On AKS the value is what was given as --pod-cidr when \
            the cluster was made, 10.244.0.0/16 if nothing was: so it also says that the control plane \
            may have another idea of the pod range than the CNI.",
    matters: "Network policies that select by source see the node instead of the pod, and drop or allow \
              the wrong traffic. On AKS, calls from the control plane to pods (webhooks, aggregated \
              APIs) may go astray. Without policies and webhooks most clusters run on unaffected.",
    see: "kubectl get daemonset kube-proxy -n kube-system -o yaml\n\
          kubectl get configmap kube-proxy -n kube-system -o yaml\n\
          kubectl get mutatingwebhookconfigurations,validatingwebhookconfigurations",
    fix: "On AKS, kube-proxy belongs to the platform: do not edit it.\n\
          1. Before a CNI is installed: choose a pool inside the cluster's --pod-cidr.\n\
          2. Next cluster: az aks create --network-plugin none --pod-cidr CIDR, and the same range \
          for the CNI.\n\
          3. Or let Cilium replace kube-proxy (kubeProxyReplacement=true with k8sServiceHost set), \
          with kube-proxy turned off through AKS's preview option for BYOCNI.\n\
          Elsewhere: set clusterCIDR in kube-proxy's configuration to a range that contains the \
          pool, and restart it.",
    sources: &[
        "https://learn.microsoft.com/azure/aks/use-byo-cni",
        "https://learn.microsoft.com/azure/aks/configure-kube-proxy",
        "https://github.com/projectcalico/calico/issues/683",
    ],
};

/// kube-proxy's cluster CIDR contains node addresses.
pub static KUBE_PROXY_CIDR_OVERLAPS_NODES: Code = Code {
    id: "BYO0319",
    slug: "kube-proxy-cidr-overlaps-nodes",
    severity: Severity::Error,
    blocks: &[],
    title: "kube-proxy's cluster CIDR contains node addresses",
    means: "Nodes have addresses inside the range that kube-proxy takes for pods. On AKS this happens \
            when the cluster was made without --pod-cidr in a virtual network that uses 10.244.0.0/16, \
            kube-proxy's default there.",
    matters: "kube-proxy takes traffic from these nodes for pod traffic and leaves out the address \
              rewriting that it needs, so replies get lost. Services fail from some places and work from \
              others.",
    see: "kubectl get daemonset kube-proxy -n kube-system -o yaml\n\
          kubectl get configmap kube-proxy -n kube-system -o yaml\n\
          kubectl get nodes -o wide",
    fix: "On AKS: make the cluster again with a pod range apart from the virtual network; kube-proxy \
          there cannot be edited.\n\
          az aks create --resource-group GROUP --name CLUSTER --network-plugin none --pod-cidr CIDR\n\
          Elsewhere: correct clusterCIDR in kube-proxy's configuration and restart it:\n\
          kubectl rollout restart daemonset/kube-proxy -n kube-system",
    sources: &[
        "https://github.com/projectcalico/calico/issues/6237",
        "https://learn.microsoft.com/azure/aks/use-byo-cni",
    ],
};

/// An IP family is on one side only: pool, services, nodes.
pub static IP_FAMILY_MISMATCH: Code = Code {
    id: "BYO0320",
    slug: "ip-family-mismatch",
    severity: Severity::Warning,
    blocks: &[],
    title: "An IP family is configured on one side only",
    means: "Pod ranges, service ranges and node addresses do not cover the same IP families: one of \
            them has IPv6 (or IPv4) and another has not. The message says which has what.",
    matters: "Dual-stack Services get an address of a family in which no pod answers, and clients that \
              prefer that family wait for a timeout.",
    see: "kubectl get nodes -o \
          custom-columns='NAME:.metadata.name,ADDRESSES:.status.addresses[*].address'\n\
          kubectl get servicecidrs\n\
          kubectl get services -A -o \
          custom-columns='NS:.metadata.namespace,NAME:.metadata.name,FAMILIES:.spec.ipFamilies'",
    fix: "Decide for one of the two states everywhere.\n\
          1. Dual stack: give the CNI a pool of the second family, on a cluster whose nodes and \
          services have it.\n\
          2. Single stack: turn the family off in the CNI's values and set ipFamilyPolicy: \
          SingleStack on the Services named.\n\
          Turning a family on or off on a live cluster is a change of the data plane: rehearse it on \
          another cluster first.",
    sources: &["https://kubernetes.io/docs/concepts/services-networking/dual-stack/"],
};

/// node.spec.podCIDR differs from the CNI's own block, where that is harmless.
pub static POD_CIDR_UNALIGNED: Code = Code {
    id: "BYO0321",
    slug: "pod-cidr-unaligned",
    severity: Severity::Info,
    blocks: &[],
    title: "node.spec.podCIDR differs from the CNI's own blocks",
    means: "The nodes have a podCIDR from the control plane, and the CNI gives them other blocks. That \
            is expected with a CNI that has its own IPAM, such as Cilium with cluster-pool or Calico: \
            it never reads the field. With Flannel or ipam=kubernetes the same difference would be an \
            error and would be reported as one.",
    matters: "Nothing breaks. Do not \"repair\" it: the field cannot be changed, and tools that read it \
              for pod addresses are wrong about this cluster.",
    see: "kubectl get nodes -o custom-columns='NAME:.metadata.name,PODCIDRS:.spec.podCIDRs'\n\
          kubectl get ciliumnodes -o \
          custom-columns='NODE:.metadata.name,PODCIDRS:.spec.ipam.podCIDRs'",
    fix: "Nothing to repair. Take pod ranges from the CNI's objects (CiliumNode, IPPool), not from \
          node.spec.podCIDR, in firewalls, routes and monitoring.",
    sources: &[
        "https://docs.cilium.io/en/stable/network/concepts/ipam/cluster-pool/",
        "https://github.com/cilium/cilium/issues/17277",
    ],
};

/// Pods whose IP lies in no pool (borrowing block model, in place of pod-ip-outside-node-block).
pub static POD_IP_OUTSIDE_POOL: Code = Code {
    id: "BYO0322",
    slug: "pod-ip-outside-pool",
    severity: Severity::Error,
    blocks: &[],
    title: "Pods have addresses outside every pool",
    means: "These pods have an address that none of the CNI's pools contains. Pods on the host's \
            network and finished pods are left out. The CNI may lend addresses between nodes, so only \
            the pools count, not the node's own blocks. The pods were attached by another or earlier \
            CNI, or their pool was deleted while they ran.",
    matters: "The CNI has no routes and no policies for them, and does not masquerade their traffic. \
              They may work on their own node and nowhere else.",
    see: "kubectl get ippools -o yaml\n\
          kubectl get pods -A -o wide",
    fix: "1. If a pool was deleted by mistake, create it again with the same range; disabled is \
          enough (spec.disabled: true), so that nothing new comes from it.\n\
          2. Recreate the pods, CoreDNS first:\n\
          kubectl rollout restart deployment/NAME -n NAMESPACE\n\
          3. If new pods get such addresses too, another CNI's configuration is still on the node: \
          see `cni-leftover`.",
    sources: &[
        "https://docs.tigera.io/calico/latest/networking/ipam/migrate-pools",
        "https://github.com/cilium/cilium/issues/39844",
    ],
};
