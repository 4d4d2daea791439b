//! What helm says, and what we say then.

use serde_json::json;

use super::*;

/// Texts as both majors write them, one for each cause.
const SAID: &[(&str, &str)] = &[
    (
        "in progress",
        "Error: UPGRADE FAILED: another operation (install/upgrade/rollback) is in progress",
    ),
    (
        "no owner",
        "Error: INSTALLATION FAILED: Unable to continue with install: DaemonSet \"cilium\" in namespace \"kube-system\" exists and cannot be imported into the current release: invalid ownership metadata; label validation error: missing key \"app.kubernetes.io/managed-by\": must be set to \"Helm\"; annotation validation error: missing key \"meta.helm.sh/release-name\": must be set to \"cilium\"; annotation validation error: missing key \"meta.helm.sh/release-namespace\": must be set to \"kube-system\"",
    ),
    (
        "other release",
        "Error: INSTALLATION FAILED: unable to continue with install: ClusterRole \"cilium\" in namespace \"\" exists and cannot be imported into the current release: invalid ownership metadata; annotation validation error: key \"meta.helm.sh/release-name\" must equal \"cilium\": current value is \"net\"; annotation validation error: key \"meta.helm.sh/release-namespace\" must equal \"kube-system\": current value is \"other\"",
    ),
    (
        "other namespace",
        "Error: INSTALLATION FAILED: unable to continue with install: ServiceAccount \"a\" in namespace \"x\" exists and cannot be imported into the current release: invalid ownership metadata; annotation validation error: key \"meta.helm.sh/release-namespace\" must equal \"kube-system\": current value is \"other\"",
    ),
    (
        "conflict",
        "Error: UPGRADE FAILED: conflict occurred while applying object kube-system/cilium-config /v1, Kind=ConfigMap: Apply failed with 1 conflict: conflict with \"kubectl-edit\" using v1: .data.debug",
    ),
    (
        "conflicts",
        "Error: UPGRADE FAILED: conflict occurred while applying object kube-system/cilium apps/v1, Kind=DaemonSet: Apply failed with 3 conflicts: conflicts with \"kubectl\" using apps/v1:\n- .spec.replicas\n- .spec.template.spec.x\nconflict with \"argo\" using apps/v1: .metadata.labels.a",
    ),
    (
        "in use",
        "Error: INSTALLATION FAILED: cannot re-use a name that is still in use",
    ),
    (
        "in use 4",
        "Error: INSTALLATION FAILED: release name check failed: cannot reuse a name that is still in use",
    ),
    ("not found", "Error: release: not found"),
    (
        "nothing deployed",
        "Error: UPGRADE FAILED: \"cilium\" has no deployed releases",
    ),
    (
        "kinds",
        "Error: INSTALLATION FAILED: unable to build kubernetes objects from release manifest: [resource mapping not found for name: \"default\" namespace: \"\" from \"\": no matches for kind \"Installation\" in version \"operator.tigera.io/v1\"\nensure CRDs are installed first, resource mapping not found for name: \"d\" namespace: \"\" from \"\": no matches for kind \"APIServer\" in version \"operator.tigera.io/v1\"\nensure CRDs are installed first]",
    ),
    (
        "forbidden",
        "Error: INSTALLATION FAILED: daemonsets.apps is forbidden: User \"eve\" cannot create resource \"daemonsets\" in API group \"apps\" in the namespace \"kube-system\"",
    ),
    (
        "forbidden secrets",
        "Error: query: failed to query with labels: secrets is forbidden: User \"eve\" cannot list resource \"secrets\" in API group \"\" in the namespace \"kube-system\"",
    ),
    (
        "escalation",
        "Error: INSTALLATION FAILED: clusterroles.rbac.authorization.k8s.io \"cilium\" is forbidden: user \"eve\" (groups=[\"system:authenticated\"]) is attempting to grant RBAC permissions not currently held:\n{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"get\"]}",
    ),
    (
        "terminating",
        "Error: INSTALLATION FAILED: secrets \"sh.helm.release.v1.x.v1\" is forbidden: unable to create new content in namespace old because it is being terminated",
    ),
    (
        "no namespace",
        "Error: INSTALLATION FAILED: create: failed to create: namespaces \"nowhere\" not found",
    ),
    (
        "quota",
        "Error: INSTALLATION FAILED: pods \"x\" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1",
    ),
    (
        "denied",
        "Error: INSTALLATION FAILED: admission webhook \"validation.gatekeeper.sh\" denied the request: [no-host-network] hostNetwork is not allowed",
    ),
    (
        "policy",
        "Error: INSTALLATION FAILED: daemonsets.apps \"x\" is forbidden: ValidatingAdmissionPolicy 'no-host' with binding 'b' denied request: no",
    ),
    (
        "webhook",
        "Error: INSTALLATION FAILED: Internal error occurred: failed calling webhook \"mutate.kyverno.svc-fail\": failed to call webhook: Post \"https://kyverno-svc.kyverno.svc:443/mutate\": dial tcp 10.0.1.2:443: connect: connection refused",
    ),
    (
        "exists",
        "Error: INSTALLATION FAILED: serviceaccounts \"cilium\" already exists",
    ),
    (
        "deadline",
        "Error: INSTALLATION FAILED: failed post-install: timed out waiting for the condition",
    ),
    (
        "deadline 4",
        "Error: INSTALLATION FAILED: context deadline exceeded",
    ),
    (
        "cluster",
        "Error: INSTALLATION FAILED: Kubernetes cluster unreachable: Get \"https://x.azmk8s.io:443/version\": dial tcp 1.2.3.4:443: i/o timeout",
    ),
    (
        "context",
        "Error: INSTALLATION FAILED: Kubernetes cluster unreachable: context \"nope\" does not exist",
    ),
    (
        "version",
        "Error: INSTALLATION FAILED: chart requires kubeVersion: >= 1.40.0-0 which is incompatible with Kubernetes v1.33.2",
    ),
    (
        "schema",
        "Error: values don't meet the specifications of the schema(s) in the following chart(s):\ncilium:\n- at '/ipam': got string, want object\n",
    ),
    (
        "template",
        "Error: execution error at (cilium/templates/validate.yaml:12:4): aksbyocni.enabled and azure.enabled are mutually exclusive\n\nUse --debug flag to render out invalid YAML",
    ),
    (
        "no version",
        "Error: chart \"cilium\" matching 9.9.9 not found in source-1 index. (try 'helm repo update'): no chart version found for cilium-9.9.9",
    ),
    (
        "no host",
        "Error: looks like \"https://nowhere.invalid\" is not a valid chart repository or cannot be reached: Get \"https://nowhere.invalid/index.yaml\": dial tcp: lookup nowhere.invalid: no such host",
    ),
    (
        "login",
        "Error: pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed: unexpected status from HEAD request to https://ghcr.io/v2/x/manifests/1: 401 Unauthorized",
    ),
    (
        "no tag",
        "Error: failed to perform \"FetchReference\" on source: 127.0.0.1:5999/c/flannel:9.9.9: not found",
    ),
    (
        "no tags",
        "Error: unable to locate any tags in provided repository: oci://127.0.0.1:5999/c/flannel",
    ),
    (
        "no repository",
        "Error: GET \"https://127.0.0.1:5999/v2/c/nett/tags/list\": response status code 404: name unknown: name unknown",
    ),
    (
        "half",
        "Error: failed to perform \"Push\" on destination: read failed: expected content size of 212169, got 106084, for digest sha256:c5f013912360d1a334f44ef25f36da59ba3414cdb48f466ee12d0c4fdff27883: unexpected EOF",
    ),
    (
        "changed",
        "Error: failed to perform \"Push\" on destination: mismatched digest",
    ),
    (
        "cut off",
        "Error: failed to perform \"FetchReference\" on source: Get \"https://h/v2/c/flannel/manifests/v0.28.4\": EOF",
    ),
    (
        "missing",
        "Error: failed to fetch https://h/x.tgz : 404 Not Found",
    ),
    (
        "too many",
        "Error: failed to fetch https://h/x.tgz : 429 Too Many Requests",
    ),
    (
        "certificate",
        "Error: looks like \"https://h\" is not a valid chart repository or cannot be reached: Get \"https://h/index.yaml\": tls: failed to verify certificate: x509: certificate signed by unknown authority",
    ),
    (
        "proxy",
        "Error: Get \"https://quay.io/v2/\": proxyconnect tcp: dial tcp 10.0.0.1:3128: connect: connection refused",
    ),
    (
        "other",
        "WARNING: Kubernetes configuration file is group-readable\nlevel=WARN msg=x\nError: something new",
    ),
    ("escape", "Error: \u{1b}]0;owned\u{7}\u{202e}gone"),
    ("no helm", "sh: 1: helm: not found"),
    ("nothing", ""),
];

