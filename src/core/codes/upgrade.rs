//! Family 06, from 50 on: what an upgrade or a rollback may not do to a CNI that pods run on.

use crate::core::code::{Change, Code, Severity};

/// One hop over more than one minor.
pub static UPGRADE_SKIPS_MINOR: Code = Code {
    id: "BYO0650",
    slug: "upgrade-skips-minor",
    severity: Severity::Error,
    blocks: &[Change::Upgrade],
    title: "The upgrade would skip a minor version",
    means: "The version that was named with --version is more than one minor ahead of the one that is \
            installed. Projects of CNIs test an upgrade from one minor to the next, in either \
            direction, and nothing further: agents of the old and the new version run side by side \
            while it goes on. The finding prints the path over every minor.",
    matters: "Agents that are two minors apart may not understand each other's state. Some upgrades \
              convert it in the minor between.",
    see: "kubectl get daemonsets -A -o wide\n\
          kubectl get secrets -A -l owner=helm",
    fix: "Let every minor on the way be walked, each behind its own gate; the newest patch of each is \
          taken:\n\
          kubectl byocni upgrade --to X.Y --dry-run\n\
          kubectl byocni upgrade --to X.Y",
    sources: &[
        "https://docs.cilium.io/en/stable/operations/upgrade/",
        "https://docs.tigera.io/calico/latest/operations/upgrading/kubernetes-upgrade",
    ],
};

/// Down over more than one minor.
pub static DOWNGRADE_SKIPS_MINOR: Code = Code {
    id: "BYO0651",
    slug: "downgrade-skips-minor",
    severity: Severity::Error,
    blocks: &[Change::Upgrade],
    title: "The version is more than one minor older",
    means: "The version that was named is more than one minor behind the one that is installed. One \
            minor back is what projects of CNIs test. Versions further back may not read what newer \
            agents have written, and CustomResourceDefinitions stay at the newer level.",
    matters: "Agents may fail to start on every node, and the way forward is then the only one left.",
    see: "kubectl get daemonsets -A -o wide\n\
          kubectl get secrets -A -l owner=helm",
    fix: "Go back to a revision of the minor before, and let it run; then to the one before that:\n\
          kubectl byocni history\n\
          kubectl byocni rollback REVISION",
    sources: &["https://docs.cilium.io/en/stable/operations/upgrade/"],
};

/// Not on the newest patch of its minor before a hop to another.
pub static PATCH_FIRST: Code = Code {
    id: "BYO0652",
    slug: "patch-first",
    severity: Severity::Warning,
    blocks: &[],
    title: "The newest patch of the current minor comes first",
    means: "The hop goes to another minor, and the version that is installed is not the newest patch of \
            its own. Projects of CNIs ask for that patch first: it has the corrections that the next \
            minor takes for granted, also for the way back.",
    matters: "A fault that was corrected since may strike in the middle of the upgrade, or in the \
              rollback.",
    see: "kubectl get daemonsets -A -o wide",
    fix: "Take the patch first, which --to does by itself:\n\
          kubectl byocni upgrade\n\
          kubectl byocni upgrade --to X.Y",
    sources: &["https://docs.cilium.io/en/stable/operations/upgrade/"],
};

/// An upgrade to an older version.
pub static UPGRADE_GOES_BACK: Code = Code {
    id: "BYO0653",
    slug: "upgrade-goes-back",
    severity: Severity::Error,
    blocks: &[Change::Upgrade],
    title: "The version is older than the one that is installed",
    means: "The version that was named is behind the one that is installed. An upgrade carries the \
            values of today over to it, with keys that the older chart may not have. A rollback goes \
            to a revision that ran here, with the chart and the values that it ran with.",
    matters: "An older version with newer values is a combination that nobody has tried, on this \
              cluster or elsewhere.",
    see: "kubectl get secrets -A -l owner=helm -L name,version,status",
    fix: "Choose the revision to go back to:\n\
          kubectl byocni history\n\
          kubectl byocni rollback REVISION --dry-run",
    sources: &["https://docs.cilium.io/en/stable/operations/upgrade/"],
};

