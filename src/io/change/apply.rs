//! CustomResourceDefinitions that a CNI wants before its chart: applied server-side, with force, for Helm made those
//! fields in earlier versions of the charts; then waited for.
#![expect(clippy::disallowed_methods, reason = "waits by the clock")]

use std::time::{Duration, Instant};

use http::Method;
use serde_json::Value;

use super::{lock::Lock, tries};
use crate::{
    core::manifest::Object,
    io::connection::{Connection, RequestError},
};

/// Who owns the fields, as `managedFields` shows it.
pub const FIELD_MANAGER: &str = "kubectl-byocni";

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/// How long the API server may take to serve all of them.
const ESTABLISHED_WITHIN: Duration = Duration::from_secs(60);

/// Why definitions could not be applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The server said no.
    #[error("CustomResourceDefinition {name}: {error}")]
    Refused {
        /// Which.
        name: String,
        /// Why.
        error: RequestError,
    },
    /// The lock is another's: nothing more is written.
    #[error("the lock was lost")]
    Lost,
    /// The API server does not serve them.
    #[error("not Established after {} s: {}", ESTABLISHED_WITHIN.as_secs(), .names.join(", "))]
    NotEstablished {
        /// Which.
        names: Vec<String>,
    },
}

/// Applies definitions and waits until the server serves them. Applying is idempotent: what is there already stays.
///
/// # Errors
/// See [`ApplyError`].
pub async fn definitions(connection: &Connection, objects: &[Object], lock: &Lock) -> Result<(), ApplyError> {
    for object in objects {
        if !lock.ours().await {
            return Err(ApplyError::Lost);
        }
        let path = format!(
            "{DEFINITIONS}/{}?fieldManager={FIELD_MANAGER}&force=true",
            object.name
        );
        let refused = |error| ApplyError::Refused {
            name: object.name.clone(),
            error,
        };
        let body = object.value.to_string().into_bytes();
        let content = "application/apply-patch+yaml";
        // The same apply a second time changes nothing where the first came through.
        tries::send(connection, Method::PATCH, &path, content, &body)
            .await
            .map_err(refused)?;
    }
    established(connection, objects.iter().map(|o| o.name.as_str()).collect()).await
}

async fn established(connection: &Connection, mut names: Vec<&str>) -> Result<(), ApplyError> {
    let begun = Instant::now();
    loop {
        let mut waiting = vec![];
        for name in names {
            // What cannot be read now is looked at again.
            let read = connection
                .get(&format!("{DEFINITIONS}/{name}"), "application/json")
                .await;
            if !read.is_ok_and(|body| is_established(&body)) {
                waiting.push(name);
            }
        }
        if waiting.is_empty() {
            return Ok(());
        }
        if begun.elapsed() > ESTABLISHED_WITHIN {
            let names = waiting.into_iter().map(str::to_string).collect();
            return Err(ApplyError::NotEstablished { names });
        }
        names = waiting;
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

fn is_established(body: &[u8]) -> bool {
    let object: Value = serde_json::from_slice(body).unwrap_or_default();
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    conditions
        .into_iter()
        .flatten()
        .any(|c| c["type"] == "Established" && c["status"] == "True")
}

/// Removes definitions, and with them every object of their kinds. Those that are gone already are fine.
///
/// # Errors
/// What the server said.
pub async fn remove_definitions(
    connection: &Connection,
    names: &[String],
    lock: &Lock,
) -> Result<(), ApplyError> {
    for name in names {
        if !lock.ours().await {
            return Err(ApplyError::Lost);
        }
        let path = format!("{DEFINITIONS}/{name}");
        let options = br#"{"apiVersion":"v1","kind":"DeleteOptions"}"#;
        match tries::send(connection, Method::DELETE, &path, "application/json", options).await {
            Ok(_) | Err(RequestError::NotFound) => {}
            Err(error) => {
                return Err(ApplyError::Refused {
                    name: name.clone(),
                    error,
                });
            }
        }
    }
    Ok(())
}
