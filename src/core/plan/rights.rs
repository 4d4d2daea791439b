//! Every right that a change takes, so that all that is missing can be told before the first write.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde_json::Value;

use crate::core::{cni::Cni, manifest::Object};

/// One right, as a SelfSubjectAccessReview asks for it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    /// The namespace; none for objects that live in none, and for all namespaces.
    pub namespace: Option<String>,
    /// The API group, empty for the core.
    pub group: String,
    /// The plural: `daemonsets`; with a slash before the part of an object: `namespaces/finalize`, as RBAC writes it.
    pub resource: String,
    /// The object's name, where the right is to one object only.
    pub name: Option<String>,
    /// `create`, `get`, `list`, …
    pub verb: &'static str,
}

impl Right {
    /// A right to all objects of a resource, in all namespaces.
    pub fn new(verb: &'static str, group: &str, resource: &str) -> Self {
        Right {
            namespace: None,
            group: group.into(),
            resource: resource.into(),
            name: None,
            verb,
        }
    }

    /// The same in one namespace.
    fn within(mut self, namespace: Option<&str>) -> Self {
        self.namespace = namespace.map(str::to_string);
        self
    }

    /// The resource and the part of an object, empty where it is the whole.
    pub fn parts(&self) -> (&str, &str) {
        self.resource.split_once('/').unwrap_or((&self.resource, ""))
    }

    /// The same to one object.
    fn named(mut self, name: &str) -> Self {
        self.name = Some(name.into());
        self
    }
}

impl fmt::Display for Right {
    /// `create daemonsets.apps in kube-system`, `update leases.coordination.k8s.io/kubectl-byocni in kube-system`,
    /// `update namespaces/kube-flannel/finalize`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (resource, part) = self.parts();
        write!(f, "{} {resource}", self.verb)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        if let Some(name) = &self.name {
            write!(f, "/{name}")?;
        }
        if !part.is_empty() {
            write!(f, "/{part}")?;
        }
        match &self.namespace {
            Some(namespace) => write!(f, " in {namespace}"),
            None => Ok(()),
        }
    }
}

/// What lock, journal and the Secret beside it are called, all in kube-system.
const OURS: &str = "kubectl-byocni";

/// Where lock, journal and probes live, whatever the CNI.
const SYSTEM: &str = "kube-system";

/// What is asked for beside the rendered objects.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    /// The CNI, where it is a known one.
    pub cni: Option<&'static Cni>,
    /// The release's namespace.
    pub namespace: &'a str,
    /// Whether that namespace is there; where not, helm creates it.
    pub namespace_exists: bool,
    /// Whether CustomResourceDefinitions are applied: from a chart of their own, or from the chart's `crds/`.
    pub crds: bool,
    /// Whether the gate makes pods that prove the network.
    pub probe: bool,
}

/// Every right that a change takes, sorted, each once.
///
/// Helm reads, creates and patches what the chart renders, and takes it back where the install fails; it keeps its
/// record in a Secret (<https://github.com/helm/helm/tree/main/pkg/storage/driver>). What a review cannot see: roles
/// that grant more than their maker has.
pub fn needed(rendered: &[Object], wanted: &Wanted<'_>) -> Vec<Right> {
    let mut rights = BTreeSet::new();
    let kinds = defined(rendered.iter());
    for object in rendered.iter().filter(|o| is_installed(o)) {
        let (resource, namespaced) = resource(object, &kinds);
        let namespace = namespaced.then(|| object.namespace.as_deref().unwrap_or(wanted.namespace));
        for verb in ["get", "create", "patch", "delete"] {
            rights.insert(Right::new(verb, object.group(), &resource).within(namespace));
        }
        // Helm waits for its hooks to end.
        if hooks(object).is_some() && object.kind == "Job" {
            rights.insert(Right::new("watch", object.group(), &resource).within(namespace));
            rights.insert(Right::new("list", object.group(), &resource).within(namespace));
        }
    }
    for verb in ["list", "get", "create", "update", "delete"] {
        rights.insert(Right::new(verb, "", "secrets").within(Some(wanted.namespace)));
    }
    if !wanted.namespace_exists {
        rights.insert(Right::new("create", "", "namespaces"));
    }
    back(&mut rights, wanted);
    ends_of_namespaces(&mut rights, rendered, wanted);
    if wanted.crds {
        for verb in ["get", "create", "patch", "delete"] {
            rights.insert(Right::new(
                verb,
                "apiextensions.k8s.io",
                "customresourcedefinitions",
            ));
        }
    }
    ours(&mut rights);
    if wanted.probe {
        for verb in ["create", "get", "list", "delete"] {
            rights.insert(Right::new(verb, "", "pods").within(Some(SYSTEM)));
        }
    }
    // What the gate reads again and again.
    for (group, resource) in [
        ("", "nodes"),
        ("", "pods"),
        ("", "services"),
        ("", "events"),
        ("apps", "daemonsets"),
    ] {
        rights.insert(Right::new("list", group, resource));
    }
    rights.into_iter().collect()
}

