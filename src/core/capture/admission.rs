//! Admission webhooks and namespaces: what stands between a change and the objects that it creates. Read when a change
//! is planned, never by `status`.

use serde::{Deserialize, Serialize};

use super::object::{Map, Meta, null_as_default};
use crate::core::text::Text;

/// A ValidatingWebhookConfiguration or a MutatingWebhookConfiguration: their shapes are the same as far as this goes.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct WebhookConfiguration {
    /// Name, labels, annotations.
    #[serde(rename = "metadata")]
    pub meta: Meta,
    /// The webhooks.
    #[serde(deserialize_with = "null_as_default")]
    pub webhooks: Vec<Webhook>,
}

/// One webhook.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Webhook {
    /// Its name.
    #[serde(deserialize_with = "null_as_default")]
    pub name: Text,
    /// Who is asked.
    #[serde(deserialize_with = "null_as_default")]
    pub client_config: ClientConfig,
    /// What it is asked about.
    #[serde(deserialize_with = "null_as_default")]
    pub rules: Vec<WebhookRule>,
    /// `Fail` or `Ignore`; the API server writes the default, which is `Fail`.
    #[serde(deserialize_with = "null_as_default")]
    pub failure_policy: Text,
    /// Which namespaces' objects it is asked about; an empty one selects all.
    #[serde(deserialize_with = "null_as_default")]
    pub namespace_selector: LabelSelector,
    /// Which objects it is asked about; an empty one selects all.
    #[serde(deserialize_with = "null_as_default")]
    pub object_selector: LabelSelector,
    /// Expressions that can leave requests out (CEL), of which the names are kept: they cannot be judged here.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub match_conditions: Vec<MatchCondition>,
}

impl Webhook {
    /// Whether a request is refused where the webhook does not answer.
    pub fn fails_closed(&self) -> bool {
        self.failure_policy.is_empty() || self.failure_policy == "Fail"
    }
}

/// Who a webhook asks: a URL, or a Service.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ClientConfig {
    /// Outside of the cluster, as far as can be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Text>,
    /// A Service of the cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceReference>,
}

/// The Service behind a webhook.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct ServiceReference {
    /// Its namespace.
    #[serde(deserialize_with = "null_as_default")]
    pub namespace: Text,
    /// Its name.
    #[serde(deserialize_with = "null_as_default")]
    pub name: Text,
}

/// What a webhook is asked about.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WebhookRule {
    /// `CREATE`, `UPDATE`, `DELETE`, `CONNECT` or `*`.
    #[serde(deserialize_with = "null_as_default")]
    pub operations: Vec<Text>,
    /// Groups, empty for the core, or `*`.
    #[serde(deserialize_with = "null_as_default")]
    pub api_groups: Vec<Text>,
    /// Plurals: `pods`, `pods/status`, `*`, `*/*`.
    #[serde(deserialize_with = "null_as_default")]
    pub resources: Vec<Text>,
    /// `Namespaced`, `Cluster` or `*`; empty as `*`.
    #[serde(skip_serializing_if = "text_is_empty", deserialize_with = "null_as_default")]
    pub scope: Text,
}

fn text_is_empty(text: &Text) -> bool {
    text.is_empty()
}

/// The name of a condition that is written in CEL.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct MatchCondition {
    /// Its name.
    #[serde(deserialize_with = "null_as_default")]
    pub name: Text,
}

/// A label selector as the API writes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LabelSelector {
    /// Labels that must be there.
    #[serde(skip_serializing_if = "Map::is_empty", deserialize_with = "null_as_default")]
    pub match_labels: Map,
    /// Requirements, all of which must hold.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub match_expressions: Vec<LabelRequirement>,
}

/// One requirement of a selector.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LabelRequirement {
    /// The label's key.
    #[serde(deserialize_with = "null_as_default")]
    pub key: Text,
    /// `In`, `NotIn`, `Exists` or `DoesNotExist`.
    #[serde(deserialize_with = "null_as_default")]
    pub operator: Text,
    /// The values of `In` and `NotIn`.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub values: Vec<Text>,
}

impl LabelSelector {
    /// Whether these labels are selected; an operator that is not known selects, so that nothing is overlooked.
    pub fn selects(&self, labels: &Map) -> bool {
        let equal = self
            .match_labels
            .iter()
            .all(|(key, value)| labels.get(key) == Some(value));
        equal
            && self.match_expressions.iter().all(|want| {
                let value = labels.get(&want.key);
                match want.operator.as_str() {
                    "In" => value.is_some_and(|v| want.values.contains(v)),
                    "NotIn" => value.is_none_or(|v| !want.values.contains(v)),
                    "Exists" => value.is_some(),
                    "DoesNotExist" => value.is_none(),
                    _ => true,
                }
            })
    }

    /// Every key that it looks at.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        let expressions = self.match_expressions.iter().map(|e| e.key.as_str());
        self.match_labels.keys().map(Text::as_str).chain(expressions)
    }
}

/// A namespace.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Namespace {
    /// Name and labels.
    #[serde(rename = "metadata")]
    pub meta: Meta,
    /// Whether it is being deleted.
    #[serde(deserialize_with = "null_as_default")]
    pub status: NamespaceStatus,
}

/// A namespace's `status`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NamespaceStatus {
    /// `Active` or `Terminating`.
    #[serde(deserialize_with = "null_as_default")]
    pub phase: Text,
}

impl Namespace {
    /// Whether nothing new can be made in it.
    pub fn terminating(&self) -> bool {
        self.status.phase == "Terminating" || self.meta.deletion_timestamp.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn selects(selector: serde_json::Value) -> bool {
        let selector: LabelSelector = serde_json::from_value(selector).expect("a selector");
        let labels = [("team", "net"), ("tier", "1")].map(|(k, v)| (k.into(), v.into()));
        selector.selects(&labels.into())
    }

    #[test]
    fn selectors_select_as_the_api_server_does() {
        let requirement = |key: &str, operator: &str, values: &[&str]| json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]});
        for yes in [
            json!({}),
            json!({"matchLabels": {"team": "net"}}),
            requirement("team", "In", &["web", "net"]),
            requirement("team", "NotIn", &["web"]),
            requirement("gone", "NotIn", &["web"]),
            requirement("team", "Exists", &[]),
            requirement("gone", "DoesNotExist", &[]),
        ] {
            assert!(selects(yes.clone()), "{yes}");
        }
        for no in [
            json!({"matchLabels": {"team": "web"}}),
            json!({"matchLabels": {"team": "net", "gone": "x"}}),
            requirement("team", "In", &["web"]),
            requirement("gone", "In", &["web"]),
            requirement("team", "NotIn", &["net"]),
            requirement("gone", "Exists", &[]),
            requirement("team", "DoesNotExist", &[]),
        ] {
            assert!(!selects(no.clone()), "{no}");
        }
    }
}
