//! Family 00. What could not be read: the API's refusals and failures, and text that could not be
//! parsed.

use crate::core::code::{Code, Severity};

/// The API refused a read (RBAC); the checks that needed it are skipped.
pub static SOURCE_FORBIDDEN: Code = Code {
    id: "BYO0001",
    slug: "source-forbidden",
    severity: Severity::Warning,
    blocks: &[],
    title: "The API refused a read that some checks need",
    means: "A list or get was answered with 403 Forbidden: the user or service account has no rule for \
            that verb on that resource. The message names the verb, the resource and the namespace. \
            Every check that needed the data is listed as skipped; nothing is assumed about what was \
            not seen.",
    matters: "A skipped check never counts as passed. If nodes, DaemonSets or the CNI's pods are what \
              was refused, the verdict is unknown and the exit code is 5.",
    see: "kubectl auth can-i list nodes\n\
          kubectl auth can-i list daemonsets.apps --all-namespaces\n\
          kubectl auth can-i list pods --all-namespaces",
    fix: "Bind the small read-only ClusterRole that this project ships (docs/rbac-read.yaml) to whoever \
          runs the command. The built-in `view` role is not enough: it cannot list nodes.\n\
          kubectl apply -f docs/rbac-read.yaml\n\
          kubectl create clusterrolebinding byocni-reader --clusterrole=kubectl-byocni-reader --user=USER\n\
          Check the result as that user:\n\
          kubectl auth can-i list nodes --as=USER",
    sources: &["https://kubernetes.io/docs/reference/access-authn-authz/rbac/"],
};

/// A read failed for another reason than rights: timeout, 5xx after retries, broken connection.
pub static SOURCE_FAILED: Code = Code {
    id: "BYO0002",
    slug: "source-failed",
    severity: Severity::Warning,
    blocks: &[],
    title: "A read from the API failed",
    means: "The API did not answer a read, or answered it with an error other than Forbidden, and \
            retries did not help. The message has the resource and the last error. Metrics and other \
            aggregated APIs are often unavailable while no CNI works, because their backends are pods.",
    matters: "The checks that needed the data are skipped and the report is incomplete. An API that \
              fails on plain lists is a problem of its own, apart from the CNI.",
    see: "kubectl get --raw='/readyz?verbose'\n\
          kubectl get apiservices\n\
          kubectl get nodes --request-timeout=30s",
    fix: "1. Run the command again; give it more time with --request-timeout=60s on a large or slow \
          cluster.\n\
          2. If one APIService is not Available, look at the pods behind it. If they wait for a \
          network, repair the CNI first.\n\
          3. If plain lists fail too, look at the control plane. On AKS that is Microsoft's to run, \
          and a support case is right.",
    sources: &["https://kubernetes.io/docs/reference/using-api/health-checks/"],
};

/// A CIDR, version or JSON in an object could not be parsed.
pub static UNPARSABLE_VALUE: Code = Code {
    id: "BYO0003",
    slug: "unparsable-value",
    severity: Severity::Warning,
    blocks: &[],
    title: "A value in a cluster object could not be parsed",
    means: "A field that must hold a CIDR, a version or JSON holds something else. The message names \
            the object, the key and the text. The value is left out of every check; it is not guessed.",
    matters: "The component that reads the field may refuse it, ignore it or fall back to a default, and \
              the default may be a pool that overlaps other networks.",
    see: "kubectl get configmap cilium-config -n kube-system -o yaml\n\
          kubectl get configmap kube-flannel-cfg -n kube-flannel -o yaml",
    fix: "Correct the value where it is made: in the Helm values of the CNI's release, or in the \
          manifest that created the object. Then let the components read it again.\n\
          A CIDR has an address and a prefix length: 10.244.0.0/16. Several in cilium-config are \
          separated by spaces.",
    sources: &["https://docs.cilium.io/en/stable/network/concepts/ipam/cluster-pool/"],
};