/// Another IPAM mode on a live cluster.
pub static IPAM_MODE_CHANGE: Code = Code {
    id: "BYO0654",
    slug: "ipam-mode-change",
    severity: Severity::Error,
    blocks: &[Change::Install, Change::Upgrade],
    title: "The change would switch the IPAM mode of a running cluster",
    means: "The values name another way of handing out pod addresses than the one in force. Pods that \
            run keep their addresses, and the new allocator does not know of them. Cilium's \
            documentation forbids it on a live cluster: it may cause persistent disruption.",
    matters: "Addresses are given out twice, and nodes lose the blocks that their pods live in.",
    see: "kubectl get configmap cilium-config -n kube-system -o yaml\n\
          kubectl get ciliumnodes -o yaml",
    fix: "Leave the mode as it is. To change it, move to new nodes or to a new cluster.",
    sources: &["https://docs.cilium.io/en/stable/network/concepts/ipam/"],
};

/// An element of a pool that is in use is changed or removed.
pub static POOL_ELEMENT_CHANGED: Code = Code {
    id: "BYO0655",
    slug: "pool-element-changed",
    severity: Severity::Error,
    blocks: &[Change::Install, Change::Upgrade],
    title: "The change would take away or alter a pool that pods live in",
    means: "The pools of pod addresses differ from those in force by more than elements added at the \
            end. Blocks are cut from the existing elements, in their order. Where the values name no \
            pool, the chart's own default takes its place: Cilium's is 10.0.0.0/8, which contains the \
            service range that AKS uses by default, and Flannel's is 10.244.0.0/16.",
    matters: "Nodes keep blocks that no pool has any more: agents run, nodes look Ready, and new pods \
              get no address. Rolling back late does not give the blocks back.",
    see: "kubectl get configmap cilium-config -n kube-system -o yaml\n\
          kubectl get ciliumnodes -o yaml\n\
          kubectl get ippools -o yaml",
    fix: "Repeat the pools that are there, in their order, and add new ones behind them:\n\
          kubectl byocni upgrade --set 'ipam.operator.clusterPoolIPv4PodCIDRList={OLD,NEW}' --dry-run",
    sources: &[
        "https://docs.cilium.io/en/stable/network/concepts/ipam/cluster-pool/",
        "https://github.com/cilium/cilium/issues/28266",
        "https://github.com/flannel-io/flannel/blob/master/Documentation/upgrade.md",
    ],
};

/// Another size of blocks on a live cluster.
pub static MASK_SIZE_CHANGE: Code = Code {
    id: "BYO0656",
    slug: "mask-size-change",
    severity: Severity::Error,
    blocks: &[Change::Install, Change::Upgrade],
    title: "The change would alter the size of the nodes' blocks",
    means: "Blocks of pod addresses are cut from a pool with one prefix length, and the values name \
            another than the one in force. The blocks that nodes have do not fit into the new grid. \
            Cilium's documentation calls the change not possible; Calico's blockSize cannot be \
            changed either.",
    matters: "The allocator refuses the nodes' own blocks, or gives out overlapping ones.",
    see: "kubectl get ciliumnodes -o yaml\n\
          kubectl get ippools -o yaml",
    fix: "Leave the size as it is. With Calico, add a pool of another size and move pods to it, then \
          retire the old one.",
    sources: &[
        "https://docs.cilium.io/en/stable/network/concepts/ipam/cluster-pool/",
        "https://docs.tigera.io/calico/latest/networking/ipam/change-block-size",
    ],
};

