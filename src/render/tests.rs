//! What every format promises, over reports of every kind.

mod clusters;

use proptest::prelude::*;
use serde_json::Value;
use unicode_width::UnicodeWidthStr;

use super::*;
use crate::core::{code::Severity, report::Verdict};
use clusters::{CNI_MISSING, degraded, evil, fresh, healthy, large, unknown};

fn style(width: usize) -> Style {
    Style {
        width,
        color: false,
        unicode: true,
    }
}

fn ascii(width: usize) -> Style {
    Style {
        unicode: false,
        ..style(width)
    }
}

/// The pages that are looked at, by name.
fn page(name: &str, report: &Report, style: Style, format: Format) {
    insta::with_settings!({snapshot_path => "snapshots", prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::assert_snapshot!(name, render(report, &style, format));
    });
}

#[test]
fn the_pages_look_as_they_should() {
    for width in [60, 80, 140] {
        for (name, report) in clusters::all() {
            page(&format!("{name}_{width}"), &report, style(width), Format::Table);
        }
    }
    page("degraded_40", &degraded(), style(40), Format::Table);
    page("fresh_40", &fresh(), style(40), Format::Table);
    page("fresh_80_ascii", &fresh(), ascii(80), Format::Table);
    page("degraded_80_ascii", &degraded(), ascii(80), Format::Table);
    page(
        "degraded_80_color",
        &degraded(),
        Style {
            color: true,
            ..style(80)
        },
        Format::Table,
    );
    page("degraded_140_wide", &degraded(), style(140), Format::Wide);
    page("fresh_80_wide", &fresh(), style(80), Format::Wide);
    page("unknown_80_wide", &unknown(), style(80), Format::Wide);
    page("degraded_markdown", &degraded(), style(80), Format::Markdown);
    page("evil_markdown", &evil(), style(80), Format::Markdown);
    page("degraded_name", &degraded(), style(80), Format::Name);
    page("fresh_json", &fresh(), style(80), Format::Json);
    page(
        "degraded_yaml",
        &Report {
            nodes: Default::default(),
            ..degraded()
        },
        style(80),
        Format::Yaml,
    );
}

#[test]
fn the_words_of_a_code_look_as_they_should() {
    let all = &clusters::ALL;
    insta::with_settings!({snapshot_path => "snapshots", prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::assert_snapshot!("explain_60", explain::explain(&CNI_MISSING, &style(60)));
        insta::assert_snapshot!("explain_list_80", explain::list(all, &style(80)));
        insta::assert_snapshot!("explain_list_50_ascii", explain::list(all, &ascii(50)));
        insta::assert_snapshot!("codes_markdown", explain::codes_markdown(&all[3..5]));
    });
}

#[test]
fn summaries_are_one_line() {
    let lines: Vec<String> = clusters::all()
        .iter()
        .map(|(_, r)| summary(r, &style(100)))
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
    insta::assert_snapshot!(summary(&degraded(), &ascii(50)));
}

#[test]
fn changes_are_told_one_a_line() {
    insta::assert_snapshot!(changes(&fresh(), &healthy(), &style(80)).join("\n"));
    insta::assert_snapshot!(changes(&healthy(), &degraded(), &ascii(80)).join("\n"));
    assert!(changes(&degraded(), &degraded(), &style(80)).is_empty());
}

#[test]
fn a_fresh_cluster_says_what_to_do() {
    for style in [style(80), ascii(80), style(140)] {
        let page = render(&fresh(), &style, Format::Table);
        let second = page.lines().nth(1).expect("a verdict line");
        let last = page.lines().last().expect("a last line");
        assert!(second.contains("BROKEN  no CNI installed"), "{second}");
        assert!(last.contains("BROKEN  no CNI installed"), "{last}");
        assert!(last.ends_with("next: kubectl byocni install cilium"), "{last}");
    }
}

#[test]
fn without_a_command_the_next_step_explains() {
    let page = render(&large(), &style(80), Format::Table);
    assert!(
        page.trim_end().ends_with("next: kubectl byocni explain BYO0206"),
        "{page}"
    );
}

#[test]
fn nothing_wrong_needs_no_next_step() {
    assert!(!render(&healthy(), &style(80), Format::Table).contains("next:"));
}

