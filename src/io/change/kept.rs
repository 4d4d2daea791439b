//! The three objects of ours in a cluster that is being changed (Lease, ConfigMap, Secret), written so that a lost answer
//! never makes two of them and never goes unnoticed.

use http::Method;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{identity, tries::Tries};
use crate::io::connection::{Connection, RequestError};

/// The name of each of them, whatever the CNI: one change at a time.
pub const NAME: &str = "kubectl-byocni";

/// Where they live: the namespace that every cluster has and that needs no rights of a CNI's own.
pub const NAMESPACE: &str = "kube-system";

/// Marks one write, so that it is recognised when its answer was lost.
const WRITE: &str = "byocni.io/write";

/// The collections of our three kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The lock.
    Lease,
    /// The journal.
    ConfigMap,
    /// Charts and values of the change under way.
    Secret,
}

impl Kind {
    fn collection(self) -> String {
        match self {
            Kind::Lease => format!("/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"),
            Kind::ConfigMap => format!("/api/v1/namespaces/{NAMESPACE}/configmaps"),
            Kind::Secret => format!("/api/v1/namespaces/{NAMESPACE}/secrets"),
        }
    }

    fn header(self) -> (&'static str, &'static str) {
        match self {
            Kind::Lease => ("coordination.k8s.io/v1", "Lease"),
            Kind::ConfigMap => ("v1", "ConfigMap"),
            Kind::Secret => ("v1", "Secret"),
        }
    }
}

/// Ours as it was read: its `resourceVersion` and what is in it.
#[derive(Debug, Clone)]
pub struct Read<T> {
    /// The version that a write must name.
    pub version: String,
    /// `spec`, `data` and the like.
    pub object: T,
}

/// Reads ours; nothing where it is not there.
///
/// # Errors
/// Where it could not be read, or is none of ours.
pub async fn read<T: DeserializeOwned>(
    connection: &Connection,
    kind: Kind,
) -> Result<Option<Read<T>>, RequestError> {
    let path = format!("{}/{NAME}", kind.collection());
    match connection.get(&path, "application/json").await {
        Ok(body) => parsed(&body).map(Some),
        Err(RequestError::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes ours whole. With a version it must still be that one, without one it must not be there: else the server says
/// 409 and nothing happens. A write whose answer was lost is looked for before it is sent a second time.
///
/// # Errors
/// What the server said; where the outcome stays open, what left it so.
pub async fn write<T: Serialize + Sync>(
    connection: &Connection,
    kind: Kind,
    version: Option<&str>,
    content: &T,
) -> Result<String, RequestError> {
    let mark = identity::random();
    let malformed = |why: serde_json::Error| RequestError::Malformed { why: why.to_string() };
    let mut object = serde_json::to_value(content).map_err(malformed)?;
    let (api_version, name) = kind.header();
    object["apiVersion"] = api_version.into();
    object["kind"] = name.into();
    object["metadata"] = json!({
        "name": NAME,
        "namespace": NAMESPACE,
        "labels": { "app.kubernetes.io/managed-by": NAME },
        "annotations": { WRITE: mark },
    });
    if let Some(version) = version {
        object["metadata"]["resourceVersion"] = version.into();
    }
    let body = serde_json::to_vec(&object).map_err(malformed)?;
    let (method, path) = match version {
        Some(_) => (Method::PUT, format!("{}/{NAME}", kind.collection())),
        None => (Method::POST, kind.collection()),
    };
    let mut tries = Tries::new();
    loop {
        let error = match connection
            .send(method.clone(), &path, "application/json", body.clone())
            .await
        {
            Ok(answer) => return version_of(&answer),
            Err(error) if error.leaves_open_what_happened() => error,
            // An earlier try may have come through after it was looked for.
            Err(error) if tries.begun() && error.is_conflict() => error,
            Err(error) => return Err(error),
        };
        match read::<Value>(connection, kind).await {
            Ok(Some(read))
                if read
                    .object
                    .pointer("/metadata/annotations")
                    .and_then(|a| a.get(WRITE))
                    == Some(&Value::from(mark.clone())) =>
            {
                return Ok(read.version);
            }
            // It did not happen: what stands there is what stood there before.
            Ok(found)
                if !error.is_conflict() && found.as_ref().map(|read| read.version.as_str()) == version =>
            {
                if !tries.another().await {
                    return Err(error);
                }
            }
            _ => return Err(error),
        }
    }
}

/// Removes ours, if it is still this version (any, where none is given). One that is gone already is fine.
///
/// # Errors
/// What the server said.
pub async fn remove(connection: &Connection, kind: Kind, version: Option<&str>) -> Result<(), RequestError> {
    let path = format!("{}/{NAME}", kind.collection());
    let mut options = json!({ "apiVersion": "v1", "kind": "DeleteOptions" });
    if let Some(version) = version {
        options["preconditions"] = json!({ "resourceVersion": version });
    }
    let body = options.to_string().into_bytes();
    let mut tries = Tries::new();
    loop {
        let error = match connection
            .send(Method::DELETE, &path, "application/json", body.clone())
            .await
        {
            Ok(_) | Err(RequestError::NotFound) => return Ok(()),
            Err(error) if error.leaves_open_what_happened() => error,
            Err(error) => return Err(error),
        };
        match read::<Value>(connection, kind).await {
            Ok(None) => return Ok(()),
            // With the version that it must have, a second removal cannot hit another's.
            Ok(Some(_)) if tries.another().await => {}
            _ => return Err(error),
        }
    }
}

fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<Read<T>, RequestError> {
    let strange = |why: serde_json::Error| RequestError::NotTheApi { why: why.to_string() };
    Ok(Read {
        version: version_of(body)?,
        object: serde_json::from_slice(body).map_err(strange)?,
    })
}

fn version_of(body: &[u8]) -> Result<String, RequestError> {
    let object: Value =
        serde_json::from_slice(body).map_err(|e| RequestError::NotTheApi { why: e.to_string() })?;
    let version = object
        .pointer("/metadata/resourceVersion")
        .and_then(Value::as_str);
    version
        .map(str::to_string)
        .ok_or_else(|| RequestError::NotTheApi {
            why: "an object without a resourceVersion".into(),
        })
}
