//! What is in a chart: its description, defaults, schema and CustomResourceDefinitions.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{archive::Files, error::ChartError};
use crate::{
    core::{chart::Chart, text::Text},
    yaml,
};

/// `Chart.yaml`, as far as it matters.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Description {
    #[serde(default)]
    name: String,
    #[serde(default)]
    version: String,
    #[serde(default)]
    app_version: String,
    kube_version: Option<String>,
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    dependencies: Option<Vec<Dependency>>,
}

/// `requirements.yaml` of charts of the old form.
#[derive(Deserialize)]
struct Requirements {
    dependencies: Option<Vec<Dependency>>,
}

#[derive(Deserialize)]
struct Dependency {
    #[serde(default)]
    name: String,
}

/// Reads a chart's files.
///
/// # Errors
/// [`ChartError::Bad`] with the first thing that is wrong.
pub(super) fn read(files: &Files, digest: String, source: &str) -> Result<Chart, ChartError> {
    let bad = |why: String, hint: Option<&'static str>| ChartError::Bad {
        source_name: source.to_string(),
        why,
        hint,
    };
    let text = |path: &str| -> Result<Option<&str>, ChartError> {
        let Some(bytes) = files.get(path) else {
            return Ok(None);
        };
        let text =
            std::str::from_utf8(bytes).map_err(|_| bad(format!("its {path} is not text in UTF-8"), None))?;
        Ok(Some(text.strip_prefix('\u{feff}').unwrap_or(text)))
    };
    let wrong = |path: &str, why: String| bad(format!("its {path}: {}", Text::new(&why).line(200)), None);

    let described = text("Chart.yaml")?.ok_or_else(|| bad("it has no Chart.yaml".into(), None))?;
    let described: Description = yaml::documents(described)
        .map_err(|why| wrong("Chart.yaml", why))?
        .into_iter()
        .next()
        .ok_or_else(|| bad("its Chart.yaml is empty".into(), None))?;
    let line = |text: &str| Text::new(text).line(100);
    let (name, version) = (line(&described.name), line(&described.version));
    if name.is_empty() || name.contains(['/', '\\']) || name != described.name {
        return Err(bad("its Chart.yaml gives no usable name".into(), None));
    }
    if semver::Version::parse(version.strip_prefix('v').unwrap_or(&version)).is_err() {
        return Err(bad(
            format!("its version is {version:?}, not one like 1.2.3"),
            None,
        ));
    }
    if described.kind == "library" {
        return Err(bad(
            "it is a library, made to be a part of other charts".into(),
            None,
        ));
    }
    let mut dependencies = described.dependencies.unwrap_or_default();
    if let Some(requirements) = text("requirements.yaml")? {
        let all: Vec<Requirements> =
            yaml::documents(requirements).map_err(|why| wrong("requirements.yaml", why))?;
        dependencies.extend(all.into_iter().filter_map(|r| r.dependencies).flatten());
    }
    let missing = dependencies.iter().find(|dependency| {
        let (folder, archive) = (
            format!("charts/{}/", dependency.name),
            format!("charts/{}-", dependency.name),
        );
        !files
            .keys()
            .any(|path| path.starts_with(&folder) || (path.starts_with(&archive) && path.ends_with(".tgz")))
    });
    if let Some(missing) = missing {
        return Err(bad(
            format!(
                "it depends on the chart {}, which is not in it",
                line(&missing.name)
            ),
            Some("fetch what it depends on: helm dependency update FOLDER"),
        ));
    }

    let values_text = text("values.yaml")?.unwrap_or_default().to_string();
    let values = match yaml::values(&values_text)
        .map_err(|why| wrong("values.yaml", why))?
        .into_iter()
        .next()
    {
        Some(values @ Value::Object(_)) => values,
        None | Some(Value::Null) => Value::Object(Map::new()),
        Some(_) => return Err(wrong("values.yaml", "it is no map".into())),
    };
    let schema = match text("values.schema.json")? {
        Some(schema) => {
            Some(serde_json::from_str(schema).map_err(|e| wrong("values.schema.json", e.to_string()))?)
        }
        None => None,
    };
    let mut crds = vec![];
    for path in files.keys().filter(|path| path.starts_with("crds/")) {
        // What helm takes for a manifest there.
        if [".yaml", ".yml", ".json"].iter().any(|end| path.ends_with(end)) {
            crds.extend(text(path)?.map(str::to_string));
        }
    }
    Ok(Chart {
        name,
        version,
        app_version: line(&described.app_version),
        kube_version: described
            .kube_version
            .as_deref()
            .map(line)
            .filter(|v| !v.is_empty()),
        digest,
        source: source.to_string(),
        values,
        values_text,
        schema,
        crds,
    })
}
