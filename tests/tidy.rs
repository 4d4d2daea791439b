//! What ARCHITECTURE.md says about the tree, kept. Each rule names the file and the line, and says what to do instead.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// What one room must not name. A path is banned with everything below it.
struct Room {
    folder: &'static str,
    bans: &'static [&'static str],
}

/// Anything that reaches outside the process, or waits.
const OUTSIDE: &[&str] = &[
    "tokio",
    "kube",
    "http",
    "rustls",
    "terminal_size",
    "std::env",
    "std::fs",
    "std::net::TcpStream",
    "std::net::TcpListener",
    "std::net::UdpSocket",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
];

const ROOMS: &[Room] = &[
    Room {
        folder: "src/core",
        bans: &["crate::io", "crate::render", "crate::cli", "crate::yaml"],
    },
    Room {
        folder: "src/render",
        bans: &["crate::io", "crate::cli"],
    },
    Room {
        folder: "src/io",
        bans: &["crate::render", "crate::cli"],
    },
];

/// Rooms that are pure besides.
const PURE: &[&str] = &["src/core", "src/render"];

#[test]
fn rooms_name_only_the_rooms_that_they_may() {
    let mut wrong = vec![];
    for room in ROOMS {
        let pure = PURE.contains(&room.folder);
        let bans: Vec<&str> = room
            .bans
            .iter()
            .chain(OUTSIDE.iter().filter(|_| pure))
            .copied()
            .collect();
        for file in sources(room.folder) {
            // A test may write its manifests as people do.
            let test = shown(&file).contains("/tests");
            for (line, path) in paths(&file) {
                let ban = bans
                    .iter()
                    .filter(|ban| !(test && **ban == "crate::yaml"))
                    .find(|ban| {
                        path == **ban
                            || path
                                .strip_prefix(**ban)
                                .is_some_and(|rest| rest.starts_with("::"))
                    });
                if let Some(ban) = ban {
                    wrong.push(format!("{}:{line}: {} names {ban}", shown(&file), room.folder));
                }
            }
        }
    }
    none(&wrong, "the arrows of ARCHITECTURE.md are the only ones allowed");
}

#[test]
fn what_is_pure_waits_for_nothing() {
    let mut wrong = vec![];
    for folder in PURE {
        for file in sources(folder) {
            for (at, line) in code(&read(&file)).lines().enumerate() {
                if words(line).any(|word| word == "async" || word == "await") {
                    wrong.push(format!("{}:{}", shown(&file), at + 1));
                }
            }
        }
    }
    none(
        &wrong,
        "core and render are plain functions: what must be waited for is in io",
    );
}

#[test]
fn main_is_the_cli_and_nothing_else() {
    let named: BTreeSet<String> = paths(&root().join("src/main.rs"))
        .into_iter()
        .map(|(_, path)| path)
        .collect();
    let wrong: Vec<String> = named
        .into_iter()
        .filter(|path| {
            path.contains("::") && path != "kubectl_byocni::cli::main" && path != "std::process::ExitCode"
        })
        .collect();
    none(&wrong, "src/main.rs calls cli::main");
}

#[test]
fn one_file_names_the_yaml_library() {
    let wrong: Vec<String> = sources("src")
        .filter(|file| !file.ends_with("src/yaml.rs"))
        .filter(|file| words(&code(&read(file))).any(|word| word == "serde_yaml" || word == "yaml_serde"))
        .map(|file| shown(&file))
        .collect();
    none(
        &wrong,
        "call crate::yaml: the library has been changed once and will be again",
    );
}

#[test]
fn files_are_called_after_what_is_in_them() {
    let wrong: Vec<String> = sources("src")
        .chain(sources("tests"))
        .filter(|file| {
            let name = stem(file);
            name.split(['_', '-']).any(|word| {
                ["util", "utils", "helper", "helpers", "common", "misc", "manager"].contains(&word)
            })
        })
        .map(|file| shown(&file))
        .collect();
    none(&wrong, "such a name takes in anything");
}

