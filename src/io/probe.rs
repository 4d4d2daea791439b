//! Probe pods: made, read and removed. What they are and what they show is in `core::gate::probe`.

use http::Method;
use serde::Deserialize;
use serde_json::Value;

use super::{
    change::FIELD_MANAGER,
    connection::{Connection, RequestError},
};
use crate::core::{
    capture::Pod,
    gate::probe::{self, ProbeSeen},
    text::Text,
};

/// Where the probes are.
fn pods_path() -> String {
    format!("/api/v1/namespaces/{}/pods", probe::NAMESPACE)
}

/// How often what is left of the probes is removed: a write whose answer was lost is looked after.
const SWEEPS: usize = 3;

/// Why a probe could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The server will not have it: no right to make pods, or an admission rule against it.
    #[error("{why}")]
    Denied {
        /// The server's sentence.
        why: String,
    },
    /// No such answer: the next look may make it.
    #[error("{error}")]
    Undecided {
        /// What the try brought.
        error: RequestError,
    },
}

/// Makes a probe of [`probe::pod`], or with `dry_run` only asks whether it could be made. One that is there already is
/// as good as made; one that is over gives way to a new one. A write whose answer was lost is read back.
///
/// # Errors
/// Where the server refuses it, or where it cannot be said whether it is there.
pub async fn create(connection: &Connection, pod: &Value, dry_run: bool) -> Result<(), ProbeError> {
    let name = pod
        .pointer("/metadata/name")
        .and_then(Value::as_str)
        .unwrap_or_default();
    match post(connection, pod, dry_run).await {
        Ok(()) => Ok(()),
        Err(error) if is_conflict(&error) => {
            if dry_run {
                return Ok(());
            }
            let there = read(connection, name).await.map_err(undecided)?;
            if there.as_ref().is_none_or(Pod::finished) {
                if let Some(over) = there {
                    remove(connection, &over).await.map_err(undecided)?;
                }
                return post(connection, pod, false).await.map_err(why_not);
            }
            Ok(())
        }
        Err(error) if error.leaves_open_what_happened() && !dry_run => {
            // The name is the same on every try, so that a probe which is there now is the one that was sent.
            match read(connection, name).await {
                Ok(Some(_)) => Ok(()),
                Ok(None) => Err(undecided(error)),
                Err(second) => Err(undecided(second)),
            }
        }
        Err(error) if dry_run && untried(&error) => Ok(()),
        Err(error) => Err(why_not(error)),
    }
}

/// The probes of an operation, as far as they are there.
///
/// # Errors
/// What the request brought.
pub async fn look(
    connection: &Connection,
    operation_id: &str,
    pools: &[ipnet::IpNet],
) -> Result<Vec<ProbeSeen>, RequestError> {
    let pods = list(connection, operation_id).await?;
    let alive = pods.iter().filter(|p| p.meta.deletion_timestamp.is_none());
    Ok(alive.map(|pod| probe::seen(pod, pools)).collect())
}

/// Removes every probe of an operation, whoever made it. Returns how many were removed.
///
/// # Errors
/// Where probes are left: they end by themselves five minutes after they were made.
pub async fn remove_all(connection: &Connection, operation_id: &str) -> Result<usize, RequestError> {
    let (mut removed, mut failed) = (0, None);
    for _ in 0..SWEEPS {
        let pods = match list(connection, operation_id).await {
            Ok(pods) => pods,
            Err(error) => {
                failed = Some(error);
                continue;
            }
        };
        failed = None;
        for pod in pods.iter().filter(|p| p.meta.deletion_timestamp.is_none()) {
            match remove(connection, pod).await {
                Ok(()) => removed += 1,
                Err(error) => failed = Some(error),
            }
        }
        if failed.is_none() {
            return Ok(removed);
        }
    }
    failed.map_or(Ok(removed), Err)
}

async fn post(connection: &Connection, pod: &Value, dry_run: bool) -> Result<(), RequestError> {
    let dry = if dry_run { "&dryRun=All" } else { "" };
    let path = format!("{}?fieldManager={FIELD_MANAGER}{dry}", pods_path());
    let sent = connection.send(
        Method::POST,
        &path,
        "application/json",
        pod.to_string().into_bytes(),
    );
    sent.await.map(drop)
}

async fn read(connection: &Connection, name: &str) -> Result<Option<Pod>, RequestError> {
    match connection
        .get(&format!("{}/{name}", pods_path()), "application/json")
        .await
    {
        Ok(body) => serde_json::from_slice(&body).map(Some).map_err(not_a_pod),
        Err(RequestError::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn list(connection: &Connection, operation_id: &str) -> Result<Vec<Pod>, RequestError> {
    #[derive(Deserialize)]
    struct Pods {
        #[serde(default)]
        items: Option<Vec<Pod>>,
    }
    let operation = probe::operation_label(operation_id);
    let path = format!(
        "{}?labelSelector={}%3D{operation}",
        pods_path(),
        probe::OPERATION.replace('/', "%2F")
    );
    let body = connection.get(&path, "application/json").await?;
    let pods: Pods = serde_json::from_slice(&body).map_err(not_a_pod)?;
    Ok(pods.items.unwrap_or_default())
}

/// Removes this pod and no later one of its name. One that is gone already is as good as removed.
async fn remove(connection: &Connection, pod: &Pod) -> Result<(), RequestError> {
    let options = serde_json::json!({
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "gracePeriodSeconds": 0,
        "preconditions": { "uid": pod.meta.uid.as_str() },
    });
    let path = format!("{}/{}", pods_path(), pod.meta.name);
    let sent = connection.send(
        Method::DELETE,
        &path,
        "application/json",
        options.to_string().into_bytes(),
    );
    match sent.await {
        Err(RequestError::NotFound) => Ok(()),
        Err(error) if is_conflict(&error) => Ok(()),
        other => other.map(drop),
    }
}

fn not_a_pod(error: serde_json::Error) -> RequestError {
    RequestError::NotTheApi {
        why: error.to_string(),
    }
}

fn is_conflict(error: &RequestError) -> bool {
    matches!(error, RequestError::Status { code: 409, .. })
}

/// A webhook that cannot be asked without effect refuses to be tried; what it says of the pod itself is not known, and
/// the real one will tell (<https://kubernetes.io/docs/reference/using-api/api-concepts/#dry-run>).
fn untried(error: &RequestError) -> bool {
    let said = error.to_string();
    said.contains("does not support dry run") || said.contains("dryRun")
}

fn undecided(error: RequestError) -> ProbeError {
    ProbeError::Undecided { error }
}

/// A refusal is one of the rights (403) or of what the pod is (400, 422); the rest is the server's own trouble.
fn why_not(error: RequestError) -> ProbeError {
    match error {
        RequestError::Forbidden { message } => denied(&message),
        RequestError::Status {
            code: 400 | 422,
            message,
            ..
        } => denied(&message),
        error => undecided(error),
    }
}

fn denied(message: &str) -> ProbeError {
    ProbeError::Denied {
        why: Text::new(message).line(300),
    }
}

#[cfg(test)]
mod tests;
