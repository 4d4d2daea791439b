//! Upgrades as plans show them: what is different, the rollout, several hops.

use std::time::Duration;

use serde_json::Value;
use unicode_width::UnicodeWidthStr;

use crate::core::{
    code::Change,
    finding::Subject,
    plan::{
        ChartUsed, Plan,
        diff::{Because, Content, Diff, Image, Inert, Part, Restart, Setting, Why},
        tests::{Case, chart},
    },
    rollout::Schedule,
};
use crate::render::{ALL, Format, Style, plan, plans};

fn style(width: usize) -> Style {
    Style {
        width,
        color: false,
        unicode: true,
    }
}

fn system(kind: &str, name: &str) -> Subject {
    Subject::namespaced(kind, "kube-system", name)
}

fn text(text: &str) -> Option<Content> {
    Some(Content::Text(text.into()))
}

fn setting(key: &str, before: Option<Content>, after: Option<Content>, because: Because) -> Setting {
    Setting {
        object: system("ConfigMap", "cilium-config"),
        key: key.into(),
        before,
        after,
        extent: None,
        because: Some(because),
    }
}

fn image(workload: Subject, containers: &[&str], name: &str, before: &str, after: &str) -> Image {
    Image {
        workload,
        containers: containers.iter().map(|c| c.to_string()).collect(),
        before: Some(format!(
            "quay.io/cilium/{name}:{before}@sha256:0df5b2750b64c49843aba1d649e9eaf6"
        )),
        after: Some(format!(
            "quay.io/cilium/{name}:{after}@sha256:383968cd5e8873f7976fa76aa6196045"
        )),
        because: Some(Because::Default),
    }
}

fn restart(workload: Subject, part: Part, why: &[Why], pods: Option<usize>) -> Restart {
    Restart {
        workload,
        part,
        why: why.to_vec(),
        pods,
    }
}

/// What 1.20.0 makes different, cut down.
fn different() -> Diff {
    use Because::{Default, Forced, Yours};
    let mut settings = vec![
        setting("api-token", Some(Content::Hidden), Some(Content::Hidden), Yours),
        setting("debug", text("false"), text("true"), Yours),
        setting("devices", None, text(""), Default),
        setting("enable-endpoint-routes", text("false"), None, Default),
        setting("envoy-xds-mode", None, text("sotw"), Forced),
        setting(
            "policy-cidr-match-mode",
            text("nodes"),
            text("nodes, and something that goes on for longer than any column has room for"),
            Default,
        ),
    ];
    settings
        .extend((0..9).map(|n| setting(&format!("new-in-this-version-{n}"), None, text("false"), Default)));
    settings.push(Setting {
        object: system("ConfigMap", "cilium-envoy-config"),
        extent: Some("2 fields".into()),
        ..setting(
            "bootstrap-config.json",
            Some(Content::Long("JSON of 212 fields".into())),
            Some(Content::Long("JSON of 213 fields".into())),
            Default,
        )
    });
    let (agent, envoy) = (system("DaemonSet", "cilium"), system("DaemonSet", "cilium-envoy"));
    let operator = system("Deployment", "cilium-operator");
    let init = ["config", "mount-cgroup", "clean-cilium-state", "cilium-agent"];
    Diff {
        attributed: true,
        settings,
        images: vec![
            image(agent.clone(), &init, "cilium", "v1.19.6", "v1.20.0"),
            image(
                envoy.clone(),
                &["cilium-envoy"],
                "cilium-envoy",
                "v1.36.9-17822",
                "v1.37.5-17829",
            ),
            image(
                operator.clone(),
                &["cilium-operator"],
                "operator-generic",
                "v1.19.6",
                "v1.20.0",
            ),
        ],
        restarts: vec![
            restart(
                operator,
                Part::Operator,
                &[Why::Image, Why::Configuration],
                Some(2),
            ),
            restart(agent.clone(), Part::Agent, &[Why::Image, Why::Template], Some(50)),
            restart(envoy, Part::Beside, &[Why::Image], Some(50)),
            restart(
                system("Deployment", "hubble-relay"),
                Part::Other,
                &[Why::Image],
                None,
            ),
        ],
        by_operator: false,
        inert: vec![Inert {
            config_map: system("ConfigMap", "hubble-ui-nginx"),
            readers: vec![system("Deployment", "hubble-ui")],
        }],
        creates: vec![
            Subject::new("CustomResourceDefinition", "ciliumdatapathplugins.cilium.io"),
            system("ServiceAccount", "cilium-plugins"),
        ],
        removes: vec![system("Service", "cilium-agent")],
        keeps: vec![],
        changes: vec![
            Subject::new("ClusterRole", "cilium"),
            system("ConfigMap", "cilium-config"),
            agent,
        ],
        relabelled: 11,
        not_compared: vec![
            system("Secret", "cilium-ca"),
            system("Secret", "hubble-server-certs"),
        ],
    }
}