/// Another way of carrying packets between nodes.
pub static ENCAPSULATION_CHANGE: Code = Code {
    id: "BYO0657",
    slug: "encapsulation-change",
    severity: Severity::Error,
    blocks: &[Change::Install, Change::Upgrade],
    title: "The change would switch how packets travel between nodes",
    means: "The values name another encapsulation, port or routing mode than the one in force. Agents \
            are replaced node by node, and nodes of the old and of the new kind do not understand each \
            other's packets.",
    matters: "From the first node on, its pods reach no pod of the other nodes, cluster DNS among them, \
              until the last node has changed.",
    see: "kubectl get configmap cilium-config -n kube-system -o yaml\n\
          kubectl get configmap kube-flannel-cfg -n kube-flannel -o yaml\n\
          kubectl get ippools -o yaml",
    fix: "Leave it as it is. To change it, move to new nodes or to a new cluster, or take the cluster \
          out of service for the time.",
    sources: &[
        "https://docs.cilium.io/en/stable/network/concepts/routing/",
        "https://github.com/flannel-io/flannel/blob/master/Documentation/backends.md",
    ],
};

/// Something else that agents of old and new must agree on.
pub static LIVE_CHANGE_FORBIDDEN: Code = Code {
    id: "BYO0658",
    slug: "live-change-forbidden",
    severity: Severity::Error,
    blocks: &[Change::Install, Change::Upgrade],
    title: "The change alters what cannot be changed on a running cluster",
    means: "A setting differs from the one in force that all agents must agree on, or that is built \
            into what they have made already: the cluster's name or number, where identities are kept, \
            the address families, the kind of the pods' interfaces, the encryption, or whether \
            kube-proxy is replaced. The finding names it with both values.",
    matters: "Connections break between nodes of the old and of the new kind, or at once on each node. \
              Nothing says so: the agents are Ready.",
    see: "kubectl get configmap cilium-config -n kube-system -o yaml\n\
          kubectl get daemonsets -n kube-system -o wide",
    fix: "Leave it as it is in this change. Its own guide says how it is done, mostly with new nodes; \
          never in the same step as another version.",
    sources: &[
        "https://docs.cilium.io/en/stable/operations/upgrade/",
        "https://docs.cilium.io/en/stable/installation/k8s-install-migration/",
    ],
};

/// A way back that would break more than it repairs.
pub static ROLLBACK_UNSAFE: Code = Code {
    id: "BYO0659",
    slug: "rollback-unsafe",
    severity: Severity::Error,
    blocks: &[Change::Rollback],
    title: "Going back to this revision is not safe",
    means: "Between the revision that runs and the one to go back to lies more than one minor, a feature \
            that the older version does not have, or another IPAM mode, pool, block size or \
            encapsulation. The finding says which, and what to remove first. CustomResourceDefinitions \
            are never taken back: those of the newer version stay.",
    matters: "Agents of the older version do not start, or start and take addresses away from pods that \
              run.",
    see: "kubectl get secrets -A -l owner=helm -L name,version,status\n\
          kubectl get ciliumnodes -o yaml",
    fix: "Over more than one minor, go back one minor after the other:\n\
          kubectl byocni history\n\
          kubectl byocni rollback REVISION\n\
          Where a feature is in the way, switch it off first with an upgrade, and remove its objects. \
          Where a pool is in the way, move its nodes' pods away first: replace the nodes.",
    sources: &[
        "https://docs.cilium.io/en/stable/operations/upgrade/",
        "https://docs.cilium.io/en/stable/network/concepts/ipam/cluster-pool/",
    ],
};

/// Nobody knows which minor came first here.
pub static FIRST_VERSION_UNKNOWN: Code = Code {
    id: "BYO0660",
    slug: "first-version-unknown",
    severity: Severity::Warning,
    blocks: &[],
    title: "Which version was installed first is not known",
    means: "Cilium's chart keeps the defaults of the minor that was installed first, if it is told which \
            one that was (upgradeCompatibility). It stands neither in the journal nor in the release's \
            values, and helm no longer keeps the first revision: it cannot be derived. Without it the \
            chart's newest defaults apply.",
    matters: "Settings that clusters of that age do not have are switched on by the upgrade. The plan's \
              diff shows them as changed defaults.",
    see: "kubectl get secrets -n kube-system -l owner=helm -L version,status\n\
          kubectl get namespace kube-system -o yaml",
    fix: "If you know it, say it once; it is kept from then on:\n\
          kubectl byocni upgrade --set-string upgradeCompatibility=1.16 --dry-run",
    sources: &["https://docs.cilium.io/en/stable/operations/upgrade/"],
};

