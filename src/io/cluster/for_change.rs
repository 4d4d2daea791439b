//! What a change wants to know beside `status`: namespaces, admission webhooks, and whether these are answered.

use std::collections::BTreeSet;

use super::{Progress, ReadError, list, read, state_of};
use crate::{
    core::{
        capture::{Capture, Crd, EndpointSlice, Namespace, Source, State, WebhookConfiguration},
        facts::Asked,
    },
    io::connection::{Connection, RequestError},
};

/// The most namespaces whose EndpointSlices are read: policy engines, certificate managers and operators of a large
/// cluster are some dozens. Beyond that the webhooks count as not judged, which is told.
const NAMESPACES: usize = 60;

/// Reads the cluster as [`read`] does, and what a change needs besides. What may not be read skips its rules.
///
/// # Errors
/// As [`read`].
pub async fn read_for_change(
    connection: &Connection,
    asked: &Asked,
    progress: Progress<'_>,
) -> Result<Capture, ReadError> {
    let (capture, surroundings) = tokio::join!(read(connection, asked, progress), surroundings(connection));
    let mut capture = capture?;
    surroundings.keep(&mut capture);
    Ok(capture)
}

/// Whether a CustomResourceDefinition of this name is there.
///
/// # Errors
/// What the server said.
pub async fn has_definition(connection: &Connection, name: &str) -> Result<bool, RequestError> {
    // A list of one: the right to list is asked for anyway, the right to get is another.
    let path = format!(
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions?fieldSelector=metadata.name%3D{}",
        super::escaped(name)
    );
    let found: Vec<Crd> = list::page(connection, &path, list::METADATA).await?;
    Ok(!found.is_empty())
}

/// What was read besides.
struct Surrounded {
    namespaces: Result<Vec<Namespace>, RequestError>,
    validating: Result<Vec<WebhookConfiguration>, RequestError>,
    mutating: Result<Vec<WebhookConfiguration>, RequestError>,
    slices: Result<Vec<EndpointSlice>, RequestError>,
    too_many: bool,
}

async fn surroundings(connection: &Connection) -> Surrounded {
    let webhooks = |kind: &str| {
        let path = format!("/apis/admissionregistration.k8s.io/v1/{kind}webhookconfigurations");
        async move {
            let keep = |w: WebhookConfiguration| w;
            list::all(connection, &path, list::SMALL_A_PAGE, list::JSON, keep).await
        }
    };
    let namespaces = list::all(
        connection,
        "/api/v1/namespaces",
        list::SMALL_A_PAGE,
        list::JSON,
        |n: Namespace| n,
    );
    let (namespaces, validating, mutating) =
        tokio::join!(namespaces, webhooks("validating"), webhooks("mutating"));
    let all = validating.iter().chain(&mutating).flatten();
    let closed = all.flat_map(|c| &c.webhooks).filter(|w| w.fails_closed());
    let services = closed.filter_map(|w| w.client_config.service.as_ref());
    let mut wanted: BTreeSet<String> = services.map(|s| s.namespace.to_string()).collect();
    // Those were read for cluster DNS.
    wanted.remove("kube-system");
    let too_many = wanted.len() > NAMESPACES;
    let reads = wanted.into_iter().take(NAMESPACES).map(|namespace| async move {
        let path = format!(
            "/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices",
            super::escaped(&namespace)
        );
        list::all(connection, &path, list::SMALL_A_PAGE, list::JSON, |s| s).await
    });
    let slices = super::all_of(list::together(reads).await);
    Surrounded {
        namespaces,
        validating,
        mutating,
        slices,
        too_many,
    }
}

impl Surrounded {
    fn keep(self, capture: &mut Capture) {
        capture.namespaces = kept(capture, Source::Namespaces, self.namespaces);
        capture.validating_webhooks = kept(capture, Source::ValidatingWebhooks, self.validating);
        capture.mutating_webhooks = kept(capture, Source::MutatingWebhooks, self.mutating);
        let slices = kept(capture, Source::WebhookEndpoints, self.slices);
        capture.endpoint_slices.extend(slices);
        if self.too_many {
            let why = format!("webhooks in more than {NAMESPACES} namespaces");
            capture
                .states
                .insert(Source::WebhookEndpoints, State::Failed { why });
        }
    }
}

fn kept<T>(capture: &mut Capture, source: Source, read: Result<Vec<T>, RequestError>) -> Vec<T> {
    match read {
        Ok(items) => {
            capture.states.insert(source, State::Read);
            items
        }
        Err(error) => {
            capture.states.insert(source, state_of(source, &error));
            vec![]
        }
    }
}
