//! Objects are tried before they are made: sent with `dryRun=All`, the API server says what it would say, and keeps
//! nothing. A SelfSubjectAccessReview does not see everything: not that a role may grant only what its maker has, not
//! admission, not the fields of an object (<https://kubernetes.io/docs/reference/using-api/api-concepts/#dry-run>).

use std::collections::{BTreeMap, BTreeSet};

use http::Method;

use super::apply::FIELD_MANAGER;
use crate::{
    core::{
        capture::{Capture, Source},
        codes::{change::CHART_UNUSABLE, change::WEBHOOK_BLOCKS_CHANGE},
        finding::Finding,
        manifest::Object,
        plan::rights::{self, Defined, Place, Right},
        text::Text,
        words,
    },
    io::{
        cluster::{self, together},
        connection::{Connection, RequestError},
    },
};

/// Tries at once; the server runs webhooks for each.
const AT_ONCE: usize = 10;

/// The most of the server's words that is shown.
const LONGEST: usize = 300;

/// Which objects are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Roles and their bindings, of which reviews do not tell the truth.
    Roles,
    /// All of them: `--dry-run=server`.
    Everything,
}

/// What the tries brought.
#[derive(Debug, Default)]
pub struct Tried {
    /// Rights that are missing, as `escalate clusterroles.rbac.authorization.k8s.io/cilium`.
    pub denied: Vec<String>,
    /// What else the server refuses.
    pub findings: Vec<Finding>,
    /// What could not be tried, and for want of what.
    pub skipped: Vec<(String, String)>,
}

/// What the server says of one object.
enum Answer {
    /// It would take it.
    Fine,
    /// A right is missing.
    Denied(String),
    /// A binding to a role that is made with it: its maker has this right, or all that the role grants.
    Binds(Right),
    /// An admission webhook stands in its way.
    Webhook(String),
    /// It will not have the object itself.
    Refused(String),
    /// Not tried, for want of this.
    Untried(String),
}

/// Tries what would be made. Who may do everything may also grant everything: then roles alone tell nothing. `denied` is what the reviews denied already: it is not asked again, and not told twice.
pub async fn tried(
    connection: &Connection,
    objects: &[&Object],
    namespace: &str,
    capture: &Capture,
    denied: &[String],
    extent: Extent,
) -> Tried {
    if extent == Extent::Roles && cluster::rights::unlimited(connection).await.unwrap_or(false) {
        return Tried::default();
    }
    let defined = rights::defined(objects.iter().copied());
    let mut waiting: Vec<(&Object, Place)> = vec![];
    let mut untried: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for object in objects.iter().copied().filter(|o| rights::is_installed(o)) {
        if extent == Extent::Roles && !is_of_roles(object) {
            continue;
        }
        let place = rights::place(object, &defined, namespace);
        if denied.contains(&place.create().to_string()) {
            continue;
        }
        match not_yet(object, &place, &defined, capture) {
            Some(missing) => untried
                .entry(missing)
                .or_default()
                .push(object.subject().to_string()),
            None => waiting.push((object, place)),
        }
    }
    let mut tried = Tried::default();
    let mut binding = vec![];
    for some in waiting.chunks(AT_ONCE) {
        let answers = together(
            some.iter()
                .map(|(object, place)| answer(connection, object, place, objects)),
        );
        for ((object, _), answer) in some.iter().zip(answers.await) {
            match answer {
                Answer::Fine => {}
                Answer::Denied(right) => tried.denied.push(right),
                Answer::Binds(right) => binding.push(right),
                Answer::Untried(why) => untried.entry(why).or_default().push(object.subject().to_string()),
                Answer::Webhook(why) => tried.findings.push(Finding::new(
                    &WEBHOOK_BLOCKS_CHANGE,
                    vec![object.subject()],
                    format!("tried without keeping it, the server refuses it: {why}"),
                    "kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations",
                )),
                Answer::Refused(why) => tried.findings.push(Finding::new(
                    &CHART_UNUSABLE,
                    vec![object.subject()],
                    format!("tried without keeping it, the server refuses it: {why}"),
                    "kubectl byocni explain chart-unusable",
                )),
            }
        }
    }
    tried
        .denied
        .extend(unbound(connection, &binding, &tried.denied).await);
    let sorted: BTreeSet<String> = tried.denied.drain(..).collect();
    tried.denied.extend(sorted);
    for (missing, objects) in untried {
        let names: Vec<&str> = objects.iter().map(String::as_str).collect();
        let check = format!("what the server says to {}", words::names(&names));
        tried.skipped.push((check, missing));
    }
    tried
}

