//! What is written from the program's own words is as new as the program. `UPDATE=1 cargo test --test generated`
//! writes it anew.

use std::{fs, path::PathBuf, process::Command};

use kubectl_byocni::{
    cli::{self, scripts},
    core::codes,
    render::explain,
};

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