/// Keys of the release's values that its own chart ignored already.
pub static VALUE_IGNORED: Code = Code {
    id: "BYO0661",
    slug: "value-ignored",
    severity: Severity::Info,
    blocks: &[],
    title: "The release has values that its chart has ignored all along",
    means: "The release's own values have keys that neither its chart nor the new one knows. They had no \
            effect, and have none now. They are carried over as they are.",
    matters: "What they were meant to do does not happen. Whoever reads the values believes that it does.",
    see: "kubectl get configmap cilium-config -n kube-system -o yaml",
    fix: "Correct the key in another step, or take it away:\n\
          kubectl byocni upgrade --set KEY=null --dry-run",
    sources: &["https://helm.sh/docs/chart_template_guide/values_files/"],
};

/// A default of the chart that means something else now.
pub static DEFAULT_CHANGED: Code = Code {
    id: "BYO0662",
    slug: "default-changed",
    severity: Severity::Info,
    blocks: &[],
    title: "A default of the chart has another value in the new version",
    means: "The release does not set this key, and the new chart has another default for it than the old \
            one. The finding says both and what follows. The plan's diff has every key of the agents' \
            configuration that changes.",
    matters: "Behaviour changes that nobody asked for. Mostly it is meant well.",
    see: "kubectl get configmap cilium-config -n kube-system -o yaml",
    fix: "To keep what was, set the old value:\n\
          kubectl byocni upgrade --set KEY=VALUE --dry-run",
    sources: &["https://docs.cilium.io/en/stable/operations/upgrade/"],
};

/// Definitions of the newer version stay after a rollback.
pub static CRDS_STAY: Code = Code {
    id: "BYO0663",
    slug: "crds-stay",
    severity: Severity::Info,
    blocks: &[],
    title: "CustomResourceDefinitions stay at the newer version",
    means: "CustomResourceDefinitions are not part of a release: Cilium's operator and a chart of \
            Calico's own bring them to their level, and helm never takes them back. After a rollback \
            they are those of the newer version. Versions one minor apart are tested with that.",
    matters: "Objects of kinds that only the newer version knows stay too, and nothing acts on them.",
    see: "kubectl get crds -L io.cilium.k8s.crd.schema.version\n\
          kubectl get crds -o name",
    fix: "Nothing to do. Do not edit or delete the definitions: their objects would go with them.",
    sources: &[
        "https://docs.cilium.io/en/stable/operations/upgrade/",
        "https://helm.sh/docs/chart_best_practices/custom_resource_definitions/",
    ],
};

/// Nothing to upgrade or to roll back.
pub static RELEASE_ABSENT: Code = Code {
    id: "BYO0664",
    slug: "release-absent",
    severity: Severity::Error,
    blocks: &[Change::Upgrade, Change::Rollback],
    title: "There is no release that could be changed",
    means: "Helm has no record of a release of the CNI in the namespace that was looked in. Either no \
            CNI is installed, or it was applied without helm, or its release lives elsewhere. An \
            upgrade starts from the values of a release, and a rollback goes to one of its revisions.",
    matters: "Without the release's values nobody knows what the agents were meant to run with.",
    see: "kubectl get secrets -A -l owner=helm -L name,version,status\n\
          kubectl get daemonsets -A -o wide",
    fix: "No CNI yet: kubectl byocni install cilium --dry-run\n\
          In another namespace: kubectl byocni upgrade -n NAMESPACE --dry-run\n\
          Applied without helm: adopt it first, with the version and the values that it runs with:\n\
          kubectl byocni install cilium --version X.Y.Z --take-ownership --dry-run",
    sources: &["https://helm.sh/docs/helm/helm_history/"],
};
