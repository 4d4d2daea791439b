//! Every example in a help text is run: as it is where it asks no cluster, else to the point where there is none.

use std::path::Path;

use clap::Command;

use super::{
    programs::{charts, helm, required_or_skip},
    run::{Run, byocni, example},
};

/// Each command that is not `help`, by its words, with what its help says at the end.
fn commands() -> Vec<(String, String)> {
    fn below(command: &Command, name: &str, all: &mut Vec<(String, String)>) {
        let said = command
            .get_after_help()
            .map(ToString::to_string)
            .unwrap_or_default();
        all.push((name.trim().to_string(), said));
        for command in command.get_subcommands() {
            below(command, &format!("{name} {}", command.get_name()), all);
        }
    }
    let mut all = vec![];
    // Not built: `help` and its copies of every command are not there yet.
    below(&kubectl_byocni::cli::grammar(), "", &mut all);
    all
}

/// The lines under `Examples:`, up to the next blank one.
fn examples(said: &str) -> Vec<&str> {
    said.lines()
        .skip_while(|line| *line != "Examples:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .map(str::trim)
        .collect()
}

/// What of an example is ours: without what goes before or after it in a pipe, and without the remark beside it.
fn ours(line: &str) -> &str {
    let at = ["kubectl byocni", "kubectl-byocni"]
        .iter()
        .filter_map(|name| line.find(name).map(|at| at + name.len()))
        .min()
        .unwrap_or_else(|| panic!("not one of ours: {line}"));
    let rest = &line[at..];
    let end = ["  ", " | ", " > ", ")"]
        .iter()
        .filter_map(|end| rest.find(end))
        .min();
    rest[..end.unwrap_or(rest.len())].trim()
}

#[test]
fn every_command_has_examples() {
    for (command, said) in commands() {
        assert!(!examples(&said).is_empty(), "{command:?} has none: {said}");
    }
}

/// A home with what the examples name: a capture, values, charts.
fn furnished(words: &str, charts: &Path) -> Run {
    let capture = match words.starts_with("upgrade") || words.starts_with("rollback") {
        true => "cilium-healthy.yaml",
        false => "fresh-byocni.yaml",
    };
    let capture = std::fs::read(example(capture)).expect("an example");
    let mut run = byocni(words)
        .file("cluster.yaml", &capture)
        .file("values.yaml", "debug: {enabled: false}\n")
        .file("bin/kept", "");
    for file in std::fs::read_dir(charts).expect("charts") {
        let file = file.expect("a chart").path();
        let name = file.file_name().expect("a name").to_string_lossy().into_owned();
        let bytes = std::fs::read(&file).expect("a chart");
        if name == "cilium-1.19.6.tgz" {
            run = run.file(&name, &bytes);
        }
        run = run.file(&format!("charts/{name}"), &bytes);
    }
    let bin = run.home().join("bin").display().to_string();
    run.env("PATH", &bin).stdin(capture)
}

#[test]
fn examples_do_what_they_say() {
    let programs = charts().and_then(|charts| Ok((charts, helm(3)?)));
    let Some((charts, helm)) = required_or_skip("charts", programs) else {
        return;
    };
    let helm = helm.display().to_string();
    let mut all = 0;
    for (_, said) in commands() {
        for line in examples(&said) {
            let words = ours(line);
            let mut run = furnished(words, &charts).env("HELM_BIN", &helm);
            let planned = words.starts_with("install") || words.starts_with("upgrade");
            let source = ["--repo", "--chart", "--manifest"]
                .iter()
                .any(|flag| words.contains(flag));
            if planned && words.contains("--from") && !source {
                // Not from the project's own repository, which is not to be asked here.
                run = run.arg_words("--repo charts");
            }
            let ended = run.end();
            let alone = ["explain", "completion", "version --client"]
                .iter()
                .any(|verb| words.starts_with(verb));
            let expected: &[i32] = match words {
                _ if alone => &[0],
                // The capture's cluster has no CNI yet.
                _ if words.starts_with("status --from") => &[3],
                _ if words.contains("--from") => &[0],
                // There is no cluster.
                _ => &[1],
            };
            let code = ended.code.unwrap_or(-1);
            assert!(expected.contains(&code), "{line}\n{}", ended.said());
            if !alone && code == 1 {
                assert!(ended.stderr.contains("kubeconfig"), "{line}\n{}", ended.said());
            } else {
                assert!(!ended.stderr.contains("error"), "{line}\n{}", ended.said());
            }
            all += 1;
        }
    }
    assert!(all > 30, "only {all} examples");
}