/// What taking a failed install back wants beside the release: what the operator made, and the namespace.
fn back(rights: &mut BTreeSet<Right>, wanted: &Wanted<'_>) {
    if !wanted.namespace_exists {
        for verb in ["get", "delete"] {
            rights.insert(Right::new(verb, "", "namespaces").named(wanted.namespace));
        }
    }
    let Some(cni) = wanted.cni else { return };
    if cni.taint.is_some() {
        for verb in ["get", "patch"] {
            rights.insert(Right::new(verb, "", "nodes"));
        }
    }
    if !cni.groups.is_empty() {
        for verb in ["list", "delete"] {
            let crds = "customresourcedefinitions";
            rights.insert(Right::new(verb, "apiextensions.k8s.io", crds));
        }
    }
    for lease in cni.installing.iter().flat_map(|i| i.leases) {
        for verb in ["get", "delete"] {
            let right = Right::new(verb, "coordination.k8s.io", "leases").within(Some(wanted.namespace));
            rights.insert(right.named(lease));
        }
    }
}

/// What it takes to see the namespaces of a failed install to their end: the release's own, those that the chart brings
/// and those that its operator makes. While an aggregated API does not answer the server leaves them Terminating, and
/// only who may finalize them gets the cluster back as it was.
fn ends_of_namespaces(rights: &mut BTreeSet<Right>, rendered: &[Object], wanted: &Wanted<'_>) {
    let brought = rendered
        .iter()
        .filter(|o| o.kind == "Namespace" && is_installed(o));
    let own = (!wanted.namespace_exists).then_some(wanted.namespace);
    let by_operator = wanted.cni.iter().flat_map(|cni| cni.made_in).copied();
    let made: BTreeSet<&str> = brought
        .map(|o| o.name.as_str())
        .chain(own)
        .chain(by_operator)
        .collect();
    // Also where none is made: that none is left is seen.
    rights.insert(Right::new("list", "", "namespaces"));
    rights.extend(
        made.into_iter()
            .map(|name| Right::new("update", "", "namespaces/finalize").named(name)),
    );
}

/// Lock, journal and Secret. A right to create cannot be given for one name.
fn ours(rights: &mut BTreeSet<Right>) {
    for (group, resource) in [
        ("coordination.k8s.io", "leases"),
        ("", "configmaps"),
        ("", "secrets"),
    ] {
        rights.insert(Right::new("create", group, resource).within(Some(SYSTEM)));
        let verbs: &[&str] = if resource == "secrets" {
            &["get", "update", "delete"]
        } else {
            &["get", "update"]
        };
        for verb in verbs {
            let right = Right::new(verb, group, resource).within(Some(SYSTEM));
            rights.insert(right.named(OURS));
        }
    }
}

/// The words of `helm.sh/hook`, where the object is a hook.
fn hooks(object: &Object) -> Option<&str> {
    object
        .value
        .pointer("/metadata/annotations/helm.sh~1hook")
        .and_then(Value::as_str)
}

/// Whether an install brings this object into the cluster: hooks of a deletion, an upgrade or a test are rendered too.
pub fn is_installed(object: &Object) -> bool {
    hooks(object).is_none_or(|hooks| {
        hooks
            .split(',')
            .any(|hook| matches!(hook.trim(), "pre-install" | "post-install" | "crd-install"))
    })
}