fn schedule() -> Schedule {
    Schedule {
        canaries: vec!["aks-system-0".into(), "aks-user-0".into()],
        nodes: 49,
        waves: 47,
        max_parallel: 1,
        soak: Duration::from_secs(60),
        pause: false,
        left_out: vec![("aks-user-7".into(), "broken before the change".into())],
        limit: Duration::from_secs(32_340),
        reason: "5m for the operator, 2 canaries of 11m start-up and 60s soak, 47 waves of 11m".into(),
        blast_radius: "at most 1 of 49 nodes at once without an agent; 1 until the canaries have held".into(),
    }
}

/// One hop.
fn hop(from: &str, to: &str) -> Plan {
    let mut plan = Case::on("fresh-aks")
        .with(|c| c.chart = chart("cilium", to))
        .plan();
    plan.change = Change::Upgrade;
    plan.values.truncate(1);
    plan.findings.clear();
    plan.before = 0;
    plan.blocked_by.clear();
    plan.from = Some(ChartUsed::of(&chart("cilium", from)));
    plan.from_revision = Some(6);
    plan.diff = Some(different());
    plan.rollout = Some(schedule());
    plan
}

/// Something forbids it.
fn refused(from: &str, to: &str) -> Plan {
    let stands = Case::on("fresh-aks")
        .with(|c| c.surroundings.denied = vec!["create daemonsets.apps in kube-system".into()])
        .plan();
    let mut plan = hop(from, to);
    plan.findings = stands
        .findings
        .into_iter()
        .filter(|f| f.code.slug == "rights-missing")
        .collect();
    plan.blocked_by = vec!["rights-missing"];
    plan
}

fn hops(last: fn(&str, &str) -> Plan) -> Vec<Plan> {
    let mut all = vec![
        hop("1.18.11", "1.18.12"),
        hop("1.18.12", "1.19.6"),
        last("1.19.6", "1.20.0"),
    ];
    all[0].diff = Some(Diff {
        attributed: true,
        images: different().images,
        ..Diff::default()
    });
    let of = all.len();
    for (at, plan) in all.iter_mut().enumerate() {
        plan.hop = Some((at + 1, of));
    }
    all
}

fn shot(name: &str, text: String) {
    insta::with_settings!({snapshot_path => "snapshots", prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::assert_snapshot!(name, text);
    });
}

#[test]
fn upgrades_look_as_they_should() {
    let (ready, no) = (hop("1.19.6", "1.20.0"), refused("1.19.6", "1.20.0"));
    for width in [60, 80, 140] {
        shot(
            &format!("upgrade_{width}"),
            plan(&ready, &style(width), Format::Table),
        );
    }
    for width in [80, 140] {
        shot(
            &format!("upgrade_{width}_wide"),
            plan(&ready, &style(width), Format::Wide),
        );
    }
    shot("upgrade_refused_80", plan(&no, &style(80), Format::Table));
    shot("upgrade_markdown", plan(&ready, &style(80), Format::Markdown));
    shot("upgrade_json", plan(&ready, &style(80), Format::Json));
    shot("upgrade_name", plan(&ready, &style(80), Format::Name));
}

#[test]
fn ways_of_several_hops_look_as_they_should() {
    for width in [60, 80, 140] {
        shot(
            &format!("hops_{width}"),
            plans(&hops(hop), &style(width), Format::Table),
        );
    }
    shot(
        "hops_refused_80",
        plans(&hops(refused), &style(80), Format::Table),
    );
    shot(
        "hops_markdown",
        plans(&hops(refused), &style(80), Format::Markdown),
    );
}

/// What forbids a change comes before what it would change.
#[test]
fn what_forbids_comes_first() {
    for format in [Format::Table, Format::Wide, Format::Markdown] {
        let text = plan(&refused("1.19.6", "1.20.0"), &style(80), format);
        let at = |word: &str| text.find(word).unwrap_or_else(|| panic!("no {word}: {text}"));
        assert!(at("create daemonsets.apps") < at("envoy-xds-mode"), "{text}");
    }
}

#[test]
fn the_verdict_is_first_and_last() {
    for (plan, word) in [
        (hop("1.19.6", "1.20.0"), "READY"),
        (refused("1.19.6", "1.20.0"), "REFUSED"),
    ] {
        let way = [hop("1.18.12", "1.19.6"), plan.clone()];
        for format in [Format::Table, Format::Markdown] {
            for text in [
                super::super::plan(&plan, &style(140), format),
                plans(&way, &style(140), format),
            ] {
                let lines: Vec<&str> = text.lines().filter(|l| !l.is_empty()).collect();
                for line in [lines[0], lines[lines.len() - 1]] {
                    assert!(line.contains(word), "{line}");
                }
            }
        }
    }
}

