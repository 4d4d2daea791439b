//! The schemas in docs/schema hold for everything that `-o json` prints: for the documents in the snapshots, which their
//! own tests keep true, for the examples, for plans of upgrades from the real charts, and for every end of a change.

use std::{collections::BTreeMap, fs, path::Path, process::Command, time::Duration};

use kubectl_byocni::{
    core::{
        change::Ended,
        code::Change,
        codes,
        finding::{Finding, Subject},
        gate::{Look, State},
        journal::Phase,
    },
    render::outcome::{self, Changed},
    yaml,
};
use serde_json::Value;

use super::{
    blocks::root,
    outputs,
    programs::{helm, required_or_skip},
    schema::complaints,
};

/// The schemas by the kind of the document that they describe.
fn schemas() -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(root().join("docs/schema")).expect("docs/schema") {
        let path = entry.expect("an entry").path();
        let text = fs::read_to_string(&path).expect("a readable schema");
        let schema: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let kind = schema["properties"]["kind"]["const"].as_str().unwrap_or_default();
        let name = format!("{}.schema.json", kind.to_lowercase());
        assert!(path.ends_with(&name), "{} is of {kind:?}", path.display());
        all.insert(kind.to_string(), schema);
    }
    all
}

/// Checks one document against the schema of its kind, and tells the kind.
fn fits(schemas: &BTreeMap<String, Value>, document: &Value, place: &str) -> String {
    let kind = document["kind"].as_str().unwrap_or_default();
    let schema = schemas
        .get(kind)
        .unwrap_or_else(|| panic!("{place}: no schema for {kind:?}"));
    let found = complaints(schema, document);
    assert!(
        found.is_empty(),
        "{place} does not fit docs/schema:\n  {}",
        found.join("\n  ")
    );
    kind.to_string()
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder");
    let paths = entries.map(|e| e.expect("an entry").path());
    paths
        .flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] })
        .collect()
}

/// The document of ours in a snapshot, as JSON or as YAML.
fn document(snapshot: &str) -> Option<Value> {
    let body = snapshot.splitn(3, "---\n").nth(2)?;
    let json = body
        .find("{\n  \"apiVersion\": \"byocni.io/")
        .and_then(|at| Some(&body[at..at + body[at..].find("\n}\n")? + 3]));
    if let Some(text) = json {
        return Some(serde_json::from_str(text).expect("JSON"));
    }
    let begin = match body.strip_prefix("apiVersion: byocni.io/") {
        Some(_) => 0,
        None => body.find("\napiVersion: byocni.io/")? + 1,
    };
    let text = &body[begin..];
    let end = text.find("\n--- ").map_or(text.len(), |at| at + 1);
    let mut all: Vec<Value> = yaml::documents(&text[..end]).expect("YAML");
    Some(all.remove(0))
}

#[test]
fn what_the_snapshots_hold_fits() {
    let schemas = schemas();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for path in ["src", "tests"].iter().flat_map(|f| files(&root().join(f))) {
        if path.extension().is_none_or(|e| e != "snap") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a readable snapshot");
        if let Some(found) = document(&text) {
            *seen
                .entry(fits(&schemas, &found, &path.display().to_string()))
                .or_default() += 1;
        }
    }
    for kind in ["ClusterStatus", "ChangePlan", "ReleaseHistory"] {
        assert!(seen.contains_key(kind), "no snapshot holds a {kind}: {seen:?}");
    }
}

fn printed(command: &mut Command) -> Value {
    let ended = command
        .env_clear()
        .env("LANG", "C.UTF-8")
        .output()
        .expect("the binary runs");
    serde_json::from_slice(&ended.stdout)
        .unwrap_or_else(|e| panic!("{command:?}: {e}: {}", String::from_utf8_lossy(&ended.stderr)))
}

#[test]
fn the_status_of_every_example_fits() {
    let schemas = schemas();
    for path in files(&root().join("examples")) {
        let name = path.to_string_lossy();
        // Values are no capture, and scripts are none.
        if !name.ends_with(".yaml") || name.ends_with("-values.yaml") {
            continue;
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-byocni"));
        command.args(["status", "-o", "json", "--from"]).arg(&path);
        assert_eq!(
            fits(&schemas, &printed(&mut command), &path.display().to_string()),
            "ClusterStatus"
        );
    }
}

#[test]
fn the_versions_fit() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-byocni"));
    command.args(["version", "--client", "-o", "json"]);
    let found = printed(&mut command);
    assert_eq!(fits(&schemas(), &found, "version"), "Versions");
    if let Some(helm) = required_or_skip("helm", helm(4)) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-byocni"));
        command.args(["version", "--client", "-o", "json"]);
        let mut with_helm = Command::new("env");
        with_helm.arg(format!("HELM_BIN={}", helm.display()));
        with_helm.arg(command.get_program()).args(command.get_args());
        let found = printed(&mut with_helm);
        assert!(found["helm"]["version"].is_string(), "{found}");
        fits(&schemas(), &found, "version with helm");
    }
}