/// Every key of an object, in order of the text, nested ones with their parents.
fn keys(text: &str) -> Vec<String> {
    text.lines()
        .filter_map(|line| {
            line.trim_start()
                .strip_prefix('"')?
                .split_once("\":")
                .map(|(key, _)| key.to_string())
        })
        .collect()
}

#[test]
fn json_has_exactly_the_promised_keys() {
    let mut report = degraded();
    report.nodes.items.truncate(1);
    report.findings.truncate(1);
    report.platform.evidence.clear();
    if let Some(cni) = &mut report.cni {
        cni.workloads.truncate(1);
    }
    report.skipped = unknown().skipped[..1].to_vec();
    let text = render(&report, &style(80), Format::Json);
    assert!(text.ends_with("}\n"));
    let expected = "apiVersion kind verdict takenAt context platform name byocni evidence kubernetesVersion \
        nodes total ready notReady items name pool ready reason message agent podCIDRs internalIPs podCount \
        cni name version namespace managedBy release name namespace revision status chart version \
        workloads kind namespace name desired updated ready available \
        coreDNS deployment desired ready endpoints serviceIP \
        podCIDR pools cidr maskSize source serviceCIDRs cidr source nodeNetwork kubeProxyClusterCIDR capacityNodes \
        findings code slug severity subject kind namespace name message fix skipped check missing";
    assert_eq!(keys(&text).join(" "), expected);
}

#[test]
fn json_and_yaml_say_the_same() {
    for (name, report) in clusters::all() {
        let json: Value = serde_json::from_str(&render(&report, &style(80), Format::Json)).expect("JSON");
        let yaml = render(&report, &style(80), Format::Yaml);
        let documents: Vec<Value> = crate::yaml::documents(&yaml).expect("YAML");
        assert_eq!(documents, std::slice::from_ref(&json), "{name}");
        assert_eq!(json["cni"].is_null(), report.cni.is_none());
        assert_eq!(json["apiVersion"], "byocni.io/v1alpha1");
        assert_eq!(json["takenAt"], "2026-08-20T03:04:05Z");
    }
}

#[test]
fn optional_keys_stand_only_where_they_say_something() {
    let json: Value = serde_json::from_str(&render(&degraded(), &style(80), Format::Json)).expect("JSON");
    let of = |at: usize, key: &str| json["findings"][at].get(key).is_some();
    assert!(!of(0, "subjects") && of(1, "subjects"));
    assert!(!of(0, "causedBy") && of(3, "causedBy"));
    assert_eq!(json["findings"][3]["causedBy"], "agent-crash-looping");
}

#[test]
fn machines_never_see_an_escape() {
    let colored = Style {
        color: true,
        ..style(80)
    };
    for format in [Format::Json, Format::Yaml, Format::Markdown, Format::Name] {
        for (_, report) in clusters::all() {
            assert!(
                !render(&report, &colored, format).contains('\u{1b}'),
                "{}",
                format.name()
            );
        }
    }
}

#[test]
fn markdown_disarms_markup() {
    let page = render(&evil(), &style(80), Format::Markdown);
    assert!(!page.contains("<img") && !page.contains("<b>") && !page.contains("@everyone"));
    let rows = page.lines().filter(|l| l.starts_with("| ✖") && l.contains("BYO"));
    for row in rows {
        assert_eq!(row.replace("\\|", "").matches('|').count(), 8, "{row}");
    }
}

#[test]
fn colours_change_nothing_but_colour() {
    for (_, report) in clusters::all() {
        let plain = render(&report, &style(80), Format::Table);
        let colored = render(
            &report,
            &Style {
                color: true,
                ..style(80)
            },
            Format::Table,
        );
        assert!(colored.contains('\u{1b}'));
        assert_eq!(without_escapes(&colored), plain);
    }
}

fn without_escapes(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_string();
    parts.fold(first, |all, part| {
        all + part.split_once('m').map_or("", |(_, rest)| rest)
    })
}

#[test]
fn ascii_pages_are_ascii() {
    for report in [fresh(), healthy(), degraded(), unknown(), large()] {
        for format in [Format::Table, Format::Wide, Format::Markdown] {
            let page = render(&report, &ascii(80), format);
            assert!(page.is_ascii(), "{page}");
        }
        assert!(summary(&report, &ascii(80)).is_ascii());
    }
}

