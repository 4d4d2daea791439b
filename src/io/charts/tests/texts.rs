//! Manifests and files of values: texts of the user's that become a chart, or go into one.

use serde_json::json;

use super::*;

const MANIFEST: &str = "\
# Not a template: {{ .Values.nothing }}
apiVersion: v1
kind: Namespace
metadata: {name: net}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: c, namespace: net}
data:
  text: |
    {{ printf \"%s\" }}
    --- not a separator
";
const CRD: &str =
    "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: a.b}\n";

fn wrapped(text: &str) -> Result<(Fetched, Files), ChartError> {
    let fetched = charts().wrap_manifest("Kube-Net.YML", "net.yml", text)?;
    let files = archive::unpack(&fetched.archive).expect("an archive");
    Ok((fetched, files))
}

fn text_of<'f>(files: &'f Files, path: &str) -> &'f str {
    std::str::from_utf8(&files[path]).expect("text")
}

#[test]
fn a_manifest_becomes_a_chart_and_stays_as_it_is() {
    let (fetched, files) = wrapped(MANIFEST).expect("wrapped");
    assert_eq!(text_of(&files, "files/manifest.yaml"), MANIFEST);
    assert_eq!(fetched.chart.name, "kube-net-yml");
    assert!(
        fetched.chart.version.starts_with("0.0.0-sha256-"),
        "{}",
        fetched.chart.version
    );
    assert_eq!(fetched.chart.source, "net.yml");
    assert!(fetched.chart.crds.is_empty() && fetched.chart.schema.is_none());
    let (again, _) = wrapped(MANIFEST).expect("wrapped");
    assert_eq!(again.archive, fetched.archive);
    let (other, _) = wrapped(&MANIFEST.replace("name: c", "name: d")).expect("wrapped");
    assert_ne!(other.chart.version, fetched.chart.version);
    for odd in ["", "---", "ünï"] {
        let fetched = charts().wrap_manifest(odd, "x", MANIFEST).expect("wrapped");
        assert!(
            fetched
                .chart
                .name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-'),
            "{odd}"
        );
    }
}

#[test]
fn definitions_go_first_wherever_they_stand() {
    for text in [
        format!("{CRD}---\n{MANIFEST}"),
        format!("{MANIFEST}---\n{CRD}"),
        format!("--- # x\n{CRD}--- \n{MANIFEST}"),
    ] {
        let (fetched, files) = wrapped(&text).expect("wrapped");
        assert_eq!(fetched.chart.crds.len(), 1, "{text}");
        assert!(text_of(&files, "crds/manifest.yaml").contains("a.b"));
        let rest = text_of(&files, "files/manifest.yaml");
        assert!(!rest.contains("a.b") && rest.contains("{{ printf"), "{rest}");
        let kinds: Vec<String> = crate::core::manifest::objects(crate::yaml::documents(rest).expect("YAML"))
            .into_iter()
            .map(|object| object.kind)
            .collect();
        assert_eq!(kinds, ["Namespace", "ConfigMap"]);
    }
    // From a List, the one from the other; a List without any stays whole.
    let item = "{apiVersion: v1, kind: ConfigMap, metadata: {name: c}}";
    let crd = "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: a.b}}";
    let list = |items: &str| format!("apiVersion: v1\nkind: List\nitems: [{items}]\n");
    let (_, files) = wrapped(&list(&format!("{item}, {crd}"))).expect("wrapped");
    assert!(text_of(&files, "crds/manifest.yaml").contains("a.b"));
    assert!(!text_of(&files, "files/manifest.yaml").contains("List"));
    let (_, files) = wrapped(&list(item)).expect("wrapped");
    assert!(text_of(&files, "files/manifest.yaml").contains("kind: List"));
}

