//! A manifest as a chart, so that history and rollback work for it too. Its text is a file that one line of template
//! gives out, so nothing in it is taken for a template; its CustomResourceDefinitions lie in `crds/`, which helm
//! applies first and waits for.
#![expect(clippy::disallowed_methods, reason = "the door to manifests on disk")]

use std::{fs, io::Read, path::Path};

use serde_json::{Value, json};

use super::{
    archive::{Files, pack},
    compare, digest_of,
    error::ChartError,
    source,
};
use crate::{
    core::{manifest, text::Text},
    yaml,
};

/// Largest manifest, in bytes: helm takes no larger file, and a release must fit into a Secret of 1 MiB, packed.
const LARGEST: u64 = 5 * 1024 * 1024;

const WAYS: &str =
    "name a file or an https:// URL: --manifest FILE|URL; what wants a login is downloaded first";

/// What a chart is called whose manifest has no usable name.
const UNNAMED: &str = "manifest";

/// What `--manifest` names: a file, whose text is read at once, or a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestSource {
    /// Without its pin.
    named: String,
    /// `sha256:…`, where the user said which digest it must have.
    pinned: Option<String>,
    /// Of a file.
    text: Option<String>,
}

impl ManifestSource {
    /// A file or an `https://` URL, each with `@sha256:…` if it is pinned.
    ///
    /// # Errors
    /// Where the name is neither; where a file cannot be read, is no text, or has another digest.
    pub fn find(named: &str) -> Result<Self, ChartError> {
        let (text, pinned) = source::pin(named).map_err(of_manifest)?;
        let mut found = ManifestSource {
            named: text.to_string(),
            pinned,
            text: None,
        };
        if let Some(rest) = text.strip_prefix("https://").or(text.strip_prefix("http://")) {
            source::no_login(named, rest).map_err(of_manifest)?;
            let path = rest.split(['?', '#']).next().unwrap_or_default();
            if !path.contains('/') || path.ends_with('/') {
                return Err(found.wrong("it names no file", Some(WAYS)));
            }
            return Ok(found);
        }
        if text.contains("://") {
            return Err(found.wrong("it is neither a file nor an https:// URL", Some(WAYS)));
        }
        if text == "-" {
            return Err(found.wrong(
                "standard input is where questions are answered",
                Some("write it to a file first: --manifest FILE"),
            ));
        }
        found.text = Some(found.read(Path::new(text))?);
        Ok(found)
    }

    /// As the user wrote it, fit to be shown.
    pub fn shown(&self) -> String {
        source::without_query(&self.named)
    }

    /// What chart and release are called: the file's name without its ending, as far as a chart may be called so.
    pub fn name(&self) -> String {
        let path = self.named.split(['?', '#']).next().unwrap_or_default();
        let path = if self.is_url() { path } else { self.named.as_str() };
        let stem = Path::new(path).file_stem().map(|stem| stem.to_string_lossy());
        match chart_name(&stem.unwrap_or_default()) {
            name if name == UNNAMED => "cni".into(),
            name => name,
        }
    }

    /// Its text, where it is a file.
    pub(super) fn text(&self) -> Option<&String> {
        self.text.as_ref()
    }

    /// Where it has to be fetched from.
    pub(super) fn url(&self) -> &str {
        &self.named
    }

    fn is_url(&self) -> bool {
        self.text.is_none()
    }

    /// Reads what lies there, in our own folder or where the user said.
    ///
    /// # Errors
    /// As [`ManifestSource::find`].
    pub(super) fn read(&self, path: &Path) -> Result<String, ChartError> {
        let mut bytes = vec![];
        fs::File::open(path)
            .and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes))
            .map_err(|e| ChartError::Unreadable {
                path: self.shown(),
                why: e.to_string(),
            })?;
        if bytes.len() as u64 > LARGEST {
            return Err(self.wrong(&format!("it is larger than {} MiB", LARGEST >> 20), None));
        }
        if let Some(pinned) = &self.pinned {
            compare(&self.shown(), "the user", pinned, &bytes)?;
        }
        if self.is_url() && bytes.trim_ascii_start().starts_with(b"<") {
            return Err(self.wrong(
                "what answers there is a page for browsers",
                Some("name the file's own address; GitHub shows it as \"Raw\""),
            ));
        }
        String::from_utf8(bytes).map_err(|_| self.wrong("it is not text in UTF-8", None))
    }

    fn wrong(&self, why: &str, hint: Option<&str>) -> ChartError {
        ChartError::Manifest {
            name: self.shown(),
            why: why.to_string(),
            hint: hint.map(str::to_string),
        }
    }
}

