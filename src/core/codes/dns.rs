//! Family 04. The cluster's DNS: whether CoreDNS is there, runs, and is reachable.

use crate::core::code::{Code, Severity};

/// No kube-dns Service, or no workload behind it.
pub static COREDNS_MISSING: Code = Code {
    id: "BYO0401",
    slug: "coredns-missing",
    severity: Severity::Error,
    blocks: &[],
    title: "The cluster has no DNS Service or nothing behind it",
    means: "The Service kube-dns is not in kube-system, or no Deployment or other workload has pods \
            that match its selector. A Deployment scaled to zero counts as missing.",
    matters: "No pod can resolve a name. Most programs fail at once, and their errors rarely mention \
              DNS.",
    see: "kubectl get service kube-dns -n kube-system\n\
          kubectl get deployments -n kube-system -l k8s-app=kube-dns\n\
          kubectl get endpointslices -n kube-system -l kubernetes.io/service-name=kube-dns",
    fix: "On AKS the platform installs CoreDNS and puts it back; if it stays away, open a support \
          case. This is not a CNI problem.\n\
          Scaled to zero elsewhere: kubectl scale deployment/coredns -n kube-system --replicas=2\n\
          Never installed: install CoreDNS with the distribution's own means, with the ClusterIP \
          that the kubelets have as clusterDNS.",
    sources: &["https://kubernetes.io/docs/tasks/administer-cluster/dns-debugging-resolution/"],
};

/// CoreDNS pods are Pending or in ContainerCreating.
pub static COREDNS_PENDING: Code = Code {
    id: "BYO0402",
    slug: "coredns-pending",
    severity: Severity::Error,
    blocks: &[],
    title: "CoreDNS pods cannot start",
    means: "CoreDNS's pods are Pending or in ContainerCreating and none is ready. Without a CNI that \
            is the expected consequence and the message says so. With a CNI they lack a node that they \
            may run on, or the sandbox cannot get an address there.",
    matters: "No pod can resolve a name until at least one of them runs.",
    see: "kubectl get pods -n kube-system -l k8s-app=kube-dns -o wide\n\
          kubectl describe pods -n kube-system -l k8s-app=kube-dns",
    fix: "1. No CNI: install one. CoreDNS starts by itself within a minute or two.\n\
          kubectl byocni install cilium --pod-cidr CIDR\n\
          2. Pending by taints or resources: add a node that CoreDNS tolerates; on AKS, a system \
          node pool.\n\
          3. ContainerCreating with FailedCreatePodSandBox events: repair the agent on that node, or \
          see `cni-leftover`.",
    sources: &[
        "https://learn.microsoft.com/azure/aks/use-byo-cni",
        "https://kubernetes.io/docs/tasks/administer-cluster/dns-debugging-resolution/",
    ],
};

/// CoreDNS pods run and no endpoint is ready.
pub static COREDNS_NOT_READY: Code = Code {
    id: "BYO0403",
    slug: "coredns-not-ready",
    severity: Severity::Error,
    blocks: &[],
    title: "No CoreDNS pod is ready",
    means: "CoreDNS's pods run and the Service kube-dns has no ready endpoint. Their readiness probe \
            fails: CoreDNS waits for the API server, or the kubelet cannot reach the pod over the \
            node's pod network.",
    matters: "No pod can resolve a name, although everything looks as if it were running.",
    see: "kubectl get endpointslices -n kube-system -l kubernetes.io/service-name=kube-dns\n\
          kubectl describe pods -n kube-system -l k8s-app=kube-dns\n\
          kubectl logs -n kube-system -l k8s-app=kube-dns --tail=30",
    fix: "1. Log lines \"waiting for kubernetes API\" or timeouts to the kubernetes ClusterIP: \
          Services do not work on that node. Look at kube-proxy, or at the CNI that replaces it.\n\
          2. Pods with an address of an earlier CNI: recreate them.\n\
          kubectl rollout restart deployment/coredns -n kube-system\n\
          3. Configuration errors in the log: on AKS only the ConfigMap coredns-custom is yours; \
          check it first.",
    sources: &[
        "https://kubernetes.io/docs/tasks/administer-cluster/dns-debugging-resolution/",
        "https://learn.microsoft.com/azure/aks/coredns-custom",
    ],
};

/// Some CoreDNS pods are not ready and at least one is.
pub static COREDNS_DEGRADED: Code = Code {
    id: "BYO0404",
    slug: "coredns-degraded",
    severity: Severity::Warning,
    blocks: &[],
    title: "Some CoreDNS pods are not ready",
    means: "At least one CoreDNS pod answers and at least one does not. The message names the pods \
            that do not, with their nodes and reasons.",
    matters: "DNS works with less reserve. If the pods that fail share a node or a pool, that is where \
              the network is broken.",
    see: "kubectl get pods -n kube-system -l k8s-app=kube-dns -o wide\n\
          kubectl describe pod POD -n kube-system",
    fix: "Look at the nodes of the pods that fail: the agent there comes first. If the agent is \
          fine, recreate the pod:\n\
          kubectl delete pod POD -n kube-system",
    sources: &["https://kubernetes.io/docs/tasks/administer-cluster/dns-debugging-resolution/"],
};

/// CoreDNS pods keep an IP of an earlier CNI.
pub static COREDNS_UNMANAGED: Code = Code {
    id: "BYO0405",
    slug: "coredns-unmanaged",
    severity: Severity::Warning,
    blocks: &[],
    title: "CoreDNS pods still have addresses of an earlier CNI",
    means: "CoreDNS's pods started before the present CNI and kept the address that the earlier one \
            gave them. The present CNI does not know them. Cilium's operator restarts such pods if \
            their label is k8s-app=kube-dns, within a short while after the install; other CNIs do \
            not.",
    matters: "DNS may work from the same node only, and stops when the earlier CNI's routes vanish, at \
              the next reboot at the latest.",
    see: "kubectl get pods -n kube-system -l k8s-app=kube-dns -o wide\n\
          kubectl get ciliumendpoints -n kube-system",
    fix: "kubectl rollout restart deployment/coredns -n kube-system\n\
          kubectl rollout status deployment/coredns -n kube-system",
    sources: &[
        "https://github.com/cilium/cilium/issues/39844",
        "https://github.com/cilium/cilium/issues/26388",
    ],
};
