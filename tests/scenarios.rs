//! Clusters in files, and what must be found in each: `tests/scenarios/`. The file format is described in
//! `tests/scenarios/harness.rs`.

#[path = "scenarios/harness.rs"]
mod harness;
#[path = "scenarios/mutation.rs"]
mod mutation;
#[path = "docs/schema.rs"]
mod schema;

use std::collections::{BTreeMap, BTreeSet};

use harness::{Scenario, all, bases, exit, lines, report};
use kubectl_byocni::{
    core::{
        capture::{Capture, Source, State, file},
        checks, cni,
        code::Severity,
        codes,
        facts::{Asked, Facts},
        report::Report,
    },
    render::{self, Format, Style},
};
use serde_json::{Value, json};

/// Codes that no status of a file can raise, each with its reason.
const WITHOUT_SCENARIO: &[(&str, &str)] = &[];

/// The family of changes: its codes are raised by plans and gates, which look at a chart, a request and a second
/// capture besides; the tests of `src/core/plan` and `src/core/gate` cover them.
const PLAN_ONLY: &str = "BYO06";

/// Codes of that family that `status` raises too, and that want a scenario like any other.
const SEEN_BY_STATUS: &[&str] = &[
    "encapsulation-unsupported",
    "change-interrupted",
    "change-under-way",
];

/// What a check reads without declaring it, with the reason why it may: without it the answer is poorer, never rosier.
const OPTIONAL: &[(&str, Source, &str)] = &[
    (
        "a CNI that the platform runs",
        Source::Pods,
        "pods' addresses tell a plugin without a workload; else it is unknown",
    ),
    (
        "which CNI is installed",
        Source::Pods,
        "as above; and pods without a sandbox tell a CNI that was lost",
    ),
    (
        "nodes' Ready condition",
        Source::DaemonSets,
        "its cause is not told then; the state of nodes must be, all the same",
    ),
    ("nodes' Ready condition", Source::CniPods, "as above"),
    (
        "the agents' configuration",
        Source::Releases,
        "stands in where the API server kept no times of fields",
    ),
    (
        "changes under way",
        Source::Lock,
        "without it the change is said to be under way or interrupted",
    ),
    (
        "the release's state",
        Source::Lock,
        "without it a release on which somebody is at work counts as stuck",
    ),
];

/// Bases whose healthy state is itself a finding.
const ILL_BASES: &[(&str, &str)] = &[(
    "fresh-aks",
    "a cluster that waits for its CNI is broken until it comes",
)];

const WIDTHS: [usize; 3] = [60, 80, 140];

fn style(width: usize) -> Style {
    Style {
        width,
        color: false,
        unicode: true,
    }
}

/// What is wrong with a scenario, to be read by a person; nothing where it is as it should be.
fn complaint(scenario: &Scenario) -> Option<String> {
    let report = scenario.report();
    let (found, expected) = (lines(&report), scenario.expected());
    let mut wrong = vec![];
    let missing = expected.iter().filter(|line| !found.contains(line));
    wrong.extend(missing.map(|line| format!("  - {line}")));
    for finding in &report.findings {
        let line = harness::line(finding);
        if !expected.contains(&line) {
            wrong.push(format!("  + {line}\n      {}", finding.message));
        }
    }
    if wrong.is_empty() && found != expected {
        wrong.push("  one of the findings is there more than once".to_string());
    }
    let verdict = report.verdict.as_str();
    if verdict != scenario.verdict {
        wrong.push(format!("  verdict: {verdict}, not {}", scenario.verdict));
    }
    if exit(&report) != scenario.exit {
        wrong.push(format!("  exit code: {}, not {}", exit(&report), scenario.exit));
    }
    let unsaid = |words: &&String| !report.findings.iter().any(|f| f.message.contains(words.as_str()));
    let said: Vec<&str> = report.findings.iter().map(|f| f.message.as_str()).collect();
    for words in scenario.says.iter().filter(unsaid) {
        wrong.push(format!(
            "  nothing says {words:?}:\n      {}",
            said.join("\n      ")
        ));
    }
    (!wrong.is_empty()).then(|| {
        format!(
            "{} ({})\n{}",
            scenario.name,
            scenario.about.trim(),
            wrong.join("\n")
        )
    })
}

