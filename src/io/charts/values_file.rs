//! Files of values (`--values`), read so that helm would read the same: what YAML's versions read differently is
//! refused instead of guessed.
#![expect(clippy::disallowed_methods, reason = "the door to files of values")]

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

use super::error::ChartError;
use crate::{core::text::Text, yaml};

/// Largest file, in bytes: a release with its values must fit into a Secret of 1 MiB.
const LARGEST: u64 = 5 * 1024 * 1024;

/// Reads files of values, in the order given; an empty one is an empty map.
///
/// # Errors
/// [`ChartError::Values`] with the file, and the line where one is known.
pub fn read_values(paths: &[PathBuf]) -> Result<Vec<Value>, ChartError> {
    paths.iter().map(|path| read(path)).collect()
}

fn read(path: &Path) -> Result<Value, ChartError> {
    let shown = Text::new(&path.display().to_string()).line(200);
    let wrong = |why: String, hint: Option<String>| ChartError::Values {
        path: shown.clone(),
        why,
        hint,
    };
    if path == Path::new("-") {
        return Err(wrong(
            "standard input is where questions are answered".into(),
            Some("write them to a file first: --values FILE".into()),
        ));
    }
    if shown.starts_with("http://") || shown.starts_with("https://") {
        return Err(wrong(
            "values are read from files only".into(),
            Some(format!("curl -fLO {shown}, look at it, then --values FILE")),
        ));
    }
    let mut bytes = vec![];
    fs::File::open(path)
        .and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes))
        .map_err(|e| ChartError::Unreadable {
            path: shown.clone(),
            why: e.to_string(),
        })?;
    if bytes.len() as u64 > LARGEST {
        return Err(wrong(
            format!("the file is larger than {} MiB", LARGEST >> 20),
            None,
        ));
    }
    let text = String::from_utf8(bytes).map_err(|_| wrong("it is not text in UTF-8".into(), None))?;
    let mut documents = yaml::values(text.trim_start_matches('\u{feff}'))
        .map_err(|why| wrong(format!("it is not YAML: {}", Text::new(&why).line(300)), None))?;
    documents.retain(|document| !document.is_null());
    let values = match documents.len() {
        0 => return Ok(Value::Object(Map::new())),
        1 => documents.swap_remove(0),
        n => {
            return Err(wrong(
                format!("it holds {n} documents, of which helm would read the first"),
                Some("join them, or name a file for each: --values FILE --values FILE".into()),
            ));
        }
    };
    if !values.is_object() {
        let what = match values {
            Value::Array(_) => "a list",
            Value::String(_) => "text",
            _ => "a single value",
        };
        return Err(wrong(format!("it is {what}, not a map of keys and values"), None));
    }
    if let Some((line, word)) = ambiguous(&text, &values) {
        return Err(wrong(
            format!(
                "line {line}: {word} without quotes is {} for helm and text for others",
                old_meaning(&word)
            ),
            Some(format!(
                "write {}, or \"{word}\" for the text",
                old_meaning(&word)
            )),
        ));
    }
    Ok(values)
}

/// What YAML 1.1, which helm reads, makes of a plain word that is text in YAML 1.2; empty where it is text, too.
fn old_meaning(word: &str) -> String {
    match word.to_ascii_lowercase().as_str() {
        // Only these three ways of writing are words of YAML 1.1: `yEs` is not.
        low if !(word == low || word == low.to_ascii_uppercase() || is_title(word)) => String::new(),
        "y" | "yes" | "on" => "true".into(),
        "n" | "no" | "off" => "false".into(),
        low => {
            let (sign, digits) = match low.as_bytes().first() {
                Some(b'-') => ("-", &low[1..]),
                Some(b'+') => ("", &low[1..]),
                _ => ("", low),
            };
            let plain = digits.replace('_', "");
            let all = |radix: u32| {
                digits.starts_with(|c: char| c.is_ascii_digit()) && plain.chars().all(|c| c.is_digit(radix))
            };
            let number = if let Some(binary) = plain.strip_prefix("0b") {
                i64::from_str_radix(binary, 2).ok()
            } else if plain.len() > 1 && plain.starts_with('0') && all(8) {
                i64::from_str_radix(&plain, 8).ok()
            } else if digits.contains('_') && all(10) {
                plain.parse().ok()
            } else {
                None
            };
            number.map(|number| format!("{sign}{number}")).unwrap_or_default()
        }
    }
}

fn is_title(word: &str) -> bool {
    let mut chars = word.chars();
    chars.next().is_some_and(|c| c.is_ascii_uppercase()) && chars.all(|c| c.is_ascii_lowercase())
}

/// The first line with such a word, where one became a value: within quotes or a block of text it is harmless.
fn ambiguous(text: &str, values: &Value) -> Option<(usize, String)> {
    let mut words = vec![];
    collect(values, &mut words);
    words.sort();
    words.dedup();
    if words.is_empty() {
        return None;
    }
    text.lines().enumerate().find_map(|(at, line)| {
        let line = line.split(" #").next().unwrap_or(line);
        words
            .iter()
            .find(|word| stands_plain(line, word))
            .map(|word| (at + 1, word.clone()))
    })
}

/// Whether the word stands on the line as a value of its own, without quotes.
fn stands_plain(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].trim_end_matches(' ');
        let after = line[at + word.len()..].trim_start_matches(' ');
        let spaced = before.len() < at;
        let opened = (spaced && before.ends_with([':', '-', ','])) || before.ends_with(['[', ',']);
        let closed = after.is_empty() || after.starts_with([',', ']', '}']);
        opened && closed
    })
}

/// The texts among the values that YAML 1.1 would read as something else.
fn collect(value: &Value, words: &mut Vec<String>) {
    match value {
        Value::String(text) if text.len() <= 40 && !old_meaning(text).is_empty() => words.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| collect(item, words)),
        Value::Object(fields) => fields.values().for_each(|value| collect(value, words)),
        _ => {}
    }
}
