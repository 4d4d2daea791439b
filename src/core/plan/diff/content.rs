//! Configuration key by key, as a page can show it: no secret, nothing long.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Content, Setting, Sides, objects, objects::Key};
use crate::core::{manifest::Object, plan::rights, text::Text, words};

/// The longest text that is shown, in characters.
const LONGEST: usize = 120;

/// One value as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Raw {
    text: String,
    binary: bool,
}

/// The keys of an object that are different: of a ConfigMap its data, of a custom resource its fields; nothing of
/// others.
pub fn settings(key: &Key, sides: &Sides<'_>) -> Vec<Setting> {
    let (Some(was), Some(is)) = (sides.old.get(key), sides.target().get(key)) else {
        return vec![];
    };
    let (was, is) = (entries(was), entries(is));
    let names: BTreeSet<&String> = was.keys().chain(is.keys()).collect();
    let different = names.into_iter().filter(|name| was.get(*name) != is.get(*name));
    different
        .map(|name| {
            let (before, after) = (was.get(name), is.get(name));
            Setting {
                object: key.subject(),
                key: Text::new(name).line(LONGEST),
                before: before.map(|raw| content(name, raw)),
                after: after.map(|raw| content(name, raw)),
                extent: before.zip(after).and_then(|(was, is)| extent(was, is)),
                because: sides.because(key, |object| entries(object).remove(name)),
            }
        })
        .collect()
}

/// What an object configures, by key.
fn entries(object: &Object) -> BTreeMap<String, Raw> {
    let mut entries = BTreeMap::new();
    let custom = !rights::built_in(object.group());
    if object.kind == "ConfigMap" && !custom {
        for (part, binary) in [("data", false), ("binaryData", true)] {
            let map = object.value.get(part).and_then(Value::as_object);
            for (key, value) in map.into_iter().flatten() {
                let text = bare(value);
                entries.insert(key.clone(), Raw { text, binary });
            }
        }
    } else if custom {
        let mut fields = objects::settled(object);
        if let Some(map) = fields.as_object_mut() {
            map.remove("kind");
            map.remove("metadata");
        }
        flatten(String::new(), &fields, &mut entries);
    }
    entries
}

fn bare(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Fields by their paths: `spec.ipPools[0].cidr`. Lists of plain values are one field.
fn flatten(path: String, value: &Value, into: &mut BTreeMap<String, Raw>) {
    let plain = |value: &Value| !value.is_array() && !value.is_object();
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                let path = match path.is_empty() {
                    true => key.clone(),
                    false => format!("{path}.{key}"),
                };
                flatten(path, value, into);
            }
        }
        Value::Array(items) if items.iter().any(|item| !plain(item)) => {
            for (at, item) in items.iter().enumerate() {
                flatten(format!("{path}[{at}]"), item, into);
            }
        }
        Value::Array(items) => {
            let text = items.iter().map(bare).collect::<Vec<_>>().join(",");
            into.insert(path, Raw { text, binary: false });
        }
        other => {
            let text = bare(other);
            into.insert(path, Raw { text, binary: false });
        }
    }
}

/// A value as it may be shown.
fn content(key: &str, raw: &Raw) -> Content {
    let text = raw.text.trim();
    match () {
        () if raw.binary => Content::Long("binary".into()),
        () if secretive(key, text) => Content::Hidden,
        () if is_long(text) => Content::Long(size(text)),
        () => Content::Text(Text::new(text).line(LONGEST)),
    }
}

fn is_long(text: &str) -> bool {
    text.contains('\n') || text.chars().count() > LONGEST
}

fn size(text: &str) -> String {
    match fields(text) {
        Some(fields) => format!("JSON of {}", words::count(fields.len(), "field")),
        None if text.contains('\n') => words::count(text.lines().count(), "line"),
        None => words::count(text.chars().count(), "character"),
    }
}

/// Long text that is a JSON document, by path.
fn fields(text: &str) -> Option<BTreeMap<String, Raw>> {
    if !text.starts_with(['{', '[']) {
        return None;
    }
    let document: Value = serde_json::from_str(text).ok()?;
    let mut fields = BTreeMap::new();
    flatten(String::new(), &document, &mut fields);
    Some(fields)
}

/// How much is different, where the texts are too long to be shown or look the same.
fn extent(was: &Raw, is: &Raw) -> Option<String> {
    if was.binary || is.binary {
        return None;
    }
    let (was, is) = (was.text.trim(), is.text.trim());
    if was == is {
        return Some("white space".into());
    }
    if !is_long(was) && !is_long(is) {
        return None;
    }
    if let (Some(was), Some(is)) = (fields(was), fields(is)) {
        let all: BTreeSet<&String> = was.keys().chain(is.keys()).collect();
        let different = all.into_iter().filter(|path| was.get(*path) != is.get(*path));
        return Some(match different.count() {
            0 => "white space".into(),
            n => words::count(n, "field"),
        });
    }
    let mut lines: BTreeMap<&str, i64> = BTreeMap::new();
    for line in was.lines() {
        *lines.entry(line).or_default() -= 1;
    }
    for line in is.lines() {
        *lines.entry(line).or_default() += 1;
    }
    let sum = |sign: i64| lines.values().map(|n| (n * sign).max(0)).sum::<i64>();
    Some(match usize::try_from(sum(1).max(sum(-1))).unwrap_or(0) {
        0 => "the order of lines".into(),
        n => words::count(n, "line"),
    })
}