#[test]
fn every_format_has_its_name() {
    for entry in &ALL {
        assert_eq!(Format::named(entry.name), Some(entry.format));
        assert_eq!(entry.format.name(), entry.name);
    }
    assert_eq!(Format::named("toml"), None);
}

/// Whether a line that is too wide may be: one word of a command, or a link, with its indentation.
fn excused(line: &str) -> bool {
    let words: Vec<&str> = line
        .split_whitespace()
        .filter(|w| !["\\", "→", "->", "next:"].contains(w))
        .collect();
    words.len() <= 1
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_line_is_too_wide(width in 1usize..200, unicode in any::<bool>(), which in 0usize..6) {
        let style = Style { width, color: false, unicode };
        let (_, report) = clusters::all().remove(which);
        let code = clusters::ALL[which];
        let mut texts = vec![summary(&report, &style), explain::list(&clusters::ALL, &style)];
        texts.extend([Format::Table, Format::Wide].map(|f| render(&report, &style, f)));
        texts.extend(changes(&healthy(), &report, &style));
        // Commands of `explain` are never wrapped.
        let words = explain::explain(code, &style);
        texts.extend(words.lines().filter(|l| !l.starts_with("    ")).map(String::from));
        for text in texts {
            let escapes = text.contains('\u{1b}');
            prop_assert!(!escapes);
            for line in text.lines().filter(|l| width >= 40 && l.width() > width && !excused(l)) {
                prop_assert!(false, "{} columns, not {width}: {line}", line.width());
            }
        }
    }

    #[test]
    fn no_text_breaks_the_page(text in any::<String>(), width in 0usize..120, unicode in any::<bool>()) {
        let style = Style { width, color: true, unicode };
        let mut report = degraded();
        report.context = Some(text.clone());
        report.nodes.items[34].name = text.clone();
        report.nodes.items[34].pool = Some(text.clone());
        report.findings[0].message = text.clone();
        report.findings[0].fix = format!("kubectl {text}");
        report.findings[1].fix = text.clone();
        for entry in &ALL {
            (entry.write)(&report, &style);
        }
        let page = without_escapes(&render(&report, &Style { color: false, ..style }, Format::Table));
        prop_assert!(!page.is_empty());
        summary(&report, &style);
    }
}

#[test]
fn the_verdict_stands_first_and_last() {
    for (name, report) in clusters::all() {
        let page = render(&report, &style(100), Format::Table);
        let word = report.verdict.as_str().to_uppercase();
        let lines: Vec<&str> = page.lines().collect();
        assert!(lines[1].contains(&word), "{name}");
        assert!(
            lines[lines.len().saturating_sub(4)..]
                .iter()
                .any(|l| l.contains(&word)),
            "{name}"
        );
    }
}

#[test]
fn a_selector_is_said() {
    let mut report = healthy();
    report.nodes.total = 40;
    report.nodes.ready = 40;
    assert!(render(&report, &style(80), Format::Table).contains("40/40 ready  3 selected"));
    report.findings.clear();
    assert_eq!(
        (report.verdict, report.count(Severity::Error)),
        (Verdict::Healthy, 0)
    );
}

#[test]
fn no_room_is_fine_while_something_is_missing() {
    // The finding is of the CNI's family; the nodes are not Ready all the same.
    assert!(render(&large(), &style(80), Format::Table).contains("✖ Nodes       460/500 ready"));
    let mut report = healthy();
    if let Some(cni) = &mut report.cni {
        cni.workloads[0].ready = 2;
    }
    assert!(render(&report, &style(80), Format::Table).contains("• CNI"));
}

#[test]
fn pools_that_do_not_fit_are_counted() {
    let mut report = healthy();
    report.nodes.items = (0..20)
        .map(|n| clusters::node(&format!("pool{n:02}"), n))
        .collect();
    report.nodes.total = 20;
    report.nodes.ready = 20;
    let page = render(&report, &style(60), Format::Table);
    assert!(page.contains("pool00 1/1  pool01 1/1  +18 pools"), "{page}");
}

#[test]
fn placeholders_survive_markdown() {
    let page = explain::codes_markdown(&[&clusters::CRASH]);
    assert!(page.contains("the agent of \\<node> writes `<name>`"), "{page}");
}
