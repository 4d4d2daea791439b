//! Plans from the real charts, offline: a capture, a chart, and helm or none.

use std::{fs, path::PathBuf};

use serde_json::Value;

use super::{
    programs::{self, helm, required_or_skip},
    run::{Ended, Run, byocni, shot},
};

/// The folder of charts.
pub fn charts() -> Option<PathBuf> {
    required_or_skip("charts", programs::charts())
}

/// `install CNI --dry-run=client --from EXAMPLE --chart FILE`, both in its home under their own names.
fn planned(example: &str, cni: &str, chart: &str, more: &str) -> Option<Run> {
    let folder = charts()?;
    let mut run = byocni(&format!(
        "install {cni} --dry-run=client --from {example} --chart ./{chart}.tgz {more}"
    ))
    .example(example);
    let mut names = vec![chart.to_string()];
    // Its definitions lie beside it.
    if let Some(version) = chart.strip_prefix("tigera-operator-") {
        names.push(format!("crd.projectcalico.org.v1-{version}"));
    }
    for name in names {
        let name = format!("{name}.tgz");
        run = run.file(&name, fs::read(folder.join(&name)).expect("a chart"));
    }
    Some(run)
}

/// The same with this helm.
fn with_helm(run: Run, major: u8) -> Option<Run> {
    let program = required_or_skip("helm", helm(major))?;
    Some(run.env("HELM_BIN", &program.display().to_string()))
}

/// A plan as a program reads it.
pub fn json(ended: &Ended) -> Value {
    serde_json::from_str(&ended.stdout).unwrap_or_else(|e| panic!("{e}: {}", ended.said()))
}

const CNIS: &[(&str, &str)] = &[
    ("cilium", "cilium-1.19.6"),
    ("calico", "tigera-operator-v3.32.1"),
    ("flannel", "flannel-v0.28.4"),
];

/// What people read first, whole. Scenario 05 (the pool is what kube-proxy says, never 10.0.0.0/8), scenario 12
/// (flannel refused where nodes have no podCIDR).
#[test]
fn plans_as_they_are_read() {
    let table = |cni: &str, chart: &str, columns: &str, more: &str| {
        let run = with_helm(planned("fresh-aks.yaml", cni, chart, more)?, 4)?;
        Some(run.env("COLUMNS", columns).end())
    };
    let mut shots = vec![];
    for (cni, chart) in CNIS {
        shots.push((format!("plan_{cni}_80"), table(cni, chart, "80", "")));
    }
    let (cni, chart) = CNIS[0];
    shots.push(("plan_cilium_60".into(), table(cni, chart, "60", "")));
    shots.push(("plan_cilium_140_wide".into(), table(cni, chart, "140", "-o wide")));
    shots.push(("plan_cilium_json".into(), table(cni, chart, "80", "-o json")));
    shots.push(("plan_cilium_name".into(), table(cni, chart, "80", "-o name")));
    let (cni, chart) = CNIS[1];
    shots.push(("plan_calico_yaml".into(), table(cni, chart, "80", "-o yaml")));
    shots.push((
        "plan_calico_markdown".into(),
        table(cni, chart, "80", "-o markdown"),
    ));
    for (name, ended) in shots {
        let Some(ended) = ended else { return };
        let expected = if name.contains("flannel") { 4 } else { 0 };
        assert_eq!(ended.code, Some(expected), "{}", ended.said());
        if name == "plan_cilium_80" {
            let guide = include_str!("../../docs/aks.md");
            assert!(
                guide.contains(ended.stdout.trim_end()),
                "docs/aks.md shows another plan than this: {}",
                ended.stdout
            );
        }
        shot!(name, ended);
    }
}

/// Without helm the plan says what it could not look at, and why.
#[test]
fn plans_without_helm() {
    let (cni, chart) = CNIS[0];
    let Some(run) = planned("fresh-aks.yaml", cni, chart, "") else {
        return;
    };
    let ended = run.env("PATH", "/nowhere").end();
    assert_eq!(ended.code, Some(0), "{}", ended.said());
    shot!("plan_cilium_no_helm", ended);
    // Nobody can name what would be created: nothing printed must not look like nothing to do.
    let Some(run) = planned("fresh-aks.yaml", cni, chart, "-o name") else {
        return;
    };
    let ended = run.env("PATH", "/nowhere").end();
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(5), ""),
        "{}",
        ended.said()
    );
    assert!(ended.stderr.contains("is not known"), "{}", ended.said());
}

