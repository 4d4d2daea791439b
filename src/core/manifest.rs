//! Objects that a chart renders or a manifest holds: what a change would bring into the cluster.

use serde_json::Value;

use super::{finding::Subject, text::Text};

/// One object, whole. What names it is free of control characters; a name that was not is no name for the API server.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// `apps/v1`.
    pub api_version: String,
    /// `DaemonSet`.
    pub kind: String,
    /// Absent where the object names none: the release's namespace, or none at all.
    pub namespace: Option<String>,
    /// The object's name.
    pub name: String,
    /// The object as JSON.
    pub value: Value,
}

impl Object {
    /// Reads one document; nothing where it is empty (a chart's condition was false) or no object.
    pub fn of(mut value: Value) -> Option<Object> {
        modes(&mut value, false);
        // A chart is anybody's: names go into plans, messages and paths.
        let text = |pointer: &str| Some(Text::new(value.pointer(pointer)?.as_str()?).to_string());
        Some(Object {
            api_version: text("/apiVersion")?,
            kind: text("/kind")?,
            namespace: text("/metadata/namespace"),
            name: text("/metadata/name")?,
            value,
        })
    }

    /// The API group, empty for the core.
    pub fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }

    /// As a subject of findings and plans.
    pub fn subject(&self) -> Subject {
        Subject::namespaced(
            &self.kind,
            self.namespace.as_deref().unwrap_or_default(),
            &self.name,
        )
    }
}

/// Makes numbers of the file modes in `volumes`. Charts write `defaultMode: 0400`: an octal number in YAML 1.1, which
/// Kubernetes' own tools read, and text in the YAML of today, which the API server refuses there.
fn modes(value: &mut Value, in_volumes: bool) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| modes(item, in_volumes)),
        Value::Object(map) => {
            for (key, value) in map {
                let octal = match value.as_str() {
                    Some(text) if in_volumes && matches!(key.as_str(), "defaultMode" | "mode") => text
                        .strip_prefix('0')
                        .and_then(|digits| i64::from_str_radix(digits, 8).ok()),
                    _ => None,
                };
                match octal {
                    Some(mode) => *value = mode.into(),
                    None => modes(value, in_volumes || key == "volumes"),
                }
            }
        }
        _ => {}
    }
}

/// The objects of these documents, Lists taken apart, in their order.
pub fn objects(documents: Vec<Value>) -> Vec<Object> {
    let mut all = vec![];
    for mut document in documents {
        let list = document
            .get("kind")
            .and_then(Value::as_str)
            .is_some_and(|k| k.ends_with("List"));
        match document.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) if list => all.extend(items.into_iter().filter_map(Object::of)),
            _ => all.extend(Object::of(document)),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn octal_file_modes_are_numbers_in_volumes_alone() {
        let object = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "data": {"mode": "0400"},
            "spec": {"volumes": [
                {"name": "0400", "configMap": {"defaultMode": "0400", "items": [{"key": "a", "mode": 256}]}},
            ]},
        });
        let object = Object::of(object).expect("an object").value;
        assert_eq!(object["data"]["mode"], "0400");
        assert_eq!(object["spec"]["volumes"][0]["name"], "0400");
        assert_eq!(object["spec"]["volumes"][0]["configMap"]["defaultMode"], 256);
        assert_eq!(object["spec"]["volumes"][0]["configMap"]["items"][0]["mode"], 256);
    }

    #[test]
    fn documents_and_lists_become_objects() {
        let documents = vec![
            Value::Null,
            json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "a", "namespace": "b"}}),
            json!({"apiVersion": "v1", "kind": "List", "items": [
                {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}},
            ]}),
        ];
        let found: Vec<String> = objects(documents)
            .iter()
            .map(|o| format!("{} {}", o.group(), o.subject()))
            .collect();
        assert_eq!(found, ["apps daemonset/a", " configmap/c"]);
    }
}
