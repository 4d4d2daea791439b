//! The revisions of a release, as `helm history -o json` lists them.

use serde::Deserialize;

use crate::core::{revision::Revision, text::Text};

/// The shape that both majors write; helm 4 adds fields.
#[derive(Deserialize)]
struct Row {
    revision: i64,
    status: Text,
    chart: Text,
    #[serde(default)]
    app_version: Text,
    #[serde(default)]
    updated: Text,
    #[serde(default)]
    description: Text,
}

/// Reads the list, oldest first.
///
/// # Errors
/// Where it is something else; the text itself is not repeated.
pub(super) fn parse(text: &str) -> Result<Vec<Revision>, String> {
    let rows: Vec<Row> = serde_json::from_str(text).map_err(|e| {
        format!(
            "its history is no list of revisions (line {}, column {})",
            e.line(),
            e.column()
        )
    })?;
    let mut all: Vec<Revision> = rows
        .into_iter()
        .map(|row| {
            let (chart, version) = name_and_version(&row.chart);
            Revision {
                revision: row.revision,
                status: row.status.line(40),
                chart: chart.to_string(),
                version: version.to_string(),
                app_version: row.app_version.line(80),
                updated: row.updated.parse().ok(),
                description: row.description.line(300),
            }
        })
        .collect();
    all.sort_by_key(|r| r.revision);
    Ok(all)
}

/// Takes `cilium-1.19.6` apart. Both parts may hold dashes (`1.20.0-rc.1`), so the version is what follows the first
/// dash behind which a version can be read.
fn name_and_version(chart: &str) -> (&str, &str) {
    chart
        .match_indices('-')
        .map(|(at, _)| (&chart[..at], &chart[at + 1..]))
        .find(|(_, rest)| semver::Version::parse(rest.strip_prefix('v').unwrap_or(rest)).is_ok())
        .or_else(|| chart.rsplit_once('-'))
        .unwrap_or((chart, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_majors_are_read() {
        let text = r#"[
            {"revision":2,"updated":"2026-11-21T10:00:00.5Z","status":"deployed","chart":"cilium-1.20.0-rc.1",
             "app_version":"1.20.0-rc.1","description":"Upgrade complete","rollback_revision":1},
            {"revision":1,"updated":"2026-11-21T09:00:00.123456789+01:00","status":"pending-install",
             "chart":"crd.projectcalico.org.v1-v3.32.1","app_version":"v3.32.1","description":"\u001b[2J"}]"#;
        let all = parse(text).expect("a history");
        let shown: Vec<String> = all
            .iter()
            .map(|r| {
                let at = r.updated.map(|t| t.to_string()).unwrap_or_default();
                format!(
                    "{} {} {} {} {at} {}",
                    r.revision,
                    r.pending(),
                    r.chart,
                    r.version,
                    r.description
                )
            })
            .collect();
        assert_eq!(
            shown,
            [
                "1 true crd.projectcalico.org.v1 v3.32.1 2026-11-21T08:00:00.123456789Z \u{fffd}[2J",
                "2 false cilium 1.20.0-rc.1 2026-11-21T10:00:00.5Z Upgrade complete",
            ]
        );
    }

    #[test]
    fn what_is_no_history_is_refused_and_not_repeated() {
        for text in ["", "hello s3cret", "{}", r#"[{"revision":"x"}]"#] {
            let why = parse(text).expect_err("no history");
            assert!(!why.contains("s3cret"), "{why}");
        }
        assert_eq!(parse("[]"), Ok(vec![]));
    }

    #[test]
    fn odd_names_are_taken_apart() {
        assert_eq!(name_and_version("a-1-2.0.0"), ("a-1", "2.0.0"));
        assert_eq!(name_and_version("a-b-1.0"), ("a-b", "1.0"));
        assert_eq!(name_and_version("alone"), ("alone", ""));
    }
}
