//! What is written from the program's own words is as new as the program. `UPDATE=1 cargo test --test generated`
//! writes it anew.

use std::{fs, path::PathBuf, process::Command};

use kubectl_byocni::{core::codes, render::explain};
use serde_json::Value;

fn is(path: &str, expected: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("UPDATE").is_some_and(|v| !v.is_empty()) {
        fs::write(&path, expected).expect("a writable file");
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "{} is not what the program says now: UPDATE=1 cargo test --test generated",
        path.display()
    );
}

#[test]
fn the_list_of_codes() {
    is("docs/codes.md", &explain::codes_markdown(codes::ALL));
}

/// What a help prints at 100 columns, without what only a terminal has.
fn help(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_kubectl-byocni"))
        .args(arguments)
        .arg("--help")
        .env_clear()
        .envs([("LANG", "C.UTF-8"), ("COLUMNS", "100")])
        .output()
        .expect("the binary runs");
    assert!(output.stderr.is_empty(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// A help's sections: each begins at the margin and ends in a colon.
fn sections(help: &str) -> Vec<(String, String)> {
    let mut sections = vec![(String::new(), String::new())];
    for line in help.lines() {
        let heading = line
            .strip_suffix(':')
            .filter(|l| !l.is_empty() && !l.starts_with(' '));
        match heading {
            Some(heading) => sections.push((heading.to_string(), String::new())),
            None => sections
                .last_mut()
                .expect("one at least")
                .1
                .push_str(&format!("{line}\n")),
        }
    }
    sections
}

/// The verbs, as the program lists them.
fn verbs() -> Vec<String> {
    let sections = sections(&help(&[]));
    let (_, commands) = sections
        .iter()
        .find(|(name, _)| name == "Commands")
        .expect("a list of commands");
    let lines = commands
        .lines()
        .filter(|l| l.starts_with("  ") && !l.starts_with("   "));
    let names = lines.filter_map(|l| l.split_whitespace().next().map(str::to_string));
    names.filter(|name| name != "help").collect()
}

/// Every command with its flags, from the program's own help. Flags of the connection, which all have, stand once.
#[test]
fn the_list_of_commands() {
    let verbs = verbs();
    let mut page = "# Commands\n\nGenerated from the help of each command (`kubectl byocni VERB --help`); edit that.\n\n".to_string();
    for verb in &verbs {
        page += &format!("- [{verb}](#{verb})\n");
    }
    page += "- [flags of the connection](#flags-of-the-connection), which every command has\n";
    let mut connection = String::new();
    for verb in &verbs {
        let mut text = String::new();
        for (name, body) in sections(&help(&[verb])) {
            match name.as_str() {
                "Connection" => connection = body,
                "" => text += body.trim_end(),
                _ => text += &format!("\n\n{name}:\n{}", body.trim_end()),
            }
        }
        page += &format!("\n## {verb}\n\n```text\n{}\n```\n", text.trim_end());
    }
    assert!(!connection.is_empty(), "no flags of the connection");
    page +=
        "\n## Flags of the connection\n\nThey are kubectl's own, and may stand anywhere behind `byocni`.\n\n";
    page += &format!("```text\n{}\n```\n", connection.trim_end());
    is("docs/commands.md", &page);
}

/// What a page tells once, though many places refer to it.
const TOLD_ONCE: &[&str] = &["#/$defs/subject", "#/$defs/plan"];

/// Where a schema refers to another, that one.
fn followed(root: &Value, schema: &Value) -> Value {
    let target = schema["$ref"]
        .as_str()
        .and_then(|name| root.pointer(name.trim_start_matches('#')));
    target.unwrap_or(schema).clone()
}

/// The type of a value in words.
fn type_of(schema: &Value) -> String {
    let quoted = |value: &Value| format!("`{}`", value.as_str().unwrap_or("null"));
    let words: Vec<String> = match (&schema["enum"], &schema["const"], &schema["type"]) {
        (Value::Array(all), _, _) => all.iter().map(quoted).collect(),
        (_, one @ Value::String(_), _) => vec![quoted(one)],
        (_, _, Value::Array(all)) => all
            .iter()
            .filter_map(|v| v.as_str().map(str::to_string))
            .collect(),
        (_, _, one) => vec![one.as_str().unwrap_or("anything").to_string()],
    };
    let text = words.join(", ");
    match schema["format"].as_str() {
        Some("date-time") => text.replace("string", "time (RFC 3339)"),
        _ => text,
    }
}

/// The rows of a schema's table: the path, the type, the meaning.
fn rows(root: &Value, schema: &Value, path: &str, found: &mut Vec<[String; 3]>) {
    let nullable = schema["anyOf"].as_array();
    let named = nullable.map_or(schema, |all| &all[0]);
    let inner = followed(root, named);
    let mut kind = type_of(&inner);
    if nullable.is_some() {
        kind += ", null";
    }
    let said = schema["description"]
        .as_str()
        .or(inner["description"].as_str())
        .unwrap_or_default();
    found.push([format!("`{path}`"), kind, said.to_string()]);
    let told = |schema: &Value| schema["$ref"].as_str().is_some_and(|r| TOLD_ONCE.contains(&r));
    if told(named) {
        return;
    }
    let items = &inner["items"];
    if items.is_object() && !told(items) {
        let of = followed(root, items);
        if of["properties"].is_object() || of["enum"].is_array() {
            rows(root, items, &format!("{path}[]"), found);
        }
    }
    if let Some(properties) = inner["properties"].as_object() {
        // In the order in which they are printed: the required ones in theirs, then the others.
        let required = inner["required"].as_array().cloned().unwrap_or_default();
        let mut order: Vec<&str> = required.iter().filter_map(Value::as_str).collect();
        order.extend(
            properties
                .keys()
                .map(String::as_str)
                .filter(|key| !required.iter().any(|r| r == key)),
        );
        let dot = if path.is_empty() { "" } else { "." };
        for key in order {
            rows(root, &properties[key], &format!("{path}{dot}{key}"), found);
        }
    }
}

/// What the JSON means, from its schemas.
#[test]
fn the_page_on_json() {
    const HEAD: &str = "# JSON\n\nGenerated from the schemas in [docs/schema](schema); edit those. Tests check them against what the program \
        prints.\n\n`-o json` prints one document, `-o yaml` the same as YAML. Keys are only ever added: ignore those that you do not \
        know. What is absent is `null`. An object of the cluster is a subject everywhere: `kind`, `namespace` (`null` for what lives in none) \
        and `name`. No value of yours is in them that may be a secret, and nothing that a terminal acts on.\n\n\
        `version -o json` is not one of them: it is for people who report a bug, and may change.\n";
    let mut page = HEAD.to_string();
    for kind in [
        "ClusterStatus",
        "ChangePlan",
        "ChangePlanList",
        "ChangeResult",
        "ReleaseHistory",
    ] {
        let path = format!("docs/schema/{}.schema.json", kind.to_lowercase());
        let text =
            fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(&path)).expect("a schema");
        let schema: Value = serde_json::from_str(&text).expect("JSON");
        let mut all = vec![];
        rows(&schema, &schema, "", &mut all);
        page += &format!(
            "\n## {kind}\n\n{}. Schema: [{}](schema/{}).\n\n| Path | Type | Meaning |\n|---|---|---|\n",
            schema["description"].as_str().unwrap_or_default(),
            path.trim_start_matches("docs/schema/"),
            path.trim_start_matches("docs/schema/"),
        );
        for [path, kind, said] in &all[1..] {
            page += &format!("| {path} | {kind} | {said} |\n");
        }
    }
    is("docs/json.md", &page);
}

/// The role that the project ships is named where a missing right is explained.
#[test]
fn the_reading_role_has_one_name() {
    let role = include_str!("../docs/rbac-read.yaml");
    let name = "kubectl-byocni-reader";
    assert!(role.contains(&format!("  name: {name}\n")));
    assert!(
        codes::reading::SOURCE_FORBIDDEN
            .fix
            .contains(&format!("--clusterrole={name} "))
    );
    assert!(include_str!("../docs/rights.md").contains(name));
}
