//! The chart that Helm keeps in a release's record, as an archive again: the way back must not need the place that the
//! chart once came from.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::Value;

use super::{
    archive::{Files, pack},
    error::ChartError,
};
use crate::yaml;

/// `chart` of a record (<https://github.com/helm/helm/blob/main/pkg/chart/v2/chart.go>). Charts within the chart are
/// not in it: Helm does not keep them.
#[derive(Deserialize)]
pub struct RecordedChart {
    metadata: Value,
    #[serde(default)]
    templates: Option<Vec<File>>,
    #[serde(default)]
    files: Option<Vec<File>>,
    #[serde(default)]
    values: Option<Value>,
    /// The schema's bytes in base64.
    #[serde(default)]
    schema: Option<String>,
}

/// A file of the chart.
#[derive(Deserialize)]
struct File {
    name: String,
    /// In base64; nothing where it is empty.
    #[serde(default)]
    data: Option<String>,
}

/// Packs a recorded chart. The same record gives the same bytes. `values.yaml` is written anew: its comments are gone.
///
/// # Errors
/// [`ChartError::Bad`] where the record does not hold the whole chart.
pub(super) fn packed(chart: &RecordedChart, source: &str) -> Result<Vec<u8>, ChartError> {
    let bad = |why: String| ChartError::Bad {
        source_name: source.to_string(),
        why,
        hint: Some("the chart in the same version: --chart PATH|URL|oci://…"),
    };
    let dependencies = chart.metadata.get("dependencies").and_then(Value::as_array);
    if dependencies.is_some_and(|all| !all.is_empty()) {
        return Err(bad(
            "it has charts within it, and helm does not keep those in its record".into(),
        ));
    }
    let mut files = Files::new();
    files.insert("Chart.yaml".into(), text(&chart.metadata).map_err(bad)?);
    if let Some(values) = chart.values.as_ref().filter(|v| v.is_object()) {
        files.insert("values.yaml".into(), text(values).map_err(bad)?);
    }
    let decoded = |name: &str, data: &str| {
        let bytes = STANDARD.decode(data);
        bytes.map_err(|_| bad(format!("{name} in the record is damaged")))
    };
    if let Some(schema) = chart.schema.as_deref().filter(|schema| !schema.is_empty()) {
        files.insert(
            "values.schema.json".into(),
            decoded("values.schema.json", schema)?,
        );
    }
    let all = chart.templates.iter().chain(&chart.files).flatten();
    for file in all {
        // What is unpacked is checked again as any archive's: here only what would hide another file.
        let bytes = decoded(&file.name, file.data.as_deref().unwrap_or_default())?;
        if files.insert(file.name.clone(), bytes).is_some() {
            return Err(bad("it has a file twice".into()));
        }
    }
    let name = chart.metadata.get("name").and_then(Value::as_str);
    pack(name.unwrap_or("chart"), &files).map_err(|e| bad(format!("it cannot be packed: {e}")))
}

fn text(value: &Value) -> Result<Vec<u8>, String> {
    yaml::to_string(value).map(String::into_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::charts::archive::unpack;
    use serde_json::json;

    fn chart(value: Value) -> RecordedChart {
        serde_json::from_value(value).expect("a recorded chart")
    }

    #[test]
    fn a_record_becomes_the_chart_again() {
        let record = chart(json!({
            "metadata": {"apiVersion": "v2", "name": "cilium", "version": "1.19.6"},
            "templates": [{"name": "templates/a.yaml", "data": STANDARD.encode("a: {{ .Values.b }}")}],
            "files": [{"name": "crds/c.yaml", "data": STANDARD.encode("kind: X")}, {"name": "empty"}],
            "values": {"b": "on", "c": 1},
            "schema": STANDARD.encode("{}"),
            "lock": null,
        }));
        let archive = packed(&record, "revision 3").expect("an archive");
        assert_eq!(archive, packed(&record, "revision 3").expect("the same"));
        let files = unpack(&archive).expect("a chart");
        let text = |name: &str| String::from_utf8_lossy(&files[name]).into_owned();
        assert_eq!(text("templates/a.yaml"), "a: {{ .Values.b }}");
        assert_eq!(text("crds/c.yaml"), "kind: X");
        assert_eq!(text("empty"), "");
        assert_eq!(text("values.schema.json"), "{}");
        // Text that looks like another type stays text.
        let values: Vec<Value> = yaml::values(&text("values.yaml")).expect("values");
        assert_eq!(values, [json!({"b": "on", "c": 1})]);
    }

    #[test]
    fn what_the_record_does_not_hold_is_said() {
        let record = chart(json!({
            "metadata": {"name": "a", "version": "1.0.0", "dependencies": [{"name": "b"}]},
        }));
        let why = packed(&record, "revision 3").expect_err("not whole").to_string();
        assert!(why.contains("does not keep those"), "{why}");
        let record = chart(json!({
            "metadata": {"name": "a", "version": "1.0.0"}, "templates": [{"name": "t", "data": "*"}],
        }));
        let why = packed(&record, "revision 3").expect_err("damaged").to_string();
        assert!(why.contains("t in the record is damaged"), "{why}");
    }
}
