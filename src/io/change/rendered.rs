//! What a chart renders, and what a gate has to wait for because of it.

use std::time::Duration;

use crate::{
    core::{
        cni::{Cni, image_version},
        codes::change::CHART_UNUSABLE,
        finding::Finding,
        gate::Expectation,
        journal::Operation,
        manifest::{self, Object},
        plan::{Draft, Surroundings, rights},
        text::Text,
    },
    io::{
        charts::Fetched,
        helm::{Helm, HelmError, Rendering},
    },
};

/// What the gate of an operation waits for, given what its chart renders.
pub fn expected(
    operation: &Operation,
    cni: Option<&'static Cni>,
    rendered: &[Object],
    settle: Duration,
) -> Expectation {
    let of = |kind: &str| -> Vec<(String, String)> {
        let own = rendered
            .iter()
            .filter(|o| o.kind == kind && o.group() == "apps" && rights::is_installed(o));
        own.map(|o| {
            let namespace = o.namespace.as_deref().unwrap_or(&operation.namespace);
            (namespace.to_string(), o.name.clone())
        })
        .collect()
    };
    let agents = rendered.iter().filter(|o| o.kind == "DaemonSet");
    let agents =
        agents.filter_map(|o| serde_json::from_value::<crate::core::capture::Workload>(o.value.clone()).ok());
    let version = agents
        .filter(|w| cni.is_some_and(|c| c.evidence(w).is_some()))
        .find_map(|w| image_version(&cni?.agent_container(&w)?.image));
    Expectation {
        change: operation.change,
        cni,
        daemon_sets: of("DaemonSet"),
        deployments: of("Deployment"),
        namespace: operation.namespace.clone(),
        pools: operation.pools.clone(),
        broken_before: operation.before.broken_nodes.clone(),
        errors_before: operation.before.errors.clone(),
        settle,
        limit: Duration::from_secs(operation.gate_seconds),
        version,
        probe: true,
    }
}

/// What a chart renders with these values; `upgrade` where the release is there already.
///
/// # Errors
/// Helm's, or that it printed no manifest.
pub async fn render(
    helm: &Helm,
    fetched: &Fetched,
    draft: &Draft,
    kubernetes: Option<&str>,
    upgrade: bool,
) -> Result<Vec<Object>, HelmError> {
    let text = helm
        .template(&Rendering {
            chart: &fetched.path,
            release: &draft.release,
            namespace: &draft.namespace,
            values: &draft.values,
            kube_version: kubernetes,
            api_versions: &[],
            upgrade,
        })
        .await?;
    let documents = crate::yaml::documents(&text).map_err(|why| HelmError::Strange {
        program: helm.program().to_path_buf(),
        why: format!("what it rendered is no YAML: {}", Text::new(&why).line(200)),
    })?;
    Ok(manifest::objects(documents))
}

/// What was rendered; a finding where helm would not.
pub(super) fn taken(
    made: Result<Vec<Object>, HelmError>,
    surroundings: &mut Surroundings,
) -> Option<Vec<Object>> {
    match made {
        Ok(objects) if objects.is_empty() => {
            surroundings.findings.push(Finding::new(
                &CHART_UNUSABLE,
                vec![],
                "the chart renders nothing with these values: there would be nothing to install".into(),
                "kubectl byocni explain chart-unusable",
            ));
            None
        }
        Ok(objects) => Some(objects),
        Err(error) => {
            surroundings.findings.push(Finding::new(
                &CHART_UNUSABLE,
                vec![],
                format!("the chart cannot be rendered with these values: {error}"),
                error
                    .hint()
                    .unwrap_or_else(|| "kubectl byocni explain chart-unusable".into()),
            ));
            None
        }
    }
}