/// Kind and group of custom resources whose definitions are rendered beside them: plural, and whether namespaced.
pub type Defined = BTreeMap<(String, String), (String, bool)>;

/// The definitions among what is rendered.
pub fn defined<'o>(rendered: impl Iterator<Item = &'o Object>) -> Defined {
    let of = |object: &Object| {
        let text = |pointer: &str| Some(object.value.pointer(pointer)?.as_str()?.to_string());
        Some((
            (text("/spec/group")?, text("/spec/names/kind")?),
            (text("/spec/names/plural")?, text("/spec/scope")? == "Namespaced"),
        ))
    };
    let definitions = rendered.filter(|o| o.kind == "CustomResourceDefinition");
    definitions.filter_map(of).collect()
}

/// The resource of an object as RBAC names it, and whether it lives in a namespace.
pub(super) fn resource(object: &Object, defined: &Defined) -> (String, bool) {
    let key = (object.group().to_string(), object.kind.clone());
    if let Some((plural, namespaced)) = defined.get(&key) {
        return (plural.clone(), *namespaced);
    }
    let namespaced = if built_in(object.group()) {
        !CLUSTER_WIDE.contains(&object.kind.as_str())
    } else {
        // Charts write the namespace of their own kinds where these have one.
        object.namespace.is_some()
    };
    (plural(&object.kind), namespaced)
}

/// Whether the object is of a kind that a CustomResourceDefinition makes.
pub fn is_custom(object: &Object) -> bool {
    !built_in(object.group())
}

/// Whether Kubernetes itself serves the group.
pub(super) fn built_in(group: &str) -> bool {
    !group.contains('.') || (group.ends_with(".k8s.io") && !group.contains(".x-k8s.io"))
}

/// Built-in kinds that live in no namespace and that charts bring.
const CLUSTER_WIDE: &[&str] = &[
    "APIService",
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "FlowSchema",
    "GatewayClass",
    "IngressClass",
    "MutatingWebhookConfiguration",
    "Namespace",
    "Node",
    "PersistentVolume",
    "PriorityClass",
    "PriorityLevelConfiguration",
    "RuntimeClass",
    "StorageClass",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "ValidatingWebhookConfiguration",
];

/// The group of roles and bindings.
pub const RBAC: &str = "rbac.authorization.k8s.io";

/// Where objects of a kind are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The API group, empty for the core.
    pub group: String,
    /// The plural.
    pub resource: String,
    /// The namespace, where the object lives in one.
    pub namespace: Option<String>,
}

/// Where the object would be made; `release` is the namespace of those that name none.
pub fn place(object: &Object, defined: &Defined, release: &str) -> Place {
    let (resource, namespaced) = resource(object, defined);
    Place {
        group: object.group().to_string(),
        resource,
        namespace: namespaced.then(|| object.namespace.as_deref().unwrap_or(release).to_string()),
    }
}

impl Place {
    /// The right to make one.
    pub fn create(&self) -> Right {
        Right::new("create", &self.group, &self.resource).within(self.namespace.as_deref())
    }

    /// The right that makes up for rights which a role, or the role that a binding names, grants and its maker lacks.
    pub fn grants(&self, object: &Object) -> Right {
        let text = |pointer: &str| object.value.pointer(pointer).and_then(Value::as_str);
        match (text("/roleRef/kind"), text("/roleRef/name")) {
            (Some(kind), Some(name)) if object.kind.ends_with("Binding") => {
                let namespace = self.namespace.as_deref().filter(|_| kind == "Role");
                Right::new("bind", RBAC, &plural(kind))
                    .named(name)
                    .within(namespace)
            }
            _ => Right::new("escalate", RBAC, &self.resource)
                .named(&object.name)
                .within(self.namespace.as_deref()),
        }
    }

    /// The path of its collection. What comes from a chart is written so that it stays one part of the path.
    pub fn path(&self, api_version: &str) -> String {
        let (root, version) = match api_version.split_once('/') {
            Some((group, version)) => (format!("/apis/{}", part(group)), version),
            None => ("/api".to_string(), api_version),
        };
        let namespace = self.namespace.as_deref();
        let namespace = namespace
            .map(|n| format!("namespaces/{}/", part(n)))
            .unwrap_or_default();
        format!("{root}/{}/{namespace}{}", part(version), part(&self.resource))
    }
}