#[test]
fn every_scenario_raises_what_it_says_and_nothing_else() {
    let complaints: Vec<String> = all().iter().filter_map(complaint).collect();
    assert!(
        complaints.is_empty(),
        "- expected and not raised, + raised and not expected\n\n{}\n\n{} scenarios are not as they should be",
        complaints.join("\n\n"),
        complaints.len()
    );
}

#[test]
fn every_code_has_a_scenario() {
    let raised: BTreeSet<String> = all()
        .iter()
        .flat_map(|s| s.findings.clone())
        .filter_map(|line| line.split(' ').nth(1).map(str::to_string))
        .collect();
    let without: Vec<&str> = codes::ALL
        .iter()
        .filter(|c| !c.id.starts_with(PLAN_ONLY) || SEEN_BY_STATUS.contains(&c.slug))
        .map(|c| c.slug)
        .filter(|slug| !raised.contains(*slug))
        .filter(|slug| !WITHOUT_SCENARIO.iter().any(|(excused, _)| excused == slug))
        .collect();
    assert!(
        without.is_empty(),
        "codes without a scenario: {}",
        without.join(", ")
    );
    let covered = WITHOUT_SCENARIO.iter().find(|(slug, _)| raised.contains(*slug));
    assert!(
        covered.is_none(),
        "{covered:?} has a scenario and needs no excuse"
    );
}

#[test]
fn every_base_is_clean() {
    for name in bases() {
        let capture = file::from_documents(harness::base(&name), &cni::resources()).expect(&name);
        let report = report(&capture, &Asked::default());
        let ill = ILL_BASES.iter().any(|(base, _)| *base == name);
        let bad: Vec<String> = report
            .findings
            .iter()
            .filter(|f| f.severity != Severity::Info)
            .map(harness::line)
            .collect();
        assert!(ill || bad.is_empty(), "{name}: {}", bad.join("; "));
        assert_eq!(report.verdict.as_str() == "healthy", !ill, "{name}");
    }
}

/// A change that raises what its base raises anyway shows nothing.
#[test]
fn what_a_scenario_raises_comes_from_its_change() {
    let mut of_bases: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for name in bases() {
        let capture = file::from_documents(harness::base(&name), &cni::resources()).expect(&name);
        of_bases.insert(name, lines(&report(&capture, &Asked::default())));
    }
    for scenario in all() {
        let anyway = &of_bases[&scenario.base];
        let bad = |line: &&String| !line.starts_with("info ");
        let own = scenario.findings.iter().filter(|line| !anyway.contains(line));
        let of_base_only = scenario.findings.iter().filter(bad).count() > 0 && own.count() == 0;
        assert!(
            !of_base_only || scenario.change.is_empty(),
            "{}: the base raises all of it",
            scenario.name
        );
    }
}

/// A line may be wider than the page only where one word of it alone is.
fn too_wide(text: &str, width: usize) -> Option<&str> {
    let columns = |text: &str| unicode_width::UnicodeWidthStr::width(text);
    text.lines()
        .find(|line| columns(line) > width && !line.split_whitespace().any(|word| columns(word) + 4 > width))
}

