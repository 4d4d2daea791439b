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
          all are done: plan an outage, or move to a new cluster. An upgrade that leaves it as it is \
          is not refused for it.\n\
          A network security group must let the overlay through between nodes: UDP 8472 for Cilium \
          and Flannel, UDP 4789 for Calico.",
    sources: &[
        "https://docs.tigera.io/calico/latest/reference/public-cloud/azure",
        "https://docs.cilium.io/en/stable/installation/k8s-install-helm/",
        "https://github.com/Azure/AKS/issues/87",
    ],
};

/// The platform runs the CNI: no change, and no override.
pub static MANAGED_REFUSED: Code = Code {
    id: "BYO0602",
    slug: "managed-refused",
    severity: Severity::Error,
    blocks: Change::ALL,
    title: "The platform runs this cluster's CNI",
    means: "Labels, workloads or images show that the platform, not its users, brings this cluster's \
            CNI: Azure CNI in any form, kubenet, or another provider's own. The message quotes what \
            was seen. There is no flag that overrides this.",
    matters: "The platform sets back what others change. A second CNI beside its own takes the network \
              from pods and the cluster out of support.",
    see: "kubectl get daemonsets -n kube-system -o wide\n\
          kubectl get nodes --show-labels",
    fix: "Change the network where the platform has it:\n\
          az aks show --resource-group GROUP --name CLUSTER --query networkProfile\n\
          To bring a CNI of your own, make a cluster with --network-plugin none and move the \
          workloads there; `status` explains this one in any case.",
    sources: &[
        "https://learn.microsoft.com/azure/aks/use-byo-cni",
        "https://learn.microsoft.com/azure/aks/azure-cni-powered-by-cilium",
    ],
};

/// Flux, Argo CD or the add-on manager would undo the change.
pub static FOREIGN_RECONCILER: Code = Code {
    id: "BYO0603",
    slug: "foreign-reconciler",
    severity: Severity::Error,
    blocks: Change::ALL,
    title: "Another reconciler would undo the change",
    means: "Labels or annotations on the CNI's objects show that Flux, Argo CD or an add-on manager \
            keeps them in its own state. The message names it and the mark. Nothing is changed \
            behind its back.",
    matters: "It would set the change back at its next round, perhaps in the middle of the rollout, \
              and leave agents of two versions.",
    see: "kubectl get daemonset NAME -n NAMESPACE -o \
          jsonpath='{.metadata.labels}{.metadata.annotations}'\n\
          kubectl get helmreleases -A\n\
          kubectl get applications -A",
    fix: "Make the change where the reconciler takes it from: the HelmRelease, the Application, or \
          its Git repository.\n\
          Or take the CNI out of its hands first, without deleting objects: flux suspend for Flux, \
          deletion without cascade for an Argo CD Application. Then plan again.",
    sources: &[
        "https://fluxcd.io/flux/components/helm/helmreleases/",
        "https://argo-cd.readthedocs.io/en/stable/user-guide/app_deletion/",
    ],
};

/// Another CNI is live, or left its configuration on nodes.
pub static FOREIGN_CNI: Code = Code {
    id: "BYO0604",
    slug: "foreign-cni",
    severity: Severity::Error,
    blocks: &[Change::Install],
    title: "Another CNI is in this cluster",
    means: "A workload of another CNI that gives pods addresses is here, or what it left on Ready \
            nodes, or a DaemonSet that writes into the nodes' CNI folders and is not known by name. \
            The message says which. An install on top is no migration.",
    matters: "On each node the runtime takes the first configuration file by name, so a forgotten \
              05-cilium.conflist wins over a new 10-flannel.conflist. Pods then come from either, and \
              do not reach each other.",
    see: "kubectl get daemonsets -A -o wide\n\
          kubectl get nodes -o \
          custom-columns='NAME:.metadata.name,ANNOTATIONS:.metadata.annotations'\n\
          kubectl get crds",
    fix: "To keep the CNI that is there, install nothing; to change its version, use `kubectl \
          byocni upgrade`.\n\
          To move to another, follow that CNI's migration guide, or make new nodes: a node pool \
          that never had the old CNI carries nothing of it.\n\
          After an uninstall, replace the nodes before anything else is installed: the files in \
          /etc/cni/net.d stay on them.",
    sources: &[
        "https://docs.cilium.io/en/stable/installation/k8s-install-migration/",
        "https://docs.tigera.io/calico/latest/getting-started/kubernetes/flannel/migration-from-flannel",
        "https://github.com/cilium/cilium/issues/12260",
    ],
};

