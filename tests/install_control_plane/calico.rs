//! Calico by its operator: the operator is played, the charts and their definitions are real.

use serde_json::json;

use crate::{
    clusters::{Behaviour, kubelet::Which},
    story::{Ran, Story, named},
};

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/// No calico-node is ever pulled: taken back, definitions and namespaces included, although the operator made more than
/// the chart did and the API of the metrics server does not answer. Then it is installed. With its writes from then on.
fn installed(version: &str, helm: u8, first: u8) -> Option<(Story, Vec<String>)> {
    let story = Story::aks(2, helm)?;
    let before = story.inventory();
    story.kubelet.set_everywhere(Which::Agent, Behaviour::ImagePull);
    let arguments = story.installing(&["calico", "--version", version, "--timeout", "25s"]);
    Ran::end(story.start_with(first, &arguments)).expect(6, &["gate-timed-out", "ROLLED BACK"]);
    story.is_as_before(&before, &[]);
    story.kubelet.set_everywhere(Which::Agent, Behaviour::Healthy);

    let begun = story.writes().len();
    let ran = story.install(&["calico", "--version", version]);
    ran.expect(0, &["DONE"]);
    let said = story.status();
    assert_eq!((said.verdict(), said.exit), ("healthy", 0), "{}", said.table);
    assert_eq!(said.json["cni"]["name"], "Calico");
    assert_eq!(said.json["podCIDR"]["pools"][0]["cidr"], "10.244.0.0/16");
    story.only_the_record_is_left("tigera-operator/calico", version);
    let writes = story.writes();
    story
        .install(&["calico", "--version", version])
        .expect(0, &["NOTHING TO DO"]);
    assert_eq!(story.writes()[writes.len()..], [] as [String; 0]);
    Some((story, writes[begun..].to_vec()))
}

#[test]
fn calico_3_31_is_taken_back_and_installed() {
    installed("v3.31.3", 3, 4);
}

/// Acceptance scenario 47: its definitions come from a chart of their own. They are applied server-side and Established
/// before helm's first write; they stay when the release is taken away, which is said.
#[test]
fn scenario_47_calico_3_32_gets_its_definitions_first() {
    let Some((story, writes)) = installed("v3.32.1", 4, 3) else {
        return;
    };
    let applied = writes
        .iter()
        .rposition(|w| w.starts_with("patch") && w.contains(DEFINITIONS));
    let helms = writes
        .iter()
        .position(|w| w.starts_with("create") && w.contains("/namespaces/tigera-operator/secrets"));
    let (applied, helms) = (
        applied.expect("definitions applied"),
        helms.expect("helm's record"),
    );
    assert!(applied < helms, "{writes:#?}");
    let definition = story
        .plane
        .get(&format!("{DEFINITIONS}/installations.operator.tigera.io"));
    let definition = definition.expect("the definition");
    let managers = definition["metadata"]["managedFields"].to_string();
    assert!(
        managers.contains("\"Apply\"") && managers.contains("kubectl-byocni"),
        "{managers}"
    );
    assert_eq!(
        definition["metadata"]["labels"]["app.kubernetes.io/managed-by"],
        serde_json::Value::Null
    );
}

/// Acceptance scenario 48: every calico-node is Ready, and the operator calls Calico Degraded.
#[test]
fn scenario_48_degraded_is_no_success() {
    let Some(story) = Story::aks(2, 3) else { return };
    // The operator that is played says Degraded as long as somebody else's word for it is there.
    story.plane.apply(
        &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "played-tigera-operator",
            "namespace": "kube-system"}, "data": {"degraded": "Failed to verify the certificate of typha"}})
        .to_string(),
    );
    let ran = story.install(&["calico", "--version", "v3.31.3", "--timeout", "30s"]);
    ran.expect(
        7,
        &[
            "gate-timed-out",
            "TigeraStatus",
            "certificate of typha",
            "NOT RECOVERED",
        ],
    );
    let pods = story
        .plane
        .get("/api/v1/namespaces/calico-system/pods")
        .expect("pods");
    let agents: Vec<_> = named(&pods, "calico-node-").collect();
    assert!(
        agents.len() == 2 && agents.iter().all(|pod| crate::story::is_ready(pod)),
        "{pods:#}"
    );
    story.run(&["abort", "--uninstall", "--yes"]);
}
