//! Charts that are well, and each with one thing wrong; the real ones are read in `tests/helm.rs`.

mod texts;

use std::{collections::BTreeMap, io::Write};

use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use serde_json::json;

use super::{archive::Files, *};
use crate::io::helm::Cause;

/// A chart with nothing wrong.
fn healthy() -> Files {
    [
        (
            "Chart.yaml",
            "apiVersion: v2\nname: net\nversion: v1.2.3\nappVersion: \"1.2\"\nkubeVersion: \">= 1.21.0-0\"\n",
        ),
        (
            "values.yaml",
            "# the pool\npool: &p {cidr: 10.0.0.0/8}\nother: {<<: *p, size: 24}\n",
        ),
        ("values.schema.json", r#"{"type": "object"}"#),
        ("templates/agent.yaml", "{{ .Values.pool.cidr }}"),
        ("crds/a.yaml", "kind: CustomResourceDefinition\n"),
        ("crds/README.md", "no manifest"),
    ]
    .into_iter()
    .map(|(path, text)| (path.to_string(), text.as_bytes().to_vec()))
    .collect()
}

fn with(path: &str, text: &str) -> Files {
    let mut files = healthy();
    files.insert(path.to_string(), text.as_bytes().to_vec());
    files
}

fn without(path: &str) -> Files {
    let mut files = healthy();
    files.remove(path).expect("it was there");
    files
}

fn charts() -> Charts<'static> {
    Charts::new(None).expect("a folder")
}

fn read_files(files: &Files) -> Result<Fetched, ChartError> {
    charts().read(archive::pack("net", files).expect("packed"), "net.tgz")
}

#[test]
fn a_healthy_chart_is_read_whole() {
    let charts = charts();
    let bytes = archive::pack("net", &healthy()).expect("packed");
    let fetched = charts.read(bytes.clone(), "net.tgz").expect("read");
    assert_eq!(fetched.archive, bytes);
    assert_eq!(std::fs::read(&fetched.path).expect("a copy"), bytes);
    let chart = fetched.chart;
    assert_eq!((chart.name.as_str(), chart.version.as_str()), ("net", "v1.2.3"));
    assert_eq!(
        (chart.app_version.as_str(), chart.source.as_str()),
        ("1.2", "net.tgz")
    );
    assert_eq!(chart.kube_version.as_deref(), Some(">= 1.21.0-0"));
    assert_eq!(chart.values["other"], json!({"cidr": "10.0.0.0/8", "size": 24}));
    assert!(chart.values_text.starts_with("# the pool"));
    assert_eq!(chart.schema, Some(json!({"type": "object"})));
    assert_eq!(chart.crds, ["kind: CustomResourceDefinition\n"]);
    assert_eq!(chart.digest, digest_of(&bytes));
    assert_eq!(chart.digest.len(), "sha256:".len() + 64);
}

#[test]
fn what_a_chart_need_not_have_may_be_missing() {
    for path in [
        "values.yaml",
        "values.schema.json",
        "crds/a.yaml",
        "templates/agent.yaml",
    ] {
        assert!(read_files(&without(path)).is_ok(), "{path}");
    }
    let empty = read_files(&with("values.yaml", "# all optional\n")).expect("read");
    assert_eq!(empty.chart.values, json!({}));
}