/// The same version with the same values is there: nothing to do.
pub static ALREADY_INSTALLED: Code = Code {
    id: "BYO0605",
    slug: "already-installed",
    severity: Severity::Info,
    blocks: &[],
    title: "This version is installed with these values",
    means: "The release is deployed, its chart has the planned version, and its values are the \
            planned ones. Nothing is written. Whether the network works is another question, which \
            `kubectl byocni status` answers.",
    matters: "An install can be repeated by a pipeline at no cost: agents are not restarted and the \
              release gets no new revision.",
    see: "kubectl get secrets -n NAMESPACE -l owner=helm,name=RELEASE -L version,status\n\
          kubectl get daemonsets -n NAMESPACE -o wide",
    fix: "Nothing to do. To change version or values: kubectl byocni upgrade --dry-run",
    sources: &["https://helm.sh/docs/helm/helm_list/"],
};

/// Rights that the change needs and the server denies.
pub static RIGHTS_MISSING: Code = Code {
    id: "BYO0606",
    slug: "rights-missing",
    severity: Severity::Error,
    blocks: Change::ALL,
    title: "Rights that the change needs are missing",
    means: "Before the first write the server was asked, by SelfSubjectAccessReview, for every right \
            that some step takes. Those that it denies are all in the message. A review does not see \
            everything: roles of the chart that grant more than their maker has are refused only \
            when they are made, and are tried with a dry run.",
    matters: "A change that loses its rights half-way leaves a half-installed network, which is worse \
              than none.",
    see: "kubectl auth can-i --list\n\
          kubectl auth can-i create daemonsets -n kube-system\n\
          kubectl auth whoami",
    fix: "Run the change as somebody who has these rights, or let an administrator grant them. A \
          CNI brings ClusterRoles, CustomResourceDefinitions and privileged pods, so this is \
          cluster-admin in practice:\n\
          kubectl create clusterrolebinding NAME --clusterrole=cluster-admin --user=USER\n\
          `escalate` and `bind` let somebody grant what they may not do themselves.\n\
          The smallest role that will do: docs/rbac-change.yaml. Looking takes far less: \
          docs/rbac-read.yaml.",
    sources: &[
        "https://kubernetes.io/docs/reference/access-authn-authz/authorization/#checking-api-access",
        "https://kubernetes.io/docs/reference/access-authn-authz/rbac/#privilege-escalation-prevention-and-bootstrapping",
    ],
};

/// There is no helm to run.
pub static HELM_MISSING: Code = Code {
    id: "BYO0607",
    slug: "helm-missing",
    severity: Severity::Error,
    blocks: Change::ALL,
    title: "helm was not found",
    means: "Charts are rendered and released by the helm program, version 3.17 or later, or 4.1.3 or \
            later. None was found: $HELM_BIN is not set or names nothing that runs, and no helm is \
            on the PATH.",
    matters: "What would be created cannot be shown without it, and nothing can be installed.",
    see: "kubectl version --client\n\
          kubectl plugin list",
    fix: "Install helm by your package manager or from its project's page, then plan again. If it \
          is there under another name, set HELM_BIN to its path.",
    sources: &["https://helm.sh/docs/intro/install/"],
};

/// The helm that was found is older than what is tested.
pub static HELM_TOO_OLD: Code = Code {
    id: "BYO0608",
    slug: "helm-too-old",
    severity: Severity::Error,
    blocks: Change::ALL,
    title: "helm is too old",
    means: "helm 3.17 or later, or 4.1.3 or later, is needed; the message has the version that was \
            found, and where. Older ones lack --take-ownership or have faults in the server-side \
            apply that they do by default.",
    matters: "An older helm fails in the middle of a change, or reports success for what it did not \
              do.",
    see: "kubectl version --client\n\
          kubectl plugin list",
    fix: "Bring helm up to date by what installed it, or set HELM_BIN to a newer one.",
    sources: &[
        "https://github.com/helm/helm/releases",
        "https://helm.sh/docs/topics/version_skew/",
    ],
};

