//! Command lines that are wrong: what was probably meant, beyond what the parser finds by likeness alone.

use std::ffi::OsString;

use clap::{
    Command, Error,
    error::{ContextKind, ContextValue},
};

use super::grammar;
use crate::core::cni;

/// Words that other tools have for what our commands do.
const OTHERS_WORDS: &[(&str, &[&str])] = &[
    (
        "status",
        &[
            "check", "doctor", "describe", "diagnose", "get", "health", "info", "inspect", "show", "validate",
        ],
    ),
    ("capture", &["collect", "dump", "export", "save"]),
    ("explain", &["codes", "why"]),
    ("install", &["add", "apply", "create", "deploy", "init"]),
    ("upgrade", &["update"]),
    ("rollback", &["revert", "undo"]),
    ("history", &["log", "list", "ls", "revisions"]),
    ("resume", &["continue", "retry"]),
    ("abort", &["cancel", "stop"]),
    ("completion", &["autocomplete", "completions"]),
];

/// Words for taking a CNI away, which is no likeness of `install`.
const AWAY: &[&str] = &["uninstall", "delete", "remove", "purge"];

/// With advice where there is some.
pub fn advised(mut error: Error, arguments: &[OsString]) -> Error {
    let words: Vec<String> = arguments
        .iter()
        .skip(1)
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    if let Some(wrong) = text(&error, ContextKind::InvalidSubcommand) {
        let word = wrong.to_lowercase();
        if AWAY.contains(&word.as_str()) {
            error.remove(ContextKind::SuggestedSubcommand);
            tip(
                &mut error,
                "a CNI that works is never taken away: nodes would count as Ready and give no pod a network; \
                 'kubectl byocni abort' takes back a change that was interrupted, 'rollback' goes to an earlier revision",
            );
        } else if let Some((ours, _)) = OTHERS_WORDS
            .iter()
            .find(|(_, others)| others.contains(&word.as_str()))
        {
            let value = ContextValue::Strings(vec![(*ours).to_string()]);
            error.insert(ContextKind::SuggestedSubcommand, value);
        }
    }
    if let Some(wrong) = text(&error, ContextKind::InvalidArg) {
        if let Some(advice) = of_habit(&wrong, &words) {
            // What is alike by its letters, and the usage that goes with it, would only lead astray.
            error.remove(ContextKind::SuggestedArg);
            error.remove(ContextKind::Usage);
            tip(&mut error, &advice);
        } else if let Some(advice) = of_argument(&wrong, &words) {
            tip(&mut error, &advice);
        }
    }
    error
}

/// Advice to those who say what another tool, or another of our verbs, would want to be told.
fn of_habit(wrong: &str, words: &[String]) -> Option<String> {
    let root = grammar();
    let verb = words.iter().find(|word| root.find_subcommand(word).is_some())?;
    let wrong = wrong.split('=').next().unwrap_or(wrong);
    let version = wrong.trim_start_matches('v');
    let is_version = version.contains('.') && version.chars().all(|c| c.is_ascii_digit() || c == '.');
    match verb.as_str() {
        "upgrade" if is_version => Some(format!(
            "'--to {version}' goes there over every minor on the way, '--version {version}' in one hop"
        )),
        "install" if is_version => Some(format!("the version is a flag: '--version {version}'")),
        "upgrade" | "history" if cni::ALL.iter().any(|cni| cni.id == wrong) => Some(format!(
            "which CNI it is, is found by itself: 'kubectl byocni {verb}' without '{wrong}'"
        )),
        "rollback" if ["--to", "--revision", "--to-revision"].contains(&wrong) => Some(
            "it goes to a revision, by its number: 'kubectl byocni rollback 3'; 'kubectl byocni history' lists them"
                .into(),
        ),
        _ => None,
    }
}