#[test]
fn files_are_one_thing() {
    const LONGEST: usize = 700;
    let wrong: Vec<String> = sources("src")
        .map(|file| (read(&file).lines().count(), file))
        .filter(|(lines, _)| *lines > LONGEST)
        .map(|(lines, file)| format!("{}: {lines} lines", shown(&file)))
        .collect();
    none(&wrong, "longer than 700 lines: is it one thing?");
}

#[test]
fn nothing_is_left_for_later() {
    // Put together here, so that this file does not find itself.
    let marks = [
        ["FIX", "ME"].concat(),
        ["XX", "X"].concat(),
        ["TO", "DO"].concat(),
    ];
    let macros = [["todo", "!"].concat(), ["unimplemented", "!"].concat()];
    let ignored = ["#[", "ignore"].concat();
    let mut wrong = vec![];
    for file in sources("src").chain(sources("tests")) {
        for (at, line) in read(&file).lines().enumerate() {
            let marked = words(line).any(|word| marks.iter().any(|mark| mark == word));
            if marked || macros.iter().any(|m| line.contains(m)) || line.contains(&ignored) {
                wrong.push(format!("{}:{}", shown(&file), at + 1));
            }
        }
    }
    none(&wrong, "do it, or write an issue; a test that never runs is none");
}

#[test]
fn every_file_is_compiled() {
    let mut reached: BTreeSet<PathBuf> = BTreeSet::new();
    let mut open = ["lib", "main", "build"]
        .map(|name| root().join(format!("src/{name}.rs")))
        .to_vec();
    while let Some(file) = open.pop() {
        let text = code(&read(&file));
        let home = match stem(&file).as_str() {
            "lib" | "main" | "mod" => file.parent().map(Path::to_path_buf),
            name => file.parent().map(|folder| folder.join(name)),
        };
        let home = home.expect("files are in folders");
        let all: Vec<&str> = words(&text).collect();
        for pair in all.windows(2).filter(|pair| pair[0] == "mod") {
            let candidates = [
                home.join(format!("{}.rs", pair[1])),
                home.join(pair[1]).join("mod.rs"),
            ];
            open.extend(
                candidates
                    .into_iter()
                    .filter(|file| file.is_file() && !reached.contains(file)),
            );
        }
        reached.insert(file);
    }
    let wrong: Vec<String> = sources("src")
        .filter(|file| !reached.contains(file))
        .map(|file| shown(&file))
        .collect();
    none(&wrong, "no mod line leads there");
}

#[test]
fn every_snapshot_has_its_test() {
    let mut wrong = vec![];
    for file in ["src", "tests"]
        .iter()
        .flat_map(|folder| files(&root().join(folder)))
    {
        let name = file
            .file_name()
            .map(|n| n.to_string_lossy().into_owned())
            .unwrap_or_default();
        if name.ends_with(".snap.new") || name.ends_with(".pending-snap") {
            wrong.push(format!(
                "{}: look at it, then cargo insta accept or remove it",
                shown(&file)
            ));
        }
        if !name.ends_with(".snap") {
            continue;
        }
        let text = read(&file);
        let source = text.lines().find_map(|line| line.strip_prefix("source: "));
        let written_by = source.map(|source| root().join(source.trim_matches('"')));
        if !written_by.as_ref().is_some_and(|source| source.is_file()) {
            wrong.push(format!(
                "{}: {} is not there",
                shown(&file),
                source.unwrap_or("its source")
            ));
        }
        let beside = written_by
            .as_deref()
            .and_then(Path::parent)
            .map(|folder| folder.join("snapshots"));
        if beside.as_deref() != file.parent() {
            wrong.push(format!(
                "{}: it does not lie beside the test that wrote it",
                shown(&file)
            ));
        }
    }
    none(&wrong, "snapshots that no test reads");
}

