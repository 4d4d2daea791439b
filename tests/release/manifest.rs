//! krew's manifest: the template, filled by the script of the release from archives, under krew's rules.

use std::path::Path;

use serde_json::{Value, json};

use super::{PLATFORMS, krew, pack, python, read, said, script, stand_in, yaml};

fn assemble(dist: &Path, arguments: &[&str]) -> Result<String, String> {
    let mut command = script("assemble.py");
    command
        .arg("--dist")
        .arg(dist)
        .args(["--tag", "v1.2.3"])
        .args(arguments);
    said(&mut command)
}

#[test]
fn the_filled_manifest_keeps_krews_rules() {
    if python().is_none() {
        return;
    }
    let (folder, binary) = stand_in();
    let dist = folder.path();
    for (platform, _) in PLATFORMS {
        pack(platform, &binary, dist).unwrap_or_else(|e| panic!("{e}"));
    }
    assemble(dist, &["--repository", "somebody/kubectl-byocni"]).unwrap_or_else(|e| panic!("{e}"));
    let manifest = std::fs::read_to_string(dist.join("byocni.yaml")).expect("a manifest");
    assert!(!manifest.contains(['{', '}']), "{manifest}");
    let manifest = yaml(&manifest);
    assert_eq!(krew::problems("byocni.yaml", &manifest), [""; 0]);
    assert_eq!(manifest["spec"]["version"], "v1.2.3");
    assert_eq!(
        manifest["spec"]["homepage"],
        "https://github.com/somebody/kubectl-byocni"
    );

    let platforms = manifest["spec"]["platforms"].as_array().expect("platforms");
    assert_eq!(platforms.len(), PLATFORMS.len());
    for (found, (platform, ending)) in platforms.iter().zip(PLATFORMS) {
        let labels = &found["selector"]["matchLabels"];
        let (os, arch) = platform.split_once('_').expect("os and arch");
        assert_eq!(labels, &json!({"os": os, "arch": arch}));
        let archive = format!("kubectl-byocni_v1.2.3_{platform}.{ending}");
        assert_eq!(
            found["uri"],
            format!("https://github.com/somebody/kubectl-byocni/releases/download/v1.2.3/{archive}")
        );
        assert_eq!(
            krew::archive_problems(found, &dist.join(&archive)),
            [""; 0],
            "{platform}"
        );
    }

    // Every file that is published and is no checksum has one there.
    let sums = std::fs::read_to_string(dist.join("SHA256SUMS")).expect("sums");
    let names: Vec<&str> = sums.lines().filter_map(|line| line.split("  ").nth(1)).collect();
    assert_eq!(names.len(), 2 * PLATFORMS.len(), "{sums}");
    assert!(names.is_sorted(), "{sums}");
}

/// The same by krew itself, on this machine for all of them.
#[test]
fn krew_takes_the_archives_of_all_platforms() {
    let Some(krew) = krew::Program::find() else { return };
    if python().is_none() {
        return;
    }
    let (folder, binary) = stand_in();
    let dist = folder.path();
    let archives =
        PLATFORMS.map(|(platform, _)| pack(platform, &binary, dist).unwrap_or_else(|e| panic!("{e}")));
    assemble(dist, &[]).unwrap_or_else(|e| panic!("{e}"));
    let manifest = dist.join("byocni.yaml");
    krew.validate(&manifest);
    for ((platform, _), archive) in PLATFORMS.iter().zip(archives) {
        let root = dist.join(platform);
        krew.install(&manifest, &archive, Some(platform), &root);
        let kept = root.join("store/byocni/v1.2.3");
        let bin = if platform.starts_with("windows") {
            "kubectl-byocni.exe"
        } else {
            "kubectl-byocni"
        };
        for file in ["LICENSE", "THIRD-PARTY-LICENSES.txt", bin] {
            assert!(kept.join(file).is_file(), "{platform}: no {file}");
        }
    }
}

