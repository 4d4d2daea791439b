//! A repository's `index.yaml`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::{
    core::{chart::Offered, text::Text},
    yaml,
};

/// One version and where it lies.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub offered: Offered,
    pub urls: Vec<String>,
}

/// Charts by name, versions newest first.
pub(super) type Index = BTreeMap<String, Vec<Entry>>;

#[derive(Deserialize)]
struct Shape {
    entries: Option<BTreeMap<String, Vec<Value>>>,
}

/// Reads an index. A version that cannot be read is left out, as helm does: one bad upload must not hide the others.
///
/// # Errors
/// Where it is no index.
pub(super) fn parse(text: &str) -> Result<Index, String> {
    let shape: Shape = yaml::documents(text)?
        .into_iter()
        .next()
        .ok_or_else(|| "it is empty".to_string())?;
    let charts = shape.entries.ok_or_else(|| "it has no entries".to_string())?;
    Ok(charts
        .into_iter()
        .map(|(name, entries)| {
            let mut entries: Vec<Entry> = entries.iter().filter_map(entry).collect();
            sort(&mut entries);
            (name, entries)
        })
        .collect())
}

/// Newest first; what is no version last.
pub(super) fn sort(entries: &mut [Entry]) {
    entries.sort_by_cached_key(|entry| std::cmp::Reverse(semantic(&entry.offered.version)));
}

/// The version as numbers, with or without a leading `v`.
pub(super) fn semantic(version: &str) -> Option<semver::Version> {
    semver::Version::parse(version.strip_prefix('v').unwrap_or(version)).ok()
}

fn entry(value: &Value) -> Option<Entry> {
    let text = |key: &str| match value.get(key)? {
        Value::String(text) => Some(Text::new(text).line(100)),
        // Written without quotes, a version is a number.
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let digest = text("digest").filter(|digest| !digest.is_empty()).map(|digest| {
        match digest.starts_with("sha256:") {
            true => digest.to_lowercase(),
            false => format!("sha256:{}", digest.to_lowercase()),
        }
    });
    let urls = value.get("urls").and_then(Value::as_array);
    Some(Entry {
        offered: Offered {
            version: text("version").filter(|version| !version.is_empty())?,
            app_version: text("appVersion").unwrap_or_default(),
            kube_version: text("kubeVersion").filter(|version| !version.is_empty()),
            digest,
        },
        urls: urls
            .into_iter()
            .flatten()
            .filter_map(|url| Some(url.as_str()?.to_string()))
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newest_first_and_one_bad_entry_hides_no_other() {
        let text = "apiVersion: v1\nentries:\n  c:\n  - {version: 1.9.0}\n  - {nothing: here}\n  - {version: rolling}\n  \
                    - {version: v1.10.0, appVersion: 1.10, kubeVersion: '>=1.21', digest: AB, urls: [a.tgz]}\n  \
                    - {version: 1.10.0-rc.1}\n";
        let index = parse(text).expect("an index");
        let versions: Vec<&str> = index["c"].iter().map(|e| e.offered.version.as_str()).collect();
        assert_eq!(versions, ["v1.10.0", "1.10.0-rc.1", "1.9.0", "rolling"]);
        let newest = &index["c"][0];
        assert_eq!(newest.offered.digest.as_deref(), Some("sha256:ab"));
        assert_eq!(newest.offered.kube_version.as_deref(), Some(">=1.21"));
        assert_eq!(newest.urls, ["a.tgz"]);
        for text in ["", "<html>", "a: b", "entries: 3", "{"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}
