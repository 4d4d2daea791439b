//! Histories at every width and in every format.

use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr;

use super::*;
use crate::render::ALL;

fn style(width: usize) -> Style {
    Style {
        width,
        color: false,
        unicode: true,
    }
}

fn row(revision: i64, version: &str, status: &str, health: Option<&str>, changed: &str) -> Row {
    Row {
        revision,
        when: format!("2026-11-{:02}T10:00:31Z", 14 + revision).parse().ok(),
        chart: "cilium".into(),
        version: version.into(),
        app_version: version.into(),
        status: status.into(),
        health: health.map(str::to_string),
        changed: changed.into(),
        by: health.map(|_| "anna@build-7".to_string()),
        hidden: false,
    }
}

/// Installed by plain helm, upgraded twice by us, once in vain.
fn long() -> History {
    let strategy = |revision, version| Row {
        hidden: true,
        ..row(revision, version, "superseded", None, "2 values")
    };
    History {
        release: "cilium".into(),
        namespace: "kube-system".into(),
        cni: "Cilium".into(),
        rows: vec![
            row(1, "1.18.12", "superseded", None, "1.18.12 installed"),
            strategy(2, "1.19.6"),
            row(
                3,
                "1.19.6",
                "superseded",
                Some("healthy"),
                "1.18.12 → 1.19.6; 2 values",
            ),
            row(4, "1.20.0", "failed", Some("broken"), "1.19.6 → 1.20.0"),
            strategy(5, "1.19.6"),
            row(6, "1.19.6", "deployed", Some("healthy"), "1.20.0 → 1.19.6"),
        ],
    }
}

fn shot(name: &str, text: String) {
    insta::with_settings!({snapshot_path => "snapshots", prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::assert_snapshot!(name, text);
    });
}

#[test]
fn histories_look_as_they_should() {
    for width in [60, 80, 140] {
        shot(
            &format!("history_{width}"),
            history(&long(), &style(width), Format::Table),
        );
    }
    shot("history_140_wide", history(&long(), &style(140), Format::Wide));
    shot("history_markdown", history(&long(), &style(80), Format::Markdown));
    shot("history_json", history(&long(), &style(80), Format::Json));
}

#[test]
fn what_only_switched_the_strategy_is_left_out_unless_all_is_asked_for() {
    let numbers = |format| {
        let text = history(&long(), &style(140), format);
        let first = text
            .lines()
            .filter_map(|line| line.split_whitespace().next()?.parse::<i64>().ok());
        first.collect::<Vec<_>>()
    };
    assert_eq!(numbers(Format::Table), [1, 3, 4, 6]);
    assert_eq!(numbers(Format::Name), [1, 3, 4, 6]);
    assert_eq!(numbers(Format::Wide), [1, 2, 3, 4, 5, 6]);
    let mut newest = long();
    newest.rows.truncate(5);
    assert_eq!(newest.newest().map(|row| row.revision), Some(4));
}

#[test]
fn the_machines_view_is_whole() {
    let value: Value = serde_json::from_str(&history(&long(), &style(60), Format::Json)).expect("JSON");
    assert_eq!(value["kind"], "ReleaseHistory");
    assert_eq!(value["apiVersion"], "byocni.io/v1alpha1");
    assert_eq!(
        value["release"],
        json!({"name": "cilium", "namespace": "kube-system"})
    );
    assert_eq!(
        value["revisions"][2],
        json!({
            "revision": 3, "createdAt": "2026-11-17T10:00:31Z", "status": "superseded", "health": "healthy",
            "chart": {"name": "cilium", "version": "1.19.6", "appVersion": "1.19.6"},
            "changed": "1.18.12 → 1.19.6; 2 values", "by": "anna@build-7", "hidden": false,
        })
    );
    assert_eq!(value["revisions"][0]["health"], Value::Null);
    assert_eq!(value["revisions"][1]["hidden"], true);
    let yaml: Vec<Value> = crate::yaml::documents(&history(&long(), &style(60), Format::Yaml)).expect("YAML");
    assert_eq!(yaml, [value]);
}

#[test]
fn the_last_line_says_what_is_there_now() {
    let last = |history: &History| {
        let text = super::history(history, &style(80), Format::Table);
        text.lines().last().unwrap_or_default().to_string()
    };
    let mut one = long();
    assert_eq!(
        last(&one),
        "✔ revision 6 · cilium 1.19.6 · deployed · healthy after it"
    );
    one.rows.truncate(4);
    assert_eq!(
        last(&one),
        "✖ revision 4 · cilium 1.20.0 · failed · broken after it"
    );
    one.rows.truncate(1);
    one.rows[0].status = "deployed".into();
    assert_eq!(
        last(&one),
        "• revision 1 · cilium 1.18.12 · deployed · its health was not recorded"
    );
    one.rows.clear();
    assert_eq!(last(&one), "? no revision is known");
}

/// Acceptance scenario 40: names in a release are anybody's.
#[test]
fn hostile_text_breaks_no_page() {
    let mut evil = long();
    for row in &mut evil.rows {
        for text in [
            &mut row.chart,
            &mut row.version,
            &mut row.status,
            &mut row.changed,
        ] {
            text.push_str("\u{1b}[2J\n|<b>\u{202e}");
        }
        row.by = Some("\u{1b}]0;a\u{7}@b".into());
    }
    for entry in ALL {
        for width in [60, 80, 140] {
            let text = history(&evil, &style(width), entry.format);
            assert!(!text.contains(['\u{1b}', '\u{202e}', '\u{7}']), "{}", entry.name);
            if matches!(entry.format, Format::Table | Format::Wide) {
                let wide = text.lines().find(|line| line.width() > width);
                assert_eq!(wide, None, "{}", entry.name);
                let rows = if entry.format == Format::Wide { 6 } else { 4 };
                assert!(text.lines().count() <= rows + 7, "{text}");
            }
        }
    }
    assert!(!history(&evil, &style(80), Format::Markdown).contains("<b>"));
}
