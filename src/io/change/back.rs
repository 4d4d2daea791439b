//! The way back of a first install: everything that it made is removed, and then the cluster is looked at until it is as
//! it was. What cannot be removed is said.
#![expect(clippy::disallowed_methods, reason = "what is removed takes time to be gone")]

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    apply,
    held::{Held, Slipped},
    run::{ChangeError, Job},
};
use crate::{
    core::{
        capture::{Crd, Namespace},
        change::{Ended, Event},
        facts::Facts,
        finding::Finding,
        gate,
        journal::Phase,
    },
    io::{
        cluster,
        connection::{Connection, RequestError},
        helm::{Cause, HelmError},
        probe,
    },
};

/// Helm's limit for removing a release.
const UNINSTALL_LIMIT: Duration = Duration::from_secs(120);

/// How long the API server may take until everything is gone. A namespace hangs in deletion while an aggregated API
/// such as metrics.k8s.io is unavailable, as it is on AKS without a CNI: that is then said, not waited for.
const GONE_WITHIN: Duration = Duration::from_secs(60);

/// Whether an agent of this change ever ran; where that cannot be read, as if one had.
pub async fn agents_ever_ran(job: &Job<'_>) -> bool {
    match cluster::read(job.connection, job.asked, &|_, _, _| {}).await {
        Ok(capture) => gate::agents_ever_ran(&Facts::of(&capture, job.asked), &job.expected),
        Err(_) => true,
    }
}

/// Takes a first install back.
///
/// # Errors
/// Where the journal cannot be written; what was not removed is in the outcome.
pub async fn take(job: &Job<'_>, mut held: Held, because: Finding) -> Result<Ended, ChangeError> {
    match held.phase(Phase::Back).await {
        Ok(()) => {}
        Err(Slipped::Lost) => return Ok(Ended::Lost { phase: Phase::Back }),
        Err(Slipped::Journal(error)) => {
            held.leave().await;
            return Err(error.into());
        }
    }
    job.step(
        "back",
        "remove everything that this change made, and see that the cluster is as it was",
    );
    let mut left = vec![];
    // Hooks run pods, which need a network or an image that may not be there.
    match job.release(false).uninstall(false, UNINSTALL_LIMIT).await {
        Ok(()) => {}
        Err(HelmError::Failed {
            cause: Cause::ReleaseNotFound,
            ..
        }) => {}
        Err(error) => left.push(format!("the release {}: {error}", job.operation.release)),
    }
    if let Err(error) = probe::remove_all(job.connection, &job.operation.id).await {
        left.push(format!("probe pods: {error}"));
    }
    if left.is_empty() {
        remove_traces(job, &mut left).await;
    }
    if left.is_empty() {
        left = until_gone(job).await;
    }
    if left.is_empty() {
        held.end().await?;
    } else {
        // The journal stays: `abort` tries again.
        held.leave().await;
    }
    Ok(Ended::Back { because, left })
}

/// What helm does not remove: definitions and their objects, taints and Leases of the operator, the namespace.
async fn remove_traces(job: &Job<'_>, left: &mut Vec<String>) {
    match definitions_since(job).await {
        Ok(names) => {
            if let Err(error) = apply::remove_definitions(job.connection, &names).await {
                left.push(error.to_string());
            }
        }
        Err(error) => left.push(format!("CustomResourceDefinitions: {error}")),
    }
    for lease in leases(job) {
        let path = format!(
            "/apis/coordination.k8s.io/v1/namespaces/{}/leases/{lease}",
            job.operation.namespace
        );
        if let Err(error) = delete(job.connection, &path).await {
            left.push(format!("Lease {lease}: {error}"));
        }
    }
    if let Err(error) = remove_taints(job).await {
        left.push(format!("the start-up taint on nodes: {error}"));
    }
    if !job.operation.before.namespace {
        let path = format!("/api/v1/namespaces/{}", job.operation.namespace);
        if let Err(error) = delete(job.connection, &path).await {
            left.push(format!("namespace {}: {error}", job.operation.namespace));
        }
    }
}

