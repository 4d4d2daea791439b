//! What is looked up in a cluster while a command line is being typed: little, all of it at once, nothing twice.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use serde::Deserialize;

use super::{
    change::journal,
    cluster::{escaped, list, release, together},
    connection::{Connection, RequestError},
};
use crate::core::{
    capture::{Capture, Meta, Workload},
    cni,
    facts::{Asked, Facts},
    text::Text,
};

/// The verdict after each revision's change, by `namespace/release`.
pub type Health = BTreeMap<String, BTreeMap<i64, String>>;

/// An object's metadata.
#[derive(Deserialize)]
struct Named {
    metadata: Meta,
}

/// The names of all namespaces.
///
/// # Errors
/// What the server said.
pub async fn namespaces(connection: &Connection) -> Result<Vec<String>, RequestError> {
    let all: Vec<Named> = list::page(connection, "/api/v1/namespaces?limit=1000", list::METADATA).await?;
    Ok(all
        .into_iter()
        .map(|named| named.metadata.name.to_string())
        .collect())
}

/// As much of a cluster as tells which CNI it has and of which release it is: no nodes and no pods. What cannot be read
/// is not there.
#[expect(
    clippy::disallowed_methods,
    reason = "the clock of a capture is when it was taken"
)]
pub async fn cni(connection: &Connection) -> Capture {
    let mut capture = Capture::new(Timestamp::now());
    // Operators stand beside their chart; in all namespaces there may be thousands of Deployments.
    let mut places: Vec<&str> = cni::ALL
        .iter()
        .filter_map(|cni| cni.installing)
        .map(|installing| installing.namespace)
        .collect();
    places.sort_unstable();
    places.dedup();
    let operators = places.into_iter().map(|namespace| async move {
        let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments?limit=500");
        list::page::<Workload>(connection, &path, list::JSON).await
    });
    let (agents, operators) = tokio::join!(
        list::page::<Workload>(connection, "/apis/apps/v1/daemonsets?limit=500", list::JSON),
        together(operators)
    );
    capture.daemon_sets = agents.unwrap_or_default();
    capture.deployments = operators.into_iter().filter_map(Result::ok).flatten().collect();
    let asked = Asked::default();
    let namespace = Facts::of(&capture, &asked)
        .release
        .map(|facts| facts.release.namespace);
    if let Some(namespace) = namespace {
        let records = release::records(connection, &escaped(&namespace)).await;
        capture.releases = records.unwrap_or_default();
    }
    capture
}

/// What our journal says of the revisions that we made; nothing where it cannot be read.
pub async fn health(connection: &Connection) -> Health {
    let book = journal::read(connection).await;
    let records = book.map(|book| book.journal.records).unwrap_or_default();
    records
        .into_iter()
        .map(|(release, record)| (release, record.health))
        .collect()
}

/// What a revision's record says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The chart's version.
    pub version: String,
    /// Helm's remark, or ours.
    pub description: String,
}

/// How long the records of revisions may take. They are the largest of what is looked up: 100 KB and more each.
const RECORDS: Duration = Duration::from_millis(500);

/// What the records of these revisions say, as far as they can be read at once.
pub async fn told(
    connection: &Connection,
    namespace: &str,
    release: &str,
    revisions: &[i64],
) -> BTreeMap<i64, Told> {
    /// A record, as far as it is shown; the rest is not kept.
    #[derive(Deserialize)]
    struct Record {
        #[serde(default)]
        info: Info,
        chart: Chart,
    }
    #[derive(Deserialize, Default)]
    struct Info {
        #[serde(default)]
        description: Text,
    }
    #[derive(Deserialize)]
    struct Chart {
        metadata: Metadata,
    }
    #[derive(Deserialize)]
    struct Metadata {
        #[serde(default)]
        version: Text,
    }
    let reads = revisions.iter().map(|revision| async move {
        let secret = format!("sh.helm.release.v1.{release}.v{revision}");
        let (namespace, secret) = (escaped(namespace), escaped(&secret));
        let path = format!("/api/v1/namespaces/{namespace}/secrets/{secret}");
        let body = tokio::time::timeout(RECORDS, connection.get(&path, list::JSON)).await;
        let record: Record = release::parsed(&body.ok()?.ok()?).ok()?;
        let told = Told {
            version: record.chart.metadata.version.line(40),
            description: record.info.description.line(300),
        };
        Some((*revision, told))
    });
    together(reads).await.into_iter().flatten().collect()
}
