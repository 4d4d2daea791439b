//! What is written from the program's own words is as new as the program. `UPDATE=1 cargo test --test generated`
//! writes it anew.

use std::{fs, path::PathBuf, process::Command};

use kubectl_byocni::{core::codes, render::explain};

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

/// Every block of README.md that begins with this is a command, and what it prints at 80 columns.
const PROMPT: &str = "```console\n$ cargo run --release -- ";

#[test]
fn the_output_in_the_readme() {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).expect("README.md");
    let mut parts = readme.split(PROMPT);
    let mut expected = parts.next().unwrap_or_default().to_string();
    let mut blocks = 0;
    for part in parts {
        let (block, rest) = part.split_once("\n```\n").expect("a block has an end");
        let arguments = block.lines().next().unwrap_or_default();
        let output = Command::new(env!("CARGO_BIN_EXE_kubectl-byocni"))
            .args(arguments.split_whitespace())
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env_clear()
            .envs([("LANG", "C.UTF-8"), ("COLUMNS", "80")])
            .output()
            .expect("the binary runs");
        assert!(
            output.stderr.is_empty(),
            "{arguments}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let page = String::from_utf8(output.stdout).expect("UTF-8");
        expected += &format!("{PROMPT}{arguments}\n{page}```\n{rest}");
        blocks += 1;
    }
    assert!(blocks > 0, "no command in README.md");
    is("README.md", &expected);
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
    assert!(include_str!("../README.md").contains(name));
}
