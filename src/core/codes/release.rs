//! Family 05. The Helm release of the CNI: whether there is one, and whether it is what runs.

use crate::core::code::{Change, Code, Severity};

/// A Helm-installable CNI runs without a release, annotation or reconciler's mark.
pub static RELEASE_MISSING: Code = Code {
    id: "BYO0501",
    slug: "release-missing",
    severity: Severity::Warning,
    blocks: &[],
    title: "The CNI is not part of a Helm release",
    means: "The CNI could have been installed by Helm, but its objects carry no meta.helm.sh \
            annotation, no reconciler's mark, and no release Secret was found where Secrets could be \
            read. It was applied as a manifest, or its release was deleted while the objects stayed.",
    matters: "There is no history: nothing to compare with and nothing to roll back to. A plain `helm \
              upgrade` fails because the release does not exist, and a plain install because the objects \
              do.",
    see: "kubectl get secrets -A -l owner=helm\n\
          kubectl get daemonset NAME -n NAMESPACE -o jsonpath='{.metadata.annotations}'",
    fix: "Adopt it: install the chart of the version that runs, with values that match what runs, \
          and let Helm take the objects over. Read the plan first; it shows every difference.\n\
          kubectl byocni install CNI --version X.Y.Z --pod-cidr CIDR --take-ownership --dry-run\n\
          A Calico that was installed from its manifest has to be moved to the operator first, by \
          Calico's own guide.",
    sources: &[
        "https://helm.sh/docs/helm/helm_install/",
        "https://github.com/cilium/cilium-cli/issues/1793",
    ],
};

/// pending-install, -upgrade or -rollback, and no live holder of our lock.
pub static RELEASE_PENDING: Code = Code {
    id: "BYO0502",
    slug: "release-pending",
    severity: Severity::Error,
    blocks: &[Change::Install, Change::Upgrade],
    title: "The CNI's Helm release is stuck in a pending state",
    means: "The newest revision is pending-install, pending-upgrade or pending-rollback, and nobody is \
            working on it: our lock is free or has expired. Helm was killed in the middle and never \
            wrote the outcome. The cluster may have the old objects, the new ones or a mix.",
    matters: "Helm refuses the next upgrade with \"another operation is in progress\", for ever. It does \
              not clear this state by itself.",
    see: "kubectl get secrets -n NAMESPACE -l owner=helm,name=RELEASE -L version,status\n\
          kubectl get leases -n kube-system",
    fix: "If the change was ours, finish or undo it:\n\
          kubectl byocni resume\n\
          kubectl byocni abort\n\
          Otherwise go back to the newest good revision, by number. Plain `helm rollback` takes the \
          one before, which may be a failed one.\n\
          helm history RELEASE -n NAMESPACE\n\
          kubectl byocni rollback REVISION\n\
          A pending-install whose agents never ran can be removed instead: helm uninstall RELEASE -n \
          NAMESPACE",
    sources: &[
        "https://github.com/helm/helm/issues/10599",
        "https://github.com/helm/helm/issues/7476",
    ],
};

/// The last revision failed; the last good one is named.
pub static RELEASE_FAILED: Code = Code {
    id: "BYO0503",
    slug: "release-failed",
    severity: Severity::Warning,
    blocks: &[],
    title: "The last Helm revision of the CNI failed",
    means: "The newest revision of the release has the status failed. Helm may have written some of \
            its objects before it gave up; it does not undo them. The message names the last revision \
            that was deployed. What the cluster runs is told by the workload, not by this status.",
    matters: "The next upgrade builds on a state that nobody checked. If agents and nodes are healthy, \
              there is time to do it properly.",
    see: "kubectl get secrets -n NAMESPACE -l owner=helm,name=RELEASE -L version,status\n\
          kubectl get daemonsets -n NAMESPACE -o wide",
    fix: "1. See what failed and what ran before: kubectl byocni history\n\
          2. Go back to the last good revision: kubectl byocni rollback REVISION\n\
          3. Or repair the values and go forward: kubectl byocni upgrade --version X.Y.Z -f \
          values.yaml",
    sources: &[
        "https://helm.sh/docs/helm/helm_history/",
        "https://helm.sh/docs/helm/helm_rollback/",
    ],
};

/// Flux, Argo CD or the addon manager owns the CNI.
pub static RELEASE_FOREIGN_OWNER: Code = Code {
    id: "BYO0504",
    slug: "release-foreign-owner",
    severity: Severity::Warning,
    blocks: &[],
    title: "Another reconciler owns the CNI",
    means: "Labels or annotations on the CNI's objects show that Flux, Argo CD or the addon manager \
            keeps them in their state. Whatever is changed by another hand is set back at its next \
            round.",
    matters: "An upgrade from here would be undone, perhaps in the middle of the rollout. Changes are \
              refused for that reason.",
    see: "kubectl get daemonset NAME -n NAMESPACE -o \
          jsonpath='{.metadata.labels}{.metadata.annotations}'\n\
          kubectl get helmreleases -A\n\
          kubectl get applications -A",
    fix: "Make the change where the reconciler takes it from: the HelmRelease, the Application or \
          its Git repository.\n\
          To move the CNI out of its hands, suspend or remove it there first without deleting the \
          objects (flux suspend; for Argo CD, delete the Application without cascade). Status works \
          in any case.\n\
          On AKS, never put the label addonmanager.kubernetes.io/mode or \
          kubernetes.io/cluster-service on your own CNI: the addon manager deletes such objects.",
    sources: &[
        "https://github.com/cilium/cilium/issues/9464",
        "https://fluxcd.io/flux/components/helm/helmreleases/",
        "https://argo-cd.readthedocs.io/en/stable/user-guide/app_deletion/",
    ],
};

/// The running image differs from the release's app version.
pub static RELEASE_VERSION_DRIFT: Code = Code {
    id: "BYO0505",
    slug: "release-version-drift",
    severity: Severity::Warning,
    blocks: &[],
    title: "The CNI runs another version than its release says",
    means: "The agents' image tag is not the app version of the newest revision. Someone set the image \
            by hand or through a values override, or the rollout never reached the pods.",
    matters: "The release's history is not the truth, and a rollback or upgrade will also change the \
              version by surprise.",
    see: "kubectl get daemonset NAME -n NAMESPACE -o wide\n\
          kubectl get pods -n NAMESPACE -o \
          custom-columns='POD:.metadata.name,IMAGES:.spec.containers[*].image'\n\
          kubectl get secrets -n NAMESPACE -l owner=helm,name=RELEASE -L version,status",
    fix: "1. Override in the values (image.tag): take it out and upgrade to the version that you \
          want.\n\
          kubectl byocni upgrade --version X.Y.Z\n\
          2. Rollout not finished: see `rollout-incomplete`.\n\
          3. Set by hand with kubectl: the same upgrade brings release and cluster together again.",
    sources: &[
        "https://docs.cilium.io/en/stable/operations/upgrade/",
        "https://helm.sh/docs/helm/helm_history/",
    ],
};
