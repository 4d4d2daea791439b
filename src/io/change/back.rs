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
    apply, brought,
    held::{Held, Slipped},
    lock::Lock,
    run::{ChangeError, Job},
    tries::{self, Tries},
    watching,
};
use crate::{
    core::{
        capture::Crd,
        change::{Ended, Event},
        facts::Facts,
        finding::Finding,
        gate,
        journal::Phase,
        text::Text,
    },
    io::{
        cluster::{self, list},
        connection::{Connection, RequestError},
        helm::{Cause, HelmError},
        probe,
    },
};

/// Helm's limit for removing a release.
const UNINSTALL_LIMIT: Duration = Duration::from_secs(120);

/// How long the API server may take until everything is gone.
const GONE_WITHIN: Duration = Duration::from_secs(60);

/// Whether an agent of this change ever ran; where that cannot be read, as if one had.
pub async fn agents_ever_ran(job: &Job<'_>) -> bool {
    match watching::capture(job.connection, job.asked, &job.expected).await {
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
            return Err(ChangeError::from(error).midway(job.operation.phase));
        }
    }
    job.step(
        "back",
        "remove everything that this change made, and see that the cluster is as it was",
    );
    let mut left = brought::remove(job, &held.lock)
        .await
        .unwrap_or_else(|why| vec![why]);
    if !held.lock.ours().await {
        return Ok(Ended::Lost { phase: Phase::Back });
    }
    // Without the release there is no operator: while something still waits for it, it stays.
    if left.is_empty()
        && let Err(error) = uninstalled(job).await
    {
        left.push(format!("the release {}: {error}", job.operation.release));
    }
    if !held.lock.ours().await {
        return Ok(Ended::Lost { phase: Phase::Back });
    }
    if let Err(error) = probe::remove_all(job.connection, &job.operation.id).await {
        left.push(format!("probe pods: {error}"));
    }
    if left.is_empty() {
        remove_traces(job, &held.lock, &mut left).await;
    }
    if left.is_empty() {
        left = until_gone(job, &held.lock).await;
    }
    if !held.lock.ours().await {
        return Ok(Ended::Lost { phase: Phase::Back });
    }
    if job.stopping() && !left.is_empty() {
        held.leave().await;
        return Ok(Ended::Stopped { phase: Phase::Back });
    }
    if left.is_empty() {
        held.end().await.map_err(|error| error.midway(Phase::Back))?;
    } else {
        // The journal stays: `abort` tries again.
        held.leave().await;
    }
    Ok(Ended::Back {
        because,
        left,
        stays: vec![],
    })
}

/// Removes the release. Helm's own removal may be begun again where it broke off.
async fn uninstalled(job: &Job<'_>) -> Result<(), HelmError> {
    let mut tries = Tries::new();
    loop {
        // Hooks run pods, which need a network or an image that may not be there.
        match job.release().uninstall(false, UNINSTALL_LIMIT).await {
            Err(HelmError::Failed {
                cause: Cause::ReleaseNotFound,
                ..
            }) => return Ok(()),
            Err(HelmError::Failed { .. }) if tries.another().await => {}
            other => return other,
        }
    }
}

/// What helm does not remove: definitions and their objects, taints and Leases of the operator, the namespace.
async fn remove_traces(job: &Job<'_>, lock: &Lock, left: &mut Vec<String>) {
    match definitions_since(job).await {
        Ok(names) => {
            if let Err(error) = apply::remove_definitions(job.connection, &names, lock).await {
                left.push(error.to_string());
            }
        }
        Err(error) => left.push(format!("CustomResourceDefinitions: {error}")),
    }
    if let Err(error) = remove_leases(job, lock).await {
        left.push(format!("Leases of its operator: {error}"));
    }
    if let Err(error) = remove_taints(job, lock).await {
        left.push(format!("the start-up taint on nodes: {error}"));
    }
    if !job.operation.before.namespace && lock.ours().await {
        let path = format!("/api/v1/namespaces/{}", job.operation.namespace);
        if let Err(error) = delete(job.connection, &path).await {
            left.push(format!("namespace {}: {error}", job.operation.namespace));
        }
    }
}

