//! How a change ended: text for people, whose last line is the most important, and `ChangeResult` for programs.

use schemars::JsonSchema;
use serde::Serialize;

use super::{
    Style,
    line::{Line, clean, wrap},
    schemas::API_VERSION,
    theme::{self, Mark, Tone},
};
use crate::core::{
    change::Ended,
    code::Change,
    codes::change::{CHANGE_INTERRUPTED, GATE_REGRESSED, GATE_TIMED_OUT},
    finding::Finding,
    journal::Phase,
};

/// What was changed, as the plan named it.
#[derive(Debug, Clone)]
pub struct Changed {
    /// What was done.
    pub change: Change,
    /// The CNI's product name, else the chart's.
    pub cni: String,
    /// What the chart installs.
    pub version: String,
    /// The release, `namespace/name`.
    pub release: String,
    /// What an upgrade or a rollback replaces: `1.19.6, revision 3`; nothing on an install.
    pub from: Option<String>,
}

/// The lines for people.
pub fn lines(changed: &Changed, ended: &Ended, style: &Style) -> Vec<String> {
    let name = format!("{} {}", changed.cni, changed.version.trim_start_matches('v'));
    let name = name.trim();
    let mut lines = vec![];
    let mut say = |mark: Mark, word: &str, rest: &str| {
        let head = Line::marked(mark, style).with(mark.tone(), format!("{word}  "));
        let (first, more) = (head.room(style), style.width.saturating_sub(theme::margin(style)));
        let mut pieces = wrap(&clean(rest, style), first, more).into_iter();
        let beginning = pieces.next().unwrap_or_default();
        lines.push(head.with(Tone::Plain, beginning).paint_uncut(style));
        lines.extend(pieces.map(|piece| Line::indented(style).with(Tone::Plain, piece).paint_uncut(style)));
    };
    match ended {
        Ended::Done { look, broken_before } => {
            for finding in &look.aside {
                say(Mark::Warning, finding.code.slug, &finding.message);
            }
            if !broken_before.is_empty() {
                let nodes = broken_before.join(", ");
                let text = format!("broken before, and not looked at by this change: {nodes}");
                say(Mark::Warning, "nodes", &text);
            }
            let joining = look.waiting.len();
            let still = if joining > 0 {
                format!("; {joining} that joined meanwhile still start")
            } else {
                String::new()
            };
            let what = match &changed.from {
                None => format!("{name} is installed"),
                Some(from) => format!("{name} runs in place of {from}"),
            };
            let text =
                format!("{what}, and the network was seen to work{still} · next: kubectl byocni status");
            say(Mark::Good, "DONE", &text);
        }
        Ended::Refused(finding) => {
            say(Mark::Bad, finding.code.slug, &finding.message);
            let text = format!("nothing was changed · next: {}", finding.fix);
            say(Mark::Bad, "REFUSED", &text);
        }
        Ended::Stopped { phase: Phase::Done } => {
            say(Mark::Warning, "STOPPED", "nothing was changed");
        }
        Ended::Stopped { phase } => {
            let text = format!(
                "{}; the cluster is left at rest · next: kubectl byocni resume, or kubectl byocni abort",
                phase.doing()
            );
            say(Mark::Warning, "STOPPED", &text);
        }
        Ended::Paused { because } => {
            say(Mark::Bad, because.code.slug, &because.message);
            let text = format!(
                "the cluster is left at rest, part old and part new · next: {}",
                because.fix
            );
            say(Mark::Bad, "PAUSED", &text);
        }
        Ended::AtCanary { canaries } => {
            let text = format!(
                "{name} runs on {}, and is well there; the others are as before · next: kubectl byocni resume, or \
                 kubectl byocni abort",
                canaries.join(", ")
            );
            say(Mark::Good, "PAUSED", &text);
        }
        Ended::Back { because, left, stays } => {
            say(Mark::Bad, because.code.slug, &because.message);
            for one in left {
                say(Mark::Warning, "left", one);
            }
            for one in stays {
                say(Mark::Info, "stays", one);
            }
            if let (Some(from), true) = (&changed.from, left.is_empty()) {
                let text = format!(
                    "{} {from} runs again, and the network was seen to work · next: {}",
                    changed.cni,
                    if because.code.slug == CHANGE_INTERRUPTED.slug {
                        "kubectl byocni status"
                    } else {
                        &because.fix
                    }
                );
                let (mark, word) = match because.code.slug == CHANGE_INTERRUPTED.slug {
                    true => (Mark::Good, "TAKEN BACK"),
                    false => (Mark::Warning, "ROLLED BACK"),
                };
                say(mark, word, &text);
                return lines;
            }
            if left.is_empty() && because.code.slug == CHANGE_INTERRUPTED.slug {
                let text =
                    format!("{name} was taken away: the cluster is as it was · next: kubectl byocni status");
                say(Mark::Good, "TAKEN BACK", &text);
            } else if left.is_empty() {
                // What showed the cause went with it.
                let next = match because.code.slug {
                    slug if slug == GATE_TIMED_OUT.slug || slug == GATE_REGRESSED.slug => {
                        "the same once more, with what was wrong put right (--version, -f, --set)"
                    }
                    _ => &because.fix,
                };
                let text = format!("{name} was taken away again: the cluster is as it was · next: {next}");
                say(Mark::Warning, "ROLLED BACK", &text);
            } else {
                let text = "not everything could be taken back · next: kubectl byocni abort tries again";
                say(Mark::Bad, "NOT RECOVERED", text);
            }
        }
        Ended::Stays { because, why, nodes } => {
            say(Mark::Bad, because.code.slug, &because.message);
            if !nodes.is_empty() {
                let text = format!("without a network because of it: {}", nodes.join(", "));
                say(Mark::Bad, "nodes", &text);
            }
            let text = format!("{name} stays as it is: {why}");
            say(Mark::Warning, "kept", &text);
            let next = match changed.from {
                None => {
                    "kubectl byocni status shows it; kubectl byocni resume goes on, with --version, -f or --set \
                     where those were wrong; kubectl byocni abort --uninstall removes it all the same"
                }
                Some(_) => {
                    "kubectl byocni status shows it; kubectl byocni resume goes on; kubectl byocni abort tries the way \
                     back again"
                }
            };
            say(Mark::Bad, "NOT RECOVERED", next);
        }
        Ended::Lost { phase } => {
            let text = format!(
                "the lock was lost {}: somebody else may be at work, so nothing more was written · \
                 next: kubectl byocni status; where nobody is, kubectl byocni resume",
                phase.doing()
            );
            say(Mark::Bad, "NOT RECOVERED", &text);
        }
    }
    lines
}

