//! Values as trees: reading, setting and merging by a key as `--set` writes it (`ipam.operator.replicas`). A dot that
//! belongs to a key is written `\.`, as in `nodeSelector.kubernetes\.io/os`.

use serde_json::{Map, Value};

/// The words of a key.
pub fn path(key: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut escaped = false;
    for c in key.chars() {
        match c {
            _ if escaped => {
                if let Some(word) = words.last_mut() {
                    word.push(c);
                }
                escaped = false;
            }
            '\\' => escaped = true,
            '.' => words.push(String::new()),
            c => {
                if let Some(word) = words.last_mut() {
                    word.push(c);
                }
            }
        }
    }
    words
}

/// A key of these words.
pub fn key(words: &[String]) -> String {
    let escaped: Vec<String> = words.iter().map(|w| w.replace('.', "\\.")).collect();
    escaped.join(".")
}

/// The value at a key; nothing where it is not there. `null` is a value.
pub fn at<'v>(tree: &'v Value, key: &str) -> Option<&'v Value> {
    path(key).iter().try_fold(tree, |value, word| value.get(word))
}

/// The text at a key; nothing where there is no text or an empty one.
pub fn text<'v>(tree: &'v Value, key: &str) -> Option<&'v str> {
    at(tree, key)?.as_str().filter(|t| !t.is_empty())
}

/// Whether a key is `true`, also as text: charts compare texts.
pub fn is_true(tree: &Value, key: &str) -> bool {
    match at(tree, key) {
        Some(Value::Bool(yes)) => *yes,
        Some(Value::String(text)) => text == "true",
        _ => false,
    }
}

/// Sets the value at a key; whatever stood in the way is replaced.
pub fn set(tree: &mut Value, key: &str, value: Value) {
    let mut here = tree;
    for word in path(key) {
        if !here.is_object() {
            *here = Value::Object(Map::new());
        }
        let Some(map) = here.as_object_mut() else { return };
        here = map.entry(word).or_insert(Value::Null);
    }
    *here = value;
}

/// Takes a key away, and the maps above it that are empty then; gives what stood there.
pub fn remove(tree: &mut Value, key: &str) -> Option<Value> {
    fn walk(here: &mut Value, words: &[String]) -> Option<Value> {
        let map = here.as_object_mut()?;
        let (word, rest) = words.split_first()?;
        if rest.is_empty() {
            return map.remove(word);
        }
        let inner = map.get_mut(word)?;
        let taken = walk(inner, rest)?;
        if inner.as_object().is_some_and(Map::is_empty) {
            map.remove(word);
        }
        Some(taken)
    }
    walk(tree, &path(key))
}

/// Puts `over` onto `base` as Helm does: maps are merged, everything else, lists too, is replaced.
pub fn merge(base: &mut Value, over: &Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (key, value) in over {
                match base.get_mut(key) {
                    Some(there) => merge(there, value),
                    None => {
                        base.insert(key.clone(), value.clone());
                    }
                }
            }
        }
        (base, over) => *base = over.clone(),
    }
}

/// Every leaf with its key: scalars, lists, empty maps.
pub fn leaves(tree: &Value) -> Vec<(String, &Value)> {
    fn walk<'v>(value: &'v Value, words: &mut Vec<String>, found: &mut Vec<(String, &'v Value)>) {
        match value {
            Value::Object(map) if !map.is_empty() => {
                for (word, value) in map {
                    words.push(word.clone());
                    walk(value, words, found);
                    words.pop();
                }
            }
            _ if words.is_empty() => {}
            value => found.push((key(words), value)),
        }
    }
    let mut found = vec![];
    walk(tree, &mut vec![], &mut found);
    found
}

/// Whether `key` is one of these, or lies below one of them.
pub fn below(key: &str, keys: &[&str]) -> bool {
    keys.iter().any(|k| {
        key.strip_prefix(k)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_lead_to_values_and_back() {
        let tree = json!({"a": {"b.c": {"d": 1}}, "e": {}, "f": [1]});
        assert_eq!(at(&tree, "a.b\\.c.d"), Some(&json!(1)));
        assert_eq!(at(&tree, "a.b.c"), None);
        let keys: Vec<String> = leaves(&tree).into_iter().map(|(k, _)| k).collect();
        assert_eq!(keys, ["a.b\\.c.d", "e", "f"]);
        let mut again = json!({});
        for (key, value) in leaves(&tree) {
            set(&mut again, &key, value.clone());
        }
        assert_eq!(again, tree);
        assert!(leaves(&json!({})).is_empty());
    }

    #[test]
    fn maps_are_merged_and_lists_replaced() {
        let mut base = json!({"a": {"x": 1, "l": [1, 2]}, "b": 1});
        merge(&mut base, &json!({"a": {"l": [3], "y": null}, "b": {"c": 2}}));
        assert_eq!(base, json!({"a": {"x": 1, "l": [3], "y": null}, "b": {"c": 2}}));
    }

    #[test]
    fn a_key_is_taken_away_with_the_maps_that_it_leaves_empty() {
        let mut tree = json!({"a": {"b": {"c": 1}, "d": 2}, "e": {"f": {}}});
        assert_eq!(remove(&mut tree, "a.b.c"), Some(json!(1)));
        assert_eq!(tree, json!({"a": {"d": 2}, "e": {"f": {}}}));
        assert_eq!(remove(&mut tree, "a.x"), None);
        assert_eq!(remove(&mut tree, "a.d.x"), None);
        assert_eq!(remove(&mut tree, "e.f"), Some(json!({})));
        assert_eq!(tree, json!({"a": {"d": 2}}));
    }

    #[test]
    fn what_lies_below_a_key_begins_with_its_words() {
        assert!(below("ipam.mode", &["ipam"]) && below("ipam", &["ipam"]));
        assert!(!below("ipamx.mode", &["ipam"]));
    }
}