/// Helps the namespaces of this change to their end, and names those that are still there. While an aggregated API does
/// not answer, as metrics.k8s.io does not on AKS without a CNI, the server cannot list what is in a namespace and keeps it
/// Terminating for ever, where the next try of an install would run into it. One that the server says to be empty but for
/// that is finalized: it was made by this change, when that API did not answer either.
async fn end_namespaces(job: &Job<'_>, lock: &Lock) -> Result<Vec<String>, RequestError> {
    let all: Vec<Value> = list::page(job.connection, "/api/v1/namespaces", "application/json").await?;
    let mut there = vec![];
    for namespace in all.iter().filter(|namespace| is_ours(job, namespace)) {
        let name = namespace.pointer("/metadata/name").and_then(Value::as_str);
        let name = name.unwrap_or_default();
        let why = brought::finalizers_in(namespace);
        let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
        there.push(format!("namespace {}{why}", Text::new(name).line(100)));
        if is_stuck(namespace) && lock.ours().await {
            let mut body = namespace.clone();
            body["apiVersion"] = "v1".into();
            body["kind"] = "Namespace".into();
            body["spec"] = json!({ "finalizers": [] });
            let path = format!("/api/v1/namespaces/{name}/finalize");
            let body = body.to_string().into_bytes();
            match tries::send(job.connection, Method::PUT, &path, "application/json", &body).await {
                Ok(_) | Err(RequestError::NotFound) => {}
                Err(error) if error.is_conflict() => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(there)
}

/// Whether the release made it: it belongs to the release, or was made for it.
fn is_ours(job: &Job<'_>, namespace: &Value) -> bool {
    let operation = &job.operation;
    let text = |path: &str| namespace.pointer(path).and_then(Value::as_str);
    let belongs = text("/metadata/annotations/meta.helm.sh~1release-name") == Some(&operation.release)
        && text("/metadata/annotations/meta.helm.sh~1release-namespace") == Some(&operation.namespace);
    let name = text("/metadata/name").unwrap_or_default();
    let made = !operation.before.namespace && name == operation.namespace;
    // Those that its operator made go with the operator's own objects, and are then on their way.
    let made_in = job.expected.cni.map_or(&[][..], |cni| cni.made_in);
    let by_operator = made_in.contains(&name) && text("/metadata/deletionTimestamp").is_some();
    belongs || made || by_operator
}

/// Whether it ends, is empty as far as the server can see, and waits only for an API that does not answer.
fn is_stuck(namespace: &Value) -> bool {
    let conditions = namespace.pointer("/status/conditions").and_then(Value::as_array);
    let says = |kind: &str, status: &str| {
        let mut all = conditions.into_iter().flatten();
        all.any(|c| c["type"] == kind && c["status"] == status)
    };
    namespace.pointer("/metadata/deletionTimestamp").is_some()
        && says("NamespaceDeletionDiscoveryFailure", "True")
        && says("NamespaceDeletionContentFailure", "False")
        && says("NamespaceContentRemaining", "False")
        && says("NamespaceFinalizersRemaining", "False")
}

/// Removes the Leases of the CNI's operator; those that were there are named.
async fn remove_leases(job: &Job<'_>, lock: &Lock) -> Result<Vec<String>, RequestError> {
    let mut there = vec![];
    for lease in leases(job) {
        let namespace = &job.operation.namespace;
        let path = format!("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{lease}");
        match job.connection.get(&path, "application/json").await {
            Err(RequestError::NotFound) => continue,
            Err(error) => return Err(error),
            Ok(_) => there.push(format!("Lease {lease}")),
        }
        if lock.ours().await {
            delete(job.connection, &path).await?;
        }
    }
    Ok(there)
}

/// The Leases that a CNI's operator takes, by the name of the operator.
fn leases(job: &Job<'_>) -> &'static [&'static str] {
    job.expected
        .cni
        .and_then(|cni| cni.installing)
        .map_or(&[], |installing| installing.leases)
}

async fn delete(connection: &Connection, path: &str) -> Result<(), RequestError> {
    let options = br#"{"apiVersion":"v1","kind":"DeleteOptions"}"#;
    match tries::send(connection, Method::DELETE, path, "application/json", options).await {
        Ok(_) | Err(RequestError::NotFound) => Ok(()),
        // One that is being deleted already.
        Err(error) if error.is_conflict() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Definitions of the CNI's groups, and those that its charts brought, that were not there before.
async fn definitions_since(job: &Job<'_>) -> Result<Vec<String>, RequestError> {
    let groups = job.expected.cni.map_or(&[][..], |cni| cni.groups);
    let brought = job.operation.defines.iter().map(String::as_str);
    let brought: BTreeSet<&str> = brought
        .chain(job.definitions.iter().map(|o| o.name.as_str()))
        .collect();
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let metadata = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json";
    let all: Vec<Crd> = list::page(job.connection, path, metadata).await?;
    let names = all.into_iter().map(|crd| crd.meta.name.to_string());
    let ours = |name: &String| {
        brought.contains(name.as_str()) || groups.iter().any(|group| name.ends_with(&format!(".{group}")))
    };
    let before = &job.operation.before.crds;
    Ok(names
        .filter(|name| ours(name) && !before.contains(name))
        .collect())
}

/// Takes the CNI's start-up taint off the nodes that did not bear it before: its operator puts it there. Returns those
/// that still bear it, for their taints kept changing.
async fn remove_taints(job: &Job<'_>, lock: &Lock) -> Result<Vec<String>, RequestError> {
    let Some(taint) = job.expected.cni.and_then(|cni| cni.taint) else {
        return Ok(vec![]);
    };
    let mut left = vec![];
    for name in tainted(job, taint).await? {
        if !lock.ours().await || !untaint(job.connection, &name, taint).await? {
            left.push(name);
        }
    }
    Ok(left)
}

/// Whether the node no longer bears the taint, or is gone.
async fn untaint(connection: &Connection, name: &str, taint: &str) -> Result<bool, RequestError> {
    let path = format!("/api/v1/nodes/{name}");
    // The taints may change between the look and the write: the version makes that a conflict, which is tried again.
    for _ in 0..5 {
        let body = match connection.get(&path, "application/json").await {
            Err(RequestError::NotFound) => return Ok(true),
            other => other?,
        };
        // Never to be guessed: the patch replaces all taints of the node.
        let node: Value =
            serde_json::from_slice(&body).map_err(|e| RequestError::NotTheApi { why: e.to_string() })?;
        let taints = node.pointer("/spec/taints").and_then(Value::as_array);
        let taints = taints.cloned().unwrap_or_default();
        let kept: Vec<&Value> = taints.iter().filter(|t| t["key"] != taint).collect();
        if kept.len() == taints.len() {
            return Ok(true);
        }
        let patch = json!({
            "metadata": { "resourceVersion": node.pointer("/metadata/resourceVersion") },
            "spec": { "taints": kept },
        });
        let patch = patch.to_string().into_bytes();
        let content = "application/merge-patch+json";
        match tries::send(connection, Method::PATCH, &path, content, &patch).await {
            Ok(_) | Err(RequestError::NotFound) => return Ok(true),
            Err(error) if error.is_conflict() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
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
    let nodes: Vec<Tainted> = list::page(
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
async fn until_gone(job: &Job<'_>, lock: &Lock) -> Vec<String> {
    let begun = Instant::now();
    let mut told = vec![];
    loop {
        let left = still_there(job, lock).await;
        if left.is_empty() || begun.elapsed() > GONE_WITHIN || job.stopping() {
            return left;
        }
        // Where nothing has changed there is nothing to say.
        if left != told {
            (job.tell)(&Event::Note(format!("still going: {}", left.join(", "))));
            told.clone_from(&left);
        }
        let mut stop = job.stop.clone();
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(2)) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }
}

async fn still_there(job: &Job<'_>, lock: &Lock) -> Vec<String> {
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
    match job.release().history().await {
        Ok(history) if history.is_empty() => {}
        Ok(_) => left.push(format!("the release {}", job.operation.release)),
        Err(error) => left.push(format!("the release cannot be read: {error}")),
    }
    match definitions_since(job).await {
        Ok(names) if names.is_empty() => {}
        Ok(names) => {
            left.push(format!("CustomResourceDefinitions {}", names.join(", ")));
            // Its operator may have made them once more while it was ending; Leases and taints likewise.
            let _ = apply::remove_definitions(job.connection, &names, lock).await;
        }
        Err(error) => left.push(format!("CustomResourceDefinitions cannot be read: {error}")),
    }
    match remove_leases(job, lock).await {
        Ok(there) => left.extend(there),
        Err(error) => left.push(format!("Leases of its operator: {error}")),
    }
    match remove_taints(job, lock).await {
        Ok(nodes) if nodes.is_empty() => {}
        Ok(nodes) => left.push(format!("the start-up taint on {}", nodes.join(", "))),
        Err(error) => left.push(format!("the start-up taint on nodes: {error}")),
    }
    match end_namespaces(job, lock).await {
        Ok(there) => left.extend(there),
        Err(error) => left.push(format!("namespaces of the release: {error}")),
    }
    left
}