/// Words in a key that a secret goes by.
const SECRET: &[&str] = &[
    "apikey",
    "credential",
    "credentials",
    "key",
    "keys",
    "passphrase",
    "passwd",
    "password",
    "passwords",
    "private",
    "psk",
    "secret",
    "secrets",
    "token",
    "tokens",
];

/// Last words of keys that say where a secret is or what is done with it: `policy-secrets-namespace`.
const ABOUT: &[&str] = &[
    "dir",
    "duration",
    "enabled",
    "file",
    "interval",
    "method",
    "mode",
    "name",
    "namespace",
    "path",
    "sync",
    "type",
];

/// Whether a value may be a secret: by its key, unless it is plainly none, or by its looks.
fn secretive(key: &str, text: &str) -> bool {
    let looks = text.contains("PRIVATE KEY")
        || text.starts_with("eyJ")
        || text.contains("Bearer ")
        || text.split("://").skip(1).any(|rest| {
            rest.split(['/', '?', ' '])
                .next()
                .is_some_and(|host| host.contains('@'))
        });
    if looks {
        return true;
    }
    let words = parts(key);
    let named = words.iter().any(|word| SECRET.contains(&word.as_str()));
    let about = words.last().is_some_and(|word| ABOUT.contains(&word.as_str()));
    named && !about && !plain(text)
}

/// Whether a text is a switch, a number, a span of time or a path.
fn plain(text: &str) -> bool {
    let span = || {
        let unit = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        unit.len() < text.len() && ["", "ns", "us", "ms", "s", "m", "h"].contains(&unit)
    };
    // A password may be a number too, but not one of few digits.
    matches!(text, "" | "true" | "false") || (text.len() <= 8 && span()) || text.starts_with('/')
}

/// The words of a key: `tls.privateKey` is tls, private, key.
fn parts(key: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut small = false;
    for c in key.chars() {
        if !c.is_alphanumeric() || (small && c.is_uppercase()) {
            words.push(String::new());
        }
        small = c.is_lowercase();
        if let Some(word) = words.last_mut()
            && c.is_alphanumeric()
        {
            word.extend(c.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_a_secret_is_told_by_key_and_looks() {
        for (key, text) in [
            ("etcd-password", "hunter2"),
            ("apiToken", "abc"),
            ("hubble.tls.server.key", "abc"),
            ("extra", "-----BEGIN PRIVATE KEY-----"),
            ("endpoint", "https://me:hunter2@example.org/x"),
            ("jwt", "eyJhbGciOi"),
            ("my_secret", "1234567890"),
        ] {
            assert!(secretive(key, text), "{key}");
        }
        for (key, text) in [
            ("enable-policy-secrets-sync", "true"),
            ("policy-secrets-namespace", "cilium-secrets"),
            ("hubble-tls-key-file", "/var/lib/cilium/tls/hubble/server.key"),
            ("ipsec-key-rotation-duration", "5m"),
            ("monitor-aggregation", "medium"),
            ("keystone", "x"),
            ("registry", "https://mirror.example.org/a@sha256:ab"),
        ] {
            assert!(!secretive(key, text), "{key}");
        }
    }

    #[test]
    fn long_values_are_told_by_size_and_extent() {
        let raw = |text: &str| Raw {
            text: text.into(),
            binary: false,
        };
        let many = |n: usize| (0..n).map(|i| format!("line {i}\n")).collect::<String>();
        assert_eq!(content("a", &raw(&many(41))), Content::Long("41 lines".into()));
        assert_eq!(extent(&raw(&many(41)), &raw(&many(43))), Some("2 lines".into()));
        let long = |x: &str| format!(r#"{{"a":{{"b":"{x}","c":[1,2]}},"d":"{}"}}"#, "e".repeat(200));
        assert_eq!(
            content("a", &raw(&long("1"))),
            Content::Long("JSON of 3 fields".into())
        );
        assert_eq!(extent(&raw(&long("1")), &raw(&long("2"))), Some("1 field".into()));
        assert_eq!(
            content("a", &raw(&"z".repeat(121))),
            Content::Long("121 characters".into())
        );
        assert_eq!(content("a", &raw(" on\n")), Content::Text("on".into()));
        assert_eq!(extent(&raw("on"), &raw("on\n")), Some("white space".into()));
        assert_eq!(extent(&raw("on"), &raw("off")), None);
    }
}
