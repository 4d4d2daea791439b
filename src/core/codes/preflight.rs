//! Family 06, from 40 on: what preflight finds in the way of an install, and what it does about it.

use crate::core::code::{Change, Code, Severity};

/// CustomResourceDefinitions come from a chart of their own, applied first.
pub static CRDS_FIRST: Code = Code {
    id: "BYO0640",
    slug: "crds-first",
    severity: Severity::Info,
    blocks: &[],
    title: "CustomResourceDefinitions are applied before the chart",
    means: "The CNI's project keeps its CustomResourceDefinitions in a chart of their own. They are \
            applied first, server-side, and must be Established before the main chart is installed. \
            They belong to no release, so an uninstall leaves them.",
    matters: "Without them the first object of their kind is refused. They are not taken back where \
              they were there before.",
    see: "kubectl get crds\n\
          kubectl get crds -o \
          custom-columns='NAME:.metadata.name,ESTABLISHED:.status.conditions[?(@.type==\"Established\")].status'",
    fix: "Nothing to do.",
    sources: &[
        "https://docs.tigera.io/calico/latest/getting-started/kubernetes/helm",
        "https://helm.sh/docs/chart_best_practices/custom_resource_definitions/",
    ],
};

/// The release's namespace is being deleted.
pub static NAMESPACE_TERMINATING: Code = Code {
    id: "BYO0641",
    slug: "namespace-terminating",
    severity: Severity::Error,
    blocks: &[Change::Install, Change::Upgrade],
    title: "The release's namespace is being deleted",
    means: "The namespace that the release goes to has a deletion timestamp: nothing new can be made \
            in it. Without a CNI such a deletion can hang for ever, because the server asks every \
            API for what is left, and aggregated ones such as metrics.k8s.io do not answer yet. The \
            message says since when.",
    matters: "helm would fail on the first object. Whatever is in the namespace will be gone.",
    see: "kubectl get namespace NAMESPACE -o yaml\n\
          kubectl get apiservices",
    fix: "See in its status.conditions what the deletion waits for. If it waits for an API whose \
          pods need the network, remove that APIService for the time being, or install the CNI \
          into another namespace:\n\
          kubectl byocni install CNI -n OTHER --dry-run",
    sources: &[
        "https://kubernetes.io/docs/tasks/administer-cluster/namespaces/#deleting-a-namespace",
        "https://kubernetes.io/docs/tasks/extend-kubernetes/configure-aggregation-layer/",
    ],
};

/// A release of that name is there already.
pub static RELEASE_IN_THE_WAY: Code = Code {
    id: "BYO0642",
    slug: "release-in-the-way",
    severity: Severity::Error,
    blocks: &[Change::Install],
    title: "A release of this name is there already",
    means: "Helm has a release of the planned name in the planned namespace: of another version or \
            with other values, of another chart, or one that failed or is still pending. The message \
            says which. An install changes no release that runs; that is what an upgrade is for, \
            with its own rules and gates.",
    matters: "helm would refuse the name, or take the release over in a state that nobody looked at.",
    see: "kubectl get secrets -n NAMESPACE -l owner=helm,name=RELEASE -L version,status\n\
          kubectl get daemonsets -n NAMESPACE -o wide",
    fix: "Healthy and deployed: kubectl byocni upgrade --dry-run\n\
          Pending or failed: finish or undo what was begun, or go back to the last good revision:\n\
          kubectl byocni resume\n\
          kubectl byocni rollback\n\
          A first install that failed before any agent ran can be removed: helm uninstall RELEASE \
          -n NAMESPACE",
    sources: &[
        "https://helm.sh/docs/helm/helm_history/",
        "https://github.com/helm/helm/issues/10599",
    ],
};

/// Objects of the same CNI are there that no release of ours owns.
pub static OWNERSHIP_CONFLICT: Code = Code {
    id: "BYO0643",
    slug: "ownership-conflict",
    severity: Severity::Error,
    blocks: &[Change::Install],
    title: "The CNI is there already, and not by this release",
    means: "The CNI that would be installed is already here, without a release or under a release of \
            another name or namespace: it was applied by hand, or the release's record is gone. helm \
            refuses to touch objects that are not its own. With --take-ownership it takes them over, \
            and the plan shows with which values, and what becomes different of what stands.",
    matters: "Adopting replaces the running configuration by the planned one. Where pools or modes \
              differ, pods lose their network.",
    see: "kubectl get daemonsets -A -o wide\n\
          kubectl get secrets -A -l owner=helm\n\
          kubectl get configmap cilium-config -n kube-system -o yaml",
    fix: "Install the version that runs with the values that it runs with, look at the plan, and \
          adopt:\n\
          kubectl byocni install CNI --version X.Y.Z --pod-cidr CIDR --take-ownership --dry-run\n\
          A CNI under a release of another name is changed under that name: kubectl byocni upgrade \
          -n NAMESPACE --dry-run",
    sources: &[
        "https://helm.sh/docs/helm/helm_install/",
        "https://github.com/helm/helm/pull/13439",
    ],
};