/// Which of these rights to bind are missing. Who may not bind a role can bind it all the same if they have what it
/// grants; that their making of the role was let through shows it, unless they may escalate.
async fn unbound(connection: &Connection, binding: &[Right], denied: &[String]) -> Vec<String> {
    // A review that failed tells nothing: the rights as a whole are told as not checked then.
    let without = cluster::rights::denied(connection, binding)
        .await
        .unwrap_or_default();
    let mut missing = vec![];
    for bind in binding.iter().filter(|bind| without.contains(&bind.to_string())) {
        let escalate = Right {
            verb: "escalate",
            ..bind.clone()
        };
        let has_all = !denied.contains(&escalate.to_string())
            && cluster::rights::denied(connection, &[escalate])
                .await
                .is_ok_and(|denied| !denied.is_empty());
        if !has_all {
            missing.push(bind.to_string());
        }
    }
    missing
}

/// Roles and their bindings.
fn is_of_roles(object: &Object) -> bool {
    object.group() == rights::RBAC
}

/// What has to be made before this object can be tried.
fn not_yet(object: &Object, place: &Place, defined: &Defined, capture: &Capture) -> Option<String> {
    if defined.contains_key(&(object.group().to_string(), object.kind.clone())) {
        return Some("definitions, which this change makes".into());
    }
    let namespace = place.namespace.as_deref()?;
    let known = capture.knows(Source::Namespaces);
    let there = capture.namespaces.iter().any(|n| n.meta.name == *namespace);
    (known && !there).then(|| format!("namespace {namespace}, which this change makes"))
}

async fn answer(connection: &Connection, object: &Object, place: &Place, all: &[&Object]) -> Answer {
    let path = format!(
        "{}?fieldManager={FIELD_MANAGER}&dryRun=All",
        place.path(&object.api_version)
    );
    let body = object.value.to_string().into_bytes();
    let error = match connection
        .send(Method::POST, &path, "application/json", body)
        .await
    {
        Ok(_) => return Answer::Fine,
        Err(error) => error,
    };
    judged(object, place, all, &error)
}

/// What an error means for the object.
fn judged(object: &Object, place: &Place, all: &[&Object], error: &RequestError) -> Answer {
    let said = match error {
        RequestError::Forbidden { message } | RequestError::Status { message, .. } => message.as_str(),
        _ => "",
    };
    // By the API server's own words: there is no reason code for any of these.
    let of_webhook = said.contains("admission webhook") || said.contains("calling webhook");
    let short = || Text::new(said).line(LONGEST);
    match error {
        error if error.is_conflict() => Answer::Fine,
        RequestError::Forbidden { .. } | RequestError::Status { .. }
            if said.contains("does not support dry run") =>
        {
            Answer::Untried("a webhook that bears no dry run".into())
        }
        RequestError::Forbidden { .. } | RequestError::Status { .. } if of_webhook => {
            Answer::Webhook(short())
        }
        RequestError::Forbidden { message } if message.contains("attempting to grant RBAC permissions") => {
            Answer::Denied(place.grants(object).to_string())
        }
        RequestError::Forbidden { message } if message.contains(" cannot ") => {
            Answer::Denied(place.create().to_string())
        }
        RequestError::Forbidden { .. } | RequestError::Status { code: 400 | 422, .. } => {
            Answer::Refused(short())
        }
        RequestError::NotFound if object.kind.ends_with("Binding") && binds_one_of(object, all) => {
            Answer::Binds(place.grants(object))
        }
        RequestError::NotFound => Answer::Untried("their kind or their namespace".into()),
        error => Answer::Untried(Text::new(&error.to_string()).line(LONGEST)),
    }
}