#[test]
fn no_path_of_a_machine() {
    let roots = [
        ["/wo", "rk/"],
        ["/ro", "ot/"],
        ["/tm", "p/"],
        ["/ho", "me/"],
        ["/Use", "rs/"],
    ]
    .map(|parts| parts.concat());
    let (temporary, examples) = (["/tm", "p/"].concat(), root().join("examples"));
    let top = fs::read_dir(root()).expect("the project's folder");
    let texts = top
        .map(|entry| entry.expect("an entry").path())
        // In a worktree of git's, .git is a file.
        .filter(|path| path.is_file() && !path.ends_with(".git"));
    let folders = [".ci", ".github", "completions", "docs", "examples", "krew", "src"]
        .iter()
        .flat_map(|folder| files(&root().join(folder)));
    let mut wrong = vec![];
    for file in texts.chain(folders) {
        let text = String::from_utf8_lossy(&fs::read(&file).expect("a readable file")).into_owned();
        for (at, line) in text.lines().enumerate() {
            // Within containers there are such folders too, and a capture names them.
            let roots = roots
                .iter()
                .filter(|path| path.as_str() != temporary || !file.starts_with(&examples));
            let found = roots.into_iter().any(|path| {
                line.match_indices(path.as_str()).any(|(at, _)| {
                    let before = line[..at].chars().next_back();
                    let after = line[at + path.len()..].chars().next();
                    !before.is_some_and(|c| c.is_alphanumeric() || "./}".contains(c))
                        && after.is_some_and(char::is_alphanumeric)
                })
            });
            if found {
                wrong.push(format!("{}:{}: {}", shown(&file), at + 1, line.trim()));
            }
        }
    }
    none(&wrong, "a path that only one machine has");
}

#[test]
fn documents_name_only_what_is_there() {
    let mut wrong = vec![];
    let documents = [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "docs/aks.md",
        "docs/design.md",
        "docs/extending.md",
        "docs/rights.md",
        "docs/upgrading.md",
    ];
    for name in documents {
        let text = read(&root().join(name));
        let quoted = text.split('`').skip(1).step_by(2).flat_map(str::split_whitespace);
        let linked = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for path in quoted.chain(linked) {
            let path = path.split('#').next().unwrap_or(path);
            let path = path.trim_end_matches(['/', ',', '.', ';']);
            let ours = [
                "src/",
                "tests/",
                "docs/",
                "examples/",
                "completions/",
                ".ci/",
                "lab/",
            ]
            .iter()
            .any(|folder| path.starts_with(folder));
            let pattern = path.contains(['*', '<', '{', '…'])
                || path
                    .chars()
                    .any(|c| c.is_ascii_uppercase() && !path.ends_with(".md"));
            if ours && !pattern && !root().join(path).exists() {
                wrong.push(format!("{name}: {path}"));
            }
        }
    }
    none(&wrong, "not there (any more)");
}

fn none(wrong: &[String], rule: &str) {
    assert!(wrong.is_empty(), "{rule}:\n  {}", wrong.join("\n  "));
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn shown(file: &Path) -> String {
    file.strip_prefix(root()).unwrap_or(file).display().to_string()
}

fn stem(file: &Path) -> String {
    file.file_stem()
        .map(|s| s.to_string_lossy().into_owned())
        .unwrap_or_default()
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

/// All files below a folder, in order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return vec![];
    };
    let mut all: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    all.sort();
    all.into_iter()
        .flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] })
        .collect()
}

fn sources(folder: &str) -> impl Iterator<Item = PathBuf> {
    files(&root().join(folder))
        .into_iter()
        .filter(|file| file.extension().is_some_and(|e| e == "rs"))
}

/// Identifiers and keywords.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
}

