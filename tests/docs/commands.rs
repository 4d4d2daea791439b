//! Every command of this plugin that a document shows is one: the binary takes it, flags and all. It is run where there
//! is no cluster and no file, so that nothing comes of it; what counts is that the command line is not refused.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::{Command, Stdio},
};

use super::blocks::{blocks, commands, documents, spans, words};

/// What a document writes in place of something of the reader's, and what stands for it here.
const PLACEHOLDERS: &[(&str, &str)] = &[
    ("CIDR", "10.1.0.0/16"),
    ("N", "1"),
    ("NEWER", "1.20"),
    ("REVISION", "3"),
    ("TIME", "5m"),
    ("VERSION", "1.19.6"),
    ("CIDR6", "fd00:10:244::/56"),
    ("CODE", "BYO0201"),
    ("CNI", "cilium"),
    ("VERB", "status"),
];

/// Flags of other programs that the text names: whose they are.
const FOREIGN: &[(&str, &str)] = &[
    ("--network-plugin", "az aks create"),
    ("--pod-cidr", "az aks create, and ours"),
    ("--service-cidr", "az aks create"),
    ("--dns-service-ip", "az aks create"),
    ("--vnet-subnet-id", "az aks create"),
    ("--max-pods", "az aks create"),
    ("--wait", "helm, and ours"),
    ("--atomic", "helm"),
    ("--reuse-values", "helm"),
    ("--cluster-cidr", "kube-proxy"),
    ("--manifest", "krew, and ours"),
    ("--archive", "krew"),
];

fn run(arguments: &[String]) -> std::process::Output {
    let home = tempfile::tempdir().expect("a temporary folder");
    Command::new(env!("CARGO_BIN_EXE_kubectl-byocni"))
        .args(arguments)
        .current_dir(home.path())
        .env_clear()
        .env("HOME", home.path())
        .env("COLUMNS", "100")
        .stdin(Stdio::null())
        .output()
        .expect("the binary runs")
}

/// The plugin's arguments in a command, placeholders replaced, redirections left out.
fn arguments(command: &str) -> Option<Vec<String>> {
    let all = words(command);
    // Variables may stand before a command.
    let at = all.iter().position(|w| !w.contains('='))?;
    let rest = &all[at..];
    let ours = match rest {
        [kubectl, byocni, rest @ ..] if kubectl == "kubectl" && byocni == "byocni" => rest,
        [cargo, run, rest @ ..] if cargo == "cargo" && run == "run" => {
            let at = rest.iter().position(|w| w == "--")?;
            match rest[..at].iter().any(|w| w == "--example") {
                true => return None,
                false => &rest[at + 1..],
            }
        }
        _ => return None,
    };
    let end = ours
        .iter()
        .position(|w| w.starts_with('>') || w.starts_with("2>"))
        .unwrap_or(ours.len());
    let replaced = |word: &String| {
        let known = PLACEHOLDERS.iter().find(|(name, _)| name == word);
        known.map_or_else(|| word.clone(), |(_, value)| value.to_string())
    };
    Some(ours[..end].iter().map(replaced).collect())
}

#[test]
fn every_command_is_one() {
    let mut shown: BTreeMap<Vec<String>, String> = BTreeMap::new();
    for document in documents() {
        let mut add = |line: usize, command: &str| {
            if let Some(arguments) = arguments(command) {
                shown
                    .entry(arguments)
                    .or_insert_with(|| format!("{}:{line}: {command}", document.path));
            }
        };
        for block in blocks(&document) {
            match block.language {
                "sh" => commands(block.text).iter().for_each(|c| add(block.line, c)),
                "console" => {
                    let prompts: Vec<&str> = block.text.lines().filter(|l| l.starts_with("$ ")).collect();
                    commands(&prompts.join("\n"))
                        .iter()
                        .for_each(|c| add(block.line, c));
                }
                _ => {}
            }
        }
        for (line, span) in spans(&document).iter().filter(|(_, span)| !span.contains('…')) {
            add(*line, span);
        }
    }
    assert!(shown.len() > 20, "few commands were found: {shown:?}");
    let mut wrong = vec![];
    for (arguments, place) in shown {
        let ended = run(&arguments);
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        let first = said.lines().next().unwrap_or_default().to_lowercase();
        // A file that is not there is the reader's.
        let taken = ended.status.code() != Some(2) || first.contains("no such file");
        if !taken && !arguments.is_empty() {
            wrong.push(format!(
                "{place}\n    {}",
                said.lines().next().unwrap_or_default()
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "the binary does not take these:\n  {}",
        wrong.join("\n  ")
    );
}

/// Every flag that any verb has.
fn flags() -> BTreeSet<String> {
    let help = |verb: &str| {
        let ended = run(&[verb, "--help"].map(str::to_string));
        String::from_utf8_lossy(&ended.stdout).into_owned()
    };
    let all = String::from_utf8_lossy(&run(&["--help".to_string()]).stdout).into_owned();
    let verbs = all
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.trim().is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next());
    let texts: Vec<String> = verbs.map(help).collect();
    assert!(texts.len() > 5, "no verbs in {all}");
    texts
        .iter()
        .flat_map(|text| text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-'))
        .filter(|word| word.starts_with("--"))
        .map(str::to_string)
        .collect()
}

#[test]
fn every_flag_is_one() {
    let ours = flags();
    let mut wrong = vec![];
    for document in documents() {
        for (line, span) in spans(&document) {
            let Some(flag) = span.split([' ', '=', '[']).next().filter(|w| w.starts_with("--")) else {
                continue;
            };
            if flag.len() > 2 && !ours.contains(flag) && !FOREIGN.iter().any(|(known, _)| *known == flag) {
                wrong.push(format!("{}:{line}: {span}", document.path));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "no flag of ours, nor one of another program that tests/docs/commands.rs knows:\n  {}",
        wrong.join("\n  ")
    );
}