/// helm said no; the message has its words.
pub static HELM_FAILED: Code = Code {
    id: "BYO0609",
    slug: "helm-failed",
    severity: Severity::Error,
    blocks: Change::ALL,
    title: "helm refused or failed",
    means: "helm ended with an error while it rendered the chart or changed the release. The message \
            has its own words, without the values. A failure while rendering changed nothing; after \
            a failure of the change itself, the release has the status failed and some of its \
            objects may be there.",
    matters: "What helm did not do is not there, whatever the release's record says.",
    see: "kubectl get secrets -n NAMESPACE -l owner=helm,name=RELEASE -L version,status\n\
          kubectl get events -n NAMESPACE --sort-by=.lastTimestamp",
    fix: "Put right what helm's words name, then plan again. Where a change had begun, `kubectl \
          byocni status` shows what runs, and one of these goes on from there:\n\
          kubectl byocni resume\n\
          kubectl byocni abort",
    sources: &[
        "https://helm.sh/docs/helm/helm_install/",
        "https://helm.sh/docs/faq/troubleshooting/",
    ],
};

/// The chart cannot be fetched, read or trusted.
pub static CHART_UNUSABLE: Code = Code {
    id: "BYO0610",
    slug: "chart-unusable",
    severity: Severity::Error,
    blocks: &[Change::Install, Change::Upgrade],
    title: "The chart cannot be used",
    means: "The chart could not be fetched, or what came is no chart: a damaged archive, one whose \
            paths lead outside its folder, another digest than the repository's index has, or no \
            Chart.yaml; or the server refuses what it renders. The message says which, and where it \
            was looked for.",
    matters: "What is rendered must be what is installed, byte by byte; a chart that differs from its \
              digest may be anybody's.",
    see: "kubectl version\n\
          kubectl get nodes -o wide",
    fix: "Where the network is closed, fetch the chart on a machine that can and name the file:\n\
          helm pull cilium --repo https://helm.cilium.io --version X.Y.Z\n\
          kubectl byocni install cilium --chart ./cilium-X.Y.Z.tgz\n\
          A registry that wants a login takes helm's; an authority of your own is named with SSL_CERT_FILE=FILE:\n\
          helm registry login REGISTRY\n\
          Where a digest differs, find out why before anything else: a proxy's login page is the \
          harmless case.",
    sources: &[
        "https://helm.sh/docs/topics/charts/",
        "https://helm.sh/docs/helm/helm_pull/",
        "https://helm.sh/docs/topics/registries/",
    ],
};

/// Another change holds the lock.
pub static CHANGE_LOCKED: Code = Code {
    id: "BYO0611",
    slug: "change-locked",
    severity: Severity::Error,
    blocks: Change::ALL,
    title: "Another change is under way",
    means: "The Lease kubectl-byocni in kube-system is held and was renewed a moment ago: somebody \
            else changes this cluster's CNI. The message names who, and since when. There is one \
            lock for a cluster, whatever the CNI.",
    matters: "Two changes at the same time undo each other, and neither can tell what it waits for.",
    see: "kubectl get lease kubectl-byocni -n kube-system -o yaml\n\
          kubectl get configmap kubectl-byocni -n kube-system -o yaml",
    fix: "Wait for it, or ask its holder. A lock whose holder died is not renewed and can be taken \
          after a minute; what was interrupted is then finished or undone:\n\
          kubectl byocni resume\n\
          kubectl byocni abort",
    sources: &["https://kubernetes.io/docs/concepts/architecture/leases/"],
};

/// An unfinished change is in the journal.
pub static CHANGE_INTERRUPTED: Code = Code {
    id: "BYO0612",
    slug: "change-interrupted",
    severity: Severity::Warning,
    blocks: &[Change::Install, Change::Upgrade],
    title: "An earlier change was not finished",
    means: "The journal, the ConfigMap kubectl-byocni in kube-system, has a change that was begun \
            and has no outcome, and nobody holds the lock: it was killed, or its machine went away. \
            The message says what it was, who began it, and how far it came.",
    matters: "The cluster may have the old objects, the new ones, or some of each. A further change on \
              top could not be told from it.",
    see: "kubectl get configmap kubectl-byocni -n kube-system -o yaml\n\
          kubectl get daemonsets -A -o wide",
    fix: "Finish it, or undo it; each shows first what it will do:\n\
          kubectl byocni resume\n\
          kubectl byocni abort",
    sources: &["https://helm.sh/docs/helm/helm_rollback/"],
};