#[test]
fn one_hop_is_a_plan_and_several_are_a_list() {
    let read = |text: String| -> Value { serde_json::from_str(&text).expect("JSON") };
    let one = read(plans(&[hop("1.19.6", "1.20.0")], &style(80), Format::Json));
    assert_eq!(one["kind"], "ChangePlan");
    assert_eq!(one["from"]["version"], "1.19.6");
    assert_eq!(one["hop"], Value::Null);
    let list = read(plans(&hops(refused), &style(80), Format::Json));
    assert_eq!(list["kind"], "ChangePlanList");
    assert_eq!(list["blocked"], true);
    assert_eq!(list["blockedBy"], serde_json::json!(["rights-missing"]));
    let items = list["items"].as_array().expect("items");
    let blocked: Vec<&Value> = items.iter().map(|item| &item["blocked"]).collect();
    assert_eq!(blocked, [false, false, true]);
    assert_eq!(items[1]["hop"], serde_json::json!({"number": 2, "of": 3}));
    assert_eq!(items[0]["kind"], "ChangePlan");
    assert_eq!(plans(&[], &style(80), Format::Json), "");
    let yaml: Vec<Value> =
        crate::yaml::documents(&plans(&hops(refused), &style(80), Format::Yaml)).expect("YAML");
    assert_eq!(yaml, [list]);
}

/// The keys that scripts rely on.
#[test]
fn json_has_the_promised_keys() {
    let text = plan(&hop("1.19.6", "1.20.0"), &style(80), Format::Json);
    let value: Value = serde_json::from_str(&text).expect("JSON");
    for (part, words) in [
        (
            "/diff",
            "attributed changes creates images inert leaves notCompared relabelled removes restarts restartsByOperator settings",
        ),
        (
            "/diff/settings/0",
            "after because before change extent key object omitted",
        ),
        ("/diff/images/0", "after because before containers workload"),
        ("/diff/restarts/0", "part pods why workload"),
        ("/diff/inert/0", "configMap readers"),
        ("/diff/creates/0", "kind name namespace"),
        (
            "/rollout",
            "blastRadius canaries leftOut limitSeconds maxParallel nodes pause reason soakSeconds waves",
        ),
        ("/rollout/leftOut/0", "node reason"),
    ] {
        let object = value.pointer(part).and_then(Value::as_object).expect(part);
        let mut keys: Vec<&str> = object.keys().map(String::as_str).collect();
        keys.sort_unstable();
        assert_eq!(keys.join(" "), words, "{part}");
    }
    let settings = &value["diff"]["settings"];
    assert_eq!(settings[0]["omitted"], "secret");
    assert_eq!(settings[2]["change"], "added");
    assert_eq!(settings[3]["change"], "removed");
    assert_eq!(settings[15]["omitted"], "long");
}

#[test]
fn no_line_is_too_wide() {
    let pages = [
        vec![hop("1.19.6", "1.20.0")],
        vec![refused("1.19.6", "1.20.0")],
        hops(hop),
    ];
    for width in 60..145 {
        for (all, format) in pages
            .iter()
            .flat_map(|all| [(all, Format::Table), (all, Format::Wide)])
        {
            for unicode in [true, false] {
                let style = Style {
                    unicode,
                    ..style(width)
                };
                let text = plans(all, &style, format);
                // A command is never broken within a word.
                let wide = text.lines().find(|line| {
                    line.width() > width && !line.contains("next:") && !line.contains("kubectl")
                });
                assert_eq!(wide, None, "at {width}");
                assert!(unicode || text.is_ascii(), "{text}");
            }
        }
    }
}

/// Whatever is cut on the default page, `-o wide` shows.
#[test]
fn wide_shows_every_setting_whole() {
    let squeezed = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
    for width in [60, 80, 140] {
        let text = squeezed(plan(&hop("1.19.6", "1.20.0"), &style(width), Format::Wide));
        assert!(
            text.contains("goes on for longer than any column has room for"),
            "{text}"
        );
        for n in 0..9 {
            assert!(text.contains(&format!("new-in-this-version-{n}")), "{n}");
        }
        let page = plan(&hop("1.19.6", "1.20.0"), &style(width), Format::Table);
        assert!(
            page.contains("and 3 more settings (-o wide lists them)"),
            "{page}"
        );
        // Configuration of ours comes before what is new with the version.
        assert!(page.contains("envoy-xds-mode"), "{page}");
    }
}

/// Scenario 40: a value of a ConfigMap is anybody's text; core keeps it harmless, and here it stays one line.
#[test]
fn hostile_text_breaks_no_page() {
    let mut evil = hop("1.19.6", "1.20.0");
    let mut diff = different();
    diff.settings[1].after = text("|<b>@all `x`");
    diff.settings[1].key = "a|b\n# c".into();
    evil.diff = Some(diff);
    for entry in ALL {
        let text = plan(&evil, &style(80), entry.format);
        assert!(!text.contains("\n# c"), "{}", entry.name);
    }
    let markdown = plan(&evil, &style(80), Format::Markdown);
    assert!(
        !markdown.contains("<b>") && !markdown.contains("@all"),
        "{markdown}"
    );
    let rows = markdown.lines().filter(|line| line.starts_with("| a"));
    for row in rows {
        let bars = row.matches('|').count() - row.matches("\\|").count();
        assert!(bars <= 6, "{row}");
    }
}

#[test]
fn nothing_different_is_said() {
    let mut same = hop("1.19.6", "1.19.6");
    same.diff = Some(Diff {
        attributed: true,
        ..Diff::default()
    });
    let text = plan(&same, &style(80), Format::Table);
    assert!(text.contains("nothing is different"), "{text}");
    assert!(text.contains("with other values"), "{text}");
}