#[test]
fn what_is_no_manifest_names_its_document() {
    for (text, wanted) in [
        ("", "it holds no object"),
        ("---\n# nothing\n---\n", "it holds no object"),
        ("<html>", "document 1: it has no apiVersion"),
        ("a: [b", "document 1: "),
        ("{}", "document 1: it has no apiVersion"),
        (
            "apiVersion: v1\nkind: X\nmetadata: {generateName: x-}\n",
            "document 1: it has no",
        ),
        (
            "apiVersion: v1\nkind: List\nitems: [{a: b}]\n",
            "document 1: it has no",
        ),
    ] {
        let error = wrapped(text).expect_err(wanted).to_string();
        assert!(error.contains(wanted), "{wanted}: {error}");
    }
    let error = wrapped(&format!("{MANIFEST}---\na: b\n"))
        .expect_err("the third")
        .to_string();
    assert!(error.contains("document 3: "), "{error}");
}

#[test]
fn manifests_are_read_from_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("My Net.v2.yaml");
    std::fs::write(&path, MANIFEST).expect("written");
    let named = path.display().to_string();
    let found = ManifestSource::find(&named).expect("a file");
    assert_eq!(found.text().map(String::as_str), Some(MANIFEST));
    assert_eq!(
        (found.name().as_str(), found.shown()),
        ("my-net-v2", named.clone())
    );
    let digest = digest_of(MANIFEST.as_bytes());
    assert!(ManifestSource::find(&format!("{named}@{digest}")).is_ok());
    let other = ManifestSource::find(&format!("{named}@sha256:{}", "0".repeat(64)));
    assert!(matches!(other, Err(ChartError::Digest { .. })), "{other:?}");
    std::fs::write(&path, [0xff, 0xfe]).expect("written");
    assert!(matches!(
        ManifestSource::find(&named),
        Err(ChartError::Manifest { .. })
    ));
    std::fs::write(&path, vec![b'#'; 5 * 1024 * 1024 + 1]).expect("written");
    let error = ManifestSource::find(&named).expect_err("too large").to_string();
    assert!(error.ends_with("it is larger than 5 MiB"), "{error}");
    assert!(matches!(
        ManifestSource::find("nowhere.yaml"),
        Err(ChartError::Unreadable { .. })
    ));
}

#[test]
fn manifests_are_named_by_url() {
    let named = |url: &str| ManifestSource::find(url).map(|found| (found.name(), found.shown()));
    for (url, name, shown) in [
        ("https://h/a/Kube-Net.yml", "kube-net", "https://h/a/Kube-Net.yml"),
        // A signature stays where it is.
        ("https://h/net.yaml?sig=secret", "net", "https://h/net.yaml?…"),
        ("https://h/net.yaml?for=a/b", "net", "https://h/net.yaml?…"),
        ("https://h/%20", "20", "https://h/%20"),
        ("https://h/__", "cni", "https://h/__"),
    ] {
        assert_eq!(named(url), Ok((name.into(), shown.into())));
    }
    for (url, why, hint) in [
        ("https://", "it names no host", "--manifest FILE|URL"),
        ("https://h", "it names no file", "--manifest FILE|URL"),
        ("https://h/a/?b", "it names no file", "--manifest FILE|URL"),
        (
            "https://me:hunter2@h/net.yaml",
            "it holds a login",
            "--manifest FILE|URL",
        ),
        (
            "ftp://h/net.yaml",
            "it is neither a file nor an https:// URL",
            "--manifest FILE|URL",
        ),
        (
            "oci://h/net",
            "it is neither a file nor an https:// URL",
            "--manifest FILE|URL",
        ),
        (
            "https://h/net.yaml@sha256:12",
            "is no digest of 64",
            "sha256sum FILE",
        ),
        ("-", "standard input", "--manifest FILE"),
    ] {
        let error = named(url).expect_err(url);
        let text = format!("{error} | {}", error.hint().unwrap_or_default());
        assert!(text.contains(why) && text.contains(hint), "{url}: {text}");
        assert!(
            !text.contains("--chart") && !text.contains("hunter2"),
            "{url}: {text}"
        );
    }
}

