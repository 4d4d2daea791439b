//! Revisions of a release from Helm's records, whole: chart, values, what was rendered.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    charts::{Charts, Fetched, RecordedChart},
    cluster::{escaped, release},
    connection::{Connection, RequestError},
};
use crate::{
    core::{manifest, revision::Recorded, text::Text},
    yaml,
};

/// A revision, and the bytes of its chart.
#[derive(Debug, Clone)]
pub struct Kept {
    /// The revision.
    pub recorded: Recorded,
    /// Its chart, made an archive again.
    pub chart: Fetched,
}

/// Why a record is of no use.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// It could not be read.
    #[error("revision {revision} of {release} (Secret {secret}): {error}")]
    Request {
        /// Which revision.
        revision: i64,
        /// `namespace/name`.
        release: String,
        /// The Secret.
        secret: String,
        /// What the server said.
        error: RequestError,
    },
    /// It was read, and is damaged or not whole.
    #[error("revision {revision} of {release} cannot be used: {why}")]
    Damaged {
        /// Which revision.
        revision: i64,
        /// `namespace/name`.
        release: String,
        /// What is wrong; nothing of what the record holds.
        why: String,
    },
}

impl RecordError {
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        match self {
            RecordError::Request { error, .. } => error.hint(),
            RecordError::Damaged { .. } => Some("kubectl byocni history shows the others".into()),
        }
    }

    /// Whether there is no such record.
    pub fn is_missing(&self) -> bool {
        matches!(
            self,
            RecordError::Request {
                error: RequestError::NotFound,
                ..
            }
        )
    }
}

/// A record as Helm writes it (<https://github.com/helm/helm/blob/main/pkg/release/v1/release.go>).
#[derive(Deserialize)]
struct Record {
    #[serde(default)]
    info: Info,
    chart: RecordedChart,
    #[serde(default)]
    config: Option<Map<String, Value>>,
    #[serde(default)]
    manifest: String,
}

#[derive(Deserialize, Default)]
struct Info {
    #[serde(default)]
    status: Text,
    #[serde(default)]
    description: Text,
}

/// Reads a revision.
///
/// # Errors
/// See [`RecordError`].
pub async fn read(
    connection: &Connection,
    charts: &Charts<'_>,
    namespace: &str,
    release: &str,
    revision: i64,
) -> Result<Kept, RecordError> {
    let secret = format!("sh.helm.release.v1.{release}.v{revision}");
    let path = format!(
        "/api/v1/namespaces/{}/secrets/{}",
        escaped(namespace),
        escaped(&secret)
    );
    let shown = format!("{namespace}/{release}");
    let body = connection
        .get(&path, "application/json")
        .await
        .map_err(|error| RecordError::Request {
            revision,
            release: shown.clone(),
            secret,
            error,
        })?;
    let damaged = |why: String| RecordError::Damaged {
        revision,
        release: shown.clone(),
        why,
    };
    let record: Record = release::parsed(&body).map_err(damaged)?;
    let source = format!("revision {revision}");
    let chart = charts
        .recorded(&record.chart, &source)
        .map_err(|e| damaged(e.to_string()))?;
    // Not the parser's sentence: it could quote what was rendered.
    let documents =
        yaml::documents(&record.manifest).map_err(|_| damaged("its manifest is no YAML".into()))?;
    Ok(Kept {
        recorded: Recorded {
            revision,
            status: record.info.status.line(40),
            description: record.info.description.line(300),
            chart: chart.chart.clone(),
            values: Value::Object(record.config.unwrap_or_default()),
            manifest: manifest::objects(documents),
        },
        chart,
    })
}
