//! The true archives, where `.ci/release/archive` put them: under krew's rules, and used as their users do.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use super::{build, krew, on_path, packed, programs::required_or_skip, read, root, yaml};

/// `BYOCNI_DIST`, else `dist` in the target folder.
fn dist() -> PathBuf {
    let named = std::env::var_os("BYOCNI_DIST").filter(|folder| !folder.is_empty());
    let built = Path::new(env!("CARGO_BIN_EXE_kubectl-byocni"))
        .ancestors()
        .nth(2)
        .map(|target| target.join("dist"));
    named.map(PathBuf::from).or(built).expect("a target folder")
}

/// krew's manifest of the archives that are there. They are of these sources, or nothing is said of them.
fn manifest() -> Option<Value> {
    let found = || {
        let path = dist().join("byocni.yaml");
        let text = std::fs::read_to_string(&path)
            .map_err(|_| format!("no {}: .ci/release/archive builds it", path.display()))?;
        let manifest = yaml(&text);
        let version = concat!("v", env!("CARGO_PKG_VERSION"));
        match manifest["spec"]["version"] == version {
            true => Ok(manifest),
            false => Err(format!(
                "{} is not of {version}: .ci/release/archive",
                path.display()
            )),
        }
    };
    required_or_skip("archive", found())
}

fn archive_of(platform: &Value) -> PathBuf {
    let uri = platform["uri"].as_str().expect("a uri");
    dist().join(uri.rsplit('/').next().unwrap_or_default())
}