#[test]
fn plans_from_the_real_charts_fit() {
    let schemas = schemas();
    let Some((folder, helm)) = outputs::place().zip(required_or_skip("helm", helm(4))) else {
        return;
    };
    let upgrade =
        "upgrade --dry-run=client --from examples/cilium-1.18-aks.yaml -f examples/cilium-1.18-values.yaml";
    for (arguments, kind) in [
        (
            "install cilium --dry-run=client --from examples/fresh-aks.yaml",
            "ChangePlan",
        ),
        (
            "install calico --dry-run=client --from examples/fresh-aks.yaml",
            "ChangePlan",
        ),
        (
            "install flannel --dry-run=client --from examples/fresh-aks.yaml",
            "ChangePlan",
        ),
        (&format!("{upgrade} --to 1.19"), "ChangePlan"),
        (&format!("{upgrade} --to 1.20"), "ChangePlanList"),
        (&format!("{upgrade} --version 1.20.0"), "ChangeResult"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-byocni"));
        command
            .args(arguments.split_whitespace())
            .args(["--repo", "./charts", "-o", "json"])
            .current_dir(folder);
        let ended = command.env_clear().env("HELM_BIN", &helm).output();
        let ended = ended.expect("the binary runs");
        let plan: Value = serde_json::from_slice(&ended.stdout)
            .unwrap_or_else(|e| panic!("{arguments}: {e}: {}", String::from_utf8_lossy(&ended.stderr)));
        assert_eq!(fits(&schemas, &plan, arguments), kind, "{arguments}");
    }
}

#[test]
fn every_end_of_a_change_fits() {
    let schemas = schemas();
    let finding = || {
        let node = vec![Subject::node("node-1")];
        Finding::new(&codes::change::GATE_TIMED_OUT, node, "too late".into(), "look")
    };
    let look = Look {
        phases: vec![],
        waiting: vec![],
        state: State::Passed,
        probe_on: vec![],
        agents_ever_started: true,
        aside: vec![],
        elapsed: Duration::from_secs(1),
    };
    let nodes = || vec!["node-1".to_string()];
    let ends = [
        Ended::Done {
            look: Box::new(look),
            broken_before: nodes(),
        },
        Ended::Refused(finding()),
        Ended::Stopped { phase: Phase::Helm },
        Ended::Paused { because: finding() },
        Ended::AtCanary { canaries: nodes() },
        Ended::Back {
            because: finding(),
            left: vec![],
            stays: nodes(),
        },
        Ended::Back {
            because: finding(),
            left: nodes(),
            stays: vec![],
        },
        Ended::Stays {
            because: finding(),
            why: "agents have run".into(),
            nodes: nodes(),
        },
        Ended::Lost {
            phase: Phase::Rolling,
        },
    ];
    let mut outcomes = vec![];
    for (at, ended) in ends.iter().enumerate() {
        let changed = Changed {
            change: Change::ALL[at % Change::ALL.len()],
            cni: "Cilium".into(),
            version: "1.19.6".into(),
            release: "kube-system/cilium".into(),
            from: (at % 2 == 0).then(|| "1.18.12, revision 1".into()),
        };
        let text = outcome::json(&changed, ended);
        let document: Value = serde_json::from_str(&text).expect("JSON");
        fits(&schemas, &document, &text);
        let outcome = document["outcome"].clone();
        if !outcomes.contains(&outcome) {
            outcomes.push(outcome);
        }
        let mut again: Vec<Value> = yaml::documents(&outcome::yaml(&changed, ended)).expect("YAML");
        assert_eq!(again.remove(0), document, "the same as YAML");
    }
    // And the schema names no end that there is not.
    let mut named = schemas["ChangeResult"]["properties"]["outcome"]["enum"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    named.sort_by_key(Value::to_string);
    outcomes.sort_by_key(Value::to_string);
    assert_eq!(outcomes, named);
}
