//! The plugin as its users run it: the built binary, asked from outside.

// Each test binary uses its own part of this.
#![allow(dead_code)]

#[path = "../docs/schema.rs"]
mod schema;

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// What one `status` said.
pub struct Said {
    /// The exit code.
    pub exit: i32,
    /// `-o json`.
    pub json: Value,
    /// The table at 100 columns.
    pub table: String,
}

/// Runs the plugin against a cluster, without anything of the caller's environment but PATH and HOME.
pub fn run(kubeconfig: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kubectl-byocni"))
        .args(arguments)
        .env_clear()
        .envs(
            ["PATH", "HOME"]
                .into_iter()
                .filter_map(|name| Some((name, std::env::var_os(name)?))),
        )
        .envs([("LANG", "C.UTF-8"), ("COLUMNS", "100")])
        .env("KUBECONFIG", kubeconfig)
        .output()
        .expect("the plugin starts")
}

/// Whatever the plugin prints as JSON is what docs/schema says of it; other text is none of this function's business.
pub fn fits_its_schema(text: &str) {
    let Ok(document) = serde_json::from_str::<Value>(text) else {
        return;
    };
    let kind = document["kind"].as_str().unwrap_or_default().to_lowercase();
    if document["apiVersion"] != "byocni.io/v1alpha1" {
        return;
    }
    let path = format!("{}/docs/schema/{kind}.schema.json", env!("CARGO_MANIFEST_DIR"));
    let schema = std::fs::read_to_string(&path).unwrap_or_else(|why| panic!("{path}: {why}"));
    let complaints = schema::complaints(&serde_json::from_str(&schema).expect("JSON"), &document);
    assert!(
        complaints.is_empty(),
        "not what {path} says:\n  {}\n{text}",
        complaints.join("\n  ")
    );
}

/// Asks for the status, as a program and as a person.
pub fn status(kubeconfig: &Path, arguments: &[&str]) -> Said {
    let asked = run(kubeconfig, &[&["status", "-o", "json"], arguments].concat());
    let json = serde_json::from_slice(&asked.stdout).unwrap_or_else(|why| {
        let (out, err) = (
            String::from_utf8_lossy(&asked.stdout),
            String::from_utf8_lossy(&asked.stderr),
        );
        panic!("status -o json is no JSON ({why}): {out}\n{err}")
    });
    fits_its_schema(&String::from_utf8_lossy(&asked.stdout));
    let table = run(kubeconfig, &[&["status"], arguments].concat());
    Said {
        exit: asked.status.code().unwrap_or(-1),
        json,
        table: String::from_utf8_lossy(&table.stdout).into_owned(),
    }
}

impl Said {
    /// The verdict.
    pub fn verdict(&self) -> &str {
        self.json["verdict"].as_str().unwrap_or_default()
    }

    /// `severity slug` of every finding of these severities, in order.
    pub fn findings(&self, severities: &[&str]) -> Vec<String> {
        let all = self.json["findings"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        let told = all.iter().map(|f| (f["severity"].as_str(), f["slug"].as_str()));
        let told = told.filter_map(|(severity, slug)| Some((severity?, slug?)));
        let wanted = told.filter(|(severity, _)| severities.contains(severity));
        wanted
            .map(|(severity, slug)| format!("{severity} {slug}"))
            .collect()
    }

    /// The slug that a finding is the consequence of.
    pub fn cause_of(&self, slug: &str) -> Option<&str> {
        let all = self.json["findings"].as_array()?;
        all.iter().find(|f| f["slug"] == slug)?["causedBy"].as_str()
    }

    /// Asserts verdict, exit code and the complete list of errors and warnings.
    pub fn expect(&self, verdict: &str, exit: i32, findings: &[&str]) {
        let told = (self.verdict(), self.exit, self.findings(&["error", "warning"]));
        let wanted = (
            verdict,
            exit,
            findings.iter().map(ToString::to_string).collect::<Vec<_>>(),
        );
        assert_eq!(told, wanted, "\n{}", self.table);
    }
}
