//! Which commit a build is of.

use std::{path::Path, process::Command};

use super::{build, on_path, programs::required_or_skip, said};

fn git(folder: &Path, arguments: &[&str]) -> String {
    let mut git = Command::new("git");
    git.arg("-C").arg(folder).args(arguments);
    for name in ["GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"] {
        git.env(name, "Test");
    }
    for name in ["GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"] {
        git.env(name, "test@example.com");
    }
    // Half past one in the morning there is the day before in UTC.
    git.env("GIT_AUTHOR_DATE", "2026-11-22T01:30:00+05:00");
    git.env("GIT_COMMITTER_DATE", "2026-11-22T01:30:00+05:00");
    git.env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1");
    git.env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .env_remove("GIT_INDEX_FILE");
    said(&mut git).unwrap_or_else(|e| panic!("git {arguments:?}: {e}"))
}

#[test]
fn a_commit_is_that_of_these_sources() {
    if required_or_skip("git", on_path("git").ok_or("no git".to_string())).is_none() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let top = folder.path().canonicalize().expect("a folder");
    assert!(build::commit(&top).is_none(), "no clone");
    git(&top, &["init", "--quiet", "--initial-branch=main"]);
    assert!(build::commit(&top).is_none(), "no commit yet");
    std::fs::write(top.join("Cargo.toml"), "one").expect("a file");
    git(&top, &["add", "."]);
    git(&top, &["commit", "--quiet", "--message=one"]);
    let head = git(&top, &["rev-parse", "HEAD"]).trim_end().to_string();

    let found = build::commit(&top).expect("a commit");
    assert_eq!(
        (found.commit.as_str(), found.date.as_str()),
        (head.as_str(), "2026-11-21T20:30:00Z")
    );
    assert!(build::is_commit(&found.commit) && build::is_date(&found.date));
    let log = top.join(".git/logs/HEAD").display().to_string();
    assert!(found.watched.contains(&log), "{:?}", found.watched);

    // What git does not know is not in the build; an edited file is.
    std::fs::write(top.join("notes"), "mine").expect("a file");
    assert_eq!(build::commit(&top).expect("a commit").commit, head);
    std::fs::write(top.join("Cargo.toml"), "two").expect("a file");
    let edited = build::commit(&top).expect("a commit").commit;
    assert_eq!(edited, format!("{head}-dirty"));
    assert!(build::is_commit(&edited));

    // A tarball that somebody unpacked within a clone of something else.
    let within = top.join("vendor/kubectl-byocni");
    std::fs::create_dir_all(&within).expect("a folder");
    assert!(build::commit(&within).is_none());

    // In a worktree .git is a file, and HEAD is elsewhere.
    let tree = top.join("tree");
    git(&top, &["worktree", "add", "--quiet", "tree"]);
    let found = build::commit(&tree).expect("a commit");
    assert_eq!(found.commit, head);
    assert!(
        found
            .watched
            .iter()
            .any(|path| path.ends_with("worktrees/tree/HEAD")),
        "{:?}",
        found.watched
    );
}

#[test]
fn what_a_packager_sets_is_looked_at() {
    for right in [
        "0123456",
        "0123456789abcdef0123456789abcdef01234567",
        "0123456-dirty",
    ] {
        assert!(build::is_commit(right), "{right}");
    }
    for wrong in [
        "",
        "012345",
        "main",
        "0123456789ABCDEF",
        "0123456 ",
        "0123456-dirty-dirty",
    ] {
        assert!(!build::is_commit(wrong), "{wrong}");
    }
    assert!(build::is_date("2026-11-21T10:00:00Z"));
    for wrong in ["", "2026-11-21", "2026-11-21 10:00:00Z", "2026-11-21T10:00:00+01"] {
        assert!(!build::is_date(wrong), "{wrong}");
    }
}