/// What `install`, `upgrade`, `rollback`, `resume` and `abort` print with `-o json` when they end.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ChangeResult<'a> {
    /// The version of this format.
    #[schemars(extend("const" = API_VERSION))]
    api_version: &'static str,
    /// Which document it is.
    #[schemars(extend("const" = ChangeResult::KIND))]
    kind: &'static str,
    /// What was changed.
    operation: Change,
    /// The product, else the chart's name.
    cni: &'a str,
    /// What the chart installs.
    version: &'a str,
    /// `namespace/name`.
    release: &'a str,
    /// What was replaced; `null` for an install.
    from: Option<&'a str>,
    /// How it ended.
    outcome: Outcome,
    /// The finding behind it.
    because: Option<Because<'a>>,
    /// Nodes that it is about: broken before (`done`), the canaries (`at-canary`), without a network
    /// (`not-recovered`).
    nodes: &'a [String],
    /// What could not be taken back.
    left: &'a [String],
}

/// How a change ended.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
enum Outcome {
    Done,
    Refused,
    Stopped,
    Paused,
    AtCanary,
    RolledBack,
    NotRecovered,
    LostLock,
}

/// A finding.
#[derive(Serialize, JsonSchema)]
struct Because<'a> {
    /// The code, `BYO` and four digits: docs/codes.md.
    #[schemars(regex(pattern = "^BYO[0-9]{4}$"))]
    code: &'static str,
    /// The code's name in words.
    slug: &'static str,
    /// What was seen.
    message: &'a str,
    /// What to do.
    fix: &'a str,
}

impl<'a> Because<'a> {
    fn of(finding: &'a Finding) -> Self {
        Because {
            code: finding.code.id,
            slug: finding.code.slug,
            message: &finding.message,
            fix: &finding.fix,
        }
    }
}

/// `-o json`.
pub fn json(changed: &Changed, ended: &Ended) -> String {
    serde_json::to_string_pretty(&result(changed, ended)).unwrap_or_default() + "\n"
}

/// `-o yaml`.
pub fn yaml(changed: &Changed, ended: &Ended) -> String {
    // JSON is YAML too: should the writer ever refuse, the reader still gets the document.
    crate::yaml::to_string(&result(changed, ended)).unwrap_or_else(|_| json(changed, ended))
}

impl ChangeResult<'_> {
    /// What `kind` says.
    pub const KIND: &'static str = "ChangeResult";
}

/// `ChangeResult` of byocni.io/v1alpha1.
fn result<'a>(changed: &'a Changed, ended: &'a Ended) -> ChangeResult<'a> {
    let (outcome, because, nodes, left): (Outcome, Option<&Finding>, &[String], &[String]) = match ended {
        Ended::Done { broken_before, .. } => (Outcome::Done, None, broken_before, &[]),
        Ended::Refused(finding) => (Outcome::Refused, Some(finding), &[], &[]),
        Ended::Stopped { .. } => (Outcome::Stopped, None, &[], &[]),
        Ended::Paused { because } => (Outcome::Paused, Some(because), &[], &[]),
        Ended::AtCanary { canaries } => (Outcome::AtCanary, None, canaries, &[]),
        Ended::Back { because, left, .. } if left.is_empty() => {
            (Outcome::RolledBack, Some(because), &[], &[])
        }
        Ended::Back { because, left, .. } => (Outcome::NotRecovered, Some(because), &[], left),
        Ended::Stays { because, nodes, .. } => (Outcome::NotRecovered, Some(because), nodes, &[]),
        Ended::Lost { .. } => (Outcome::LostLock, None, &[], &[]),
    };
    ChangeResult {
        api_version: API_VERSION,
        kind: ChangeResult::KIND,
        operation: changed.change,
        cni: &changed.cni,
        version: &changed.version,
        release: &changed.release,
        from: changed.from.as_deref(),
        outcome,
        because: because.map(Because::of),
        nodes,
        left,
    }
}