/// The text with comments, strings and characters blanked, line by line as it was.
fn code(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let hashes = rest
            .strip_prefix('r')
            .map_or(0, |r| r.len() - r.trim_start_matches('#').len());
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if first == 'r'
            && rest[1 + hashes..].starts_with('"')
            && !out.ends_with(|c: char| c.is_alphanumeric() || c == '_')
        {
            let close = format!("\"{}", "#".repeat(hashes));
            let open = 2 + hashes;
            rest[open..]
                .find(&close)
                .map_or(rest.len(), |end| open + end + close.len())
        } else if first == '"' {
            closed(rest, '"')
        } else if first == '\'' && (rest[1..].starts_with('\\') || rest.chars().nth(2) == Some('\'')) {
            closed(rest, '\'')
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        out.extend(rest[..length].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        rest = &rest[length..];
    }
    out
}

/// The length of a literal up to its closing quote.
fn closed(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Every path that a file names, `use` trees taken apart, `super` and `self` resolved, with its line.
fn paths(file: &Path) -> Vec<(usize, String)> {
    let text = code(&read(file));
    let here = module_of(file);
    let mut found = vec![];
    let mut prefixes: Vec<Vec<String>> = vec![];
    let mut current: Vec<String> = vec![];
    let (mut line, mut joined, mut in_use) = (1, false, false);
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let identifier: String = text[at..]
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect();
        if !identifier.is_empty() {
            at += identifier.len();
            if identifier == "use" {
                (in_use, current, joined) = (true, vec![], false);
            } else if joined {
                current.push(identifier);
                joined = false;
            } else {
                current = prefixes.last().cloned().unwrap_or_default();
                current.push(identifier);
            }
            if !text[at..].starts_with("::") {
                found.push((line, resolved(&current, &here)));
            }
            continue;
        }
        if text[at..].starts_with("::") {
            joined = true;
            at += 2;
            continue;
        }
        match c {
            '{' if in_use => prefixes.push(if joined {
                std::mem::take(&mut current)
            } else {
                vec![]
            }),
            '}' if in_use => drop(prefixes.pop()),
            ';' if in_use => {
                in_use = false;
                prefixes.clear();
            }
            '\n' => line += 1,
            _ => {}
        }
        if c != '\n' || !in_use {
            joined = false;
        }
        at += c.len_utf8();
    }
    found
}

/// The path of a file's module.
fn module_of(file: &Path) -> Vec<String> {
    let inside = shown(file);
    let inside = inside.trim_start_matches("src/").trim_end_matches(".rs");
    let mut path = vec!["crate".to_string()];
    path.extend(
        inside
            .split('/')
            .filter(|part| !["mod", "lib", "main"].contains(part))
            .map(str::to_string),
    );
    path
}

fn resolved(path: &[String], here: &[String]) -> String {
    let mut base: Vec<String> = vec![];
    let mut rest = path;
    match path.first().map(String::as_str) {
        Some("self") => (base, rest) = (here.to_vec(), &path[1..]),
        Some("super") => {
            base = here.to_vec();
            while rest.first().is_some_and(|word| word == "super") {
                base.pop();
                rest = &rest[1..];
            }
        }
        _ => {}
    }
    base.extend(rest.iter().cloned());
    base.join("::")
}

#[test]
fn paths_are_found_wherever_they_are_written() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let text = "use crate::{\n  core::text::Text,\n  io::{self, connection::Flags as F},\n};\n// crate::no\nfn f() { let s = \"crate::no\"; std::fs::read(s); kube::Client::x() }\n";
    fs::write(file.path(), text).expect("written");
    let found: Vec<String> = paths(file.path()).into_iter().map(|(_, path)| path).collect();
    for wanted in [
        "crate::core::text::Text",
        "crate::io::self",
        "crate::io::connection::Flags",
        "std::fs::read",
        "kube::Client::x",
    ] {
        assert!(found.iter().any(|path| path == wanted), "{wanted} in {found:?}");
    }
    assert!(!found.iter().any(|path| path.contains("no")), "{found:?}");
    let here = ["crate", "core", "facts", "nodes"].map(str::to_string);
    let upwards = ["super", "super", "super", "io", "x"].map(str::to_string);
    assert_eq!(resolved(&upwards, &here), "crate::io::x");
}