/// A name as one part of a path. Names of Kubernetes hold nothing but these; whatever else there is makes a name that no
/// server knows.
pub fn part(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let part: String = text.chars().map(|c| if plain(c) { c } else { '_' }).collect();
    match part.as_str() {
        "" | "." | ".." => "_".into(),
        _ => part,
    }
}

/// The plural of a kind by the rule that Kubernetes' own tools follow where they have no definition at hand
/// (<https://github.com/kubernetes/apimachinery/blob/master/pkg/api/meta/restmapper.go>, UnsafeGuessKindToResource).
fn plural(kind: &str) -> String {
    let kind = kind.to_lowercase();
    if kind == "endpoints" {
        return kind;
    }
    match kind.as_bytes().last() {
        Some(b's') => kind + "es",
        Some(b'y') => {
            let stem = &kind[..kind.len() - 1];
            // `gateway` keeps its y.
            if stem.ends_with(['a', 'e', 'i', 'o', 'u']) {
                kind + "s"
            } else {
                format!("{stem}ies")
            }
        }
        _ => kind + "s",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(api_version: &str, kind: &str, namespace: Option<&str>) -> Object {
        let mut metadata = json!({"name": "a"});
        if let Some(namespace) = namespace {
            metadata["namespace"] = json!(namespace);
        }
        Object::of(json!({"apiVersion": api_version, "kind": kind, "metadata": metadata})).expect("an object")
    }

    const PLAIN: Wanted<'_> = Wanted {
        cni: None,
        namespace: "kube-flannel",
        namespace_exists: true,
        crds: false,
        probe: false,
    };

    fn texts(rendered: &[Object], wanted: &Wanted<'_>) -> Vec<String> {
        needed(rendered, wanted).iter().map(Right::to_string).collect()
    }

    #[test]
    fn what_is_rendered_is_read_created_patched_and_taken_back() {
        let rendered = [
            object("apps/v1", "DaemonSet", Some("kube-system")),
            object("v1", "ServiceAccount", None),
            object("rbac.authorization.k8s.io/v1", "ClusterRole", None),
            object("networking.k8s.io/v1", "NetworkPolicy", None),
            object("operator.tigera.io/v1", "Installation", None),
        ];
        let rights = texts(&rendered, &PLAIN);
        for verb in ["get", "create", "patch", "delete"] {
            for right in [
                "daemonsets.apps in kube-system",
                "serviceaccounts in kube-flannel",
                "clusterroles.rbac.authorization.k8s.io",
                "networkpolicies.networking.k8s.io in kube-flannel",
                "installations.operator.tigera.io",
            ] {
                let right = format!("{verb} {right}");
                assert!(rights.contains(&right), "{right} in {rights:?}");
            }
        }
    }

    #[test]
    fn lock_journal_and_records_are_asked_for_by_name_where_that_can_be() {
        let rights = texts(&[], &PLAIN);
        for right in [
            "create leases.coordination.k8s.io in kube-system",
            "update leases.coordination.k8s.io/kubectl-byocni in kube-system",
            "update configmaps/kubectl-byocni in kube-system",
            "delete secrets/kubectl-byocni in kube-system",
            "list secrets in kube-flannel",
            "list nodes",
        ] {
            assert!(rights.iter().any(|r| r == right), "{right} in {rights:?}");
        }
        assert!(
            !rights.iter().any(|r| r.contains("namespaces/")
                || r == "create namespaces"
                || r.contains("customresource"))
        );
        assert!(!rights.iter().any(|r| r.starts_with("create pods")));
    }

    #[test]
    fn what_else_is_made_is_asked_for_where_it_is_made() {
        let more = |change: fn(&mut Wanted<'static>)| {
            let mut wanted = PLAIN;
            change(&mut wanted);
            let before = texts(&[], &PLAIN);
            let mut rights = texts(&[], &wanted);
            rights.retain(|r| !before.contains(r));
            rights
        };
        assert_eq!(
            more(|w| w.namespace_exists = false),
            [
                "create namespaces",
                "delete namespaces/kube-flannel",
                "get namespaces/kube-flannel",
                "update namespaces/kube-flannel/finalize"
            ]
        );
        let of_calico = more(|w| w.cni = Some(&crate::core::cni::calico::CALICO));
        assert!(
            of_calico.contains(&"update namespaces/calico-system/finalize".to_string()),
            "{of_calico:?}"
        );
        let of_cilium = more(|w| w.cni = Some(&crate::core::cni::cilium::CILIUM));
        for right in [
            "patch nodes",
            "delete customresourcedefinitions.apiextensions.k8s.io",
            "delete leases.coordination.k8s.io/cilium-operator-resource-lock in kube-flannel",
        ] {
            assert!(of_cilium.iter().any(|r| r == right), "{right} in {of_cilium:?}");
        }
        assert!(
            more(|w| w.crds = true)
                .contains(&"create customresourcedefinitions.apiextensions.k8s.io".to_string())
        );
        assert!(more(|w| w.probe = true).contains(&"create pods in kube-system".to_string()));
    }

    #[test]
    fn who_makes_a_namespace_must_be_able_to_end_it() {
        let mut namespace = object("v1", "Namespace", None);
        namespace.name = "cilium-secrets".into();
        let rights = texts(&[namespace.clone()], &PLAIN);
        for right in ["list namespaces", "update namespaces/cilium-secrets/finalize"] {
            assert!(rights.iter().any(|r| r == right), "{right} in {rights:?}");
        }
        let without = texts(&[object("v1", "ServiceAccount", None)], &PLAIN);
        assert!(!without.iter().any(|r| r.contains("finalize")), "{without:?}");
    }

    #[test]
    fn hooks_of_a_deletion_are_no_part_of_an_install() {
        let mut job = object("batch/v1", "Job", None);
        for (hook, installed) in [
            ("pre-delete", false),
            ("test", false),
            ("post-install,post-upgrade", true),
        ] {
            job.value["metadata"]["annotations"] = json!({"helm.sh/hook": hook});
            assert_eq!(is_installed(&job), installed, "{hook}");
            let asked = texts(&[job.clone()], &PLAIN);
            assert_eq!(
                asked.iter().any(|r| r == "create jobs.batch in kube-flannel"),
                installed,
                "{hook}"
            );
        }
    }

    #[test]
    fn a_definition_beside_its_objects_tells_their_resource() {
        let mut definition = object("apiextensions.k8s.io/v1", "CustomResourceDefinition", None);
        definition.value["spec"] = json!({
            "group": "example.org", "scope": "Namespaced", "names": {"kind": "Goose", "plural": "geese"}
        });
        let rendered = [definition, object("example.org/v1", "Goose", None)];
        assert!(texts(&rendered, &PLAIN).contains(&"create geese.example.org in kube-flannel".to_string()));
    }

    #[test]
    fn objects_are_made_at_a_path_that_no_name_leads_out_of() {
        let path = |object: &Object| place(object, &Defined::new(), "release").path(&object.api_version);
        assert_eq!(
            path(&object("apps/v1", "DaemonSet", Some("kube-system"))),
            "/apis/apps/v1/namespaces/kube-system/daemonsets"
        );
        assert_eq!(
            path(&object("v1", "ServiceAccount", None)),
            "/api/v1/namespaces/release/serviceaccounts"
        );
        assert_eq!(path(&object("v1", "Namespace", None)), "/api/v1/namespaces");
        assert_eq!(
            path(&object("v1", "Secret", Some("../nodes?x=/"))),
            "/api/v1/namespaces/.._nodes_x__/secrets"
        );
        assert_eq!(
            path(&object("v1", "Secret", Some(".."))),
            "/api/v1/namespaces/_/secrets"
        );
    }

    #[test]
    fn plurals() {
        for (kind, expected) in [
            ("Pod", "pods"),
            ("Ingress", "ingresses"),
            ("IngressClass", "ingressclasses"),
            ("NetworkPolicy", "networkpolicies"),
            ("Gateway", "gateways"),
            ("Endpoints", "endpoints"),
        ] {
            assert_eq!(plural(kind), expected);
        }
    }
}