#[test]
fn one_thing_wrong_in_a_chart_is_named() {
    let chart = |text: &str| with("Chart.yaml", text);
    let broken: Vec<(Files, &str)> = vec![
        (without("Chart.yaml"), "it has no Chart.yaml"),
        (chart("a: [b"), "its Chart.yaml: "),
        (chart(""), "its Chart.yaml gives no usable name"),
        (chart("name: net\n"), "its version is \"\", not one like 1.2.3"),
        (chart("version: 1.0.0\n"), "its Chart.yaml gives no usable name"),
        (
            chart("name: ../net\nversion: 1.0.0\n"),
            "its Chart.yaml gives no usable name",
        ),
        (
            chart("name: \"n\\e[2J\"\nversion: 1.0.0\n"),
            "its Chart.yaml gives no usable name",
        ),
        (
            chart("name: net\nversion: new\n"),
            "its version is \"new\", not one like 1.2.3",
        ),
        (
            chart("name: net\nversion: 1.0.0\ntype: library\n"),
            "it is a library",
        ),
        (
            chart("name: net\nversion: 1.0.0\ndependencies: [{name: sub, repository: x, version: 1}]\n"),
            "it depends on the chart sub, which is not in it",
        ),
        (
            with("requirements.yaml", "dependencies: [{name: old}]\n"),
            "it depends on the chart old, which is not in it",
        ),
        (with("values.yaml", "a: [b"), "its values.yaml: "),
        (with("values.yaml", "- a\n"), "its values.yaml: it is no map"),
        (with("values.schema.json", "{"), "its values.schema.json: EOF"),
    ];
    for (files, wanted) in broken {
        let error = read_files(&files).expect_err(wanted);
        let text = error.to_string();
        assert!(
            text.starts_with("net.tgz is no chart that can be installed: "),
            "{text}"
        );
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    // What it depends on is there, in either form.
    let text = "name: net\nversion: 1.0.0\ndependencies: [{name: sub}]\n";
    for path in ["charts/sub/Chart.yaml", "charts/sub-1.0.0.tgz"] {
        let mut files = chart(text);
        files.insert(path.into(), vec![]);
        assert!(read_files(&files).is_ok(), "{path}");
    }
}

/// An archive of raw entries, as no honest tool writes them.
fn raw(entries: &[(&str, tar::EntryType, &str)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(GzEncoder::new(vec![], Compression::fast()));
    for (path, kind, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.as_gnu_mut().expect("gnu").name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(*kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        tar.append(&header, content.as_bytes()).expect("appended");
    }
    tar.into_inner().expect("tar").finish().expect("gzip")
}

#[test]
fn an_archive_that_could_reach_out_of_its_folder_is_refused() {
    use tar::EntryType as E;
    const CHART: (&str, E, &str) = ("net/Chart.yaml", E::Regular, "name: net\nversion: 1.0.0\n");
    assert!(charts().read(raw(&[CHART]), "x").is_ok());
    assert!(
        charts()
            .read(raw(&[("net/", E::Directory, ""), CHART]), "x")
            .is_ok()
    );
    assert!(
        charts()
            .read(raw(&[("./net/Chart.yaml", CHART.1, CHART.2)]), "x")
            .is_ok()
    );
    assert!(
        charts()
            .read(raw(&[("pax_global_header", E::XGlobalHeader, ""), CHART]), "x")
            .is_ok()
    );
    let broken = [
        (
            ("net/../../etc/passwd", E::Regular, "x"),
            "leads outside the chart's folder",
        ),
        (
            ("/etc/passwd", E::Regular, "x"),
            "leads outside the chart's folder",
        ),
        (
            ("net\\..\\..\\x", E::Regular, "x"),
            "leads outside the chart's folder",
        ),
        (("c:/x", E::Regular, "x"), "leads outside the chart's folder"),
        (
            ("net/../net/values.yaml", E::Regular, "x"),
            "leads outside the chart's folder",
        ),
        (("net/link", E::Symlink, ""), "net/link in it is a link"),
        (("net/link", E::Link, ""), "net/link in it is a link"),
        (("net/pipe", E::Fifo, ""), "neither a file nor a folder"),
        (("net/disk", E::Block, ""), "neither a file nor a folder"),
        (
            ("other/values.yaml", E::Regular, "x"),
            "it holds more than one folder: net and other",
        ),
        (("other/", E::Directory, ""), "it holds more than one folder"),
        (("net", E::Regular, "x"), "lies outside the chart's folder"),
        (CHART, "net/Chart.yaml is in it twice"),
    ];
    for (entry, wanted) in broken {
        let error = charts()
            .read(raw(&[CHART, entry]), "x")
            .expect_err(wanted)
            .to_string();
        assert!(error.contains(wanted), "{wanted}: {error}");
    }
}

#[test]
fn what_is_no_archive_is_refused() {
    let gzip = |content: &[u8]| {
        let mut gzip = GzEncoder::new(vec![], Compression::fast());
        gzip.write_all(content).expect("written");
        gzip.finish().expect("gzip")
    };
    let good = archive::pack("net", &healthy()).expect("packed");
    let tests: Vec<(Vec<u8>, &str)> = vec![
        (vec![], "it is not packed with gzip"),
        (b"<html>".to_vec(), "it is not packed with gzip"),
        (vec![0x1f, 0x8b, 0, 0], "it is damaged"),
        (gzip(b""), "it is empty"),
        (gzip(b"hello"), "it is damaged"),
        (good[..good.len() / 2].to_vec(), "it is damaged"),
        (gzip(&vec![0; archive::LARGEST as usize + 4096]), "it is empty"),
    ];
    for (bytes, wanted) in tests {
        let error = charts().read(bytes, "x").expect_err(wanted).to_string();
        assert!(error.contains(wanted), "{wanted}: {error}");
    }
}

#[test]
fn a_bomb_goes_off_nowhere() {
    let mut files = healthy();
    files.insert("large".into(), vec![0; archive::LARGEST as usize]);
    let bytes = archive::pack("net", &files).expect("packed");
    assert!(bytes.len() < 100_000, "it is a bomb");
    let error = charts().read(bytes, "x").expect_err("too large").to_string();
    assert!(error.contains("it unpacks to more than 50 MiB"), "{error}");

    let many: Files = (0..=archive::MOST_FILES)
        .map(|n| (format!("f{n}"), vec![]))
        .collect();
    let error = charts()
        .read(archive::pack("net", &many).expect("packed"), "x")
        .expect_err("too many")
        .to_string();
    assert!(error.contains("it holds more than 10000 files"), "{error}");
}

proptest! {
    #[test]
    fn packing_and_reading_gives_the_same_files(
        files in prop::collection::btree_map("[a-z]{1,9}(/[a-z.]{1,3}[a-z]){0,30}", prop::collection::vec(any::<u8>(), 0..600), 1..8)
    ) {
        let files: BTreeMap<String, Vec<u8>> = files;
        let packed = archive::pack("net", &files).expect("packed");
        prop_assert_eq!(&packed, &archive::pack("net", &files).expect("packed"));
        prop_assert_eq!(archive::unpack(&packed).expect("read"), files);
    }

    #[test]
    fn damaged_archives_are_errors(at in 0usize..700, byte in any::<u8>()) {
        let mut bytes = archive::pack("net", &healthy()).expect("packed");
        let at = at % bytes.len();
        bytes[at] = byte;
        // Whatever comes of it, nothing breaks.
        let _ = charts().read(bytes, "x");
    }
}

/// The chart in a folder, and things that do not belong to it.
fn in_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (path, content) in healthy() {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        std::fs::write(path, content).expect("written");
    }
    folder
}

fn source(path: &Path) -> ChartSource {
    ChartSource::chart(&path.display().to_string()).expect("a source")
}

#[tokio::test]
async fn a_folder_is_a_chart_without_helm_and_its_digest_stays() {
    let (one, two) = (in_folder(), in_folder());
    std::fs::write(two.path().join(".helmignore"), ".git/\n*.bak\n.helmignore\n").expect("written");
    std::fs::write(two.path().join("x.bak"), "x").expect("written");
    std::fs::create_dir(two.path().join(".git")).expect("made");
    std::fs::write(two.path().join(".git/HEAD"), "x").expect("written");
    let first = charts().fetch(&source(one.path()), None).await.expect("fetched");
    let second = charts().fetch(&source(two.path()), None).await.expect("fetched");
    assert_eq!(first.chart.digest, second.chart.digest);
    assert_eq!(archive::unpack(&first.archive), Ok(healthy()));
    assert!(!source(one.path()).needs_helm());

    std::fs::write(two.path().join(".helmignore"), "a/**\n").expect("written");
    assert!(charts().fetch(&source(two.path()), None).await.is_err());
    std::fs::remove_file(two.path().join(".helmignore")).expect("removed");
    std::os::unix::fs::symlink("Chart.yaml", two.path().join("link")).expect("made");
    let error = charts()
        .fetch(&source(two.path()), None)
        .await
        .expect_err("a link");
    assert!(error.to_string().contains("link in it is a link"), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("helm package")));
    std::fs::remove_file(one.path().join("Chart.yaml")).expect("removed");
    let error = charts()
        .fetch(&source(one.path()), None)
        .await
        .expect_err("no chart");
    assert!(error.to_string().ends_with("it has no Chart.yaml"), "{error}");
}

#[tokio::test]
async fn an_archive_must_have_the_version_and_the_digest_that_were_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("net-1.2.3.tgz");
    let bytes = archive::pack("net", &healthy()).expect("packed");
    std::fs::write(&path, &bytes).expect("written");
    let source = source(&path);
    for version in [None, Some("1.2.3"), Some("v1.2.3")] {
        assert!(charts().fetch(&source, version).await.is_ok(), "{version:?}");
    }
    let error = charts().fetch(&source, Some("1.2.4")).await.expect_err("another");
    assert!(
        error
            .to_string()
            .ends_with("has no version 1.2.4; the nearest are v1.2.3"),
        "{error}"
    );

    let pinned = |digest: &str| ChartSource::chart(&format!("{}@{digest}", path.display()));
    let good = pinned(&digest_of(&bytes)).expect("a source");
    assert!(charts().fetch(&good, None).await.is_ok());
    let wrong = format!("sha256:{}", "0".repeat(64));
    let error = charts()
        .fetch(&pinned(&wrong).expect("a source"), None)
        .await
        .expect_err("another");
    assert!(
        matches!(&error, ChartError::Digest { wanted, .. } if *wanted == wrong),
        "{error}"
    );
    assert!(matches!(pinned("sha256:abc"), Err(ChartError::Named { .. })));

    let offered = charts().offered(&source).await.expect("offered");
    assert_eq!(offered.len(), 1);
    assert_eq!(offered[0].digest, Some(digest_of(&bytes)));
}

