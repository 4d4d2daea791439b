//! Family 20. What only Cilium has: CiliumNodes, its operator's reports, its policy modes.

use crate::core::code::{Code, Severity};

/// The number of CiliumNodes differs from the number of nodes that want one.
pub static CILIUM_NODE_COUNT: Code = Code {
    id: "BYO2001",
    slug: "cilium-node-count",
    severity: Severity::Warning,
    blocks: &[],
    title: "CiliumNodes and nodes do not match in number",
    means: "Every node with an agent has one CiliumNode of the same name, made by the agent and \
            removed by the operator when the node is gone. Here one side has more. A CiliumNode \
            without a node is stale; a node without one has an agent that never got that far, and is \
            named on its own.",
    matters: "A stale CiliumNode holds a block that a new node could use, and other nodes keep a route \
              to a machine that is gone.",
    see: "kubectl get nodes\n\
          kubectl get ciliumnodes\n\
          kubectl get pods -n kube-system -l io.cilium/app=operator -o wide",
    fix: "1. See that the operator is ready: it cleans up by itself, usually within minutes.\n\
          2. For a stale one that stays, make sure that no such node exists, then:\n\
          kubectl delete ciliumnode NODE\n\
          3. For a node without a CiliumNode, look at the agent there.",
    sources: &[
        "https://docs.cilium.io/en/stable/network/concepts/ipam/cluster-pool/",
        "https://docs.cilium.io/en/stable/internals/cilium_operator/",
    ],
};

/// The operator reports an error on a CiliumNode that has a block.
pub static CILIUM_OPERATOR_ERROR: Code = Code {
    id: "BYO2002",
    slug: "cilium-operator-error",
    severity: Severity::Error,
    blocks: &[],
    title: "The Cilium operator reports errors on CiliumNodes",
    means: "The operator wrote an error into `status.ipam.operator-status.error` of these CiliumNodes; \
            the message quotes it. The nodes have a block and go on using it. Where there is no block, \
            `node-block-missing` quotes the error instead. \"allocator not configured for the requested \
            CIDR\" means that the pool was changed under the node.",
    matters: "The operator has stopped managing addresses for these nodes. Nothing fails yet; it does \
              when the agent restarts, or when the block is handed to another node.",
    see: "kubectl get ciliumnodes -o \
          custom-columns='NODE:.metadata.name,PODCIDRS:.spec.ipam.podCIDRs,ERROR:.status.ipam.operator-status.error'\n\
          kubectl logs -n kube-system deployment/cilium-operator --tail=50\n\
          kubectl get configmap cilium-config -n kube-system -o yaml",
    fix: "1. Compare the pool in cilium-config with the nodes' blocks. If the pool was edited, put \
          the old entry back and append the new one after it: kubectl byocni rollback\n\
          2. If the pool is right, restart the operator and look again:\n\
          kubectl rollout restart deployment/cilium-operator -n kube-system\n\
          Microsoft does not support CNI problems on BYOCNI clusters. For the Cilium community, \
          collect this report, the CiliumNodes, cilium-config and the operator's log; `cilium \
          sysdump` gathers them all.",
    sources: &[
        "https://github.com/cilium/cilium/issues/28266",
        "https://github.com/cilium/cilium/issues/41130",
        "https://docs.cilium.io/en/stable/network/concepts/ipam/cluster-pool/",
    ],
};

/// policy-audit-mode is on: policies are logged and not enforced.
pub static CILIUM_POLICY_AUDIT: Code = Code {
    id: "BYO2003",
    slug: "cilium-policy-audit",
    severity: Severity::Warning,
    blocks: &[],
    title: "Cilium logs network policies and does not enforce them",
    means: "policy-audit-mode is on in Cilium's configuration. Traffic that a policy would drop is let \
            through and logged. It is meant for writing policies, and Cilium's guide advises against \
            it in production.",
    matters: "Every network policy in the cluster looks active and protects nothing.",
    see: "kubectl get configmap cilium-config -n kube-system -o jsonpath='{.data.policy-audit-mode}'\n\
          kubectl get networkpolicies,ciliumnetworkpolicies,ciliumclusterwidenetworkpolicies -A",
    fix: "1. Look at the audited verdicts first: what they show will be dropped.\n\
          2. Set policyAuditMode: false in the release's values and upgrade to the version that \
          runs:\n\
          kubectl byocni upgrade --version X.Y.Z --set policyAuditMode=false --dry-run\n\
          3. Agents read it when they start: see `config-drift`.",
    sources: &["https://docs.cilium.io/en/stable/security/policy-creation/"],
};
