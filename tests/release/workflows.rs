//! The workflows, as far as that can be seen without the forge that runs them.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{PLATFORMS, read, root, yaml};

const WORKFLOWS: [&str; 2] = [".github/workflows/ci.yaml", ".github/workflows/release.yaml"];

fn jobs(workflow: &Value) -> impl Iterator<Item = (&String, &Value)> {
    workflow["jobs"].as_object().into_iter().flatten()
}

fn steps(job: &Value) -> impl Iterator<Item = &Value> {
    job["steps"].as_array().into_iter().flatten()
}

#[test]
fn actions_are_pinned_and_allowed_little() {
    for path in WORKFLOWS {
        let workflow = yaml(&read(path));
        assert_eq!(
            workflow["permissions"],
            serde_json::json!({"contents": "read"}),
            "{path}"
        );
        for (name, job) in jobs(&workflow) {
            assert!(job["timeout-minutes"].is_u64(), "{path}: {name} has no limit");
            let more = job["permissions"].as_object();
            assert!(
                more.is_none() || name == "publish",
                "{path}: {name} may more than read"
            );
            for step in steps(job) {
                let Some(action) = step["uses"].as_str() else {
                    continue;
                };
                let pin = action.split_once('@').map(|(_, pin)| pin).unwrap_or_default();
                let version = pin
                    .strip_prefix('v')
                    .is_some_and(|v| v.starts_with(|c: char| c.is_ascii_digit()));
                assert!(version, "{path}: {action} is not pinned to a version");
                if action.starts_with("actions/checkout@") {
                    assert_eq!(step["with"]["persist-credentials"], false, "{path}: {name}");
                }
            }
        }
    }
}

/// What comes from outside reaches a shell only through the environment.
#[test]
fn no_expression_is_within_a_command() {
    for path in WORKFLOWS {
        let workflow = yaml(&read(path));
        for (name, job) in jobs(&workflow) {
            for step in steps(job) {
                let run = step["run"].as_str().unwrap_or_default();
                assert!(!run.contains("${{"), "{path}: {name}: {run}");
            }
        }
    }
}

#[test]
fn what_they_call_is_there() {
    let mut called = BTreeSet::new();
    for path in WORKFLOWS {
        for word in read(path)
            .split_whitespace()
            .filter(|word| word.starts_with(".ci/"))
        {
            let word = word.trim_end_matches([',', '.', ')', ':']);
            assert!(root().join(word).exists(), "{path}: {word}");
            called.insert(word.to_string());
        }
    }
    for script in [
        ".ci/run",
        ".ci/release/archive",
        ".ci/release/assemble.py",
        ".ci/release/try",
    ] {
        assert!(called.contains(script), "no workflow calls {script}");
    }
}

/// Template, scripts and workflow each have a list of the platforms, in a language of its own.
#[test]
fn all_lists_of_platforms_are_the_same() {
    let expected: BTreeSet<String> = PLATFORMS
        .iter()
        .map(|(platform, _)| platform.to_string())
        .collect();
    let workflow = yaml(&read(WORKFLOWS[1]));
    for job in ["archive", "try"] {
        let built = workflow["jobs"][job]["strategy"]["matrix"]["include"]
            .as_array()
            .expect("a matrix");
        let built = built
            .iter()
            .filter_map(|one| one["platform"].as_str())
            .map(str::to_string)
            .collect();
        assert_eq!(expected, built, "{job}");
    }
    let archive = read(".ci/release/archive");
    let known = archive
        .lines()
        .filter(|line| line.contains(") target="))
        .filter_map(|line| line.trim().split_once(')'))
        .map(|(platform, _)| platform.to_string())
        .collect();
    assert_eq!(expected, known, ".ci/release/archive");
}

/// A build that is tried in one compiler and released with an older one is not the same build.
#[test]
fn the_compiler_is_new_enough() {
    let workflow = yaml(&read(WORKFLOWS[1]));
    let compiler = workflow["env"]["RUSTUP_TOOLCHAIN"].as_str().expect("a version");
    let least = read("Cargo.toml")
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = "))
        .map(|version| version.trim_matches('"').to_string())
        .expect("a version");
    let number = |text: &str| semver::Version::parse(text).or(semver::Version::parse(&format!("{text}.0")));
    assert!(number(compiler).expect("a version") >= number(&least).expect("a version"));
}
