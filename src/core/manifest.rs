//! Objects that a chart renders or a manifest holds: what a change would bring into the cluster.

use serde_json::Value;

use super::finding::Subject;

/// One object, whole.
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
    pub fn of(value: Value) -> Option<Object> {
        let text = |pointer: &str| Some(value.pointer(pointer)?.as_str()?.to_string());
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

/// The objects of a stream of YAML documents, Lists taken apart, in the stream's order.
///
/// # Errors
/// The parser's message for the first document that cannot be read.
pub fn objects(text: &str) -> Result<Vec<Object>, String> {
    let mut all = vec![];
    for document in crate::yaml::documents::<Value>(text)? {
        match document.get("items").and_then(Value::as_array) {
            Some(items)
                if document
                    .get("kind")
                    .and_then(Value::as_str)
                    .is_some_and(|k| k.ends_with("List")) =>
            {
                all.extend(items.iter().cloned().filter_map(Object::of));
            }
            _ => all.extend(Object::of(document)),
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_and_lists_become_objects() {
        let text = "---\n# nothing\n---\napiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: a, namespace: b}\n---\n\
                    apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: c}}\n";
        let found: Vec<String> = objects(text)
            .expect("YAML")
            .iter()
            .map(|o| format!("{} {}", o.group(), o.subject()))
            .collect();
        assert_eq!(found, ["apps daemonset/a", " configmap/c"]);
    }
}
