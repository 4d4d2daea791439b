//! What helm's complaints mean. It has no codes, only texts, and they differ between majors: what is not recognised
//! keeps helm's own words.

/// What a complaint means.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// A revision is pending: somebody is at work, or was cut off.
    InProgress,
    /// Objects are there that no release, or another one, owns.
    ForeignOwnership {
        /// Those that helm names; it may stop at the first.
        objects: Vec<Owned>,
    },
    /// Fields belong to another writer (helm 4, server-side apply).
    Conflict {
        /// The object as helm names it.
        object: String,
        /// Writer and field.
        fields: Vec<(String, String)>,
    },
    /// A release of this name is there.
    NameInUse,
    /// There is no such release, or no such revision of it.
    ReleaseNotFound,
    /// All that there is of the release failed.
    NothingDeployed,
    /// The server does not know kinds that the chart has objects of.
    UnknownKinds {
        /// Kind and API version.
        kinds: Vec<String>,
    },
    /// The chart or this version of it is not in the repository.
    ChartNotFound,
    /// The registry lists no tag that helm reads as a version: it passes over those with a `v`.
    NoTags,
    /// What was coming broke off.
    BrokenOff,
    /// What came has not the digest that the registry announced.
    Mismatched,
    /// The chart asks for another version of Kubernetes.
    KubernetesVersion,
    /// The values are not what the chart's schema allows.
    Schema,
    /// The chart cannot be rendered with these values.
    Template,
    /// Repository or registry wants a login, or refuses it.
    RegistryLogin,
    /// Repository or registry answers no more, for now (429).
    RegistryLimit,
    /// A certificate of the repository, the registry or a proxy is not trusted.
    Certificate,
    /// Repository or registry cannot be reached.
    Network,
    /// The API server cannot be reached, or does not take the login.
    ClusterUnreachable,
    /// The kubeconfig has no such context.
    NoContext,
    /// Rights are missing.
    Forbidden {
        /// `create resource "daemonsets" in API group "apps" in the namespace "kube-system"`.
        denied: Option<String>,
    },
    /// Roles cannot be granted that the user does not have.
    Escalation,
    /// The namespace is not there.
    NamespaceMissing,
    /// The namespace is being deleted.
    NamespaceTerminating,
    /// A quota is used up.
    Quota,
    /// A webhook or an admission policy said no.
    AdmissionDenied {
        /// Its name.
        by: Option<String>,
    },
    /// A webhook did not answer.
    WebhookFailed {
        /// Its name.
        by: Option<String>,
    },
    /// Something of this name is there already.
    AlreadyExists,
    /// A time limit within helm or the server passed: what was done is to be looked at, not believed.
    Deadline,
    /// It said nothing, or what it said is not known.
    Unknown,
}

/// An object and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owned {
    /// `DaemonSet`.
    pub kind: String,
    /// Empty where it is in none.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The release that owns it; without [`Owned::namespace_of_owner`], too, none does. Alone it is one of the same
    /// namespace, as helm says nothing of what is right.
    pub owner: Option<String>,
    /// The namespace of the release that owns it. Alone it is a release of the same name.
    pub namespace_of_owner: Option<String>,
}