/// Objects that are there already are taken into the release, as was asked.
pub static OWNERSHIP_TAKEN: Code = Code {
    id: "BYO0644",
    slug: "ownership-taken",
    severity: Severity::Info,
    blocks: &[],
    title: "Objects that are there already become part of the release",
    means: "The CNI is here without this release, and --take-ownership was given. Helm writes its \
            marks onto the objects and brings them to what the chart renders. Objects that only the \
            earlier install knew stay as they are.",
    matters: "From then on the release has a history, and upgrade and rollback work. Agents restart \
              where their template differs.",
    see: "kubectl get daemonsets -A -o wide\n\
          kubectl get secrets -A -l owner=helm",
    fix: "Read what the plan says becomes different before you agree.",
    sources: &["https://github.com/helm/helm/pull/13439"],
};

/// Whether users bring the CNI here cannot be told.
pub static BYOCNI_UNKNOWN: Code = Code {
    id: "BYO0645",
    slug: "byocni-unknown",
    severity: Severity::Error,
    blocks: &[Change::Install, Change::Upgrade],
    title: "Whether this cluster's CNI is yours to bring cannot be told",
    means: "The platform may run a CNI of its own, and nothing shows that it does not: nodes are \
            Ready without any workload of a CNI, as with kubenet, Azure CNI without an agent, or a \
            CNI inside the distribution. A cluster whose nodes all wait for a CNI is known to want \
            one, and this is not raised there.",
    matters: "A second CNI over one that cannot be seen breaks the network of everything that runs.",
    see: "kubectl get nodes -o wide\n\
          kubectl get pods -A -o wide\n\
          kubectl get daemonsets -A",
    fix: "Ask the platform. On AKS it must say none:\n\
          az aks show --resource-group GROUP --name CLUSTER --query networkProfile.networkPlugin\n\
          If you know that no CNI is there, say so with --assume-byocni; it does not override a \
          managed CNI.",
    sources: &[
        "https://learn.microsoft.com/azure/aks/use-byo-cni",
        "https://learn.microsoft.com/azure/aks/configure-kubenet",
    ],
};

/// A change is being made right now.
pub static CHANGE_UNDER_WAY: Code = Code {
    id: "BYO0646",
    slug: "change-under-way",
    severity: Severity::Info,
    blocks: &[],
    title: "The CNI is being changed right now",
    means: "The journal (ConfigMap kubectl-byocni in kube-system) has a change without an outcome, and \
            the lock beside it (a Lease of the same name) was renewed moments ago. Whoever the message \
            names is at work.",
    matters: "What the report shows beside it may be a moment of that change: agents that start, a \
              release that is pending, nodes that wait for their network.",
    see: "kubectl get lease kubectl-byocni -n kube-system -o yaml\n\
          kubectl get configmap kubectl-byocni -n kube-system -o yaml",
    fix: "Wait until it has ended. A second change is refused meanwhile; if its machine goes away, the \
          lock runs out after 15 seconds and the change can be finished or taken back from any other:\n\
          kubectl byocni resume\n\
          kubectl byocni abort",
    sources: &[
        "https://kubernetes.io/docs/concepts/architecture/leases/",
        "https://helm.sh/docs/helm/helm_history/",
    ],
};

/// A rollout waits for something outside that takes too long.
pub static CHANGE_PAUSED: Code = Code {
    id: "BYO0647",
    slug: "change-paused",
    severity: Severity::Error,
    blocks: &[],
    title: "The change was paused, and the pause became too long",
    means: "While agents were being replaced node by node, the platform began to repair, reimage or \
            upgrade nodes, or the API server could not be read. No further agent was touched; after \
            the time limit the change stopped at a safe point. Its journal stands.",
    matters: "Some nodes run the new agents and some the old ones. Both give pods a network; two \
              versions side by side are meant for the time of a rollout only.",
    see: "kubectl get nodes -o wide\n\
          kubectl get events -A --field-selector involvedObject.kind=Node --sort-by=.lastTimestamp",
    fix: "Wait until the platform is done, then go on, or take the change back:\n\
          kubectl byocni resume\n\
          kubectl byocni abort",
    sources: &["https://learn.microsoft.com/azure/aks/node-auto-repair"],
};