#[test]
fn what_is_said_is_understood() {
    let mut all = String::new();
    for (name, stderr) in SAID {
        let words = said::complaint(stderr, &[]);
        let cause = Cause::of(&words);
        let error = HelmError::Failed {
            doing: "helm install",
            cause: cause.clone(),
            said: words,
        };
        let hint = error.hint().unwrap_or_else(|| "-".into());
        all.push_str(&format!("# {name}\n{cause:?}\n{error}\nhint: {hint}\n\n"));
    }
    insta::assert_snapshot!(all);
}

/// A port or a digest that holds the digits of a status is none.
#[test]
fn digits_are_no_status() {
    for (said, cause) in [
        (
            "Error: failed to fetch http://127.0.0.1:40355/none.tgz : 404 Not Found",
            Cause::ChartNotFound,
        ),
        (
            "Error: failed to fetch http://127.0.0.1:42911/none.tgz : 404 Not Found",
            Cause::ChartNotFound,
        ),
        (
            "Error: failed to fetch https://charts.example/a.tgz : 403 Forbidden",
            Cause::RegistryLogin,
        ),
        (
            "Error: GET \"https://r.example/v2/a\": response status code 401: Unauthorized",
            Cause::RegistryLogin,
        ),
        (
            "Error: GET \"https://r.example/v2/a\": response status code 429: slow down",
            Cause::RegistryLimit,
        ),
    ] {
        assert_eq!(Cause::of(said), cause, "{said}");
    }
}