impl Cause {
    /// Reads helm's words; `said` is made harmless already.
    pub(super) fn of(said: &str) -> Cause {
        let low = said.to_lowercase();
        let has = |part: &str| low.contains(part);
        let any = |parts: &[&str]| parts.iter().any(|part| low.contains(part));
        // From the particular to the general: a complaint about a namespace that ends is one of a missing right, too.
        if has("another operation") && has("in progress") {
            return Cause::InProgress;
        }
        if has("cannot be imported into the current release") {
            return Cause::ForeignOwnership { objects: owned(said) };
        }
        if has("apply failed with") && has("conflict") {
            let (object, fields) = conflicts(said);
            return Cause::Conflict { object, fields };
        }
        if any(&["cannot re-use a name", "cannot reuse a name"]) {
            return Cause::NameInUse;
        }
        if has("has no deployed releases") {
            return Cause::NothingDeployed;
        }
        if any(&["release: not found", "release not loaded", "release has no "]) {
            return Cause::ReleaseNotFound;
        }
        if any(&["no matches for kind", "ensure crds are installed first"]) {
            return Cause::UnknownKinds { kinds: kinds(said) };
        }
        if has("because it is being terminated") {
            return Cause::NamespaceTerminating;
        }
        if has("exceeded quota") {
            return Cause::Quota;
        }
        if any(&["admission webhook", "validatingadmissionpolicy"]) && any(&["denied", "deny"]) {
            let by = after(said, "admission webhook ").or_else(|| after(said, "ValidatingAdmissionPolicy "));
            return Cause::AdmissionDenied { by };
        }
        if has("failed calling webhook") {
            return Cause::WebhookFailed {
                by: after(said, "failed calling webhook "),
            };
        }
        if has("not currently held") {
            return Cause::Escalation;
        }
        if has("is forbidden") && any(&[" cannot ", "user "]) {
            return Cause::Forbidden { denied: denied(said) };
        }
        if has("context \"") && has("does not exist") {
            return Cause::NoContext;
        }
        if has("kubernetes cluster unreachable")
            || has("the server has asked for the client to provide credentials")
        {
            return Cause::ClusterUnreachable;
        }
        if has("chart requires kubeversion") {
            return Cause::KubernetesVersion;
        }
        if has("don't meet the specifications of the schema") {
            return Cause::Schema;
        }
        if any(&[
            "execution error at",
            "parse error",
            "error calling ",
            "can't evaluate field",
            "nil pointer",
        ]) {
            return Cause::Template;
        }
        if any(&["x509:", "certificate signed by", "tls: failed to verify"]) {
            return Cause::Certificate;
        }
        if (["401", "403"].iter().any(|status| word(&low, status))
            || any(&[
                "unauthorized",
                "authentication required",
                "basic credential not found",
            ]))
            && any(&["fetch", "http", "registry", "token", "pull", "response status"])
        {
            return Cause::RegistryLogin;
        }
        if word(&low, "429") || any(&["toomanyrequests", "too many requests"]) {
            return Cause::RegistryLimit;
        }
        if low.contains("namespaces \"") && has("not found") {
            return Cause::NamespaceMissing;
        }
        if any(&[
            "no such host",
            "connection refused",
            "i/o timeout",
            "tls handshake timeout",
            "proxyconnect",
        ]) || any(&[
            "network is unreachable",
            "no route to host",
            "connection reset",
            "\": eof",
            "client.timeout exceeded",
        ]) {
            return Cause::Network;
        }
        if has("unable to locate any tags") {
            return Cause::NoTags;
        }
        // Before what is missing: the digest of a blob holds any digits.
        if any(&["expected content size", "unexpected eof"]) {
            return Cause::BrokenOff;
        }
        if has("mismatched digest") {
            return Cause::Mismatched;
        }
        if (any(&["chart", "fetchreference"]) && has("not found"))
            || any(&["manifest unknown", "name unknown", "404 not found"])
            || (has("response status code") && word(&low, "404"))
            || any(&[
                "no chart version found",
                "no chart name found",
                "could not locate a version",
            ])
        {
            return Cause::ChartNotFound;
        }
        if any(&[
            "cannot be reached",
            "is not a valid chart repository",
            "failed to fetch",
            "failed to download",
        ]) {
            return Cause::Network;
        }
        if has("already exists") {
            return Cause::AlreadyExists;
        }
        if any(&["deadline exceeded", "timed out waiting", "timeout: "]) {
            return Cause::Deadline;
        }
        Cause::Unknown
    }

