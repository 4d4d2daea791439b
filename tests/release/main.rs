//! What a release is made of: archives, checksums, the list of parts, krew's manifest, the workflows. The scripts are run
//! with a stand-in for the binary, so that no release has to be built; the true archive is looked at where it was built
//! (`.ci/release/archive`, which `.ci/run` calls).

#![cfg(unix)]

mod archive;
#[path = "../../src/build.rs"]
mod build;
mod commit;
mod krew;
mod manifest;
mod pack;
mod packed;
#[path = "../clusters/programs.rs"]
#[allow(dead_code, reason = "only what is said of skipping")]
mod programs;
mod workflows;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// krew's names of what is released, and how the archive ends.
const PLATFORMS: [(&str, &str); 6] = [
    ("linux_amd64", "tar.gz"),
    ("linux_arm64", "tar.gz"),
    ("darwin_amd64", "tar.gz"),
    ("darwin_arm64", "tar.gz"),
    ("windows_amd64", "zip"),
    ("windows_arm64", "zip"),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn on_path(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}

/// The python that the scripts need, or a line that says it is not there.
fn python() -> Option<PathBuf> {
    programs::required_or_skip("python", on_path("python3").ok_or("no python3".to_string()))
}

/// What a program says on standard output; on standard error where it fails.
fn said(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|e| format!("{command:?}: {e}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match output.status.success() {
        true => Ok(text(&output.stdout)),
        false => Err(text(&output.stderr)),
    }
}

fn script(name: &str) -> Command {
    let mut command = Command::new(root().join(".ci/release").join(name));
    command.env_remove("GITHUB_REPOSITORY").current_dir(root());
    command
}

/// Packs a stand-in for the plugin of one platform.
fn pack(platform: &str, binary: &Path, dist: &Path) -> Result<PathBuf, String> {
    let mut command = script("pack.py");
    command.arg("--binary").arg(binary).arg("--dist").arg(dist);
    // The crates of another platform would have to be fetched.
    command.args(["--platform", platform, "--target", HOST, "--tag", "v1.2.3"]);
    command.env("SOURCE_DATE_EPOCH", "1795255200");
    said(&mut command).map(|path| PathBuf::from(path.trim_end()))
}

/// A target whose crates are there, as these tests are built from them.
const HOST: &str = match (cfg!(target_os = "macos"), cfg!(target_arch = "aarch64")) {
    (true, true) => "aarch64-apple-darwin",
    (true, false) => "x86_64-apple-darwin",
    (false, true) => "aarch64-unknown-linux-gnu",
    (false, false) => "x86_64-unknown-linux-gnu",
};

/// A folder with a stand-in for the binary in it.
fn stand_in() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let binary = folder.path().join("built");
    std::fs::write(&binary, "#!/bin/sh\necho stand-in\n").expect("a file");
    (folder, binary)
}

/// The text of a file in YAML.
fn yaml(text: &str) -> serde_json::Value {
    serde_yaml::from_str(text).unwrap_or_else(|e| panic!("{e}:\n{text}"))
}