/// Without helm there is nothing that could fetch it, and the way round is one for manifests.
#[tokio::test]
async fn a_url_wants_helm() {
    let source = ManifestSource::find("https://h/net.yaml").expect("a URL");
    let error = charts().manifest(&source).await.expect_err("no helm");
    let hint = error.hint().unwrap_or_default();
    assert!(matches!(error, ChartError::NeedsHelm { .. }), "{error}");
    assert!(
        hint.ends_with("download the manifest elsewhere and name the file: --manifest FILE"),
        "{hint}"
    );
}

/// What the file's values are, or what is wrong with them.
fn values(text: &str) -> Result<serde_json::Value, String> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("v.yaml");
    std::fs::write(&path, text).expect("written");
    let shown = path.display().to_string();
    read_values(&[path])
        .map(|mut all| all.remove(0))
        .map_err(|e| format!("{e} | {}", e.hint().unwrap_or_default()).replace(&shown, "FILE"))
}

#[test]
fn values_are_read_as_helm_reads_them() {
    assert_eq!(
        values("a: {b: 1}\n80: x\n"),
        Ok(json!({"a": {"b": 1}, "80": "x"}))
    );
    assert_eq!(values(""), Ok(json!({})));
    assert_eq!(values("# nothing\n---\n"), Ok(json!({})));
    assert_eq!(values("\u{feff}a: 1\n"), Ok(json!({"a": 1})));
    assert_eq!(values("{\"a\": true}"), Ok(json!({"a": true})));
    // Text, for every reader.
    let plain =
        "a: \"no\"\nb: 'on'\nc: |\n  yes\nd: nope\ne: yEs\nf: 08\ng: v1_0\nh: 10.0.0.0/8\ni: '0777'\n";
    assert!(values(plain).is_ok(), "{:?}", values(plain));
}

#[test]
fn words_that_helm_reads_differently_are_refused_with_their_line() {
    for (text, line, word, meaning) in [
        ("x: 1\na: no\n", 2, "no", "false"),
        ("a:\n- Yes # really\n", 2, "Yes", "true"),
        ("a: [x, OFF]\n", 1, "OFF", "false"),
        ("a: {b: y}\n", 1, "y", "true"),
        ("mode: 0777\n", 1, "0777", "511"),
        ("n: 1_000\n", 1, "1_000", "1000"),
    ] {
        let error = values(text).expect_err(word);
        let wanted = format!(
            "the values in FILE cannot be used: line {line}: {word} without quotes is {meaning} for helm and text for \
             others | write {meaning}, or \"{word}\" for the text"
        );
        assert_eq!(error, wanted);
    }
}

#[test]
fn what_are_no_values_is_refused() {
    for (text, wanted) in [
        ("a: [b\n", "FILE cannot be used: it is not YAML: "),
        ("- a\n", "it is a list, not a map"),
        ("hello\n", "it is text, not a map"),
        ("3\n", "it is a single value, not a map"),
        ("a: 1\n---\nb: 2\n", "it holds 2 documents"),
        ("a: 1\na: 2\n", "it is not YAML: "),
    ] {
        let error = values(text).expect_err(wanted);
        assert!(error.contains(wanted), "{wanted}: {error}");
    }
    assert!(values("a: 1\nb: [\n").expect_err("broken").contains("line "));
    for (path, wanted) in [
        ("-", "standard input"),
        ("https://h/v.yaml", "curl -fLO https://h/v.yaml"),
    ] {
        let error = read_values(&[path.into()]).expect_err(path);
        let text = format!("{error} {}", error.hint().unwrap_or_default());
        assert!(text.contains(wanted), "{text}");
    }
    assert!(matches!(
        read_values(&["nowhere".into()]),
        Err(ChartError::Unreadable { .. })
    ));
}