#[test]
fn what_is_a_login_to_a_registry_is_not_a_right_in_the_cluster() {
    let of = |text: &str| Cause::of(&said::complaint(text, &[]));
    // A resource of this name, not a status.
    let text = "Error: nodes \"aks-403\" is forbidden: User \"u\" cannot get resource \"nodes\"";
    assert!(matches!(of(text), Cause::Forbidden { .. }));
    assert_eq!(
        of("Error: GET https://r/v2/: response status code 403: denied"),
        Cause::RegistryLogin
    );
    assert_eq!(of("Error: pods \"pod-401\" already exists"), Cause::AlreadyExists);
}

#[test]
fn secrets_are_not_repeated() {
    let values = json!({
        "image": {"tag": "v1.2.3-plain"},
        "ipsec": {"key": "3 rfc4106 deadbeefdeadbeef", "encryption": [{"x": "inherited-secret"}]},
        "tls": {"ca": {"cert": "line-one-of-pem\nline-two-of-pem"}},
        "clusterPassword": "hunter2hunter2", "apiToken": "tok", "motd": "s3cret all the same",
        "ipam": {"mode": "cluster-pool", "pools": ["10.244.0.0/16"]}, "encapsulation": "VXLAN",
    });
    let secrets = said::secrets(&values);
    let stderr = "Error: at '/x': 'hunter2hunter2' does not match; aHVudGVyMmh1bnRlcjI= nor line-two-of-pem; v1.2.3-plain \
                  cluster-pool 10.244.0.0/16 VXLAN s3cret all the same";
    let shown = said::complaint(stderr, &secrets);
    assert_eq!(
        shown,
        "at '/x': '***' does not match; *** nor ***; v1.2.3-plain cluster-pool 10.244.0.0/16 VXLAN ***"
    );
    assert!(!secrets.iter().any(|s| s == "tok" || s == "v1.2.3-plain"));
}

#[test]
fn long_complaints_are_cut() {
    let stderr = format!("Error: {}", "x\n".repeat(10_000));
    assert!(said::complaint(&stderr, &[]).chars().count() <= 600);
    let wide = format!("Error: {}", "ü".repeat(10_000));
    assert_eq!(said::complaint(&wide, &[]).chars().count(), 600);
}