fn binds_one_of(binding: &Object, all: &[&Object]) -> bool {
    let of = |pointer: &str| binding.value.pointer(pointer).and_then(|v| v.as_str());
    let (kind, name) = (of("/roleRef/kind"), of("/roleRef/name"));
    all.iter()
        .any(|o| is_of_roles(o) && Some(o.kind.as_str()) == kind && Some(o.name.as_str()) == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(kind: &str, namespace: Option<&str>) -> Object {
        let mut value = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind,
            "metadata": {"name": "cilium"}, "roleRef": {"kind": "ClusterRole", "name": "cilium"},
        });
        if let Some(namespace) = namespace {
            value["metadata"]["namespace"] = json!(namespace);
        }
        Object::of(value).expect("an object")
    }

    fn said(object: &Object, all: &[&Object], error: &RequestError) -> String {
        let place = rights::place(object, &Defined::new(), "kube-system");
        match judged(object, &place, all, error) {
            Answer::Fine => "fine".into(),
            Answer::Denied(right) => format!("denied {right}"),
            Answer::Binds(right) => format!("wants {right}"),
            Answer::Webhook(why) => format!("webhook {why}"),
            Answer::Refused(why) => format!("refused {why}"),
            Answer::Untried(why) => format!("untried {why}"),
        }
    }

    fn forbidden(message: &str) -> RequestError {
        RequestError::Forbidden {
            message: message.into(),
        }
    }

    fn status(code: u16, message: &str) -> RequestError {
        RequestError::Status {
            code,
            reason: String::new(),
            message: message.into(),
        }
    }

    /// The words are those of API servers of 1.31 to 1.34.
    #[test]
    fn what_the_server_says_has_one_meaning_each() {
        let (role, binding) = (object("ClusterRole", None), object("ClusterRoleBinding", None));
        let grant = "is forbidden: user \"a\" (groups=[]) is attempting to grant RBAC permissions not currently held:\n{…}";
        for (object, error, expected) in [
            (&role, status(409, "already exists"), "fine"),
            (
                &role,
                forbidden(grant),
                "denied escalate clusterroles.rbac.authorization.k8s.io/cilium",
            ),
            (
                &binding,
                forbidden(grant),
                "denied bind clusterroles.rbac.authorization.k8s.io/cilium",
            ),
            (
                &role,
                forbidden("User \"a\" cannot create resource \"clusterroles\""),
                "denied create clusterroles.rbac.authorization.k8s.io",
            ),
            (
                &role,
                forbidden("admission webhook \"v.example\" denied the request: no"),
                "webhook admission webhook \"v.example\" denied the request: no",
            ),
            (
                &role,
                status(
                    500,
                    "Internal error occurred: failed calling webhook \"v.example\"",
                ),
                "webhook Internal error occurred: failed calling webhook \"v.example\"",
            ),
            (
                &role,
                status(400, "admission webhook \"v\" does not support dry run"),
                "untried a webhook that bears no dry run",
            ),
            (&role, forbidden("exceeded quota: q"), "refused exceeded quota: q"),
            (
                &role,
                status(422, "spec: Invalid value\x1b[31m"),
                "refused spec: Invalid value\u{fffd}[31m",
            ),
            (
                &role,
                RequestError::NotFound,
                "untried their kind or their namespace",
            ),
        ] {
            assert_eq!(said(object, &[&role, &binding], &error), expected, "{error:?}");
        }
        assert_eq!(
            said(&binding, &[&role], &RequestError::NotFound),
            "wants bind clusterroles.rbac.authorization.k8s.io/cilium"
        );
        assert!(said(&binding, &[], &RequestError::NotFound).starts_with("untried"));
    }
}