/// The cluster moved between the plan and the change.
pub static PLAN_STALE: Code = Code {
    id: "BYO0613",
    slug: "plan-stale",
    severity: Severity::Error,
    blocks: Change::ALL,
    title: "The cluster is no longer what was planned from",
    means: "Between the plan and its first write the release got another revision, or the CNI's \
            workloads were changed: what was shown and agreed to is no longer what would happen. \
            Nothing was written.",
    matters: "A plan is a promise about one state of the cluster. Its rules were checked for that \
              state alone.",
    see: "kubectl get secrets -n NAMESPACE -l owner=helm,name=RELEASE -L version,status\n\
          kubectl get daemonsets -n NAMESPACE -o wide",
    fix: "Plan again and read what is different. If it happens twice, somebody or something else \
          changes the CNI: find out who.\n\
          kubectl byocni status",
    sources: &["https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions"],
};

/// The network did not come up within the limit.
pub static GATE_TIMED_OUT: Code = Code {
    id: "BYO0614",
    slug: "gate-timed-out",
    severity: Severity::Error,
    blocks: &[],
    title: "The network did not come up in time",
    means: "After the change everything has to hold for a while: agents updated and ready on every \
            node that was sound before, the operator, nodes, DNS endpoints, and an address for a new \
            pod. The message says what was still waited for, on which nodes, and for how long.",
    matters: "Pods on these nodes get no network. The rest of the cluster may be fine; `status` tells.",
    see: "kubectl get pods -n NAMESPACE -o wide\n\
          kubectl get nodes\n\
          kubectl get events -n NAMESPACE --sort-by=.lastTimestamp",
    fix: "Look at the first node that is named; images that cannot be pulled and agents that start \
          and end are told as such. Then:\n\
          kubectl byocni resume --timeout 30m\n\
          kubectl byocni abort",
    sources: &[
        "https://learn.microsoft.com/azure/aks/use-byo-cni",
        "https://docs.cilium.io/en/stable/operations/troubleshooting/",
    ],
};

/// What was sound before the change no longer is.
pub static GATE_REGRESSED: Code = Code {
    id: "BYO0615",
    slug: "gate-regressed",
    severity: Severity::Error,
    blocks: &[],
    title: "Something that worked before the change no longer does",
    means: "A node, an agent or cluster DNS that was sound before the change is not sound any more, \
            and the network is the reason. What was broken before is not counted, nor what the \
            network did not cause. The message has the finding that was not there before.",
    matters: "The change made the cluster worse, at least in part.",
    see: "kubectl get pods -n NAMESPACE -o wide\n\
          kubectl get nodes",
    fix: "Go back to what worked, or repair what the message names and go on:\n\
          kubectl byocni rollback\n\
          kubectl byocni resume",
    sources: &["https://docs.cilium.io/en/stable/operations/troubleshooting/"],
};

/// The gate's probe pod would be refused.
pub static PROBE_DENIED: Code = Code {
    id: "BYO0616",
    slug: "probe-denied",
    severity: Severity::Error,
    blocks: &[Change::Install, Change::Upgrade],
    title: "The pod that proves the network would be refused",
    means: "After the change a small pod is made on some nodes, in kube-system, to see that a new \
            pod gets an address. Made as a dry run now, the server refused it: a quota, a policy \
            engine or a webhook. The message has the server's words.",
    matters: "Without it the change could only look at agents, and agents can be ready where pods get \
              no network.",
    see: "kubectl get resourcequota -n kube-system\n\
          kubectl get validatingwebhookconfigurations\n\
          kubectl get validatingadmissionpolicybindings",
    fix: "Exempt pods with the label app.kubernetes.io/name=kubectl-byocni in kube-system from the \
          policy that is named. They run for seconds, as no root user, without capabilities.\n\
          Or do without this proof: --no-probe",
    sources: &[
        "https://kubernetes.io/docs/concepts/security/pod-security-standards/",
        "https://kubernetes.io/docs/concepts/policy/resource-quotas/",
    ],
};