/// What is wrong with a name, in the words of `--manifest`.
fn of_manifest(error: ChartError) -> ChartError {
    match error {
        ChartError::Named { named, why, hint } => ChartError::Manifest {
            name: named,
            why,
            hint: Some(match hint.contains("--chart") {
                true => WAYS.to_string(),
                false => hint.to_string(),
            }),
        },
        error => error,
    }
}

/// How the version of a wrapped manifest begins.
const WRAPPED: &str = "0.0.0-sha256-";

/// Whether a chart's version is that of a manifest that we wrapped.
pub fn is_wrapped(version: &str) -> bool {
    version.starts_with(WRAPPED)
}

/// Wraps a manifest's text as a chart's archive. The same text gives the same bytes.
///
/// # Errors
/// [`ChartError::Manifest`] with the document that is wrong, counted from 1.
pub(super) fn wrap(name: &str, source: &str, text: &str) -> Result<Vec<u8>, ChartError> {
    let wrong = |why: String| ChartError::Manifest {
        name: source.to_string(),
        why,
        hint: None,
    };
    let text = text.trim_start_matches('\u{feff}');
    let (mut crds, mut rest, mut objects) = (vec![], vec![], 0);
    for (at, document) in documents(text).into_iter().enumerate() {
        let place = |why: &str| wrong(format!("document {}: {}", at + 1, Text::new(why).line(300)));
        let values = yaml::values(&document).map_err(|why| place(&why))?;
        let Some(value) = values.into_iter().next().filter(|value| !value.is_null()) else {
            continue;
        };
        let found = items(value);
        for item in &found {
            if manifest::Object::of(item.clone()).is_none() {
                return Err(place(
                    "it has no apiVersion, kind or metadata.name, so it is no object of Kubernetes",
                ));
            }
        }
        objects += found.len();
        match found.iter().filter(|item| is_crd(item)).count() {
            0 => rest.push(document),
            n if n == found.len() => crds.push(document),
            // A List of both kinds is taken apart.
            _ => {
                for item in &found {
                    let document = yaml::to_string(item).map_err(|why| place(&why))?;
                    match is_crd(item) {
                        true => crds.push(document),
                        false => rest.push(document),
                    }
                }
            }
        }
    }
    if objects == 0 {
        return Err(wrong("it holds no object".into()));
    }
    // Untouched where nothing had to be taken out of it.
    let rest = match crds.is_empty() {
        true => text.to_string(),
        false => rest.join("\n---\n"),
    };
    let name = chart_name(name);
    let digest = digest_of(text.as_bytes());
    // A version that follows from the text, so that another text is another version. What it installs has a version
    // that nobody has said: there is no appVersion.
    let version = format!("{WRAPPED}{}", &digest["sha256:".len()..][..12]);
    let chart = json!({
        "apiVersion": "v2", "name": name, "version": version, "type": "application",
        "description": "A manifest, wrapped by kubectl-byocni",
    });
    let mut files = Files::new();
    files.insert("Chart.yaml".into(), chart.to_string().into_bytes());
    files.insert("values.yaml".into(), b"{}\n".to_vec());
    files.insert("files/manifest.yaml".into(), rest.into_bytes());
    files.insert(
        "templates/manifest.yaml".into(),
        b"{{ .Files.Get \"files/manifest.yaml\" }}\n".to_vec(),
    );
    if !crds.is_empty() {
        files.insert("crds/manifest.yaml".into(), crds.join("\n---\n").into_bytes());
    }
    pack(&name, &files).map_err(|e| wrong(format!("it cannot be packed: {e}")))
}

/// The objects of a document: of a List its items.
fn items(value: Value) -> Vec<Value> {
    let is_list = value
        .get("kind")
        .and_then(Value::as_str)
        .is_some_and(|kind| kind.ends_with("List"));
    match value.get("items").and_then(Value::as_array) {
        Some(items) if is_list => items.clone(),
        _ => vec![value],
    }
}

fn is_crd(value: &Value) -> bool {
    value.get("kind").and_then(Value::as_str) == Some("CustomResourceDefinition")
}

/// The texts between the lines that separate documents.
fn documents(text: &str) -> Vec<String> {
    let mut all = vec![String::new()];
    for line in text.split_inclusive('\n') {
        let rest = line
            .strip_prefix("---")
            .filter(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace));
        match (rest, all.last_mut()) {
            // What follows on the separator's own line belongs to the new document.
            (Some(rest), _) => all.push(rest.trim_start_matches([' ', '\t']).to_string()),
            (None, Some(last)) => last.push_str(line),
            (None, None) => {}
        }
    }
    all
}

/// A name that a chart may have, of what the user called it.
fn chart_name(name: &str) -> String {
    let mut clean: String = name
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    // Helm labels with the name and the version, in 63 characters.
    clean.truncate(40);
    match clean.trim_matches('-') {
        "" => UNNAMED.into(),
        clean => clean.to_string(),
    }
}
