//! What an upgrade makes different, from the real charts and the real helm.

#![allow(missing_docs, reason = "a test")]

#[path = "../clusters/programs.rs"]
#[allow(dead_code, reason = "clusters use more of it")]
mod programs;

use std::{fmt::Write, path::Path, process::Command};

use kubectl_byocni::{
    core::{
        cni::{Cni, calico::CALICO, cilium::CILIUM, flannel::FLANNEL},
        manifest::{Object, objects},
        plan::diff::{Because, Content, Diff, Part, diff},
    },
    yaml,
};
use programs::{charts, helm, required_or_skip};
use serde_json::{Value, json};

/// What an install on AKS sets (DESIGN: values are planned from the cluster).
fn aks() -> Value {
    json!({
        "aksbyocni": {"enabled": true},
        "ipam": {"operator": {"clusterPoolIPv4PodCIDRList": ["10.244.0.0/16"], "clusterPoolIPv4MaskSize": 24}},
        "operator": {"replicas": 2},
    })
}

fn with(mut values: Value, more: &Value) -> Value {
    kubectl_byocni::core::plan::tree::merge(&mut values, more);
    values
}

/// What this helm makes of a chart of the folder; nothing where there is no chart or no helm, which is said.
fn rendered(major: u8, chart: &str, namespace: &str, values: &Value) -> Option<Vec<Object>> {
    let folder = required_or_skip("charts", charts())?;
    let program = required_or_skip("helm", helm(major))?;
    let home = tempfile::tempdir().expect("a folder");
    let file = home.path().join("values.json");
    std::fs::write(&file, values.to_string()).expect("a written file");
    let release = chart.rsplit_once('-').expect("name-version").0;
    Some(template(
        &program,
        home.path(),
        release,
        &folder.join(format!("{chart}.tgz")),
        namespace,
        &file,
    ))
}

fn template(
    program: &Path,
    home: &Path,
    release: &str,
    chart: &Path,
    namespace: &str,
    values: &Path,
) -> Vec<Object> {
    let ended = Command::new(program)
        .args(["template", release])
        .arg(chart)
        .args(["--namespace", namespace, "--kube-version", "1.33.2", "--values"])
        .arg(values)
        .env_clear()
        .env("HOME", home)
        .output()
        .expect("helm runs");
    assert!(
        ended.status.success(),
        "{}",
        String::from_utf8_lossy(&ended.stderr)
    );
    let text = String::from_utf8(ended.stdout).expect("UTF-8");
    objects(yaml::documents(&text).expect("YAML"))
}

/// Everything of a diff, a line each.
fn told(diff: &Diff) -> String {
    let mut out = String::new();
    let side = |content: &Option<Content>| match content {
        None => "-".to_string(),
        Some(Content::Text(text)) => format!("{text:?}"),
        Some(Content::Long(size)) => format!("({size})"),
        Some(Content::Hidden) => "(hidden)".to_string(),
    };
    let whose = |because: Option<Because>| because.map_or("?", Because::as_str);
    // Writing to a String cannot fail.
    let mut line = |text: String| writeln!(out, "{text}").expect("a line");
    line(diff.summary());
    for s in &diff.settings {
        let extent = s.extent.as_deref().map(|e| format!(" [{e}]")).unwrap_or_default();
        let (before, after) = (side(&s.before), side(&s.after));
        line(format!(
            "{} {}: {before} → {after}{extent} {}",
            s.object,
            s.key,
            whose(s.because)
        ));
    }
    for i in &diff.images {
        let tag = |image: &Option<String>| {
            image
                .as_deref()
                .and_then(|i| i.split('@').next())
                .unwrap_or("-")
                .to_string()
        };
        let containers = i.containers.join(",");
        line(format!(
            "{} {containers}: {} → {} {}",
            i.workload,
            tag(&i.before),
            tag(&i.after),
            whose(i.because)
        ));
    }
    for r in &diff.restarts {
        line(format!(
            "restarts {} {:?} {:?} {:?}",
            r.workload, r.part, r.why, r.pods
        ));
    }
    if diff.by_operator {
        line("agents restart by the operator".into());
    }
    for i in &diff.inert {
        line(format!("inert {} {:?}", i.config_map, i.readers));
    }
    for (fate, all) in [
        ("creates", &diff.creates),
        ("removes", &diff.removes),
        ("keeps", &diff.keeps),
        ("changes", &diff.changes),
        ("not compared", &diff.not_compared),
    ] {
        for one in all {
            line(format!("{fate} {one}"));
        }
    }
    line(format!("relabelled {}", diff.relabelled));
    out
}

fn shot(name: &str, diff: &Diff) {
    insta::with_settings!({prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::assert_snapshot!(name, told(diff));
    });
}

fn keys(diff: &Diff, because: Because) -> Vec<&str> {
    let of = diff.settings.iter().filter(|s| s.because == Some(because));
    of.map(|s| s.key.as_str()).collect()
}

