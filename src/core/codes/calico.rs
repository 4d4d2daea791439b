//! Family 21. What only Calico has: TigeraStatus, the Installation and its pools.

use crate::core::code::{Code, Severity};

/// A TigeraStatus whose Available is not True; its message is quoted.
pub static TIGERA_STATUS_UNAVAILABLE: Code = Code {
    id: "BYO2101",
    slug: "tigera-status-unavailable",
    severity: Severity::Error,
    blocks: &[],
    title: "A Calico component is not available",
    means: "The Tigera operator says of one of its components (calico, ippools, apiserver and others) \
            that Available is not True. The message quotes the condition's reason and text. Helm and \
            `kubectl rollout` may both say that all is well: they see the operator, not what it could \
            not set up.",
    matters: "For `calico` and `ippools` it means that nodes may have no working network. For \
              `apiserver`, tools cannot read or write projectcalico.org/v3 objects.",
    see: "kubectl get tigerastatus\n\
          kubectl get tigerastatus NAME -o yaml\n\
          kubectl logs -n tigera-operator deployment/tigera-operator --tail=50",
    fix: "1. The quoted message usually names the object: a pool outside the platform's range, an \
          Installation field that is not allowed, a pod that does not start.\n\
          2. \"unknown field\" or \"no matches for kind\": the CRDs are older than the operator. Apply \
          the CRDs of its version server-side, then let it try again. From 3.32 on:\n\
          helm template calico-crds projectcalico/crd.projectcalico.org.v1 --version X.Y.Z | kubectl \
          apply --server-side --force-conflicts -f -\n\
          3. If it began with a change: kubectl byocni rollback\n\
          Microsoft does not support CNI problems on BYOCNI clusters. For the Calico community, \
          collect this report, TigeraStatus and Installation as YAML, and the operator's log.",
    sources: &[
        "https://github.com/tigera/operator/issues/1512",
        "https://github.com/projectcalico/calico/issues/12860",
        "https://docs.tigera.io/calico/latest/reference/installation/api",
    ],
};

/// A TigeraStatus that is Available and Degraded; its message is quoted.
pub static TIGERA_STATUS_DEGRADED: Code = Code {
    id: "BYO2102",
    slug: "tigera-status-degraded",
    severity: Severity::Warning,
    blocks: &[],
    title: "A Calico component is available and degraded",
    means: "The Tigera operator says of one of its components that it is Available and also Degraded: \
            what runs keeps running, and the operator cannot bring it to the wanted state. The message \
            quotes its reason. Degraded for a short time is normal while things start.",
    matters: "The operator often stops reconciling at this point: later changes, node additions and \
              upgrades wait behind the same error.",
    see: "kubectl get tigerastatus\n\
          kubectl get tigerastatus NAME -o yaml\n\
          kubectl get installation default -o yaml",
    fix: "1. Correct what the message names. A stale pool in Installation.spec.calicoNetwork.ipPools \
          blocks the operator even years after the install.\n\
          2. Look at the operator's log if the message is too short:\n\
          kubectl logs -n tigera-operator deployment/tigera-operator --tail=50",
    sources: &[
        "https://github.com/tigera/operator/issues/2916",
        "https://github.com/tigera/operator/issues/3428",
        "https://docs.tigera.io/calico/latest/reference/installation/api",
    ],
};

/// The Installation's pools differ from the IPPools.
pub static INSTALLATION_POOL_DIFFERS: Code = Code {
    id: "BYO2103",
    slug: "installation-pool-differs",
    severity: Severity::Warning,
    blocks: &[],
    title: "Calico's Installation and its IPPools disagree",
    means: "The pools in `Installation.spec.calicoNetwork.ipPools` are not the IPPool objects that \
            exist: a range, a block size or an encapsulation differs, or one side has a pool that the \
            other lacks. Calico gives out addresses by the IPPools. The Installation is what the \
            operator wants them to be, and a pool's range and block size cannot be changed once made.",
    matters: "The operator can become Degraded and stop reconciling, also long after the difference \
              arose, for example at the next upgrade.",
    see: "kubectl get installation default -o yaml\n\
          kubectl get ippools -o yaml\n\
          kubectl get tigerastatus",
    fix: "1. Make the Installation say what is there: correct installation.calicoNetwork.ipPools in \
          the release's values and upgrade to the version that runs.\n\
          2. To really change a range or block size: create a new pool, disable the old one, \
          recreate its pods, delete it when it is empty.\n\
          3. Do not take a pool that is in use out of the Installation: the operator may delete it.",
    sources: &[
        "https://github.com/tigera/operator/issues/2916",
        "https://docs.tigera.io/calico/latest/networking/ipam/migrate-pools",
        "https://docs.tigera.io/calico/latest/networking/ipam/change-block-size",
    ],
};