/// Scenario 52: the same inputs give the same bytes, whichever helm renders, in every format and at every width; and
/// no line is wider than the terminal.
#[test]
fn scenario_52_the_same_plan_is_the_same_bytes() {
    for (cni, chart) in CNIS {
        for format in ["table", "wide", "json", "yaml", "markdown", "name"] {
            for columns in ["60", "80", "140"] {
                let text = matches!(format, "table" | "wide");
                if !text && columns != "80" {
                    continue;
                }
                let mut said: Vec<String> = vec![];
                for major in [3, 4, 4] {
                    let run = planned("fresh-aks.yaml", cni, chart, &format!("-o {format}"));
                    let Some(run) = run.and_then(|run| with_helm(run, major)) else {
                        return;
                    };
                    let ended = run.env("COLUMNS", columns).end();
                    assert_eq!(ended.stderr, "", "{}", ended.said());
                    said.push(format!("{:?}\n{}", ended.code, ended.stdout));
                }
                let of = format!("{cni} -o {format} at {columns}");
                assert_eq!(said[0], said[1], "{of}: helm 3 and helm 4");
                assert_eq!(said[1], said[2], "{of}: twice");
                let wide = said[0]
                    .lines()
                    .find(|line| text && line.chars().count() > columns.parse().expect("a number"));
                assert_eq!(wide, None, "{of}");
            }
        }
    }
}

/// A plan says first and last whether it may begin.
#[test]
fn the_verdict_is_the_first_and_the_last_that_is_read() {
    for (cni, chart) in CNIS {
        let Some(run) = planned("fresh-aks.yaml", cni, chart, "").and_then(|run| with_helm(run, 3)) else {
            return;
        };
        let ended = run.end();
        let word = if *cni == "flannel" { "REFUSED" } else { "READY" };
        let lines: Vec<&str> = ended.stdout.lines().collect();
        for line in [lines.first(), lines.last()] {
            assert!(
                line.is_some_and(|l| l.contains(word)),
                "{line:?} {}",
                ended.said()
            );
        }
    }
}

/// A plan is a contract with scripts: exit code and JSON say the same. Scenarios 05, 06, 08, 12, 16 and 17.
#[test]
fn refusals_by_slug() {
    let cilium = CNIS[0];
    for (case, (cni, chart), more, slug) in [
        (
            "scenario 05: on the services",
            cilium,
            "--pod-cidr 10.0.0.0/16",
            "pod-cidr-overlaps-service-cidr",
        ),
        (
            "scenario 06: on the nodes",
            cilium,
            "--pod-cidr 10.224.0.0/16",
            "pod-cidr-overlaps-node-network",
        ),
        (
            "scenario 08: too small",
            cilium,
            "--pod-cidr 10.99.0.0/28",
            "pool-too-small",
        ),
        (
            "of the wrong family",
            cilium,
            "--pod-cidr fd00::/48",
            "pool-family-mismatch",
        ),
        (
            "scenario 16: a key that is none",
            cilium,
            "--set aksByoCni.enabled=true",
            "value-unknown",
        ),
        (
            "scenario 17: addresses by Kubernetes on AKS",
            cilium,
            "--set ipam.mode=kubernetes",
            "aksbyocni-ipam-mode",
        ),
        ("scenario 12: no podCIDRs", CNIS[2], "", "node-pod-cidr-missing"),
    ] {
        let Some(run) = planned("fresh-aks.yaml", cni, chart, &format!("-o json {more}")) else {
            return;
        };
        let Some(run) = with_helm(run, 4) else { return };
        let ended = run.end();
        assert_eq!(ended.code, Some(4), "{case}: {}", ended.said());
        let plan = json(&ended);
        assert_eq!(plan["blocked"], true, "{case}");
        let by: Vec<&str> = plan["blockedBy"]
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(Value::as_str)
            .collect();
        assert!(!by.is_empty(), "{case}");
        assert!(slug.is_empty() || by.contains(&slug), "{case}: {by:?}");
        for blocked in &by {
            let finding = plan["findings"]
                .as_array()
                .expect("a list")
                .iter()
                .find(|f| f["slug"] == *blocked);
            let finding = finding.unwrap_or_else(|| panic!("{case}: {blocked} is no finding"));
            assert_eq!(finding["blocks"], true, "{case}");
            assert_ne!(finding["fix"], "", "{case}: {blocked} says nothing to do");
        }
    }
}

