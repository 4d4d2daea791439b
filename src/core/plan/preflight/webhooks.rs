//! Would an admission webhook refuse what the change creates? (Acceptance scenario 22; seen with cozystack, deckhouse
//! and Kyverno on AKS: agents refused for want of a webhook whose pods wait for the agents.)

use std::net::IpAddr;

use super::{Found, Look};
use crate::core::{
    capture::{
        EndpointSlice, Source, State, Webhook, WebhookConfiguration, admission::ServiceReference, object::Map,
    },
    codes::change::{WEBHOOK_AT_RISK, WEBHOOK_BLOCKS_CHANGE},
    facts::{Facts, Ready},
    finding::{Finding, Subject},
    plan::rights,
    text::Text,
    words,
};

/// What the rule is called where it could not be applied.
const RULE: &str = "admission webhooks in the change's way";

/// The label that Kubernetes puts on every namespace (1.21 and later).
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// Something that the change creates, as a webhook's rules see it.
struct Created {
    group: String,
    resource: String,
    /// None for what lives in no namespace.
    namespace: Option<String>,
    labels: Map,
    /// For the message: `pods in kube-system`.
    shown: String,
}

/// How sure it is that a webhook is asked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Asked {
    /// It leaves out what cannot be seen from here.
    Maybe,
    /// Its rules and selectors match.
    Surely,
}

/// Who answers for a webhook.
enum Answer {
    /// Somebody whose address does not come from the CNI.
    Outside,
    /// Ready pods, with addresses that the CNI gives.
    PodNetwork,
    /// Nobody, and why.
    Nobody(String),
    /// It could not be read.
    Unknown(String),
}

/// Looks at every fail-closed webhook.
pub(super) fn check(look: &Look<'_>, found: &mut Found) {
    let capture = look.facts.capture;
    if look.rendered.is_none() {
        found.skip(RULE, super::RENDERED);
        return;
    }
    let created = created(look);
    for (kind, source, configurations) in [
        (
            "ValidatingWebhookConfiguration",
            Source::ValidatingWebhooks,
            &capture.validating_webhooks,
        ),
        (
            "MutatingWebhookConfiguration",
            Source::MutatingWebhooks,
            &capture.mutating_webhooks,
        ),
    ] {
        if let Some(missing) = capture.state(source).missing(source) {
            found.skip(RULE, missing);
        }
        for configuration in configurations {
            found.findings.extend(judged(look, kind, configuration, &created));
        }
    }
}

/// The worst that the webhooks of one configuration can do: one finding for it, or none.
fn judged(
    look: &Look<'_>,
    kind: &str,
    configuration: &WebhookConfiguration,
    created: &[Created],
) -> Option<Finding> {
    let mut blocking = vec![];
    let mut risky = vec![];
    for webhook in configuration.webhooks.iter().filter(|w| w.fails_closed()) {
        let Some((asked, thing)) = asked(look.facts, configuration, webhook, created) else {
            continue;
        };
        // Called by URL: outside of the cluster, as far as can be told.
        let Some(service) = &webhook.client_config.service else {
            continue;
        };
        let name = webhook.name.line(120);
        let (certain, why) = match answer(look.facts, service) {
            Answer::Outside => continue,
            Answer::Nobody(why) => (asked == Asked::Surely, why),
            Answer::PodNetwork => (
                false,
                format!(
                    "Service {}/{} answers over the pod network",
                    service.namespace, service.name
                ),
            ),
            Answer::Unknown(why) => (false, why),
        };
        let doubt = if asked == Asked::Maybe {
            "may be asked about"
        } else {
            "is asked about"
        };
        let sentence = format!("{name} {doubt} {} and {why}", thing.shown);
        if certain { &mut blocking } else { &mut risky }.push(sentence);
    }
    let (code, sentences) = match (blocking.is_empty(), risky.is_empty()) {
        (false, _) => (&WEBHOOK_BLOCKS_CHANGE, blocking),
        (true, false) => (&WEBHOOK_AT_RISK, risky),
        (true, true) => return None,
    };
    let name = configuration.meta.name.as_str();
    Some(Finding::new(
        code,
        vec![Subject::new(kind, name)],
        format!("{kind} {name} (failurePolicy Fail): {}", words::names(&sentences)),
        format!("kubectl get {} {name} -o yaml", kind.to_lowercase()),
    ))
}