/// Issue 5 B: what the agents will see, each key marked as yours, a changed default, or forced; generated secrets left
/// out.
#[test]
fn cilium_from_one_minor_to_the_next_on_aks() {
    let yours = json!({"debug": {"enabled": true}, "upgradeCompatibility": "1.16"});
    let forced = json!({"upgradeCompatibility": "1.16"});
    let (Some(before), Some(defaults), Some(forced), Some(yours)) = (
        rendered(4, "cilium-1.19.6", "kube-system", &aks()),
        rendered(4, "cilium-1.20.0", "kube-system", &aks()),
        rendered(4, "cilium-1.20.0", "kube-system", &with(aks(), &forced)),
        rendered(4, "cilium-1.20.0", "kube-system", &with(aks(), &yours)),
    ) else {
        return;
    };
    let stages: [(Because, &[Object]); 3] = [
        (Because::Default, &defaults),
        (Because::Forced, &forced),
        (Because::Yours, &yours),
    ];
    let diff = diff(&before, &stages, "kube-system", Some(&CILIUM));
    shot("cilium_1.19.6_1.20.0", &diff);
    assert_eq!(keys(&diff, Because::Yours), ["debug"]);
    assert!(
        keys(&diff, Because::Forced).contains(&"enable-policy-secrets-sync"),
        "{}",
        told(&diff)
    );
    assert!(!keys(&diff, Because::Default).is_empty());
    let order: Vec<(String, Part)> = diff
        .restarts
        .iter()
        .map(|r| (r.workload.to_string(), r.part))
        .collect();
    assert_eq!(
        order,
        [
            ("deployment/cilium-operator".to_string(), Part::Operator),
            ("daemonset/cilium".to_string(), Part::Agent),
            ("daemonset/cilium-envoy".to_string(), Part::Beside),
        ]
    );
    assert_eq!(diff.inert, []);
    no_secret(&diff);
}

/// Scenario 41: nothing of a key, a certificate or the user's secrets, in whatever form.
fn no_secret(diff: &Diff) {
    let all = format!("{diff:?}");
    // The beginnings of PEM, bare and in base64, and the word that the tests put into secrets.
    for canary in ["BEGIN", "LS0tLS1", "canary", "Y2FuYXJ5"] {
        assert!(!all.contains(canary), "{canary}");
    }
}

/// Scenario 52: certificates are made anew at each rendering, which is no difference. (Helm 3 and helm 4 do render
/// differently: a `null` of a chart's values is an empty text for one and absent for the other, and so it is told.)
#[test]
fn scenario_52_the_same_chart_rendered_twice_is_no_difference() {
    let hubble = json!({
        "hubble": {"enabled": true, "relay": {"enabled": true, "rollOutPods": true}, "ui": {"enabled": true}},
        "clustermesh": {"useAPIServer": true},
        "rollOutCiliumPods": true,
    });
    let cases: [(&str, &str, Value, &'static Cni); 3] = [
        ("cilium-1.20.0", "kube-system", with(aks(), &hubble), &CILIUM),
        ("tigera-operator-v3.32.1", "tigera-operator", json!({}), &CALICO),
        (
            "flannel-v0.28.4",
            "kube-flannel",
            json!({"podCidr": "10.244.0.0/16"}),
            &FLANNEL,
        ),
    ];
    for (chart, namespace, values, cni) in cases {
        for major in [3, 4] {
            let (Some(before), Some(after)) = (
                rendered(major, chart, namespace, &values),
                rendered(major, chart, namespace, &values),
            ) else {
                return;
            };
            assert!(before.len() > 4, "{chart}");
            let diff = diff(&before, &[(Because::Default, &after)], namespace, Some(cni));
            assert!(
                diff.is_empty() && diff.relabelled == 0,
                "{chart}: {}",
                told(&diff)
            );
            let secrets = !diff.not_compared.is_empty();
            assert_eq!(chart.starts_with("cilium"), secrets, "{chart}");
        }
    }
}

/// Scenario 46: values alone, the chart as it was. Nothing in it restarts the agents.
#[test]
fn scenario_46_a_changed_value_is_seen_and_nobody_restarts_for_it() {
    let debug = json!({"debug": {"enabled": true}, "hubble": {"tls": {"server": {"key": "canary", "cert": "canary"}}}});
    let (Some(before), Some(after)) = (
        rendered(4, "cilium-1.19.6", "kube-system", &aks()),
        rendered(4, "cilium-1.19.6", "kube-system", &with(aks(), &debug)),
    ) else {
        return;
    };
    let diff = diff(
        &before,
        &[(Because::Default, &before), (Because::Yours, &after)],
        "kube-system",
        Some(&CILIUM),
    );
    shot("cilium_debug", &diff);
    assert_eq!(keys(&diff, Because::Yours), ["debug"]);
    assert_eq!(diff.restarts, []);
    let readers: Vec<String> = diff
        .inert
        .iter()
        .flat_map(|i| &i.readers)
        .map(ToString::to_string)
        .collect();
    assert_eq!(readers, ["deployment/cilium-operator", "daemonset/cilium"]);
    no_secret(&diff);
}

/// Calico's agents are the operator's, Flannel's the chart's.
#[test]
fn calico_and_flannel() {
    for (name, from, to, namespace, values, cni) in [
        (
            "calico",
            "tigera-operator-v3.31.3",
            "tigera-operator-v3.32.1",
            "tigera-operator",
            json!({}),
            &CALICO as &'static Cni,
        ),
        (
            "flannel",
            "flannel-v0.28.3",
            "flannel-v0.28.4",
            "kube-flannel",
            json!({"podCidr": "10.244.0.0/16"}),
            &FLANNEL,
        ),
    ] {
        let (Some(before), Some(after)) = (
            rendered(4, from, namespace, &values),
            rendered(4, to, namespace, &values),
        ) else {
            return;
        };
        let diff = diff(&before, &[(Because::Default, &after)], namespace, Some(cni));
        shot(&format!("{name}_minor"), &diff);
        assert_eq!(diff.by_operator, name == "calico");
        assert!(
            !diff.images.is_empty() && !diff.restarts.is_empty(),
            "{}",
            told(&diff)
        );
        no_secret(&diff);
    }
}
