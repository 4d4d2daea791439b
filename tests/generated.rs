//! What is written from the program's own words is as new as the program. `UPDATE=1 cargo test --test generated`
//! writes it anew.

use std::{fs, path::PathBuf, process::Command};

use kubectl_byocni::{
    cli::{self, scripts},
    core::codes,
    render::{explain, schemas::schemas},
};
use serde_json::Value;

fn is(path: &str, expected: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    if updating() {
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(&path, expected).expect("a writable file");
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "{} is not what the program says now: UPDATE=1 cargo test --test generated",
        path.display()
    );
}

fn updating() -> bool {
    std::env::var_os("UPDATE").is_some_and(|v| !v.is_empty())
}

/// Of a folder that is written whole, nothing else may be there.
fn are_all_of(folder: &str, names: &[String]) {
    let entries = fs::read_dir(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(folder)).expect("the folder");
    for entry in entries {
        let entry = entry.expect("an entry");
        if names.contains(&entry.file_name().to_string_lossy().into_owned()) {
            continue;
        }
        if updating() {
            fs::remove_file(entry.path()).expect("a file that can be removed");
        } else {
            panic!(
                "{} is not written any more: UPDATE=1 cargo test --test generated",
                entry.path().display()
            );
        }
    }
}

#[test]
fn the_scripts_of_completion() {
    let mut names = vec!["kubectl_complete-byocni".to_string()];
    for shell in <scripts::Shell as clap::ValueEnum>::value_variants() {
        is(&format!("completions/{}", shell.file()), shell.script());
        names.push(shell.file().to_string());
    }
    is("completions/kubectl_complete-byocni", scripts::FOR_KUBECTL);
    are_all_of("completions", &names);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/completions/kubectl_complete-byocni");
        if updating() {
            fs::set_permissions(script, fs::Permissions::from_mode(0o755)).expect("our file");
        }
        let mode = fs::metadata(script).expect("the script").permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "kubectl runs only what may be run");
    }
}

/// A page a command, as packages install them. There is no date: a page is as new as its version.
#[test]
fn the_man_pages() {
    fn page(command: &clap::Command, words: &str, names: &mut Vec<String>) {
        let name = words.replace(' ', "-");
        let file = format!("{name}.1");
        // Not built: flags that every command has stand in the first page alone.
        let told = command
            .clone()
            .name(name.clone())
            .bin_name(words.to_string())
            .disable_help_subcommand(true)
            .disable_version_flag(true)
            // That is about `-h`; a page leaves nothing out.
            .mut_args(|arg| arg.hide_short_help(false));
        let man = clap_mangen::Man::new(told)
            .title(&name)
            .source(concat!("kubectl-byocni ", env!("CARGO_PKG_VERSION")))
            .manual("kubectl byocni");
        let mut text = vec![];
        man.render(&mut text).expect("memory");
        is(
            &format!("docs/man/{file}"),
            &in_sections(&String::from_utf8(text).expect("UTF-8"), words),
        );
        names.push(file);
        for below in command.get_subcommands() {
            page(below, &format!("{words} {}", below.get_name()), names);
        }
    }
    let mut names = vec![];
    page(&cli::grammar(), "kubectl byocni", &mut names);
    are_all_of("docs/man", &names);
}

/// What help says at its end, under the headings that pages have for it.
fn in_sections(page: &str, words: &str) -> String {
    let (head, rest) = page.split_once(".SH EXTRA\n").expect("help has examples");
    let (end, version) = match rest.split_once(".SH VERSION\n") {
        Some((end, version)) => (end, format!(".SH VERSION\n{version}")),
        None => (rest, String::new()),
    };
    let mut out = head.to_string();
    let mut notes = vec![];
    for part in end.trim_end().split("\n\n") {
        let heading = match part.lines().next() {
            Some("Examples:") => "EXAMPLES",
            Some("Exit codes:") => "EXIT STATUS",
            _ => {
                notes.push(part);
                continue;
            }
        };
        let lines: Vec<&str> = part.lines().skip(1).collect();
        out += &format!(".SH {heading}\n.nf\n{}\n.fi\n", lines.join("\n"));
    }
    if !notes.is_empty() {
        out += &format!(".SH NOTES\n{}\n", notes.join("\n.PP\n"));
    }
    if words != "kubectl byocni" {
        out += ".SH SEE ALSO\n\\fBkubectl\\-byocni\\fR(1) has the flags that every command has\n";
    }
    out + &version
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
const TOLD_ONCE: &[&str] = &["#/$defs/Subject", "#/$defs/ChangePlan"];

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

/// The file of a kind's schema.
fn file_of(kind: &str) -> String {
    format!("{}.schema.json", kind.to_lowercase())
}

/// The schemas of what `-o json` prints, from the types that are written.
#[test]
fn the_schemas() {
    let mut names = vec![];
    for (kind, schema) in schemas() {
        is(
            &format!("docs/schema/{}", file_of(kind)),
            &format!("{schema:#}\n"),
        );
        names.push(file_of(kind));
    }
    are_all_of("docs/schema", &names);
}

/// What the JSON means, from its schemas.
#[test]
fn the_page_on_json() {
    const HEAD: &str = "# JSON\n\nGenerated, like the schemas in [docs/schema](schema), from the types that the program writes and from \
        their comments. Tests check them against what it prints.\n\n`-o json` prints one document, `-o yaml` the same as YAML. Keys are only ever added: ignore those that you do not \
        know. What is absent is `null`. An object of the cluster is a subject everywhere: `kind`, `namespace` (`null` for what lives in none) \
        and `name`. No value of yours is in them that may be a secret, and nothing that a terminal acts on.\n";
    let mut page = HEAD.to_string();
    for (kind, schema) in schemas() {
        let file = file_of(kind);
        let mut all = vec![];
        rows(&schema, &schema, "", &mut all);
        page += &format!(
            "\n## {kind}\n\n{}. Schema: [{file}](schema/{file}).\n\n| Path | Type | Meaning |\n|---|---|---|\n",
            schema["description"].as_str().unwrap_or_default(),
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