/// Everything that is created: what is rendered, the pods and ReplicaSets of its workloads, and helm's record.
fn created(look: &Look<'_>) -> Vec<Created> {
    let new = |group: &str, resource: String, namespace: Option<&str>, labels: Map| {
        let place = namespace.map(|n| format!(" in {n}")).unwrap_or_default();
        Created {
            group: group.into(),
            shown: format!("{resource}{place}"),
            resource,
            namespace: namespace.map(str::to_string),
            labels,
        }
    };
    let mut all = vec![];
    // Pods first: those are what a message should name.
    for (object, workload) in &look.workloads {
        let namespace = Some(look.namespace_of(object));
        let labels = workload.spec.template.meta.labels.clone();
        all.push(new("", "pods".into(), namespace, labels.clone()));
        if object.kind == "Deployment" {
            all.push(new("apps", "replicasets".into(), namespace, labels));
        }
    }
    // What an operator makes once it runs; which labels that has is its own affair.
    let rendered_agents = look.workloads.iter().any(|(o, _)| o.kind == "DaemonSet");
    let made_in = look.cni.map_or(&[][..], |c| c.made_in);
    for namespace in made_in.iter().filter(|_| !rendered_agents) {
        for (group, resource) in [("", "pods"), ("apps", "daemonsets"), ("apps", "deployments")] {
            all.push(new(group, resource.into(), Some(namespace), Map::new()));
        }
    }
    let kinds = rights::defined(look.rendered.iter().flatten().copied());
    for object in look.rendered.iter().flatten() {
        let labels = object
            .value
            .pointer("/metadata/labels")
            .and_then(|l| serde_json::from_value::<Map>(l.clone()).ok());
        let (resource, namespaced) = rights::resource(object, &kinds);
        let namespace = match object.kind.as_str() {
            // A namespace is selected by its own labels.
            "Namespace" => Some(object.name.as_str()),
            _ => namespaced.then(|| look.namespace_of(object)),
        };
        all.push(new(
            object.group(),
            resource,
            namespace,
            labels.unwrap_or_default(),
        ));
    }
    let record = [("owner", "helm"), ("name", look.draft.release.as_str())];
    let record = record.map(|(k, v)| (Text::new(k), Text::new(v))).into();
    all.push(new("", "secrets".into(), Some(&look.draft.namespace), record));
    all
}

/// Whether the webhook is asked about something that is created, and about what first.
fn asked<'c>(
    facts: &Facts<'_>,
    configuration: &WebhookConfiguration,
    webhook: &Webhook,
    created: &'c [Created],
) -> Option<(Asked, &'c Created)> {
    let matched = created.iter().filter_map(|thing| {
        if !by_rules(webhook, thing) || !webhook.object_selector.selects(&thing.labels) {
            return None;
        }
        let mut asked = match &thing.namespace {
            None => Asked::Surely,
            Some(namespace) => in_namespace(facts, configuration, webhook, namespace, created)?,
        };
        // What is written in CEL can leave anything out.
        if !webhook.match_conditions.is_empty() {
            asked = Asked::Maybe;
        }
        Some((asked, thing))
    });
    // Of equally sure ones the first, which is a pod.
    matched.fold(None, |best, next| match best {
        Some((asked, _)) if asked >= next.0 => best,
        _ => Some(next),
    })
}

/// Whether the webhook's rules name the creation of this.
fn by_rules(webhook: &Webhook, thing: &Created) -> bool {
    webhook.rules.iter().any(|rule| {
        let operation = rule.operations.iter().any(|o| o == "CREATE" || o == "*");
        let group = rule
            .api_groups
            .iter()
            .any(|g| *g == "*" || *g == thing.group.as_str());
        // `pods/status` is a subresource; `*` is every resource, `*/*` with their subresources.
        let resource = rule
            .resources
            .iter()
            .any(|r| *r == "*" || *r == "*/*" || *r == thing.resource.as_str());
        let scope = match rule.scope.as_str() {
            "Namespaced" => thing.namespace.is_some(),
            "Cluster" => thing.namespace.is_none() || thing.resource == "namespaces",
            _ => true,
        };
        operation && group && resource && scope
    })
}

