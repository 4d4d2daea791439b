//! krew's rules, from its validation and from its `validate-krew-manifest`
//! (<https://github.com/kubernetes-sigs/krew/tree/master/internal/index/validation>, `cmd/validate-krew-manifest`), and
//! what those who review for its index ask besides (<https://krew.sigs.k8s.io/docs/developer-guide/develop/naming-guide/>).

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{on_path, packed, programs::required_or_skip, said};

/// What krew runs on: os, arch.
const SUPPORTED: &[(&str, &str)] = &[
    ("windows", "386"),
    ("windows", "amd64"),
    ("windows", "arm64"),
    ("linux", "386"),
    ("linux", "amd64"),
    ("linux", "arm"),
    ("linux", "arm64"),
    ("linux", "ppc64le"),
    ("darwin", "386"),
    ("darwin", "amd64"),
    ("darwin", "arm64"),
];

/// What is wrong with a manifest under this file name.
pub fn problems(file: &str, manifest: &Value) -> Vec<String> {
    let mut wrong = vec![];
    let mut must = |holds: bool, rule: &str| {
        if !holds {
            wrong.push(rule.to_string());
        }
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    must(
        manifest["apiVersion"] == "krew.googlecontainertools.github.com/v1alpha2",
        "apiVersion",
    );
    must(manifest["kind"] == "Plugin", "kind");
    let name = text(&manifest["metadata"]["name"]);
    must(
        file == format!("{name}.yaml"),
        "the file is called after the plugin",
    );
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    must(
        !name.is_empty() && name.chars().all(word),
        "characters of the name",
    );
    must(
        !name.contains("kube") && name == name.to_lowercase(),
        "the name is in lower case, and says nothing of kube",
    );
    let spec = &manifest["spec"];
    let version = text(&spec["version"]);
    must(
        version
            .strip_prefix('v')
            .is_some_and(|number| semver::Version::parse(number).is_ok()),
        "version is semantic, with a v",
    );
    let short = text(&spec["shortDescription"]);
    must(
        (1..=50).contains(&short.chars().count()) && !short.contains(['\r', '\n']),
        "shortDescription is one line of at most 50 characters",
    );
    must(!short.ends_with('.'), "shortDescription ends without a full stop");
    for field in ["description", "caveats"] {
        let long = text(&spec[field]);
        must(!long.trim().is_empty(), &format!("{field} is there"));
        must(
            long.lines().all(|line| line.chars().count() <= 80),
            &format!("{field} is wrapped at 80 characters"),
        );
    }
    must(text(&spec["homepage"]).starts_with("https://"), "homepage");
    let known = [
        "version",
        "homepage",
        "shortDescription",
        "description",
        "caveats",
        "platforms",
    ];
    for field in spec.as_object().into_iter().flatten().map(|(field, _)| field) {
        must(known.contains(&field.as_str()), "spec has only krew's fields");
    }
    let platforms: &[Value] = spec["platforms"].as_array().map_or(&[], Vec::as_slice);
    must(!platforms.is_empty(), "there is a platform");
    for platform in platforms {
        let uri = text(&platform["uri"]);
        must(uri.starts_with("https://"), "uri");
        must(uri.contains(&format!("/{version}/")), "uri is of this version");
        let digest = text(&platform["sha256"]);
        must(
            digest.len() == 64 && digest.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')),
            "sha256 is 64 hexadecimal digits in lower case",
        );
        let bin = text(&platform["bin"]);
        must(
            !bin.is_empty() && !bin.starts_with('/') && !bin.contains(".."),
            "bin is a path within the plugin",
        );
        if let Some(files) = platform.get("files") {
            let operations: &[Value] = files.as_array().map_or(&[], Vec::as_slice);
            must(!operations.is_empty(), "files is absent or has an entry");
            for operation in operations {
                must(
                    operation["from"].is_string() && operation["to"].is_string(),
                    "files have from and to",
                );
            }
        }
        let labels = platform["selector"]["matchLabels"].as_object();
        must(
            labels.is_some_and(|labels| {
                !labels.is_empty() && labels.keys().all(|key| key == "os" || key == "arch")
            }),
            "selector has os and arch alone",
        );
        let matched: Vec<_> = SUPPORTED
            .iter()
            .filter(|pair| matches(platform, **pair))
            .collect();
        must(!matched.is_empty(), "a platform is one that krew supports");
        must(
            matched
                .iter()
                .all(|(os, _)| bin.ends_with(".exe") == (*os == "windows")),
            "bin ends with .exe on windows alone",
        );
    }
    for pair in SUPPORTED {
        let times = platforms.iter().filter(|p| matches(p, *pair)).count();
        must(times <= 1, "no two platforms match the same machine");
    }
    wrong
}

fn matches(platform: &Value, (os, arch): (&str, &str)) -> bool {
    let labels = &platform["selector"]["matchLabels"];
    let is = |key: &str, value: &str| labels.get(key).is_none_or(|found| found == value);
    labels.is_object() && is("os", os) && is("arch", arch)
}

/// What is wrong with the archive of a platform.
pub fn archive_problems(platform: &Value, archive: &Path) -> Vec<String> {
    let entries = match packed::entries(archive) {
        Ok(entries) => entries,
        Err(problem) => return vec![problem],
    };
    let mut wrong = vec![];
    let bytes = std::fs::read(archive).expect("read before");
    let digest: String = Sha256::digest(&bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    if platform["sha256"] != digest.as_str() {
        wrong.push(format!("sha256 is {digest}"));
    }
    let name = archive.file_name().unwrap_or_default().to_string_lossy();
    if !platform["uri"]
        .as_str()
        .unwrap_or_default()
        .ends_with(&format!("/{name}"))
    {
        wrong.push(format!("uri does not end with {name}"));
    }
    for entry in &entries {
        if entry.path.starts_with('/') || entry.path.split(['/', '\\']).any(|part| part == "..") {
            wrong.push(format!("{} leads out of the plugin's folder", entry.path));
        }
        if !entry.file {
            wrong.push(format!("{} is no file: krew takes only such", entry.path));
        }
    }
    // krew copies all, where `files` is absent.
    let licences = ["LICENSE", "LICENSE.md", "LICENSE.txt", "COPYING"];
    if !entries
        .iter()
        .any(|entry| licences.contains(&entry.path.as_str()) && !entry.content.is_empty())
    {
        wrong.push("no LICENSE".into());
    }
    let bin = platform["bin"].as_str().unwrap_or_default();
    match entries.iter().find(|entry| entry.path == bin) {
        None => wrong.push(format!("no {bin}")),
        Some(entry) if entry.mode & 0o111 != 0o111 => wrong.push(format!("{bin} cannot be executed")),
        Some(_) => {}
    }
    wrong
}

/// krew itself, as a plugin of kubectl is called, and what its index checks manifests with
/// (tests/clusters/build.sh builds both).
pub struct Program(PathBuf);

impl Program {
    /// Where it is on the PATH.
    pub fn find() -> Option<Program> {
        let found = on_path("kubectl-krew").or_else(|| {
            let built = super::programs::cache().ok()?.join("bin/kubectl-krew");
            built.is_file().then_some(built)
        });
        required_or_skip("krew", found.ok_or("no kubectl-krew".to_string())).map(Program)
    }

    /// Installs from an archive below `root`, for another platform than this one where that is named.
    pub fn install(&self, manifest: &Path, archive: &Path, platform: Option<&str>, root: &Path) {
        let mut command = Command::new(&self.0);
        command
            .arg("install")
            .arg("--manifest")
            .arg(manifest)
            .arg("--archive")
            .arg(archive);
        command
            .env("KREW_ROOT", root)
            .env("HOME", root)
            .env("KREW_NO_UPGRADE_CHECK", "1");
        if let Some((os, arch)) = platform.and_then(|platform| platform.split_once('_')) {
            command.env("KREW_OS", os).env("KREW_ARCH", arch);
        }
        said(&mut command).unwrap_or_else(|e| panic!("{}: {e}", archive.display()));
    }

    /// What its index asks of a manifest before anybody reads it, without what has to be downloaded for it.
    pub fn validate(&self, manifest: &Path) {
        let mut command = Command::new(self.0.with_file_name("validate-krew-manifest"));
        command.arg("-skip-install").arg("-manifest").arg(manifest);
        said(&mut command).unwrap_or_else(|e| panic!("{}: {e}", manifest.display()));
    }
}