/// What would make krew refuse it, each thing by itself.
#[test]
fn each_of_krews_rules_can_be_broken() {
    let good = json!({
        "apiVersion": "krew.googlecontainertools.github.com/v1alpha2", "kind": "Plugin", "metadata": {"name": "byocni"},
        "spec": {
            "version": "v1.2.3", "homepage": "https://example.com", "shortDescription": "Look at it",
            "description": "More.", "caveats": "Helm.",
            "platforms": [
                {"selector": {"matchLabels": {"os": "linux", "arch": "amd64"}}, "bin": "kubectl-byocni",
                 "uri": "https://example.com/v1.2.3/a.tar.gz", "sha256": "0".repeat(64)},
                {"selector": {"matchLabels": {"os": "windows", "arch": "amd64"}}, "bin": "kubectl-byocni.exe",
                 "uri": "https://example.com/v1.2.3/a.zip", "sha256": "0".repeat(64)},
            ],
        },
    });
    assert_eq!(krew::problems("byocni.yaml", &good), [""; 0]);
    let linux = "/spec/platforms/0";
    let broken: &[(&str, Value, &str)] = &[
        (
            "/apiVersion",
            json!("krew.googlecontainertools.github.com/v1"),
            "apiVersion",
        ),
        ("/kind", json!("plugin"), "kind"),
        ("/metadata/name", json!("cni"), "called after"),
        ("/metadata/name", json!("by.ocni"), "characters of the name"),
        ("/metadata/name", json!("kubectl-byocni"), "nothing of kube"),
        ("/spec/version", json!("1.2.3"), "with a v"),
        ("/spec/version", json!("v1.2"), "semantic"),
        ("/spec/shortDescription", json!(""), "shortDescription"),
        ("/spec/shortDescription", json!("a".repeat(51)), "50 characters"),
        ("/spec/shortDescription", json!("one\ntwo"), "one line"),
        ("/spec/shortDescription", json!("one."), "full stop"),
        (
            "/spec/description",
            json!("a ".repeat(41)),
            "description is wrapped",
        ),
        ("/spec/caveats", json!(" "), "caveats is there"),
        ("/spec/homepage", json!("http://example.com"), "homepage"),
        ("/spec/platforms", json!([]), "there is a platform"),
        (
            &format!("{linux}/uri"),
            json!("https://example.com/v1.2.2/a.tar.gz"),
            "of this version",
        ),
        (&format!("{linux}/sha256"), json!("A".repeat(64)), "sha256"),
        (&format!("{linux}/sha256"), json!("0".repeat(63)), "sha256"),
        (
            &format!("{linux}/bin"),
            json!("../kubectl-byocni"),
            "within the plugin",
        ),
        (
            &format!("{linux}/bin"),
            json!("kubectl-byocni.exe"),
            "on windows alone",
        ),
        (
            "/spec/platforms/1/bin",
            json!("kubectl-byocni"),
            "on windows alone",
        ),
        (
            &format!("{linux}/selector/matchLabels"),
            json!({}),
            "os and arch alone",
        ),
        (
            &format!("{linux}/selector/matchLabels"),
            json!({"os": "linux", "cpu": "amd64"}),
            "os and arch alone",
        ),
        (
            &format!("{linux}/selector/matchLabels"),
            json!({"os": "linux", "arch": "x86_64"}),
            "supports",
        ),
        (
            &format!("{linux}/selector/matchLabels"),
            json!({"arch": "amd64"}),
            "the same machine",
        ),
    ];
    for (place, value, rule) in broken {
        let mut manifest = good.clone();
        *manifest.pointer_mut(place).unwrap_or_else(|| panic!("{place}")) = value.clone();
        let problems = krew::problems("byocni.yaml", &manifest);
        assert!(
            problems.iter().any(|p| p.contains(rule)),
            "{place}: {value}: {problems:?}"
        );
    }
    for (field, value) in [("files", json!([])), ("files", json!([{"from": "*"}]))] {
        let mut manifest = good.clone();
        manifest["spec"]["platforms"][0][field] = value;
        assert!(
            krew::problems("byocni.yaml", &manifest)
                .iter()
                .any(|p| p.contains("files"))
        );
    }
}

#[test]
fn a_release_without_all_its_archives_is_none() {
    if python().is_none() {
        return;
    }
    let (folder, binary) = stand_in();
    let dist = folder.path();
    let none = assemble(dist, &["--partial"]).expect_err("there is no archive");
    assert!(none.contains("linux_amd64"), "{none}");
    let archive = pack("linux_arm64", &binary, dist).unwrap_or_else(|e| panic!("{e}"));
    let missing = assemble(dist, &[]).expect_err("five are missing");
    assert!(
        missing.contains("windows_arm64.zip") && !missing.contains("linux_arm64"),
        "{missing}"
    );
    assert!(!dist.join("byocni.yaml").exists());

    assemble(dist, &["--partial"]).unwrap_or_else(|e| panic!("{e}"));
    let manifest = yaml(&std::fs::read_to_string(dist.join("byocni.yaml")).expect("a manifest"));
    assert_eq!(manifest["spec"]["platforms"].as_array().map(Vec::len), Some(1));
    assert_eq!(krew::problems("byocni.yaml", &manifest), [""; 0]);

    // One that was changed after it was packed.
    let mut bytes = std::fs::read(&archive).expect("an archive");
    bytes.push(0);
    std::fs::write(&archive, bytes).expect("an archive");
    let changed = assemble(dist, &["--partial"]).expect_err("it is not what was packed");
    assert!(changed.contains("is not what was packed"), "{changed}");
    let problems = krew::archive_problems(&manifest["spec"]["platforms"][0], &archive);
    assert!(problems.iter().any(|p| p.contains("sha256")), "{problems:?}");
}

#[test]
fn a_tag_is_a_version() {
    if python().is_none() {
        return;
    }
    let (folder, _) = stand_in();
    let mut command = script("assemble.py");
    command.arg("--dist").arg(folder.path()).args(["--tag", "1.2.3"]);
    let refused = said(&mut command).expect_err("krew wants a v");
    assert!(
        refused.contains("1.2.3 is no version as krew wants it"),
        "{refused}"
    );
}

/// krew-release-bot can fill it too: it knows these two places and no other.
#[test]
fn the_template_is_in_the_bots_words() {
    let template = read("krew/byocni.yaml.tmpl");
    let mut archives = 0;
    for line in template.lines().filter(|line| line.contains("{{")) {
        let archive = line
            .strip_prefix("    {{addURIAndSha \"https://")
            .and_then(|l| l.strip_suffix("\" .TagName }}"));
        let rest = match archive {
            Some(address) => {
                archives += 1;
                address.replace("{{ .TagName }}", "")
            }
            None => line.replace("{{ .TagName }}", ""),
        };
        assert!(!rest.contains(['{', '}']), "{line}");
    }
    assert_eq!(archives, PLATFORMS.len());
}