/// Advice about an argument that does not belong where it stands.
fn of_argument(wrong: &str, words: &[String]) -> Option<String> {
    let at = words
        .iter()
        .position(|word| word == wrong || word.starts_with(&format!("{wrong}=")))?;
    let before = at.checked_sub(1).map(|before| words[before].as_str());
    if let Some(flag @ "--dry-run") = before {
        return Some(format!(
            "the value follows a =, as with kubectl: '{flag}={wrong}'"
        ));
    }
    // A flag of a command, before the command.
    let mut root = grammar();
    root.build();
    let has = |command: &Command| {
        command.get_arguments().any(|arg| {
            let short = arg.get_short().map(|letter| format!("-{letter}"));
            let long = arg.get_long().map(|long| format!("--{long}"));
            short.as_deref() == Some(wrong) || long.as_deref() == Some(wrong)
        })
    };
    let named = words
        .iter()
        .find_map(|word| root.find_subcommand(word).map(|c| (word, c)));
    let (name, command) = named?;
    let early = words
        .iter()
        .position(|word| word == name)
        .is_some_and(|command| command > at);
    (early && has(command)).then(|| format!("'{wrong}' is a flag of '{name}' and follows it"))
}

fn text(error: &Error, kind: ContextKind) -> Option<String> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    }
}

fn tip(error: &mut Error, advice: &str) {
    error.insert(
        ContextKind::Suggested,
        ContextValue::StyledStrs(vec![advice.to_string().into()]),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(line: &str) -> String {
        let words: Vec<OsString> = format!("kubectl-byocni {line}")
            .split_whitespace()
            .map(OsString::from)
            .collect();
        let error = grammar()
            .try_get_matches_from(&words)
            .expect_err("a wrong command line");
        advised(error, &words).to_string()
    }

    #[test]
    fn words_of_other_tools_lead_to_ours() {
        let root = grammar();
        for (ours, others) in OTHERS_WORDS {
            assert!(root.find_subcommand(ours).is_some(), "{ours}");
            for word in *others {
                assert!(root.find_subcommand(word).is_none(), "{word} is a command");
                let said = said(word);
                assert!(
                    said.contains(&format!("a similar subcommand exists: '{ours}'")),
                    "{said}"
                );
            }
        }
        assert!(said("stauts").contains("'status'"));
        assert!(!said("weather").contains("tip"));
    }

    #[test]
    fn whoever_wants_a_cni_gone_is_not_led_to_install() {
        for word in AWAY {
            let said = said(word);
            assert!(!said.contains("'install'"), "{said}");
            assert!(said.contains("never taken away"), "{said}");
        }
    }

    #[test]
    fn arguments_in_the_wrong_place() {
        assert!(said("-o json status").contains("'-o' is a flag of 'status' and follows it"));
        assert!(said("--from=a.yaml status").contains("'--from' is a flag of 'status' and follows it"));
        assert!(said("install cilium --dry-run server").contains("'--dry-run=server'"));
        assert!(said("status --form x").contains("'--from'"));
        assert!(said("install cilium --dry-rum").contains("'--dry-run"));
        assert!(!said("status --weather").contains("follows"));
        // It follows already, and is no flag there.
        let after = said("status -- -o");
        assert!(after.contains("'-o'") && !after.contains("follows"), "{after}");
    }
    #[test]
    fn who_says_what_is_known_or_is_a_flag_is_told_so() {
        for (line, advice) in [
            (
                "upgrade cilium --to 1.20",
                "'kubectl byocni upgrade' without 'cilium'",
            ),
            ("history flannel", "'kubectl byocni history' without 'flannel'"),
            ("upgrade 1.20", "'--to 1.20' goes there"),
            ("upgrade v1.19.6", "'--version 1.19.6' in one hop"),
            ("install cilium 1.19", "'--version 1.19'"),
            ("rollback --to 1.19", "by its number"),
            ("rollback --to-revision=3", "by its number"),
        ] {
            let said = said(line);
            assert!(said.contains(advice), "{line}: {said}");
            assert!(!said.contains("--token"), "{line}: {said}");
        }
        // Nothing is known of these.
        for line in ["upgrade weather", "install cilium weather", "rollback --weather"] {
            assert!(!said(line).contains("found by itself"), "{line}");
        }
    }
}