    /// What happened, with helm's words where they add to it.
    pub fn message(&self, said: &str) -> String {
        let with = |what: &str| format!("{what} ({said})");
        match self {
            Cause::InProgress => "another change of this release is in progress, or was cut off".into(),
            Cause::ForeignOwnership { objects } if !objects.is_empty() => {
                let all: Vec<String> = objects.iter().map(Owned::sentence).collect();
                all.join("; ")
            }
            Cause::Conflict { object, fields } if !fields.is_empty() => {
                let all: Vec<String> = fields
                    .iter()
                    .map(|(writer, field)| format!("{field} belongs to {writer:?}"))
                    .collect();
                format!("fields of {object} were written by others: {}", all.join(", "))
            }
            Cause::NameInUse => "a release of this name is there already".into(),
            Cause::ReleaseNotFound => "there is no such release or revision".into(),
            Cause::NothingDeployed => "no revision of the release was ever deployed".into(),
            Cause::UnknownKinds { kinds } if !kinds.is_empty() => {
                format!(
                    "the server does not know {}: their CustomResourceDefinitions are missing",
                    kinds.join(", ")
                )
            }
            Cause::KubernetesVersion => with("the chart does not suit this version of Kubernetes"),
            Cause::ChartNotFound => with("there is no such chart or version"),
            Cause::NoTags => {
                with("the registry lists no version that helm reads: tags with a v are none to it")
            }
            Cause::BrokenOff => with("the chart's source broke off in the middle"),
            Cause::Mismatched => with("what came is not what the registry announced"),
            Cause::Schema => with("the chart does not allow these values"),
            Cause::Template => with("the chart cannot be rendered with these values"),
            Cause::RegistryLogin => with("the chart's source wants a login"),
            Cause::RegistryLimit => with("the chart's source limits requests (429)"),
            Cause::Certificate => with("a certificate on the way to the chart or the cluster is not trusted"),
            Cause::Network => with("the chart's source cannot be reached"),
            Cause::ClusterUnreachable => with("helm cannot reach the API server"),
            Cause::NoContext => with("the kubeconfig has no such context"),
            Cause::NamespaceTerminating => with("the namespace is being deleted"),
            Cause::Forbidden { denied: Some(denied) } => format!("this user cannot {denied}"),
            Cause::Escalation => with("the chart grants rights that this user does not have"),
            Cause::Deadline => with("a time limit passed; what was done is not known"),
            Cause::Unknown if said.is_empty() => "it said nothing".into(),
            _ => said.to_string(),
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Cause::InProgress => {
                "see since when: helm history RELEASE --namespace NAMESPACE; a change of ours that was cut off is undone with \
                 kubectl byocni abort"
            }
            Cause::ForeignOwnership { .. } => {
                "the same product, applied by hand, can be taken over: --take-ownership; another release's cannot be shared"
            }
            Cause::Conflict { .. } => {
                "put the change into the values (--set KEY=VALUE) and take the other writer's hands off, then again"
            }
            Cause::NameInUse => "see it: helm history RELEASE --namespace NAMESPACE",
            Cause::ReleaseNotFound => "see what there is: helm list --all-namespaces",
            Cause::NothingDeployed => {
                "take the failed install back, then install again: kubectl byocni abort, or helm uninstall RELEASE \
                 --namespace NAMESPACE"
            }
            Cause::UnknownKinds { .. } => {
                "apply the CustomResourceDefinitions first; kubectl api-resources shows what the server knows"
            }
            Cause::ChartNotFound => {
                "see what there is: the repository's index.yaml, or the registry's list of tags"
            }
            Cause::NoTags => "name the version in full, as its project writes it: --version v1.2.3",
            Cause::BrokenOff => {
                "try again; if it breaks off again, ask who runs the registry or a proxy on the way, or name a downloaded \
                 chart: --chart FILE"
            }
            Cause::Mismatched => {
                "try again; if it stays so, it is changed on the way or in the registry: do not use it, ask who runs it"
            }
            Cause::KubernetesVersion => "choose another version: --version VERSION",
            Cause::Schema | Cause::Template => "compare the values with the chart's: helm show values CHART",
            Cause::RegistryLogin => {
                "helm registry login HOST; or download the chart and name the file: --chart FILE"
            }
            Cause::RegistryLimit | Cause::Network => {
                "check HTTPS_PROXY and NO_PROXY; without a way there, name a downloaded chart: --chart FILE"
            }
            Cause::Certificate => {
                "name the authority: SSL_CERT_FILE=FILE; or name a downloaded chart: --chart FILE"
            }
            Cause::ClusterUnreachable => "kubectl cluster-info shows whether kubectl can reach it",
            Cause::NoContext => "kubectl config get-contexts",
            Cause::Forbidden { .. } | Cause::Escalation => {
                "kubectl auth can-i --list shows what this user may do; installing a CNI takes cluster-admin"
            }
            Cause::NamespaceMissing => "make it: kubectl create namespace NAME",
            Cause::NamespaceTerminating => {
                "wait until it is gone; what holds it: kubectl get namespace NAME -o jsonpath='{.status.conditions}'"
            }
            Cause::Quota => "see it: kubectl describe quota --all-namespaces",
            Cause::AdmissionDenied { .. } => "ask its owner for an exception for the CNI's namespace",
            Cause::WebhookFailed { .. } => {
                "its pods need a network, which is not there yet: exempt the CNI's namespace, or see \
                 kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations"
            }
            Cause::AlreadyExists | Cause::Deadline => "see where it stands: kubectl byocni status",
            Cause::Unknown => return None,
        };
        Some(hint.to_string())
    }
}

impl Owned {
    /// Whose it is, as a clause.
    fn sentence(&self) -> String {
        let place = match self.namespace.as_str() {
            "" => String::new(),
            namespace => format!(" in namespace {namespace}"),
        };
        let owner = match (&self.owner, &self.namespace_of_owner) {
            (Some(release), Some(namespace)) => {
                format!("belongs to the release {release} in namespace {namespace}")
            }
            (Some(release), None) => format!("belongs to the release {release}"),
            (None, Some(namespace)) => format!("belongs to a release of this name in namespace {namespace}"),
            (None, None) => "is there and belongs to no release".into(),
        };
        format!("{} {}{place} {owner}", self.kind, self.name)
    }
}

