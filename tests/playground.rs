//! `examples/playground.sh`: a cluster for as long as a shell, and nothing of it afterwards.

#![cfg(unix)]

#[path = "clusters/programs.rs"]
#[allow(
    dead_code,
    reason = "only whether the programs are there, and what is said of skipping"
)]
mod programs;

use std::{
    fs,
    net::TcpStream,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

/// Longer than a played cluster takes on a slow machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// The playground with these arguments, from what the tests were built with.
fn playground(built: &Path, temporary: &Path, arguments: &[&str]) -> Command {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/playground.sh");
    let mut command = Command::new(script);
    command
        .args(arguments)
        .env("BYOCNI_BUILT", built)
        .env("TMPDIR", temporary)
        .stdin(Stdio::null());
    command
}

fn program(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::write(path, format!("#!/bin/sh\n{text}")).expect("a script");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("a mode");
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// How it ended; one that hangs is ended, with all that it started, and fails its test.
fn ended(command: &mut Command) -> Output {
    let kept = tempfile::tempdir().expect("a folder");
    let file = |name| fs::File::create(kept.path().join(name)).expect("a file");
    command.stdout(file("out")).stderr(file("err")).process_group(0);
    let mut child = command.spawn().expect("bash runs it");
    let begin = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("our child") {
            break Some(status);
        }
        if begin.elapsed() > PATIENCE {
            let group = rustix::process::Pid::from_child(&child);
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            let _ = child.wait();
            break None;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let read = |name| fs::read(kept.path().join(name)).expect("a file");
    let (stdout, stderr) = (read("out"), read("err"));
    let status = status.unwrap_or_else(|| panic!("it hangs: {}{}", text(&stdout), text(&stderr)));
    Output {
        status,
        stdout,
        stderr,
    }
}

/// Nothing is left in the folder for temporary files.
fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).expect("a folder").next().is_none()
}

/// What was built, where the example with the clusters is among it (all of `cargo test` builds it, one test does not).
fn built() -> Option<PathBuf> {
    let found = || {
        programs::assets()?;
        let folder = Path::new(env!("CARGO_BIN_EXE_kubectl-byocni"))
            .parent()
            .expect("a folder");
        match folder.join("examples/cluster").is_file() {
            true => Ok(folder.to_path_buf()),
            false => Err("no examples/cluster: cargo build --example cluster".to_string()),
        }
    };
    programs::required_or_skip("control-plane", found())
}

/// The address of the API server in a kubeconfig.
fn server(kubeconfig: &str) -> String {
    let line = kubeconfig
        .lines()
        .find_map(|line| line.trim().strip_prefix("server: https://"));
    line.unwrap_or_else(|| panic!("{kubeconfig}"))
        .trim_matches('"')
        .to_string()
}

fn comes_true(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_cluster_lives_as_long_as_what_runs_in_it() {
    let Some(built) = built() else { return };
    let temporary = tempfile::tempdir().expect("a folder");
    let inside = "kubectl-byocni status --summary; echo $? >&2; cat \"$KUBECONFIG\"; exit 9";
    let output = ended(&mut playground(
        &built,
        temporary.path(),
        &["played", "--", "sh", "-c", inside],
    ));
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(9), "{out}{err}");
    assert!(
        out.contains("BROKEN  no CNI") && err.contains("\n3\n"),
        "{out}{err}"
    );
    assert!(err.ends_with("taking the cluster away\n"), "{err}");
    assert!(
        TcpStream::connect(server(&out)).is_err(),
        "the API server still answers"
    );
    assert!(is_empty(temporary.path()), "files are left");
}

/// Killed, it cannot take anything away; the cluster goes by itself.
#[test]
fn a_cluster_does_not_outlive_its_playground() {
    let Some(built) = built() else { return };
    let temporary = tempfile::tempdir().expect("a folder");
    let inside = "cat \"$KUBECONFIG\"; kill -KILL $PPID";
    let output = ended(&mut playground(
        &built,
        temporary.path(),
        &["played", "--", "sh", "-c", inside],
    ));
    assert_eq!(output.status.code(), None, "it was killed");
    let server = server(&text(&output.stdout));
    comes_true("the API server still answers", || {
        TcpStream::connect(&server).is_err()
    });
}

#[test]
fn a_cluster_that_does_not_start_says_why() {
    let (temporary, made) = (
        tempfile::tempdir().expect("one"),
        tempfile::tempdir().expect("one"),
    );
    program(&made.path().join("examples/cluster"), "echo no room >&2; exit 1");
    let mut command = playground(made.path(), temporary.path(), &["played", "--", "true"]);
    // A folder with a program in it, or all of them would be built.
    let output = ended(command.env("KUBEBUILDER_ASSETS", made.path()));
    let err = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(
        err.contains("no room\nerror: the cluster did not start\n"),
        "{err}"
    );
    assert!(is_empty(temporary.path()), "files are left");
}

/// A Docker and a kind that write down what they are asked.
fn with_kind(command: &mut Command, folder: &Path, kind: &str) {
    let log = folder.join("log");
    let log = log.display();
    program(&folder.join("docker"), "exit 0");
    program(
        &folder.join("kind"),
        &format!("echo \"$@\" >>{log}\n[ $1 != create ] || cat >>{log}\n{kind}"),
    );
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{}:{path}", folder.display()));
}

#[test]
fn kinds_cluster_has_no_cni_and_is_deleted() {
    let [temporary, made, programs] = [(); 3].map(|()| tempfile::tempdir().expect("a folder"));
    program(&made.path().join("kubectl-byocni"), "echo \"plugin $KUBECONFIG\"");
    let mut command = playground(made.path(), temporary.path(), &["kind", "--", "kubectl-byocni"]);
    with_kind(&mut command, programs.path(), "exit 0");
    let output = ended(&mut command);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let out = text(&output.stdout);
    let kubeconfig = out
        .trim_end()
        .strip_prefix("plugin ")
        .unwrap_or_else(|| panic!("{out}"));
    let log = fs::read_to_string(programs.path().join("log")).expect("kind was asked");
    let lines: Vec<&str> = log.lines().collect();
    let (first, last) = (lines[0], lines[lines.len() - 1]);
    assert!(
        log.contains("\nnetworking:\n  disableDefaultCNI: true\n"),
        "{log}"
    );
    let name = first.split_whitespace().nth(3).unwrap_or_default();
    assert!(name.starts_with("byocni-playground-"), "{first}");
    assert_eq!(
        first,
        format!("create cluster --name {name} --kubeconfig {kubeconfig} --config -")
    );
    assert_eq!(
        last,
        format!("delete cluster --name {name} --kubeconfig {kubeconfig}")
    );
    assert!(is_empty(temporary.path()), "files are left");
}

/// Half a cluster is deleted as well.
#[test]
fn what_kind_began_is_deleted() {
    let [temporary, made, programs] = [(); 3].map(|()| tempfile::tempdir().expect("a folder"));
    let mut command = playground(made.path(), temporary.path(), &["kind", "--", "true"]);
    with_kind(&mut command, programs.path(), "[ $1 != create ] || exit 5");
    let output = ended(&mut command);
    assert_eq!(output.status.code(), Some(5), "{}", text(&output.stderr));
    let log = fs::read_to_string(programs.path().join("log")).expect("kind was asked");
    assert!(
        log.lines()
            .last()
            .is_some_and(|line| line.starts_with("delete cluster ")),
        "{log}"
    );
}

#[test]
fn there_are_three_playgrounds() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = ended(&mut playground(folder.path(), folder.path(), &["gke"]));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        text(&output.stderr),
        "error: there is no playground 'gke': real, kind or played\n"
    );
    let help = text(&ended(&mut playground(folder.path(), folder.path(), &["--help"])).stdout);
    for kind in ["real", "kind", "played"] {
        assert!(help.contains(&format!("\n  {kind} ")), "{help}");
    }
    assert!(!help.contains("set -"), "{help}");
}
