//! Helm's complaint, fit to be shown: short, harmless, and without what it quotes of the user's secrets.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

use crate::core::text::Text;

/// Longest complaint that is shown, in characters.
const LONGEST: usize = 600;

/// The complaint in what helm wrote to standard error: from the last `Error:` on, without warnings and progress.
pub(super) fn complaint(stderr: &str, secrets: &[String]) -> String {
    let lines: Vec<&str> = stderr.lines().collect();
    let start = lines.iter().rposition(|line| line.starts_with("Error:"));
    // Without that mark it was no helm, or a shell that did not find something: the last lines say most.
    let lines = match start {
        Some(at) => &lines[at..],
        None => &lines[lines.len().saturating_sub(3)..],
    };
    let words: Vec<&str> = lines
        .iter()
        .map(|line| {
            ["Error:", "INSTALLATION FAILED:", "UPGRADE FAILED:"]
                .iter()
                .fold(line.trim(), unprefixed)
        })
        .filter(|line| {
            !line.is_empty()
                && !line.starts_with("Use --debug flag")
                && !line.starts_with("level=")
                && !line.starts_with("time=")
        })
        .take(12)
        .collect();
    let mut text = words.join(" ");
    for secret in secrets {
        text = text.replace(secret, "***");
    }
    Text::new(&text).line(LONGEST)
}

/// What the heading of our own message says already is taken off.
fn unprefixed<'a>(line: &'a str, prefix: &&str) -> &'a str {
    line.strip_prefix(*prefix).unwrap_or(line).trim()
}

/// Words in the names of keys that hold secrets.
const SECRET: &[&str] = &[
    "secret",
    "password",
    "passphrase",
    "token",
    "key",
    "cert",
    "credential",
    "auth",
];

/// The texts among the values that may be secrets, as they are and as a Secret holds them: those whose key says so, and
/// under any other key all but plain words, networks and what is too short for one.
pub(super) fn secrets(values: &Value) -> Vec<String> {
    fn collect(value: &Value, secret: bool, all: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                for (key, value) in fields {
                    let key = key.to_lowercase();
                    let named = SECRET.iter().any(|word| key.contains(word));
                    collect(value, secret || named, all);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| collect(item, secret, all)),
            // Shorter ones would take ordinary words out of the message.
            Value::String(text) if text.len() >= 6 && (secret || !is_plain(text)) => {
                all.push(STANDARD.encode(text));
                all.extend(text.lines().filter(|line| line.len() >= 6).map(str::to_string));
            }
            _ => {}
        }
    }
    let mut all = vec![];
    collect(values, false, &mut all);
    // The longest first: one may be a part of another.
    all.sort_by_key(|text| std::cmp::Reverse(text.len()));
    all
}

/// `cluster-pool`, `VXLAN`, `v1.19.6`, `10.244.0.0/16`: said in every message of the chart's own, and nobody's secret.
fn is_plain(text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphabetic() || c == '-';
    let lower = text.chars().skip(1).all(|c| !c.is_ascii_uppercase());
    let upper = text.chars().all(|c| !c.is_ascii_lowercase());
    let word = text.len() <= 16 && text.chars().all(word) && (lower || upper);
    let version = semver::Version::parse(text.strip_prefix('v').unwrap_or(text)).is_ok();
    word || version || text.parse::<ipnet::IpNet>().is_ok() || text.parse::<std::net::IpAddr>().is_ok()
}