#[tokio::test]
async fn a_folder_of_charts_is_a_repository_with_and_without_an_index() {
    let folder = tempfile::tempdir().expect("a folder");
    let put = |file: &str, version: &str| {
        let text = format!("name: net\nversion: {version}\nappVersion: a{version}\n");
        let bytes = archive::pack("net", &with("Chart.yaml", &text)).expect("packed");
        std::fs::write(folder.path().join(file), &bytes).expect("written");
        digest_of(&bytes)
    };
    put("net-1.9.0.tgz", "1.9.0");
    let newest = put("net-1.10.0.tgz", "1.10.0");
    put("net-2.0.0-rc.1.tgz", "2.0.0-rc.1");
    std::fs::write(folder.path().join("junk.tgz"), "junk").expect("written");
    let repository = folder.path().display().to_string();
    let source = ChartSource::repository(&repository, "net").expect("a source");
    let offered = charts().offered(&source).await.expect("offered");
    let versions: Vec<&str> = offered.iter().map(|o| o.version.as_str()).collect();
    assert_eq!(versions, ["2.0.0-rc.1", "1.10.0", "1.9.0"]);
    // The newest stable one, where none is named.
    let fetched = charts().fetch(&source, None).await.expect("fetched");
    assert_eq!(
        (fetched.chart.version.as_str(), &fetched.chart.digest),
        ("1.10.0", &newest)
    );
    let error = charts()
        .fetch(&source, Some("1.10.7"))
        .await
        .expect_err("none")
        .to_string();
    assert!(
        error.ends_with("has no version 1.10.7; the nearest are 1.10.0, 1.9.0, 2.0.0-rc.1"),
        "{error}"
    );
    let other = ChartSource::repository(&repository, "nett").expect("a source");
    let error = charts().fetch(&other, None).await.expect_err("none").to_string();
    assert!(error.ends_with("has no chart \"nett\"; it has net"), "{error}");

    // The index has the word where there is one; what it says of the digest must be true.
    let index = |digest: &str| {
        let text = format!(
            "entries:\n  net:\n  - {{version: 1.10.0, digest: {digest}, urls: ['https://old.host/x/net-1.10.0.tgz']}}\n"
        );
        std::fs::write(folder.path().join("index.yaml"), text).expect("written");
    };
    index(&newest["sha256:".len()..]);
    assert_eq!(charts().offered(&source).await.expect("offered").len(), 1);
    assert!(charts().fetch(&source, None).await.is_ok());
    index(&"0".repeat(64));
    let error = charts().fetch(&source, None).await.expect_err("another digest");
    assert!(
        matches!(
            error,
            ChartError::Digest {
                by: "the folder's index",
                ..
            }
        ),
        "{error}"
    );
    std::fs::write(folder.path().join("index.yaml"), "<html>").expect("written");
    let error = charts().fetch(&source, None).await.expect_err("no index");
    assert!(matches!(error, ChartError::Bad { .. }), "{error}");
    // An index that names a file elsewhere reaches nothing outside the folder.
    let text = "entries: {net: [{version: 1.0.0, urls: ['../../etc/passwd', '..']}]}";
    std::fs::write(folder.path().join("index.yaml"), text).expect("written");
    let error = charts().fetch(&source, None).await.expect_err("not there");
    assert!(
        error.to_string().contains(&format!("{repository}/passwd")),
        "{error}"
    );
}

