//! Asks the server whether we may: one SelfSubjectAccessReview a right, before anything is written.

use serde::Deserialize;
use serde_json::json;

use super::list;
use crate::{
    core::plan::rights::Right,
    io::connection::{Connection, RequestError},
};

/// Reviews at once: the server answers each from memory, and an install asks a hundred.
const AT_ONCE: usize = 20;

/// Where reviews are posted; nothing is stored by it.
const REVIEWS: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";

/// The rights that the server denies, as `create daemonsets.apps in kube-system`, in the order of the question.
///
/// # Errors
/// Where a review could not be made: what the server denies is then not known.
pub async fn denied(connection: &Connection, rights: &[Right]) -> Result<Vec<String>, RequestError> {
    if rights.is_empty() || unlimited(connection).await? {
        return Ok(vec![]);
    }
    let mut denied = vec![];
    for some in rights.chunks(AT_ONCE) {
        let answers = list::together(some.iter().map(|right| allowed(connection, right))).await;
        for (right, answer) in some.iter().zip(answers) {
            if !answer? {
                denied.push(right.to_string());
            }
        }
    }
    Ok(denied)
}

/// Whether we may do everything: administrators, who are most of those that install a CNI, are known by one question.
///
/// # Errors
/// Where the review could not be made.
pub async fn unlimited(connection: &Connection) -> Result<bool, RequestError> {
    allowed(connection, &Right::new("*", "*", "*")).await
}

#[derive(Deserialize)]
struct Review {
    status: Option<Status>,
}

#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    allowed: bool,
}

async fn allowed(connection: &Connection, right: &Right) -> Result<bool, RequestError> {
    let (resource, part) = right.parts();
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": { "resourceAttributes": {
            "verb": right.verb,
            "group": right.group,
            "resource": resource,
            "subresource": part,
            "namespace": right.namespace.as_deref().unwrap_or_default(),
            "name": right.name.as_deref().unwrap_or_default(),
        }},
    });
    let body = connection
        .post_json(REVIEWS, review.to_string().into_bytes())
        .await?;
    let review: Review =
        serde_json::from_slice(&body).map_err(|e| RequestError::NotTheApi { why: e.to_string() })?;
    // An answer without a status is no yes.
    Ok(review.status.is_some_and(|s| s.allowed))
}
