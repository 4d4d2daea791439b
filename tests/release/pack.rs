//! Packing: the same bytes from the same sources, and what lies beside an archive.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{PLATFORMS, pack, packed, python, read, said, stand_in};

#[test]
fn the_same_sources_give_the_same_bytes() {
    if python().is_none() {
        return;
    }
    for (platform, ending) in [PLATFORMS[0], PLATFORMS[4]] {
        let (folder, binary) = stand_in();
        let first = folder.path().join("first");
        let second = folder.path().join("second");
        let archives = [first, second].map(|dist| {
            std::fs::create_dir(&dist).expect("a folder");
            // Another time and another mode of what was built make no difference.
            std::fs::write(&binary, std::fs::read(&binary).expect("a file")).expect("a file");
            pack(platform, &binary, &dist).unwrap_or_else(|e| panic!("{e}"))
        });
        let name = format!("kubectl-byocni_v1.2.3_{platform}.{ending}");
        assert_eq!(archives[0].file_name().expect("a name").to_string_lossy(), name);
        for beside in ["", ".sha256"] {
            let [one, other] = archives.clone().map(|path| {
                let path = path.with_file_name(format!("{name}{beside}"));
                std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
            });
            assert!(one == other, "{name}{beside} differs");
        }
        let entries = packed::entries(&archives[0]).expect("an archive");
        let names: Vec<&str> = entries.iter().map(|entry| entry.path.as_str()).collect();
        let bin = if ending == "zip" {
            "kubectl-byocni.exe"
        } else {
            "kubectl-byocni"
        };
        assert_eq!(names, ["LICENSE", "THIRD-PARTY-LICENSES.txt", bin]);
        // 2026-11-21 10:00: of SOURCE_DATE_EPOCH, and as zip writes it.
        let time = if ending == "zip" {
            0x5d75_5000
        } else {
            1_795_255_200
        };
        assert!(
            entries.iter().all(|entry| entry.time == time),
            "{:x}",
            entries[0].time
        );
        assert_eq!(
            entries.iter().map(|entry| entry.mode).collect::<Vec<_>>(),
            [0o644, 0o644, 0o755]
        );
        assert_eq!(entries[0].content, read("LICENSE").into_bytes());
    }
}

/// The crates of Cargo.lock by name and version, with their checksums.
fn locked() -> Vec<(String, String, Option<String>)> {
    read("Cargo.lock")
        .split("[[package]]")
        .skip(1)
        .map(|block| {
            let field = |name: &str| {
                block
                    .lines()
                    .find_map(|line| line.strip_prefix(&format!("{name} = ")))
                    .map(|value| value.trim_matches('"').to_string())
            };
            let named = |name| field(name).expect("every crate has it");
            (named("name"), named("version"), field("checksum"))
        })
        .collect()
}

#[test]
fn the_list_of_parts_is_what_the_binary_is_made_of() {
    if python().is_none() {
        return;
    }
    let (folder, binary) = stand_in();
    let archive = pack("linux_amd64", &binary, folder.path()).unwrap_or_else(|e| panic!("{e}"));
    let path = folder.path().join("kubectl-byocni_v1.2.3_linux_amd64.cdx.json");
    let text = std::fs::read_to_string(path).expect("a list of parts");
    let parts: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(
        (&parts["bomFormat"], &parts["specVersion"]),
        (&"CycloneDX".into(), &"1.5".into())
    );
    assert_eq!(parts["metadata"]["timestamp"], "2026-11-21T10:00:00Z");
    let ours = &parts["metadata"]["component"];
    assert_eq!(ours["name"], "kubectl-byocni");
    let beside = std::fs::read_to_string(format!("{}.sha256", archive.display())).expect("a checksum");
    assert_eq!(ours["hashes"][0]["content"].as_str(), beside.split(' ').next());

    let locked = locked();
    let components = parts["components"].as_array().expect("components");
    for part in components {
        let of = |field: &str| part[field].as_str().unwrap_or_default().to_string();
        let (name, version) = (of("name"), of("version"));
        let lock = locked.iter().find(|(n, v, _)| (n, v) == (&name, &version));
        let checksum = lock
            .unwrap_or_else(|| panic!("{name} {version} is not locked"))
            .2
            .as_deref();
        assert_eq!(part["hashes"][0]["content"].as_str(), checksum, "{name}");
        assert_eq!(of("purl"), format!("pkg:cargo/{name}@{version}"));
        let licence = part["licenses"][0]["expression"].as_str().unwrap_or_default();
        assert!(!licence.is_empty() && !licence.contains('/'), "{name}: {licence}");
    }
    let names: BTreeSet<&str> = components
        .iter()
        .filter_map(|part| part["name"].as_str())
        .collect();
    for name in ["kube", "rustls", "ring", "yaml_serde"] {
        assert!(names.contains(name), "{name} is not listed");
    }
    // Of tests, of builds, of other systems.
    for name in ["insta", "proptest", "cc", "windows-sys"] {
        assert!(!names.contains(name), "{name} is listed");
    }
    // Who needs whom leads to nothing that is not listed, and to everything that is.
    let refs = |value: &Value| value["bom-ref"].as_str().unwrap_or_default().to_string();
    let listed: BTreeSet<String> = components.iter().map(refs).collect();
    let needed: BTreeSet<String> = parts["dependencies"]
        .as_array()
        .expect("dependencies")
        .iter()
        .flat_map(|one| one["dependsOn"].as_array().into_iter().flatten())
        .filter_map(|name| name.as_str().map(str::to_string))
        .collect();
    assert_eq!(listed, needed);

    // All of them are named with their licences, which is what most of these ask for.
    let entries = packed::entries(&archive).expect("an archive");
    let texts = String::from_utf8_lossy(&entries[1].content).into_owned();
    for part in components {
        let named = format!(
            "\n{} {} (",
            part["name"].as_str().expect("a name"),
            part["version"].as_str().expect("one")
        );
        assert!(texts.contains(&named), "{named}");
    }
    assert!(texts.contains("Permission is hereby granted, free of charge"));
}

#[test]
fn a_checksum_is_as_sha256sum_reads_it() {
    let Some(program) = super::on_path("sha256sum") else {
        return;
    };
    if python().is_none() {
        return;
    }
    let (folder, binary) = stand_in();
    pack("darwin_arm64", &binary, folder.path()).unwrap_or_else(|e| panic!("{e}"));
    let mut check = std::process::Command::new(program);
    check
        .arg("-c")
        .arg("kubectl-byocni_v1.2.3_darwin_arm64.tar.gz.sha256");
    let answer = said(check.current_dir(folder.path()));
    assert_eq!(
        answer,
        Ok("kubectl-byocni_v1.2.3_darwin_arm64.tar.gz: OK\n".into())
    );
}