/// No node is left for the rendered operator.
pub static OPERATOR_UNSCHEDULABLE: Code = Code {
    id: "BYO0617",
    slug: "operator-unschedulable",
    severity: Severity::Error,
    blocks: &[Change::Install, Change::Upgrade],
    title: "The CNI's operator would find no node to run on",
    means: "The operator's Deployment, as the chart renders it, is turned away by every Linux node: \
            by a taint that it does not tolerate, or by a label that it wants and none has. Taints \
            that pass by themselves are not counted: cordoned nodes, nodes that are not ready or \
            under pressure.",
    matters: "Without its operator the CNI hands out no blocks or makes no agents. The install waits \
              for ever while every agent looks fine.",
    see: "kubectl get nodes -o custom-columns='NAME:.metadata.name,TAINTS:.spec.taints'\n\
          kubectl get nodes --show-labels",
    fix: "Let the operator bear the taint. The key is operator.tolerations for Cilium and \
          tolerations for Calico's operator; a list replaces the chart's own, so repeat what is in \
          there:\n\
          kubectl byocni install cilium -f values.yaml --dry-run\n\
          Or add a node pool without the taint: on AKS, CriticalAddonsOnly keeps everything but \
          system pods away from a pool.",
    sources: &[
        "https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/",
        "https://learn.microsoft.com/azure/aks/use-system-pools",
    ],
};

/// A fail-closed webhook that nobody answers matches what would be created.
pub static WEBHOOK_BLOCKS_CHANGE: Code = Code {
    id: "BYO0618",
    slug: "webhook-blocks-change",
    severity: Severity::Error,
    blocks: &[Change::Install, Change::Upgrade],
    title: "A webhook would refuse the CNI's objects",
    means: "An admission webhook with failurePolicy Fail matches objects that the change creates, by \
            its rules, namespaceSelector and objectSelector, and the Service behind it has no \
            endpoint that can answer; or, where --dry-run=server tried the objects, the server's \
            words are those of a webhook that refused one. Where no CNI works yet, pods with addresses of their own \
            cannot answer either. Webhooks that leave the namespace out, and on AKS those that the \
            admissions enforcer keeps out of kube-system, are not meant.",
    matters: "The server then refuses the agents' pods. They cannot start without the webhook, and the \
              webhook's pods cannot start without them.",
    see: "kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations\n\
          kubectl get endpointslices -n NAMESPACE -l kubernetes.io/service-name=SERVICE\n\
          kubectl get pods -n NAMESPACE -o wide",
    fix: "Let the webhook leave out the CNI's namespace, by its own setting or by its \
          namespaceSelector:\n\
          kubectl edit validatingwebhookconfiguration NAME\n\
          A webhook that was left behind by something uninstalled can be deleted. One that must \
          hold can be put back after the install.",
    sources: &[
        "https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#failure-policy",
        "https://kubernetes.io/docs/concepts/cluster-administration/admission-webhooks-good-practices/",
        "https://learn.microsoft.com/azure/aks/faq",
    ],
};

/// A fail-closed webhook matches, and its answer depends on what changes.
pub static WEBHOOK_AT_RISK: Code = Code {
    id: "BYO0619",
    slug: "webhook-at-risk",
    severity: Severity::Warning,
    blocks: &[],
    title: "A webhook in the change's way depends on the pod network",
    means: "An admission webhook with failurePolicy Fail matches objects that the change creates or \
            restarts. It answers now, from pods whose addresses the CNI gives, or has \
            matchConditions that cannot be judged from outside. A webhook called by URL counts as \
            outside of the cluster and is not meant.",
    matters: "If its pods lose their network during the change, the server refuses the CNI's own pods, \
              and the rollout stops where it is.",
    see: "kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations\n\
          kubectl get pods -n NAMESPACE -o wide",
    fix: "Nothing has to be done. To be safe, let the webhook leave out the CNI's namespace, or \
          run it with several replicas on different nodes.",
    sources: &[
        "https://kubernetes.io/docs/concepts/cluster-administration/admission-webhooks-good-practices/",
        "https://kyverno.io/docs/installation/customization/",
    ],
};
