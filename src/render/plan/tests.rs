//! Plans at every width: possible, refused, and with nothing to do.

use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr;

use super::*;
use crate::core::plan::{Installed, tests::Case};

fn style(width: usize) -> Style {
    Style {
        width,
        color: false,
        unicode: true,
    }
}

/// An ordinary cluster with a CNI to come.
fn possible() -> Plan {
    Case::on("fresh-aks").plan()
}

/// Several things stand against it, with words of their own length.
fn refused() -> Plan {
    Case::on("fresh-aks")
        .merge(
            "Node",
            "",
            &json!({"spec": {"taints": [{"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}]}}),
        )
        .with(|c| {
            c.surroundings.denied = vec![
                "create daemonsets.apps in kube-system".into(),
                "create clusterroles.rbac.authorization.k8s.io".into(),
                "update leases.coordination.k8s.io/kubectl-byocni in kube-system".into(),
            ];
            c.crd_charts = vec![crate::core::plan::tests::chart(
                "crd.projectcalico.org.v1",
                "v3.32.1",
            )];
        })
        .plan()
}

/// The same is there already.
fn nothing() -> Plan {
    Case::on("cilium-healthy")
        .with(|c| {
            c.surroundings.installed = Some(Installed {
                revision: 3,
                status: "deployed".into(),
                chart: "cilium".into(),
                version: "1.19.6".into(),
                values: c.draft.values.clone(),
            });
        })
        .plan()
}

/// Nodes could not be read, nor the chart rendered.
fn incomplete() -> Plan {
    Case::on("fresh-aks")
        .without("Node", "")
        .with(|c| {
            c.rendered = None;
            c.context = None;
            c.surroundings.skipped = vec![("what it creates".into(), "helm".into())];
        })
        .plan()
}

fn all() -> Vec<(&'static str, Plan)> {
    vec![
        ("possible", possible()),
        ("refused", refused()),
        ("nothing", nothing()),
        ("incomplete", incomplete()),
    ]
}

fn page(name: &str, plan: &Plan, style: Style, format: Format) {
    insta::with_settings!({snapshot_path => "snapshots", prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::assert_snapshot!(name, super::plan(plan, &style, format));
    });
}

#[test]
fn plans_look_as_they_should() {
    for width in [60, 80, 140] {
        for (name, plan) in all() {
            page(
                &format!("plan_{name}_{width}"),
                &plan,
                style(width),
                Format::Table,
            );
        }
    }
    let color = Style {
        color: true,
        ..style(80)
    };
    let ascii = Style {
        unicode: false,
        ..style(80)
    };
    for (name, plan) in all() {
        page(&format!("plan_{name}_80_color"), &plan, color, Format::Table);
        page(&format!("plan_{name}_80_ascii"), &plan, ascii, Format::Table);
    }
    page("plan_possible_100_wide", &possible(), style(100), Format::Wide);
    page("plan_refused_markdown", &refused(), style(80), Format::Markdown);
    page("plan_possible_markdown", &possible(), style(80), Format::Markdown);
    page("plan_refused_json", &refused(), style(80), Format::Json);
    page("plan_possible_name", &possible(), style(80), Format::Name);
}

#[test]
fn the_last_line_says_whether_it_may_begin() {
    for (plan, word) in [
        (possible(), "✔ READY  Install Cilium 1.19.6"),
        (refused(), "✖ REFUSED  rights-missing, operator-unschedulable"),
        (nothing(), "✔ NOTHING TO DO  kube-system/cilium"),
        (incomplete(), "? INCOMPLETE  needed and not read: nodes"),
    ] {
        for width in [60, 80, 140] {
            let text = super::plan(&plan, &style(width), Format::Table);
            let last = text
                .lines()
                .rev()
                .find(|l| !l.trim_start().starts_with("next:") && !l.starts_with("      "))
                .expect("a last line");
            let shown: String = word.chars().take(width.min(40)).collect();
            assert!(last.starts_with(&shown), "{last}");
        }
    }
    let next = super::plan(&refused(), &style(140), Format::Table);
    assert!(
        next.trim_end().ends_with("next: kubectl auth can-i --list"),
        "{next}"
    );
}

/// The keys that scripts rely on (DESIGN.md §4).
#[test]
fn json_has_the_promised_keys() {
    let value: Value =
        serde_json::from_str(&super::plan(&refused(), &style(80), Format::Json)).expect("JSON");
    let keys = |value: &Value| -> Vec<String> {
        value
            .as_object()
            .map(|o| o.keys().cloned().collect())
            .unwrap_or_default()
    };
    assert_eq!(value["kind"], "ChangePlan");
    assert_eq!(value["apiVersion"], "byocni.io/v1alpha1");
    let sorted = |words: &str| -> Vec<String> {
        let mut all: Vec<String> = words.split_whitespace().map(str::to_string).collect();
        all.sort();
        all
    };
    let of = |value: &Value| {
        let mut all = keys(value);
        all.sort();
        all
    };
    assert_eq!(
        of(&value),
        sorted(
            "apiVersion kind operation cni context cluster chart crdCharts release values pools creates steps gate from fromRevision toRevision hop \
             diff rollout findings skipped incomplete blocked blockedBy nothingToDo"
        )
    );
    for (part, words) in [
        ("/cluster", "platform byocni kubernetesVersion nodes readyNodes"),
        ("/chart", "name version appVersion digest source"),
        ("/release", "name namespace"),
        ("/values/0", "key value origin reason"),
        ("/pools/0", "cidr maskSize"),
        ("/creates/0", "kind namespace name"),
        ("/steps/0", "name does"),
        ("/gate", "timeoutSeconds settleSeconds reason"),
        (
            "/findings/0",
            "code slug severity subject message fix blocks before",
        ),
        ("/skipped/0", "check missing"),
    ] {
        assert_eq!(of(value.pointer(part).expect(part)), sorted(words), "{part}");
    }
    assert_eq!(value["blocked"], true);
    assert_eq!(
        value["blockedBy"],
        json!(["rights-missing", "operator-unschedulable"])
    );
    assert_eq!(value["findings"][0]["blocks"], true);
    for absent in ["from", "fromRevision", "toRevision", "hop", "diff", "rollout"] {
        assert_eq!(value[absent], Value::Null, "{absent}");
    }
}

#[test]
fn json_and_yaml_say_the_same() {
    for (name, plan) in all() {
        let json: Value = serde_json::from_str(&super::plan(&plan, &style(80), Format::Json)).expect("JSON");
        let yaml = super::plan(&plan, &style(80), Format::Yaml);
        let documents: Vec<Value> = crate::yaml::documents(&yaml).expect("YAML");
        assert_eq!(documents, [json], "{name}");
    }
}

/// A command is never broken within a word, nor cut.
fn excused(line: &str) -> bool {
    let words = line
        .split_whitespace()
        .filter(|w| !["\\", "→", "->", "next:"].contains(w));
    words.count() <= 1
}

#[test]
fn no_line_is_too_wide() {
    for width in 60..150 {
        for (name, plan) in all() {
            for (unicode, format) in [
                (true, Format::Table),
                (false, Format::Table),
                (true, Format::Wide),
            ] {
                let style = Style {
                    unicode,
                    ..style(width)
                };
                let text = super::plan(&plan, &style, format);
                let wide = text.lines().find(|l| l.width() > width && !excused(l));
                assert!(wide.is_none(), "{name} at {width}: {wide:?}");
                assert!(unicode || text.is_ascii(), "{name}: {text}");
            }
        }
    }
}

/// Acceptance scenario 40, and that of secrets: nothing of the cluster's text or the user's values gets through.
#[test]
fn hostile_text_breaks_no_page() {
    let evil = "\u{1b}[2J|<b>@all `x`\u{202e}";
    let plan = Case::on("fresh-aks")
        .with(|c| {
            c.draft.values["token"] = json!("canary");
            for value in &mut c.draft.reasons {
                if value.value.is_some() {
                    value.value = Some(json!([evil]));
                }
            }
        })
        .plan();
    for format in [
        Format::Table,
        Format::Wide,
        Format::Json,
        Format::Yaml,
        Format::Markdown,
        Format::Name,
    ] {
        let text = super::plan(&plan, &style(80), format);
        assert!(!text.contains(['\u{1b}', '\u{202e}']), "{}", format.name());
        assert!(!text.contains("canary"), "{}", format.name());
    }
    let markdown = super::plan(&plan, &style(80), Format::Markdown);
    assert!(!markdown.contains("<b>") && !markdown.contains("@all"));
}

#[test]
fn kinds_are_counted_in_words() {
    for (n, kind, text) in [
        (1, "NetworkPolicy", "1 NetworkPolicy"),
        (2, "NetworkPolicy", "2 NetworkPolicies"),
        (2, "Gateway", "2 Gateways"),
        (2, "IngressClass", "2 IngressClasses"),
        (2, "Endpoints", "2 Endpoints"),
        (3, "Role", "3 Roles"),
    ] {
        assert_eq!(of_kind(n, kind), text);
    }
}
