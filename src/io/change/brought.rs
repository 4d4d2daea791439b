//! The custom resources that a release brought, such as Calico's Installation. They go first, while the operator that
//! looks after them runs: it has put finalizers on them, removes what it made for them, and only then lets them go. Once
//! it is gone nobody would. No finalizer is ever taken off here: what it stands for would stay behind
//! (<https://github.com/projectcalico/calico/issues/9066>).
#![expect(clippy::disallowed_methods, reason = "waits by the clock")]

use std::time::{Duration, Instant};

use http::Method;
use serde_json::{Value, json};

use super::{lock::Lock, run::Job, tries};
use crate::{
    core::{
        change::Event,
        manifest::{self, Object},
        plan::rights,
        text::Text,
    },
    io::{
        cluster::list,
        connection::RequestError,
        helm::{Cause, HelmError},
    },
};

/// How long an operator may take. Calico's ends the pods of its own controllers before it lets its Installation go; its
/// own hook for this waits 5 minutes, for agents that run.
const CLEANED_WITHIN: Duration = Duration::from_secs(120);

/// The pause between two looks.
const PAUSE: Duration = Duration::from_secs(2);

/// Removes them, and waits until they are gone; returns what is still there in the end, each with what to do, in one
/// line.
///
/// # Errors
/// What could not be read or removed, in one line.
pub async fn remove(job: &Job<'_>, lock: &Lock) -> Result<Vec<String>, String> {
    let mut paths = vec![];
    for (object, path) in of_release(job).await? {
        if !lock.ours().await {
            return Ok(vec![]);
        }
        let shown = object.subject().to_string();
        let at = |error: RequestError| format!("{shown}: {error}");
        let there: Value = match job.connection.get(&path, list::JSON).await {
            // Also where the API server does not know its kind (yet, or any more).
            Err(RequestError::NotFound) => continue,
            other => serde_json::from_slice(&other.map_err(at)?).unwrap_or_default(),
        };
        let options = json!({
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": { "uid": there.pointer("/metadata/uid") },
        });
        let body = options.to_string().into_bytes();
        match tries::send(job.connection, Method::DELETE, &path, list::JSON, &body).await {
            Ok(_) | Err(RequestError::NotFound) => {}
            // Another of its name has taken its place: the look that follows finds it.
            Err(error) if error.is_conflict() => {}
            Err(error) => return Err(at(error)),
        }
        paths.push((object, path));
    }
    Ok(until_gone(job, lock, &paths).await)
}

/// The custom resources of the release's manifest, and where each is; none where there is no release any more.
async fn of_release(job: &Job<'_>) -> Result<Vec<(Object, String)>, String> {
    let mut tries = tries::Tries::new();
    let text = loop {
        match job.release().manifest().await {
            Ok(text) => break text,
            Err(HelmError::Failed {
                cause: Cause::ReleaseNotFound,
                ..
            }) => return Ok(vec![]),
            Err(HelmError::Failed { .. }) if tries.another().await => {}
            Err(error) => return Err(format!("the release {}: {error}", job.operation.release)),
        }
    };
    let documents = crate::yaml::documents(&text).map_err(|why| {
        format!(
            "the manifest of the release {} is no YAML: {}",
            job.operation.release,
            Text::new(&why).line(200)
        )
    })?;
    let objects = manifest::objects(documents);
    let defined = rights::defined(objects.iter().chain(job.definitions));
    let path = |object: &Object| {
        let place = rights::place(object, &defined, &job.operation.namespace);
        let name = rights::part(&object.name);
        format!("{}/{name}", place.path(&object.api_version))
    };
    let own = objects.into_iter().filter(rights::is_custom);
    Ok(own
        .map(|object| {
            let path = path(&object);
            (object, path)
        })
        .collect())
}

/// Waits until none of them is there, nor a namespace of the operator's that something in it holds.
async fn until_gone(job: &Job<'_>, lock: &Lock, paths: &[(Object, String)]) -> Vec<String> {
    let begun = Instant::now();
    let mut told = vec![];
    loop {
        let mut left = vec![];
        for (object, path) in paths {
            match job.connection.get(path, list::JSON).await {
                Err(RequestError::NotFound) => {}
                Ok(body) => left.push(held(object, &body)),
                Err(error) => left.push(format!("{}: {error}", object.subject())),
            }
        }
        if !paths.is_empty() {
            left.extend(held_namespaces(job).await);
        }
        if left.is_empty() {
            return left;
        }
        if begun.elapsed() > CLEANED_WITHIN || job.stopping() {
            left.push(format!(
                "nobody but its operator takes finalizers off, once it has cleaned up: kubectl get deployments,pods -n {} \
                 shows whether it runs",
                job.operation.namespace
            ));
            return left;
        }
        if left != told {
            (job.tell)(&Event::Wait {
                what: format!("its operator cleans up: {}", left.join("; ")),
                limit: CLEANED_WITHIN.saturating_sub(begun.elapsed()),
            });
            told.clone_from(&left);
        }
        let mut stop = job.stop.clone();
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = lock.lost() => return left,
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }
}

/// An object that does not go, and what holds it.
fn held(object: &Object, body: &[u8]) -> String {
    let there: Value = serde_json::from_slice(body).unwrap_or_default();
    let finalizers = there.pointer("/metadata/finalizers").and_then(Value::as_array);
    let finalizers: Vec<String> = finalizers
        .into_iter()
        .flatten()
        .filter_map(|one| Some(Text::new(one.as_str()?).line(80)))
        .collect();
    match finalizers.as_slice() {
        [] => format!("{} is still there", object.subject()),
        all => format!("{} is held by the finalizer {}", object.subject(), all.join(", ")),
    }
}

/// The operator's namespaces that end and that something in them holds. Such as cannot be read now are looked at in the
/// end, with all that is left.
async fn held_namespaces(job: &Job<'_>) -> Vec<String> {
    let made_in = job.expected.cni.map_or(&[][..], |cni| cni.made_in);
    let mut held = vec![];
    for name in made_in {
        let path = format!("/api/v1/namespaces/{name}");
        let Ok(body) = job.connection.get(&path, list::JSON).await else {
            continue;
        };
        let namespace: Value = serde_json::from_slice(&body).unwrap_or_default();
        held.extend(finalizers_in(&namespace).map(|why| format!("namespace {name}: {why}")));
    }
    held
}

/// What the server says of finalizers in a namespace that ends; nothing where none are left.
pub fn finalizers_in(namespace: &Value) -> Option<String> {
    let conditions = namespace.pointer("/status/conditions")?.as_array()?;
    let remaining = conditions
        .iter()
        .find(|c| c["type"] == "NamespaceFinalizersRemaining" && c["status"] == "True")?;
    Some(Text::new(remaining["message"].as_str().unwrap_or_default()).line(200))
}
