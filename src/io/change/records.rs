//! Helm's records that helm itself does not see: it leaves out what it cannot read, and then fails half-way.

use crate::{
    core::{
        codes::{preflight::RELEASE_IN_THE_WAY, reading::UNPARSABLE_VALUE},
        facts::Facts,
        finding::{Finding, Subject},
        revision::Revision,
    },
    io::{
        cluster,
        connection::{Connection, RequestError},
    },
};

/// What is told of a release that is to be changed, where its newest revision is not among those that helm sees: helm takes
/// an older one for the newest, and fails when it writes the next.
pub fn passed_over(facts: &Facts<'_>, namespace: &str, release: &str, seen: &[Revision]) -> Option<Finding> {
    let newest = facts.release.as_ref()?.revisions.last()?.number;
    if seen.iter().any(|r| r.revision >= newest) {
        return None;
    }
    let secret = format!("sh.helm.release.v1.{release}.v{newest}");
    Some(Finding::new(
        &UNPARSABLE_VALUE,
        vec![Subject::namespaced("Secret", namespace, &secret)],
        format!(
            "Helm's record of revision {newest} of {namespace}/{release} is damaged, and helm does not see that revision"
        ),
        format!(
            "keep it: kubectl get secret {secret} -n {namespace} -o yaml > record.yaml; then: kubectl delete secret {secret} -n \
             {namespace}"
        ),
    ))
}

/// What is in the way of a release that is to be installed and that helm says is not there; nothing where it has no record.
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