/// The code points of acceptance scenario 40.
fn forbidden(c: char) -> bool {
    matches!(c, '\u{0}'..='\u{9}' | '\u{b}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// What docs/schema says of `status -o json`.
fn status_schema() -> Value {
    let text = include_str!("../docs/schema/clusterstatus.schema.json");
    serde_json::from_str(text).expect("JSON")
}

/// Renders in every format and at every width; what comes out is sound.
fn render_everything(name: &str, report: &Report) {
    for entry in &render::ALL {
        for width in WIDTHS {
            let text = render::render(report, &style(width), entry.format);
            let place = format!("{name} as {} at {width}", entry.name);
            assert!(!text.chars().any(forbidden), "{place}: a control character");
            match entry.format {
                Format::Table | Format::Wide => {
                    let line = too_wide(&text, width);
                    assert!(line.is_none(), "{place}: {line:?}");
                }
                Format::Json => {
                    let value: Value = serde_json::from_str(&text).expect(&place);
                    assert_eq!(
                        value["findings"].as_array().map(Vec::len),
                        Some(report.findings.len()),
                        "{place}"
                    );
                    let complaints = schema::complaints(&status_schema(), &value);
                    assert!(complaints.is_empty(), "{place}: {complaints:?}");
                }
                Format::Yaml => {
                    kubectl_byocni::yaml::documents::<Value>(&text).expect(&place);
                }
                Format::Markdown | Format::Name => {}
            }
        }
    }
    for width in WIDTHS {
        let line = render::summary(report, &style(width));
        assert!(
            too_wide(&line, width).is_none() && !line.contains('\n'),
            "{name}: {line:?}"
        );
    }
}

#[test]
fn every_scenario_is_drawn_in_every_format() {
    for scenario in all() {
        render_everything(&scenario.name, &scenario.report());
    }
}

#[test]
fn telling_pages_stay_as_they_are() {
    let telling: Vec<Scenario> = all().into_iter().filter(|s| s.snapshot).collect();
    assert!(telling.len() >= 12, "only {} snapshots", telling.len());
    for scenario in telling {
        let report = scenario.report();
        let page = render::render(&report, &style(80), Format::Table);
        insta::with_settings!({
            snapshot_path => "snapshots", prepend_module_to_snapshot => false, omit_expression => true
        }, {
            let shown = format!("{page}exit code {}", exit(&report));
            insta::assert_snapshot!(format!("scenario-{}", scenario.name), shown);
        });
    }
}

fn json_of(report: &Report) -> String {
    render::render(report, &style(80), Format::Json)
}

/// What a capture of ours says is what was read: file, capture, file, capture, the same report.
#[test]
fn a_capture_of_a_capture_says_the_same() {
    for scenario in all() {
        let first = scenario.capture();
        let list = file::to_list(&first, &cni::resources());
        let text = serde_json::to_string(&list).expect("JSON");
        let again = vec![serde_json::from_str::<Value>(&text).expect("JSON")];
        let second = file::from_documents(again, &cni::resources()).expect(&scenario.name);
        let (before, after) = (
            report(&first, &scenario.asked()),
            report(&second, &scenario.asked()),
        );
        assert!(
            json_of(&before) == json_of(&after),
            "{}\n{}\n{}",
            scenario.name,
            json_of(&before),
            json_of(&after)
        );
    }
}

/// Every source that some capture can have.
fn sources() -> Vec<Source> {
    let custom = cni::resources().into_iter().map(|r| Source::Custom(r.name));
    Source::ALL.iter().copied().chain(custom).collect()
}

/// The capture of a reader who may not read this source.
fn without(capture: &Capture, source: Source) -> Capture {
    let mut hidden = capture.clone();
    match source {
        Source::Version => hidden.server_version = None,
        Source::Nodes => hidden.nodes.clear(),
        Source::DaemonSets => hidden.daemon_sets.clear(),
        Source::Deployments => hidden.deployments.clear(),
        Source::Pods => hidden.pod_rows.clear(),
        Source::CniPods => hidden.pods.clear(),
        Source::Services => hidden.services.clear(),
        Source::EndpointSlices => hidden.endpoint_slices.clear(),
        Source::ConfigMaps => hidden.config_maps.clear(),
        Source::Events => hidden.events.clear(),
        Source::ServiceCidrs => hidden.service_cidrs.clear(),
        Source::Crds => hidden.crds.clear(),
        Source::Lock => hidden.leases.clear(),
        Source::Releases => hidden.releases.clear(),
        Source::ValidatingWebhooks => hidden.validating_webhooks.clear(),
        Source::MutatingWebhooks => hidden.mutating_webhooks.clear(),
        Source::Namespaces => hidden.namespaces.clear(),
        // They stand among the others, which another line hides.
        Source::WebhookEndpoints => {}
        Source::Custom(name) => drop(hidden.custom.remove(name)),
    }
    let right = format!("{} {}", source.verb(), source.resource());
    hidden.states.insert(source, State::Forbidden { right });
    hidden
}

/// A check that reads what it does not declare would pass on clusters where that could not be read. What it declares
/// is hidden from it here, one source at a time: it must then raise no code that it did not raise before.
#[test]
fn checks_read_what_they_declare() {
    let mut wrong = BTreeSet::new();
    for scenario in all() {
        let (capture, asked) = (scenario.capture(), scenario.asked());
        let facts = Facts::of(&capture, &asked);
        for source in sources() {
            let less = without(&capture, source);
            let poorer = Facts::of(&less, &asked);
            let own = |s: Source| {
                let main = poorer.detection.main.as_ref().or(facts.detection.main.as_ref());
                main.is_some_and(|m| m.cni.resources.iter().any(|r| Source::Custom(r.name) == s))
            };
            for check in checks::of(&facts) {
                let declared = check.needs.contains(&source) || (check.needs_cni_objects && own(source));
                let missing = |s: &Source| capture.state(*s).missing(*s).is_some();
                if declared || check.needs.iter().any(missing) || check.title.starts_with("what was ") {
                    continue;
                }
                if OPTIONAL
                    .iter()
                    .any(|(title, s, _)| *title == check.title && *s == source)
                {
                    continue;
                }
                let outcome = |facts: &Facts<'_>| -> Vec<(&str, usize)> {
                    let found = (check.run)(facts);
                    let mut all: Vec<_> = found.iter().map(|f| (f.code.slug, f.subjects.len())).collect();
                    all.sort_unstable();
                    all
                };
                let (with, lacking) = (outcome(&facts), outcome(&poorer));
                if with != lacking {
                    wrong.insert(format!(
                        "{:?} reads {source:?}: {with:?} becomes {lacking:?} ({})",
                        check.title, scenario.name
                    ));
                }
            }
        }
    }
    let shown: Vec<String> = wrong.into_iter().collect();
    assert!(shown.is_empty(), "{}", shown.join("\n"));
}

/// Whatever may not be read: no false alarm, and never a clean bill.
#[test]
fn what_cannot_be_read_is_no_error_of_the_cluster() {
    for name in bases() {
        let capture = file::from_documents(harness::base(&name), &cni::resources()).expect(&name);
        let whole: Vec<&str> = report(&capture, &Asked::default())
            .findings
            .iter()
            .map(|f| f.code.slug)
            .collect();
        for source in sources() {
            let report = report(&without(&capture, source), &Asked::default());
            let alarms: Vec<String> = report
                .findings
                .iter()
                .filter(|f| f.severity == Severity::Error)
                .filter(|f| !whole.contains(&f.code.slug))
                .map(harness::line)
                .collect();
            assert!(
                alarms.is_empty(),
                "{name} without {source:?}: {}",
                alarms.join("; ")
            );
        }
    }
}

/// Acceptance scenario 51, as a file: 5,000 nodes with their pods.
#[test]
fn scenario_51_five_thousand_nodes() {
    const NODES: usize = 5_000;
    let base = harness::base("cilium-healthy");
    let named = |kind: &str, name: &str| {
        let found = base
            .iter()
            .find(|o| o["kind"] == kind && o["metadata"]["name"] == name);
        found.cloned().unwrap_or_else(|| panic!("{kind} {name}"))
    };
    let last = "aks-user-27182818-vmss000000";
    let templates = [
        named("Node", last),
        named("CiliumNode", last),
        named("Pod", "cilium-m4zrt"),
    ];
    let mut objects: Vec<Value> = base
        .iter()
        .filter(|o| !["Node", "CiliumNode", "Pod"].contains(&o["kind"].as_str().unwrap_or_default()))
        .cloned()
        .collect();
    let dns: Vec<Value> = base
        .iter()
        .filter(|o| {
            o["metadata"]["name"]
                .as_str()
                .is_some_and(|n| n.starts_with("coredns-") || n.starts_with("cilium-operator-"))
        })
        .filter(|o| o["kind"] == "Pod")
        .cloned()
        .collect();
    for i in 0..NODES {
        let (high, low) = (i / 256, i % 256);
        let name = format!("aks-user-27182818-vmss{i:06}");
        let [mut node, mut cilium_node, mut agent] = templates.clone();
        node["metadata"]["name"] = json!(name);
        node["status"]["addresses"] =
            json!([{"type": "InternalIP", "address": format!("10.224.{high}.{low}")}]);
        cilium_node["metadata"]["name"] = json!(name);
        cilium_node["spec"]["ipam"]["podCIDRs"] = json!([format!("100.{}.{low}.0/24", 64 + high)]);
        agent["metadata"]["name"] = json!(format!("cilium-{i}"));
        agent["spec"]["nodeName"] = json!(name);
        agent["status"]["podIP"] = json!(format!("10.224.{high}.{low}"));
        agent["status"]["podIPs"] = json!([{"ip": format!("10.224.{high}.{low}")}]);
        objects.extend([node, cilium_node, agent]);
        for pod in 0..3 {
            let ip = format!("100.{}.{low}.{}", 64 + high, 10 + pod);
            objects.push(json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {"name": format!("web-{i}-{pod}"), "namespace": "shop"},
                "spec": {"nodeName": name, "containers": [{"name": "web", "image": "registry.example/web:1"}]},
                "status": {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}]},
            }));
        }
    }
    for mut pod in dns {
        if pod["metadata"]["name"]
            .as_str()
            .is_some_and(|n| n.starts_with("coredns"))
        {
            let ip = if pod["metadata"]["name"].as_str().is_some_and(|n| n.ends_with('q')) {
                "100.64.0.5"
            } else {
                "100.64.1.5"
            };
            let host = if ip == "100.64.0.5" { 0 } else { 1 };
            pod["spec"]["nodeName"] = json!(format!("aks-user-27182818-vmss{host:06}"));
            pod["status"]["podIP"] = json!(ip);
            pod["status"]["podIPs"] = json!([{"ip": ip}]);
        }
        objects.push(pod);
    }
    for object in &mut objects {
        let patch = match (object["kind"].as_str(), object["metadata"]["name"].as_str()) {
            (Some("ConfigMap"), Some("cilium-config")) => {
                json!({"data": {"cluster-pool-ipv4-cidr": "100.64.0.0/10"}})
            }
            (Some("DaemonSet"), Some("cilium")) => {
                json!({"status": {"desiredNumberScheduled": NODES, "updatedNumberScheduled": NODES, "numberReady": NODES}})
            }
            _ => continue,
        };
        harness::merge(object, &patch);
    }
    let text =
        serde_json::to_string(&json!({"apiVersion": "v1", "kind": "List", "items": objects})).expect("JSON");
    drop(objects);
    let documents = vec![serde_json::from_str(&text).expect("JSON")];
    let capture = file::from_documents(documents, &cni::resources()).expect("a capture");
    let report = report(&capture, &Asked::default());
    assert_eq!(report.nodes.total, NODES);
    // The pool is not kube-proxy's: that is said, once for all nodes.
    assert_eq!(lines(&report), ["warning kube-proxy-cidr-mismatch"]);
    let page = render::render(&report, &style(80), Format::Table);
    assert!(
        page.lines().count() < 60,
        "healthy nodes are not listed one by one:\n{page}"
    );
}
