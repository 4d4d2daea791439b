//! What a change brings of a product that nobody knows: its Deployments, and the pods of its workloads in full, so that
//! whether one of them ever ran, and why one does not, is seen as it is of a CNI that is known by name.

use std::collections::BTreeSet;

use super::{list, pods_path, replace_rows, selector_of};
use crate::{
    core::capture::{Capture, Pod, Workload},
    io::connection::{Connection, RequestError},
};

/// From so many pods on, a workload of which one pod is Ready is not read in full: that it runs is known, and a look
/// every other second must stay cheap.
const LARGE: i64 = 100;

/// Adds to a capture what these workloads, each by namespace and name, have there: Deployments of namespaces that were
/// not read, and pods. What cannot be read is left out, and its rows say that it is there.
pub async fn read_brought(
    connection: &Connection,
    capture: &mut Capture,
    daemon_sets: &[(String, String)],
    deployments: &[(String, String)],
) {
    let listed = |all: &[(String, String)], w: &Workload| {
        all.iter()
            .any(|(namespace, name)| w.meta.namespace == **namespace && w.meta.name == **name)
    };
    let known: BTreeSet<&str> = capture
        .deployments
        .iter()
        .map(|w| w.meta.namespace.as_str())
        .collect();
    let unread: BTreeSet<&str> = deployments
        .iter()
        .map(|(namespace, _)| namespace.as_str())
        .filter(|namespace| !known.contains(namespace))
        .collect();
    let mut more: Vec<Workload> = vec![];
    for namespace in unread {
        let path = format!(
            "/apis/apps/v1/namespaces/{}/deployments",
            super::escaped(namespace)
        );
        let read = list::all(
            connection,
            &path,
            list::SMALL_A_PAGE,
            list::JSON,
            Workload::trimmed,
        );
        more.extend(read.await.unwrap_or_default());
    }
    more.retain(|w| listed(deployments, w));
    capture.deployments.extend(more);
    let own_daemon_sets = capture.daemon_sets.iter().filter(|w| listed(daemon_sets, w));
    let own_deployments = capture.deployments.iter().filter(|w| listed(deployments, w));
    let wanted = own_daemon_sets
        .chain(own_deployments)
        .filter(|w| !w.spec.selector.match_labels.is_empty())
        .filter(|w| w.desired() < LARGE || w.ready() == 0)
        // Those of a known product, and cluster DNS, were read already.
        .filter(|w| {
            let own = |pod: &Pod| pod.meta.namespace == w.meta.namespace && w.selects(&pod.meta.labels);
            !capture.pods.iter().any(own)
        });
    let reads = wanted.map(|workload| pods_of(connection, workload));
    let pods: Vec<Pod> = list::together(reads)
        .await
        .into_iter()
        .flatten()
        .flatten()
        .collect();
    capture.pods.extend(pods);
    replace_rows(capture);
}

async fn pods_of(connection: &Connection, workload: &Workload) -> Result<Vec<Pod>, RequestError> {
    let path = pods_path(&workload.meta.namespace, &selector_of(workload));
    list::all(connection, &path, list::PODS_A_PAGE, list::JSON, Pod::trimmed).await
}