/// The archive for this machine.
fn ours(manifest: &Value) -> Option<(PathBuf, tempfile::TempDir)> {
    let os = if cfg!(target_os = "macos") {
        "darwin"
    } else {
        "linux"
    };
    let arch = if cfg!(target_arch = "aarch64") {
        "arm64"
    } else {
        "amd64"
    };
    let labels = serde_json::json!({"os": os, "arch": arch});
    let platform = manifest["spec"]["platforms"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|platform| platform["selector"]["matchLabels"] == labels)
        .map(archive_of)
        .ok_or_else(|| format!("no archive for {os} on {arch}"));
    let archive = required_or_skip("archive", platform)?;
    let folder = tempfile::tempdir().expect("a folder");
    for entry in packed::entries(&archive).expect("an archive") {
        use std::os::unix::fs::PermissionsExt as _;
        let path = folder.path().join(&entry.path);
        std::fs::write(&path, &entry.content).expect("a file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(entry.mode)).expect("a mode");
    }
    // Of a commit before this one, nothing that it does is said.
    let head = build::commit(&root()).map(|head| head.commit);
    let said = version(folder.path())["commit"].as_str().map(str::to_string);
    let right = match head.is_none() || head == said {
        true => Ok(()),
        false => Err(format!(
            "{} is of commit {}: .ci/release/archive builds it anew",
            archive.display(),
            said.as_deref().unwrap_or("none")
        )),
    };
    required_or_skip("archive", right)?;
    Some((archive, folder))
}

/// A command in an environment of its own, with this folder before the PATH.
fn run(program: &Path, folder: &Path, home: &Path, arguments: &[&str]) -> std::process::Output {
    let path = std::env::var("PATH").unwrap_or_default();
    Command::new(program)
        .args(arguments)
        .current_dir(root())
        .env_clear()
        .env("PATH", format!("{}:{path}", folder.display()))
        .env("HOME", home)
        .envs([("LANG", "C.UTF-8"), ("COLUMNS", "80")])
        .output()
        .unwrap_or_else(|e| panic!("{}: {e}", program.display()))
}

/// What the unpacked plugin says of itself.
fn version(folder: &Path) -> Value {
    let plugin = folder.join("kubectl-byocni");
    let output = run(&plugin, folder, folder, &["version", "--client", "-o", "json"]);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"))
}

const STATUS: [&str; 3] = ["status", "--from", "examples/fresh-byocni.yaml"];

/// README shows what this prints.
fn is_the_page(output: &std::process::Output) {
    let page = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(
        output.status.code(),
        Some(3),
        "{page}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(page.contains("BROKEN  no CNI installed"), "{page}");
    assert!(read("README.md").contains(&page), "{page}");
}

#[test]
fn true_archives_keep_krews_rules() {
    let Some(manifest) = manifest() else { return };
    assert_eq!(krew::problems("byocni.yaml", &manifest), [""; 0]);
    let platforms = manifest["spec"]["platforms"].as_array().expect("platforms");
    for platform in platforms {
        let archive = archive_of(platform);
        assert_eq!(
            krew::archive_problems(platform, &archive),
            [""; 0],
            "{}",
            archive.display()
        );
        // Neither the builder's folders nor its user are in what was built.
        let bin = platform["bin"].as_str().expect("a binary");
        let entries = packed::entries(&archive).expect("an archive");
        let built = entries.iter().find(|entry| entry.path == bin).expect("a binary");
        for trace in [
            "/.cargo/registry",
            "/.rustup/toolchains",
            env!("CARGO_MANIFEST_DIR"),
        ] {
            let found = built
                .content
                .windows(trace.len())
                .any(|bytes| bytes == trace.as_bytes());
            assert!(!found, "{} holds {trace}", archive.display());
        }
    }
}

/// What an ELF file asks to be loaded with, if anything: a static one does not.
fn interpreter(elf: &[u8]) -> Option<String> {
    let number = |at: usize, length: usize| {
        let bytes = elf.get(at..at + length).expect("a whole file");
        bytes
            .iter()
            .rev()
            .fold(0, |number, byte| number << 8 | usize::from(*byte))
    };
    let (first, size, count) = (number(0x20, 8), number(0x36, 2), number(0x38, 2));
    let interpreted = (0..count)
        .map(|at| first + at * size)
        .find(|at| number(*at, 4) == 3)?;
    let (from, length) = (number(interpreted + 8, 8), number(interpreted + 32, 8));
    Some(String::from_utf8_lossy(&elf[from..from + length]).into_owned())
}

#[cfg(target_os = "linux")]
#[test]
fn on_linux_it_needs_no_library() {
    let shell = std::fs::read(std::env::current_exe().expect("this test")).expect("this test");
    assert!(
        interpreter(&shell).is_some(),
        "this test itself is built against the system's libraries"
    );
    let Some((_, folder)) = manifest().as_ref().and_then(ours) else {
        return;
    };
    let binary = std::fs::read(folder.path().join("kubectl-byocni")).expect("a binary");
    assert_eq!(binary.get(..5), Some(&b"\x7fELF\x02"[..]));
    assert_eq!(interpreter(&binary), None);
}

#[test]
fn it_says_which_commit_it_is_of() {
    let Some((_, folder)) = manifest().as_ref().and_then(ours) else {
        return;
    };
    let version = version(folder.path());
    assert_eq!(version["plugin"], concat!("v", env!("CARGO_PKG_VERSION")));
    // That it is the one of these sources was seen before. Without git there is nothing to compare with.
    if let Some(head) = build::commit(&root()) {
        assert_eq!(version["date"], head.date.as_str());
        let home = tempfile::tempdir().expect("a folder");
        let plugin = folder.path().join("kubectl-byocni");
        let output = run(&plugin, folder.path(), home.path(), &["version", "--client"]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let first = format!("v{} (commit {}", env!("CARGO_PKG_VERSION"), &head.commit[..12]);
        assert!(text.lines().next().unwrap_or_default().contains(&first), "{text}");
    }
}

#[test]
fn unpacked_it_is_a_plugin_of_kubectl() {
    let kubectl = || required_or_skip("kubectl", on_path("kubectl").ok_or("no kubectl".to_string()));
    let Some((_, folder)) = manifest().as_ref().and_then(ours) else {
        return;
    };
    let home = tempfile::tempdir().expect("a folder");
    is_the_page(&run(
        &folder.path().join("kubectl-byocni"),
        folder.path(),
        home.path(),
        &STATUS,
    ));
    let Some(kubectl) = kubectl() else { return };
    let arguments = [&["byocni"], &STATUS[..]].concat();
    is_the_page(&run(&kubectl, folder.path(), home.path(), &arguments));
}

#[test]
fn krew_installs_it() {
    let Some((archive, _folder)) = manifest().as_ref().and_then(ours) else {
        return;
    };
    let Some(krew) = krew::Program::find() else { return };
    let home = tempfile::tempdir().expect("a folder");
    krew.install(&dist().join("byocni.yaml"), &archive, None, home.path());
    let bin = home.path().join("bin");
    is_the_page(&run(&bin.join("kubectl-byocni"), &bin, home.path(), &STATUS));
    let Some(kubectl) = required_or_skip("kubectl", on_path("kubectl").ok_or("no kubectl".to_string()))
    else {
        return;
    };
    is_the_page(&run(
        &kubectl,
        &bin,
        home.path(),
        &[&["byocni"], &STATUS[..]].concat(),
    ));
}
