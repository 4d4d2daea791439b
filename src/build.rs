//! Which commit this is built from, and its date, for `version`: what runs before the crate is compiled.
//!
//! A release build takes them from `BYOCNI_COMMIT` and `BYOCNI_DATE`, which a packager sets who builds from a tarball,
//! else from git, where the sources are a clone of their own. Both are facts of the sources and not of the build, so
//! that the same sources give the same binary anywhere and at any time. Other builds have none: a commit would make
//! everything be compiled anew.

use std::{env, path::Path, process::Command};

#[allow(dead_code, reason = "tests/release reads this file as a module")]
#[allow(clippy::print_stdout, reason = "this is how a build script answers cargo")]
fn main() {
    println!("cargo::rerun-if-env-changed=BYOCNI_COMMIT");
    println!("cargo::rerun-if-env-changed=BYOCNI_DATE");
    let set = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let folder = env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    let folder = Path::new(&folder);
    let release = env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let git = match release && set("BYOCNI_COMMIT").is_none() {
        true => commit(folder),
        false => None,
    };
    for path in git.iter().flat_map(|git| &git.watched) {
        println!("cargo::rerun-if-changed={path}");
    }
    let (commit, date) = match git {
        Some(git) => (Some(git.commit), Some(git.date)),
        None => (set("BYOCNI_COMMIT"), set("BYOCNI_DATE")),
    };
    for (name, value, right) in [
        ("BYOCNI_COMMIT", commit, is_commit as fn(&str) -> bool),
        ("BYOCNI_DATE", date, is_date),
    ] {
        match value {
            Some(value) if right(&value) => println!("cargo::rustc-env={name}={value}"),
            Some(value) => println!(
                "cargo::error={name}={value}: a commit is 7 to 40 hexadecimal digits, a date as 2026-11-21T10:00:00Z"
            ),
            None => {}
        }
    }
}

/// What git says of the sources.
pub struct Commit {
    /// In full; with `-dirty` where a tracked file differs from it.
    pub commit: String,
    /// When it was made, in UTC: `2026-11-21T10:00:00Z`.
    pub date: String,
    /// What changes when another commit is checked out, or a source is edited.
    pub watched: Vec<String>,
}

/// The commit of this folder; none where it is not the top of a clone, such as a tarball that was unpacked within
/// somebody else's.
pub fn commit(folder: &Path) -> Option<Commit> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .arg("-C")
            .arg(folder)
            .args(arguments)
            .env("TZ", "UTC")
            // A hook that builds has set these to its own repository.
            .env_remove("GIT_DIR")
            .env_remove("GIT_WORK_TREE")
            .env_remove("GIT_INDEX_FILE")
            .output()
            .ok()
            .filter(|output| output.status.success())?;
        let text = String::from_utf8(output.stdout).ok()?;
        Some(text.trim_end().to_string())
    };
    let top = git(&["rev-parse", "--show-toplevel"])?;
    if Path::new(&top).canonicalize().ok()? != folder.canonicalize().ok()? {
        return None;
    }
    let commit = git(&["rev-parse", "HEAD"])?;
    let date = git(&[
        "show",
        "--no-patch",
        "--format=%cd",
        "--date=format-local:%Y-%m-%dT%H:%M:%SZ",
        "HEAD",
    ])?;
    // Without untracked files: they are not in the build unless a tracked one names them.
    let edited = git(&["status", "--porcelain", "--untracked-files=no"])?;
    let dirty = if edited.is_empty() { "" } else { "-dirty" };
    let mut watched: Vec<String> = ["src", "Cargo.toml", "Cargo.lock"].map(String::from).to_vec();
    // In a worktree these are elsewhere. A log of HEAD has a line for every commit, also on the same branch.
    for name in ["HEAD", "logs/HEAD"] {
        let path = folder.join(git(&["rev-parse", "--git-path", name])?);
        if path.exists() {
            watched.push(path.display().to_string());
        }
    }
    Some(Commit {
        commit: format!("{commit}{dirty}"),
        date,
        watched,
    })
}

/// 7 to 40 hexadecimal digits, and perhaps `-dirty`.
pub fn is_commit(text: &str) -> bool {
    let digits = text.strip_suffix("-dirty").unwrap_or(text);
    (7..=40).contains(&digits.len()) && digits.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'))
}

/// As `2026-11-21T10:00:00Z`.
pub fn is_date(text: &str) -> bool {
    let form = "0000-00-00T00:00:00Z";
    text.len() == form.len()
        && text.chars().zip(form.chars()).all(|(c, form)| match form {
            '0' => c.is_ascii_digit(),
            _ => c == form,
        })
}
