//! Helm's records, without the helm binary: which revisions there are by their Secrets' labels, chart and versions by
//! the newest one's contents, decoded in memory and dropped.

use std::io::Read;

use base64::{Engine, engine::general_purpose::STANDARD};
use flate2::read::GzDecoder;
use serde::{Deserialize, de::DeserializeOwned};

use super::list;
use crate::{
    core::{capture::ReleaseRecord, text::Text},
    io::connection::{Connection, RequestError},
};

/// The most that a record may unpack to: a Secret holds 1 MiB of gzip, and charts with values are some megabytes.
/// Against a record that was made to fill memory.
const LARGEST: u64 = 32 * 1024 * 1024;

/// The metadata of every record of a namespace.
pub async fn records(connection: &Connection, namespace: &str) -> Result<Vec<ReleaseRecord>, RequestError> {
    let path = format!("/api/v1/namespaces/{namespace}/secrets?labelSelector=owner%3Dhelm");
    // Without the data: the server then does not even send it.
    let keep = |record: ReleaseRecord| record;
    list::all(connection, &path, list::SMALL_A_PAGE, list::METADATA, keep).await
}

/// Decodes the newest revision of each release, as far as it may be read.
pub async fn decode_newest(connection: &Connection, records: &mut [ReleaseRecord]) {
    let key = |r: &ReleaseRecord| {
        let number = r
            .meta
            .label("version")
            .and_then(|v| v.parse::<i64>().ok())
            .unwrap_or(0);
        (
            r.meta.namespace.clone(),
            r.meta.label("name").unwrap_or_default().to_string(),
            number,
        )
    };
    let keys: Vec<_> = records.iter().map(key).collect();
    for i in 0..records.len() {
        let newer = keys
            .iter()
            .any(|(ns, name, n)| (ns, name) == (&keys[i].0, &keys[i].1) && *n > keys[i].2);
        if newer {
            continue;
        }
        let (namespace, name) = (&records[i].meta.namespace, &records[i].meta.name);
        let path = format!("/api/v1/namespaces/{namespace}/secrets/{name}");
        let Ok(body) = connection.get(&path, list::JSON).await else {
            continue;
        };
        let annotations = &mut records[i].meta.annotations.0;
        match decode(&body) {
            Ok(chart) => {
                for (key, value) in [
                    (ReleaseRecord::CHART, chart.name),
                    (ReleaseRecord::CHART_VERSION, chart.version),
                    (ReleaseRecord::APP_VERSION, chart.app_version),
                ] {
                    annotations.insert(Text::new(key), value);
                }
            }
            Err(why) => {
                annotations.insert(Text::new(ReleaseRecord::UNREADABLE), Text::new(&why));
            }
        }
    }
}

/// A Secret, as far as the record.
#[derive(Deserialize)]
struct Secret {
    #[serde(default)]
    data: SecretData,
}

#[derive(Deserialize, Default)]
struct SecretData {
    #[serde(default)]
    release: String,
}

/// A record, as far as the chart's metadata: values and manifests are never held.
#[derive(Deserialize)]
struct Record {
    chart: Chart,
}

#[derive(Deserialize)]
struct Chart {
    metadata: ChartMetadata,
}

/// A chart's metadata.
#[derive(Deserialize, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
struct ChartMetadata {
    #[serde(default)]
    name: Text,
    #[serde(default)]
    version: Text,
    #[serde(default)]
    app_version: Text,
}

/// Reads what of a record names its chart.
fn decode(body: &[u8]) -> Result<ChartMetadata, String> {
    let record: Record = parsed(body)?;
    Ok(record.chart.metadata)
}

/// Unpacks the record in a Secret: base64 (Kubernetes), base64 (Helm), gzip, JSON
/// (<https://github.com/helm/helm/blob/main/pkg/storage/driver/util.go>). What is wrong is told without a word of what
/// the record holds.
///
/// # Errors
/// What is wrong with it.
pub fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    let secret: Secret = serde_json::from_slice(body).map_err(|e| format!("not a Secret: {e}"))?;
    let outer = STANDARD
        .decode(secret.data.release)
        .map_err(|e| format!("not base64: {e}"))?;
    let packed = STANDARD
        .decode(outer)
        .map_err(|e| format!("not base64 within base64: {e}"))?;
    let mut text = vec![];
    if packed.starts_with(&[0x1f, 0x8b]) {
        let mut bounded = GzDecoder::new(&packed[..]).take(LARGEST + 1);
        bounded
            .read_to_end(&mut text)
            .map_err(|e| format!("damaged gzip: {e}"))?;
        if text.len() as u64 > LARGEST {
            return Err(format!("larger than {} MiB", LARGEST / 1024 / 1024));
        }
    } else {
        text = packed;
    }
    serde_json::from_slice(&text).map_err(|e| format!("damaged JSON: {}", e.classify_word()))
}

/// Serde's message can quote the text, and a record holds values: only the kind of error is told.
trait ClassifyWord {
    fn classify_word(&self) -> &'static str;
}

impl ClassifyWord for serde_json::Error {
    fn classify_word(&self) -> &'static str {
        match self.classify() {
            serde_json::error::Category::Io => "unreadable",
            serde_json::error::Category::Syntax => "a syntax error",
            serde_json::error::Category::Data => "not a release",
            serde_json::error::Category::Eof => "it ends too early",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn secret(json: &[u8], gzip: bool) -> Vec<u8> {
        let packed = if gzip {
            let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
            encoder.write_all(json).expect("memory");
            encoder.finish().expect("memory")
        } else {
            json.to_vec()
        };
        let data = STANDARD.encode(STANDARD.encode(packed));
        format!(r#"{{"kind":"Secret","data":{{"release":"{data}"}}}}"#).into_bytes()
    }

    const RECORD: &[u8] =
        br#"{"name":"cilium","config":{"token":"canary"},"chart":{"metadata":{"name":"cilium","version":"1.19.6","appVersion":"1.19.6"}}}"#;

    #[test]
    fn a_record_tells_its_chart() {
        for gzip in [true, false] {
            let chart = decode(&secret(RECORD, gzip)).expect("a record");
            assert_eq!(
                (chart.name.as_str(), chart.version.as_str()),
                ("cilium", "1.19.6")
            );
        }
    }

    #[test]
    fn damage_is_told_without_what_the_record_holds() {
        let mut cut = RECORD.to_vec();
        cut.truncate(60);
        let damaged = [
            secret(&cut, true),
            secret(br#"{"chart":"canary"}"#, true),
            br#"{"data":{"release":"*"}}"#.to_vec(),
            b"{}".to_vec(),
        ];
        for body in damaged {
            let why = decode(&body).expect_err("damaged");
            assert!(!why.contains("canary"), "{why}");
        }
    }

    #[test]
    fn a_bomb_is_refused_within_bounds() {
        let zeros = vec![b' '; usize::try_from(LARGEST).expect("64 bits") + 10];
        assert!(
            decode(&secret(&zeros, true))
                .expect_err("too large")
                .contains("larger than 32 MiB")
        );
    }
}