#[tokio::test]
async fn what_only_helm_can_fetch_says_so() {
    for named in ["https://h/net.tgz", "oci://r/net"] {
        let source = ChartSource::chart(named).expect("a source");
        assert!(source.needs_helm());
        let error = charts().fetch(&source, None).await.expect_err("no helm");
        assert_eq!(
            error.to_string(),
            format!("{named} can only be fetched with helm")
        );
    }
    let source = ChartSource::repository("https://h/charts/", "net").expect("a source");
    assert_eq!(source.shown(), "https://h/charts");
    let error = charts().offered(&source).await.expect_err("no helm");
    assert_eq!(
        error.to_string(),
        "the chart net of https://h/charts can only be fetched with helm"
    );
}

#[test]
fn what_names_no_chart_is_refused_and_no_login_is_repeated() {
    for named in [
        "",
        "cilium/cilium",
        "ftp://h/x.tgz",
        "https:///x",
        "oci://",
        "oci://r.example:5000",
        "https://u:s3cret@h/x.tgz",
    ] {
        let error = ChartSource::chart(named).expect_err(named);
        assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
        assert!(error.hint().is_some());
    }
    for (repository, chart) in [
        ("cilium", "cilium"),
        ("https://u:s3cret@h", "net"),
        ("oci://s3cret@h/x", "net"),
        ("https://h", ""),
        ("https://h", "-f"),
        ("https://h", "a/b"),
    ] {
        let error = ChartSource::repository(repository, chart).expect_err(repository);
        assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
    }
    let oci = ChartSource::repository("oci://r/charts/", "net").expect("a source");
    assert_eq!(oci.shown(), "oci://r/charts/net");
}

