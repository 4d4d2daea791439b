//! Helm's records of a release that helm itself does not see: it leaves out what it cannot read, and then fails half-way.

use crate::{
    core::{
        codes::preflight::RELEASE_IN_THE_WAY,
        finding::{Finding, Subject},
    },
    io::{
        cluster,
        connection::{Connection, RequestError},
    },
};

/// What is in the way of a release that helm says is not there; nothing where it has no record.
///
/// # Errors
/// Where the records cannot be listed.
pub async fn unseen(
    connection: &Connection,
    namespace: &str,
    release: &str,
) -> Result<Option<Finding>, RequestError> {
    let records = match cluster::release::records(connection, namespace).await {
        Err(RequestError::NotFound) => return Ok(None),
        other => other?,
    };
    let own = records.iter().filter(|r| r.meta.label("name") == Some(release));
    let names: Vec<String> = own.map(|r| r.meta.name.to_string()).collect();
    let Some(first) = names.first() else {
        return Ok(None);
    };
    let subjects = names
        .iter()
        .map(|name| Subject::namespaced("Secret", namespace, name));
    Ok(Some(Finding::new(
        &RELEASE_IN_THE_WAY,
        subjects.collect(),
        format!(
            "release {namespace}/{release} has records that helm cannot read: {}",
            names.join(", ")
        ),
        format!(
            "kubectl get secret {first} -n {namespace} -o yaml; remove it where nothing of the release is in use"
        ),
    )))
}