/// Another CNI is there: nothing is installed on top of it.
#[test]
fn a_cluster_that_has_its_cni_is_left_alone() {
    let Some(run) = planned("cilium-healthy.yaml", "flannel", CNIS[2].1, "-o json") else {
        return;
    };
    let Some(run) = with_helm(run, 4) else { return };
    let ended = run.end();
    assert_eq!(ended.code, Some(4), "{}", ended.said());
    // Whose the network is comes first: that the nodes have no podCIDR either need not be mended for this.
    let by = &json(&ended)["blockedBy"];
    assert_eq!(*by, serde_json::json!(["foreign-cni", "node-pod-cidr-missing"]));
    let Some(run) = planned("cilium-healthy.yaml", "flannel", CNIS[2].1, "") else {
        return;
    };
    let Some(run) = with_helm(run, 4) else { return };
    let page = run.end().stdout;
    assert!(
        page.contains("\n✖ REFUSED  foreign-cni, node-pod-cidr-missing"),
        "{page}"
    );
}

/// A node that joined twenty seconds ago is ordinary, whatever its kubelet waits for first.
#[test]
fn a_node_that_is_just_joining_is_no_reason_to_refuse() {
    let example = fs::read_to_string("examples/fresh-byocni.yaml").expect("an example");
    let head = "- apiVersion: v1\n  kind: Node\n";
    let parts: Vec<&str> = example.split(head).collect();
    let [before, first, second] = parts[..] else {
        panic!("two nodes");
    };
    // That of a moment before the look.
    assert!(before.contains("takenAt: 2026-11-21T07:51:44"), "{before}");
    let young = first
        .replace("node-1", "node-3")
        .replace("10.89.0.2", "10.89.0.9")
        .replace("2026-11-21T07:49:57Z", "2026-11-21T07:51:24Z");
    let no_network = young
        .lines()
        .find(|line| line.contains("network not ready"))
        .expect("why it is not Ready");
    let young = young.replace(
        no_network,
        "      message: container runtime status check may not have completed yet",
    );
    let cluster = [before, first, &young, second].join(head);
    let Some(folder) = charts() else { return };
    let run = byocni("install cilium --dry-run=client --from joining.yaml --chart ./cilium.tgz -o json")
        .file("joining.yaml", cluster)
        .file(
            "cilium.tgz",
            fs::read(folder.join("cilium-1.19.6.tgz")).expect("a chart"),
        );
    let Some(run) = with_helm(run, 4) else { return };
    let ended = run.end();
    assert_eq!(ended.code, Some(0), "{}", ended.said());
    let plan = json(&ended);
    assert_eq!(plan["cluster"]["nodes"], 3);
    assert_eq!(plan["blockedBy"], serde_json::json!([]));
    let findings = plan["findings"].as_array().expect("findings");
    let broken = findings.iter().find(|f| f["slug"] == "node-not-ready");
    assert_eq!(broken, None, "it is not broken yet");
}

/// Versions are named as people know them, and the nearest is offered.
#[test]
fn versions_that_are_not_there_name_the_nearest() {
    let Some(folder) = charts() else { return };
    for (wanted, nearest) in [("1.19.99", "1.19.6"), ("1.91", "1.20.0"), ("v1.18.13", "1.18.12")] {
        let run = byocni(&format!(
            "install cilium --dry-run=client --from fresh-aks.yaml --version {wanted} --repo"
        ));
        let ended = run
            .arg(folder.display().to_string())
            .example("fresh-aks.yaml")
            .end();
        assert_eq!(ended.code, Some(4), "{}", ended.said());
        assert!(ended.stdout.contains("version-unknown"), "{}", ended.said());
        assert!(
            ended.stdout.contains(&format!("--version {nearest}")),
            "{}",
            ended.said()
        );
    }
}