/// Whether the webhook is asked about objects of this namespace.
fn in_namespace(
    facts: &Facts<'_>,
    configuration: &WebhookConfiguration,
    webhook: &Webhook,
    namespace: &str,
    created: &[Created],
) -> Option<Asked> {
    let capture = facts.capture;
    // AKS' admissions enforcer keeps every webhook out of kube-system, unless told not to
    // (<https://learn.microsoft.com/azure/aks/faq>). In a file without namespaces its work does not show.
    let disabled = "admissions.enforcer/disabled";
    let meta = &configuration.meta;
    let enforced = meta.label(disabled) != Some("true") && meta.annotation(disabled) != Some("true");
    if facts.platform.name == "aks" && namespace == "kube-system" && enforced {
        return None;
    }
    let known = capture
        .namespaces
        .iter()
        .find(|n| n.meta.name == *namespace)
        .map(|n| n.meta.labels.clone());
    // One that the chart makes has the labels that the chart gives it.
    let made = || {
        let own = |c: &&Created| c.resource == "namespaces" && c.namespace.as_deref() == Some(namespace);
        created.iter().find(own).map(|c| c.labels.clone())
    };
    let mut labels = known.clone().or_else(made).unwrap_or_default();
    labels
        .entry(Text::new(NAME_LABEL))
        .or_insert_with(|| Text::new(namespace));
    let selected = webhook.namespace_selector.selects(&labels);
    // A namespace that is still to be made has no other labels; one that could not be read may have any.
    let sure = known.is_some() || *capture.state(Source::Namespaces) == State::Read;
    let only_name = webhook.namespace_selector.keys().all(|key| key == NAME_LABEL);
    match (selected, sure || only_name) {
        (true, true) => Some(Asked::Surely),
        (false, true) => None,
        (_, false) => Some(Asked::Maybe),
    }
}

/// Who answers behind the webhook's Service.
fn answer(facts: &Facts<'_>, service: &ServiceReference) -> Answer {
    let capture = facts.capture;
    let called = format!("Service {}/{}", service.namespace, service.name);
    let exists = capture
        .services
        .iter()
        .any(|s| s.meta.namespace == service.namespace && s.meta.name == service.name);
    if !exists && *capture.state(Source::Services) == State::Read {
        return Answer::Nobody(format!("{called} does not exist"));
    }
    let slices: Vec<&EndpointSlice> = capture
        .endpoint_slices
        .iter()
        .filter(|s| {
            s.meta.namespace == service.namespace
                && s.meta.label("kubernetes.io/service-name") == Some(service.name.as_str())
        })
        .collect();
    let source = if service.namespace == "kube-system" {
        Source::EndpointSlices
    } else {
        Source::WebhookEndpoints
    };
    if slices.is_empty()
        && let Some(missing) = capture.state(source).missing(source)
    {
        return Answer::Unknown(format!("whether {called} has endpoints was not read ({missing})"));
    }
    // An endpoint without the condition counts as ready (Kubernetes' own rule).
    let ready: Vec<IpAddr> = slices
        .iter()
        .flat_map(|s| &s.endpoints)
        .filter(|e| e.conditions.ready != Some(false))
        .flat_map(|e| e.addresses.iter().filter_map(|a| a.parse().ok()))
        .collect();
    if ready.is_empty() {
        return Answer::Nobody(format!("{called} has no ready endpoint"));
    }
    let of_nodes = |ip: &IpAddr| facts.nodes.iter().any(|n| n.internal_ips.contains(ip));
    if ready.iter().any(of_nodes) {
        return Answer::Outside;
    }
    // While no node has a network, whatever an endpoint says was written before.
    if facts.nodes.iter().all(|n| n.ready != Ready::Yes) {
        return Answer::Nobody(format!(
            "{called} has its endpoints on a pod network that does not work"
        ));
    }
    Answer::PodNetwork
}