/// A helm whose registry has the tag `v1.2.3` alone, with this manifest.
async fn registry(manifest: &str, says: &str) -> (tempfile::TempDir, Helm) {
    let folder = tempfile::tempdir().expect("a folder");
    let bytes = archive::pack("net", &healthy()).expect("packed");
    std::fs::write(folder.path().join("net.tgz"), bytes).expect("written");
    let script = format!(
        "#!/bin/sh\nif [ $1 = version ]; then echo v4.2.0; exit; fi\ncase \"$*\" in *--version=v1.2.3*) ;; *) \
         echo 'Error: failed to perform \"FetchReference\" on source: r/net:1: not found' >&2; exit 1;; esac\n\
         cp '{}/net.tgz' \"${{2#--destination=}}/x.tgz\"; printf 'Pulled: r/net\\nDigest: {manifest}\\n' {says}\n",
        folder.path().display()
    );
    std::fs::write(folder.path().join("script"), script).expect("written");
    let made = std::process::Command::new("sh")
        .args(["-c", "cp script helm && chmod 755 helm"])
        .current_dir(folder.path())
        .status();
    assert!(made.expect("sh runs").success());
    let program = folder.path().join("helm").display().to_string();
    let path = std::env::var("PATH").expect("a PATH");
    let environment = crate::io::helm::Environment::of([("HELM_BIN", program), ("PATH", path)]);
    let helm = Helm::find(&environment).await.expect("found");
    (folder, helm)
}

#[tokio::test]
async fn a_registrys_tags_may_have_a_v_and_its_digest_is_the_manifests() {
    let manifest = format!("sha256:{}", "b".repeat(64));
    // Helm 4 writes to the one, helm 3 to the other.
    for says in ["", ">&2"] {
        let (_folder, helm) = registry(&manifest, says).await;
        let charts = Charts::new(Some(&helm)).expect("a folder");
        let fetch = async |named: &str, version| {
            charts
                .fetch(&ChartSource::chart(named).expect("a source"), Some(version))
                .await
        };
        let plain = fetch("oci://r/net", "1.2.3").await.expect("fetched");
        assert_eq!(plain.chart.version, "v1.2.3");
        let bytes = plain.chart.digest;
        for pinned in [&manifest, &bytes] {
            assert!(
                fetch(&format!("oci://r/net@{pinned}"), "v1.2.3").await.is_ok(),
                "{pinned}"
            );
        }
        let wrong = format!("oci://r/net@sha256:{}", "c".repeat(64));
        let error = fetch(&wrong, "v1.2.3").await.expect_err("another");
        assert!(matches!(error, ChartError::Digest { .. }), "{error}");
        let error = fetch("oci://r/net", "9.9.9").await.expect_err("no such tag");
        assert!(
            matches!(&error, ChartError::Registry { error, .. } if error.cause() == Some(&Cause::ChartNotFound)),
            "{error}"
        );
    }
}