/// A capture holds nothing of a release's values: who gives none is told what the plan then lacks, and how to give them.
#[test]
fn an_upgrade_from_a_capture_says_that_it_has_no_values() {
    let Some(folder) = charts() else { return };
    let plan = |more: &str| {
        let words = format!(
            "upgrade --to 1.19 --dry-run=client --from cilium-1.18-aks.yaml --repo {} {more}",
            folder.display()
        );
        let run = byocni(&words).example("cilium-1.18-aks.yaml");
        Some(with_helm(run.example("cilium-1.18-values.yaml"), 4)?.end())
    };
    let (Some(without), Some(with)) = (plan(""), plan("-f cilium-1.18-values.yaml")) else {
        return;
    };
    assert_eq!(without.code, Some(4), "{}", without.said());
    assert!(
        without.stdout.contains("pool-element-changed"),
        "{}",
        without.said()
    );
    assert!(without.stderr.contains("helm get values"), "{}", without.said());
    assert_eq!(with.code, Some(0), "{}", with.said());
    assert!(!with.stderr.contains("helm get values"), "{}", with.said());
}

/// Neither chart nor values of a revision are in a capture: its version is named, its values are given. What a capture of
/// ours knows of revisions is believed.
#[test]
fn a_rollback_is_planned_from_a_capture() {
    let Some(folder) = charts() else { return };
    let plan = |words: &str, records: &str| {
        let mut run = byocni(&format!("rollback {words} --from cilium-1.18-aks.yaml --repo ."))
            .example("cilium-1.18-aks.yaml")
            .example("cilium-1.18-values.yaml")
            .file("records.yaml", records.as_bytes());
        for version in ["1.16.19", "1.17.18", "1.18.12"] {
            let name = format!("cilium-{version}.tgz");
            run = run.file(&name, fs::read(folder.join(&name)).expect("a chart"));
        }
        Some(with_helm(run, 4)?.env("COLUMNS", "80").end())
    };
    let client = "--dry-run=client -f cilium-1.18-values.yaml";
    let Some(possible) = plan(&format!("1 --version 1.17.18 {client}"), "") else {
        return;
    };
    assert_eq!(possible.code, Some(0), "{}", possible.said());
    shot!("plan_rollback_80", possible);

    let record = |number: u8, status: &str| {
        format!(
            "---\n{{apiVersion: v1, kind: Secret, type: helm.sh/release.v1, metadata: {{namespace: kube-system, name: \
             sh.helm.release.v1.cilium.v{number}, labels: {{owner: helm, name: cilium, status: {status}, version: '{number}'}}}}}}\n"
        )
    };
    let records = record(1, "superseded") + &record(2, "failed") + &record(3, "deployed");
    for (words, code, said) in [
        ("1 --version 1.17.18", 0, "revision 3"),
        ("1 --version 1.16.19", 4, "more than one minor"),
        ("2 --version 1.17.18", 4, "revision 2 (failed) never was deployed"),
        ("7 --version 1.17.18", 4, "there is no revision 7"),
        ("1 --version 1.17.1", 1, "--repo FOLDER"),
    ] {
        let from = format!("{words} {client} --from records.yaml");
        let Some(ended) = plan(&from, &records) else {
            return;
        };
        let one_line = ended.said().split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            ended.code == Some(code) && one_line.contains(said),
            "{words}: {}",
            ended.said()
        );
    }
    let ended = byocni("rollback --version 1.17.18").end();
    assert!(
        ended.code == Some(2) && ended.stderr.contains("by its number"),
        "{}",
        ended.said()
    );
    for (words, said) in [
        ("--dry-run=client", "<REVISION>"),
        ("1 --dry-run=client", "--version"),
        ("1 --version 1.17.18", "--dry-run"),
        (
            "1 --version 1.17.18 --dry-run=server",
            "there is no server to ask",
        ),
    ] {
        let Some(ended) = plan(words, "") else { return };
        assert!(
            ended.code == Some(2) && ended.stderr.contains(said),
            "{words}: {}",
            ended.said()
        );
    }
}
