//! Every `console` block is a command and what it prints: it needs no cluster, and is run here at 80 columns.
//!
//! `; echo "exit code $?"` behind a command shows how it ended. Output that needs a cluster is a `text` block, which
//! nobody checks: few and short.

use std::{fs, path::Path, process::Command, sync::OnceLock};

use super::{
    blocks::{Block, Document, blocks, documents, root, words},
    programs::{self, helm, required_or_skip},
};

/// What stands before the plugin's arguments.
const CALLS: &[&[&str]] = &[&["cargo", "run", "--release", "--"], &["kubectl", "byocni"]];

/// Behind a command whose exit code is shown.
const CODE: &str = "; echo \"exit code $?\"";

/// A folder in which documents' commands find what they name: `examples`, `docs`, and charts where they are.
pub fn place() -> Option<&'static Path> {
    static PLACE: OnceLock<(tempfile::TempDir, bool)> = OnceLock::new();
    let (folder, charts) = PLACE.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for name in ["examples", "docs"] {
            copy(&root().join(name), &folder.path().join(name));
        }
        let charts = required_or_skip("charts", programs::charts());
        if let Some(from) = &charts {
            copy(from, folder.path());
            copy(from, &folder.path().join("charts"));
        }
        (folder, charts.is_some())
    });
    charts.then(|| folder.path())
}

/// Copies the files of a folder, not its folders.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        if let Some(name) = path.file_name().filter(|_| path.is_file()) {
            fs::copy(&path, to.join(name)).expect("copied");
        }
    }
}

/// What a command prints; nothing where this machine lacks what it needs.
fn output(command: &str, place: &str) -> Option<String> {
    let (line, with_code) = match command.strip_suffix(CODE) {
        Some(line) => (line, true),
        None => (command, false),
    };
    let all = words(line);
    let arguments = CALLS
        .iter()
        .find_map(|call| {
            let called = all.iter().zip(*call).take_while(|(is, wanted)| is == wanted);
            (called.count() == call.len()).then(|| &all[call.len()..])
        })
        .unwrap_or_else(|| panic!("{place}: only commands of this plugin can be run: {command}"));
    let offline =
        all.iter().any(|w| w == "--from") || matches!(arguments.first().map(String::as_str), Some("explain"));
    assert!(
        offline,
        "{place}: {command} needs a cluster: write the command in a `sh` block, its output in a `text` block"
    );
    let renders = all
        .iter()
        .any(|w| w.starts_with("--chart") || w.starts_with("--repo"));
    let program = match renders {
        true => Some(required_or_skip("helm", helm(4))?),
        false => None,
    };
    let folder = match renders {
        true => self::place()?.to_path_buf(),
        false => root(),
    };
    let mut run = Command::new(env!("CARGO_BIN_EXE_kubectl-byocni"));
    run.args(arguments)
        .current_dir(folder)
        .env_clear()
        .envs([("LANG", "C.UTF-8"), ("COLUMNS", "80")]);
    if let Some(program) = program {
        run.env("HELM_BIN", program);
    }
    let ended = run.output().expect("the binary runs");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(said.is_empty(), "{place}: {command}: {said}");
    let mut page = String::from_utf8(ended.stdout).expect("UTF-8");
    assert_ne!(ended.status.code(), Some(2), "{place}: {command}: {page}");
    if with_code {
        page += &format!("exit code {}\n", ended.status.code().unwrap_or(-1));
    }
    Some(page)
}

/// A block with its commands run anew.
fn anew(document: &Document, block: &Block<'_>) -> Option<String> {
    let place = format!("{}:{}", document.path, block.line);
    let mut text = String::new();
    let mut lines = block.text.lines().peekable();
    assert!(
        block.text.starts_with("$ "),
        "{place}: a console block begins with a command behind `$ `"
    );
    while let Some(line) = lines.next() {
        let Some(first) = line.strip_prefix("$ ") else {
            continue;
        };
        text += &format!("{line}\n");
        let mut command = first.to_string();
        while let Some(part) = command.strip_suffix('\\') {
            let next = lines.next().unwrap_or_default();
            text += &format!("{next}\n");
            command = format!("{part}{}", next.trim_start());
        }
        text += &output(&command, &place)?;
    }
    Some(text)
}

#[test]
fn what_is_shown_is_what_is_printed() {
    let update = std::env::var_os("UPDATE").is_some_and(|v| !v.is_empty());
    let (mut wrong, mut count) = (vec![], 0);
    for document in documents() {
        let mut written = document.text.clone();
        for block in blocks(&document).iter().rev().filter(|b| b.language == "console") {
            count += 1;
            let Some(text) = anew(&document, block) else {
                continue;
            };
            if text != block.text {
                wrong.push(format!("{}:{}", document.path, block.line));
                written.replace_range(block.range.clone(), &text);
            }
        }
        if update && written != document.text {
            fs::write(root().join(&document.path), written).expect("a writable document");
        }
    }
    assert!(count > 0, "no console block in any document");
    assert!(
        update || wrong.is_empty(),
        "not what the program prints now: UPDATE=1 cargo test --test docs writes it anew\n  {}",
        wrong.join("\n  ")
    );
}