/// The Leases that a CNI's operator takes, by the name of the operator.
fn leases(job: &Job<'_>) -> &'static [&'static str] {
    job.expected
        .cni
        .and_then(|cni| cni.installing)
        .map_or(&[], |installing| installing.leases)
}

async fn delete(connection: &Connection, path: &str) -> Result<(), RequestError> {
    let options = br#"{"apiVersion":"v1","kind":"DeleteOptions"}"#.to_vec();
    match connection
        .send(Method::DELETE, path, "application/json", options)
        .await
    {
        Ok(_) | Err(RequestError::NotFound) => Ok(()),
        // One that is being deleted already.
        Err(error) if error.is_conflict() => Ok(()),
        Err(error) => Err(error),
    }
}

/// `items` are `null` in a list of metadata that has none.
#[derive(Deserialize)]
struct List<T> {
    items: Option<Vec<T>>,
}

async fn list<T: serde::de::DeserializeOwned>(
    connection: &Connection,
    path: &str,
    accept: &str,
) -> Result<Vec<T>, RequestError> {
    let body = connection.get(path, accept).await?;
    let list: List<T> =
        serde_json::from_slice(&body).map_err(|e| RequestError::NotTheApi { why: e.to_string() })?;
    Ok(list.items.unwrap_or_default())
}

/// Definitions of the CNI's groups, and those that were applied for it, that were not there before.
async fn definitions_since(job: &Job<'_>) -> Result<Vec<String>, RequestError> {
    let groups = job.expected.cni.map_or(&[][..], |cni| cni.groups);
    let applied: BTreeSet<&str> = job.definitions.iter().map(|o| o.name.as_str()).collect();
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let metadata = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json";
    let all: Vec<Crd> = list(job.connection, path, metadata).await?;
    let names = all.into_iter().map(|crd| crd.meta.name.to_string());
    let ours = |name: &String| {
        applied.contains(name.as_str()) || groups.iter().any(|group| name.ends_with(&format!(".{group}")))
    };
    let before = &job.operation.before.crds;
    Ok(names
        .filter(|name| ours(name) && !before.contains(name))
        .collect())
}

/// Namespaces that the chart made (Cilium's for secrets). Helm deletes them and does not wait; while one is ending, the
/// next installation is refused.
async fn namespaces_of_release(job: &Job<'_>) -> Result<Vec<String>, RequestError> {
    let metadata = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json";
    let all: Vec<Namespace> = list(job.connection, "/api/v1/namespaces", metadata).await?;
    let operation = &job.operation;
    let ours = |namespace: &Namespace| {
        let meta = &namespace.meta;
        meta.annotation("meta.helm.sh/release-name") == Some(operation.release.as_str())
            && meta.annotation("meta.helm.sh/release-namespace") == Some(operation.namespace.as_str())
            && meta.name != *operation.namespace
    };
    let names = all.into_iter().filter(ours);
    Ok(names.map(|namespace| namespace.meta.name.to_string()).collect())
}

/// Takes the CNI's start-up taint off the nodes that did not bear it before: its operator puts it there.
async fn remove_taints(job: &Job<'_>) -> Result<(), RequestError> {
    let Some(taint) = job.expected.cni.and_then(|cni| cni.taint) else {
        return Ok(());
    };
    for name in tainted(job, taint).await? {
        let path = format!("/api/v1/nodes/{name}");
        // The taints may change between the look and the write: the version makes that a conflict, which is tried again.
        for _ in 0..5 {
            let body = job.connection.get(&path, "application/json").await?;
            let node: Value = serde_json::from_slice(&body).unwrap_or_default();
            let taints = node
                .pointer("/spec/taints")
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default();
            let kept: Vec<Value> = taints.into_iter().filter(|t| t["key"] != taint).collect();
            let patch = json!({
                "metadata": { "resourceVersion": node.pointer("/metadata/resourceVersion") },
                "spec": { "taints": kept },
            });
            let sent = job
                .connection
                .send(
                    Method::PATCH,
                    &path,
                    "application/merge-patch+json",
                    patch.to_string().into_bytes(),
                )
                .await;
            match sent {
                Ok(_) | Err(RequestError::NotFound) => break,
                Err(error) if error.is_conflict() => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

/// Nodes that bear this taint and did not before.
async fn tainted(job: &Job<'_>, taint: &str) -> Result<Vec<String>, RequestError> {
    #[derive(Deserialize)]
    struct Tainted {
        metadata: Named,
        spec: Spec,
    }
    #[derive(Deserialize)]
    struct Named {
        name: String,
    }
    #[derive(Deserialize)]
    struct Spec {
        #[serde(default)]
        taints: Vec<Taint>,
    }
    #[derive(Deserialize)]
    struct Taint {
        key: String,
    }
    let nodes: Vec<Tainted> = list(
        job.connection,
        "/api/v1/nodes?resourceVersion=0",
        "application/json",
    )
    .await?;
    let bears = |node: &Tainted| node.spec.taints.iter().any(|t| t.key == taint);
    let names = nodes.into_iter().filter(bears).map(|node| node.metadata.name);
    Ok(names
        .filter(|name| !job.operation.before.tainted.contains(name))
        .collect())
}

/// Waits until nothing of the change is there any more; what is left at the end of the time.
async fn until_gone(job: &Job<'_>) -> Vec<String> {
    let begun = Instant::now();
    let mut told = vec![];
    loop {
        let left = still_there(job).await;
        if left.is_empty() || begun.elapsed() > GONE_WITHIN {
            return left;
        }
        // Where nothing has changed there is nothing to say.
        if left != told {
            (job.tell)(&Event::Note(format!("still going: {}", left.join(", "))));
            told.clone_from(&left);
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}

async fn still_there(job: &Job<'_>) -> Vec<String> {
    let mut left = vec![];
    match cluster::read(job.connection, job.asked, &|_, _, _| {}).await {
        Ok(capture) => {
            let facts = Facts::of(&capture, job.asked);
            let detection = &facts.detection;
            if let Some(workload) = detection.main.as_ref().and_then(|m| m.workload) {
                left.push(format!(
                    "DaemonSet {}/{}",
                    workload.meta.namespace, workload.meta.name
                ));
            }
            left.extend(
                detection
                    .leftovers
                    .iter()
                    .map(|(cni, traces)| format!("traces of {}: {}", cni.name, traces.join("; "))),
            );
        }
        Err(error) => left.push(format!("the cluster cannot be read: {error}")),
    }
    match job.release(false).history().await {
        Ok(history) if history.is_empty() => {}
        Ok(_) => left.push(format!("the release {}", job.operation.release)),
        Err(error) => left.push(format!("the release cannot be read: {error}")),
    }
    match definitions_since(job).await {
        Ok(names) if names.is_empty() => {}
        Ok(names) => left.push(format!("CustomResourceDefinitions {}", names.join(", "))),
        Err(error) => left.push(format!("CustomResourceDefinitions cannot be read: {error}")),
    }
    // Its operator may have put it there once more while it was ending.
    if remove_taints(job).await.is_err() {
        left.push("the start-up taint on nodes".into());
    }
    if !job.operation.before.namespace {
        let path = format!("/api/v1/namespaces/{}", job.operation.namespace);
        match job.connection.get(&path, "application/json").await {
            Err(RequestError::NotFound) => {}
            _ => left.push(format!("namespace {}", job.operation.namespace)),
        }
    }
    match namespaces_of_release(job).await {
        Ok(names) => left.extend(names.into_iter().map(|name| format!("namespace {name}"))),
        Err(error) => left.push(format!("namespaces cannot be read: {error}")),
    }
    left
}