/// `Kind "name" in namespace "x" exists and cannot be imported … current value is "y"`, any number of times.
fn owned(said: &str) -> Vec<Owned> {
    const MARK: &str = " exists and cannot be imported";
    let mut all = vec![];
    let ends: Vec<usize> = said.match_indices(MARK).map(|(at, _)| at).collect();
    for (i, end) in ends.iter().enumerate() {
        let from = if i == 0 { 0 } else { ends[i - 1] + MARK.len() };
        let to = ends.get(i + 1).copied().unwrap_or(said.len());
        let quoted = |text: &str, mark: &str| {
            let rest = &text[text.rfind(mark)? + mark.len()..];
            Some(rest.split('"').next()?.to_string())
        };
        let head = &said[from..*end];
        // `DaemonSet "cilium" in namespace "kube-system"`: the object's quotes are the last but one pair.
        let (object, namespace) = head.rsplit_once(" in namespace ").unwrap_or((head, ""));
        let Some((before, name)) = object.trim_end_matches('"').rsplit_once('"') else {
            continue;
        };
        let kind = before.split_whitespace().last().unwrap_or_default();
        let tail = &said[*end..to];
        let current = |key: &str| {
            let at = tail.find(&format!("key \"{key}\" must equal"))?;
            let rest = &tail[at..];
            let rest = &rest[..rest.find(';').unwrap_or(rest.len())];
            quoted(rest, "current value is \"")
        };
        all.push(Owned {
            kind: kind.to_string(),
            namespace: namespace.trim_matches('"').to_string(),
            name: name.to_string(),
            owner: current("meta.helm.sh/release-name"),
            namespace_of_owner: current("meta.helm.sh/release-namespace"),
        });
    }
    all
}

/// `applying object NS/NAME …: Apply failed with 2 conflicts: conflicts with "a" using v1: - .data.x - .data.y`.
fn conflicts(said: &str) -> (String, Vec<(String, String)>) {
    let object = said
        .split_once("applying object ")
        .and_then(|(_, rest)| rest.split_once(": "))
        .map_or("an object", |(object, _)| object);
    let mut fields = vec![];
    let mut writer = "";
    let rest = said.split_once("pply failed with").map_or("", |(_, rest)| rest);
    for (i, part) in rest.split(" with \"").enumerate() {
        let mut text = part;
        if i > 0
            && let Some((name, after)) = part.split_once('"')
        {
            (writer, text) = (name, after);
        }
        for word in text.split_whitespace().filter(|word| word.starts_with('.')) {
            fields.push((writer.to_string(), word.trim_end_matches([',', ';']).to_string()));
        }
    }
    (object.to_string(), fields)
}

/// `no matches for kind "X" in version "g/v"`, each once.
fn kinds(said: &str) -> Vec<String> {
    let mut all: Vec<String> = vec![];
    for (at, mark) in said.match_indices("no matches for kind \"") {
        let rest = &said[at + mark.len()..];
        let Some((kind, rest)) = rest.split_once('"') else {
            continue;
        };
        let version = rest
            .strip_prefix(" in version \"")
            .and_then(|rest| rest.split('"').next())
            .unwrap_or_default();
        let shown = format!("{kind} {version}").trim_end().to_string();
        if !all.contains(&shown) {
            all.push(shown);
        }
    }
    all
}

/// `User "u" cannot create resource "x" in API group "y" in the namespace "z"`: from the verb on.
fn denied(said: &str) -> Option<String> {
    let (_, rest) = said.split_once("\" cannot ")?;
    let end = rest
        .find([';', '\n'])
        .or_else(|| rest.find(": "))
        .unwrap_or(rest.len());
    Some(rest[..end].trim().to_string())
}

/// Whether a status stands there as a word: ports, digests and versions hold the same digits.
fn word(low: &str, status: &str) -> bool {
    low.match_indices(status).any(|(at, _)| {
        let before = low[..at].chars().next_back();
        let after = low[at + status.len()..].chars().next();
        before.is_none_or(char::is_whitespace) && after.is_none_or(|c| !c.is_alphanumeric() && c != '.')
    })
}

/// The quoted name behind a mark.
fn after(said: &str, mark: &str) -> Option<String> {
    let rest = &said[said.find(mark)? + mark.len()..];
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    Some(rest[1..].split(quote).next()?.to_string())
}
