//! `status --from`: captures of real clusters, and files that are none.

use std::fs;

use super::run::{Run, byocni, example, shot};

#[test]
fn the_examples_in_every_format() {
    for name in ["fresh-byocni", "cilium-healthy", "cilium-image-pull"] {
        for format in ["table", "json", "name", "markdown"] {
            let run = byocni("status --from")
                .arg(format!("{name}.yaml"))
                .arg("-o")
                .arg(format);
            shot!(
                format!("{name}_{format}"),
                run.example(&format!("{name}.yaml")).end()
            );
        }
        let run = byocni("status --summary --from").arg(format!("{name}.yaml"));
        shot!(
            format!("{name}_summary"),
            run.example(&format!("{name}.yaml")).end()
        );
    }
}

fn broken(name: &str, text: impl AsRef<[u8]>) -> Run {
    byocni("status --from").arg(name).file(name, text)
}

#[test]
fn files_that_cannot_be_used() {
    let whole = fs::read_to_string(example("fresh-byocni.yaml")).expect("an example");
    shot!("file_missing", byocni("status --from nowhere.yaml").end());
    shot!("file_folder", byocni("status --from .").end());
    shot!(
        "file_other",
        broken("compose.yaml", "services:\n  web:\n    image: nginx\n").end()
    );
    shot!("file_text", broken("notes.txt", "buy milk\n").end());
    shot!(
        "file_html",
        broken("page.html", "<html><body>log in</body></html>\n").end()
    );
    shot!(
        "file_cut_yaml",
        broken("cut.yaml", &whole[..whole.len() / 2]).end()
    );
    shot!(
        "file_cut_quote",
        broken("cut.yaml", "apiVersion: v1\nkind: List\nitems:\n- kind: \"No").end()
    );
    shot!(
        "file_cut_json",
        broken("cut.json", r#"{"kind": "List", "apiVersion": "v1", "items": [{"#).end()
    );
    shot!(
        "file_empty_list",
        broken("none.yaml", "apiVersion: v1\nkind: List\nitems: []\n").end()
    );
    shot!("file_empty", broken("empty.yaml", "").end());
    shot!(
        "file_binary",
        broken("kubectl", b"\x7fELF\x02\x01\x01\0\xff\xfe").end()
    );
    shot!(
        "file_wrong_shape",
        broken("node.yaml", "apiVersion: v1\nkind: Node\nmetadata: {name: [1]}\n").end()
    );
    let run = byocni("status --from fresh-byocni.yaml --from other.yaml").example("fresh-byocni.yaml");
    shot!("file_second", run.file("other.yaml", "a: 1\n").end());
}

/// What is not in the file is not known, and never passed.
#[test]
fn a_file_without_nodes_is_unknown() {
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: b}\n";
    let ended = broken("pod.yaml", pod).end();
    assert_eq!(ended.code, Some(5), "{}", ended.stdout);
    assert!(ended.stdout.contains("UNKNOWN"), "{}", ended.stdout);
}

#[test]
fn standard_input_and_several_files_are_one_capture() {
    let text = fs::read_to_string(example("cilium-image-pull.yaml")).expect("an example");
    let from_file = byocni("status --from x.yaml").file("x.yaml", &text).end();
    let from_stdin = byocni("status --from -").stdin(text.clone()).end();
    assert_eq!((from_file.code, &from_file.stdout), (Some(3), &from_stdin.stdout));

    // The same objects as two multi-document files, without our header.
    let list: serde_json::Value = kubectl_byocni::yaml::documents(&text)
        .expect("YAML")
        .into_iter()
        .next()
        .expect("a document");
    let items = list["items"].as_array().expect("items")[1..].to_vec();
    let documents = |items: &[serde_json::Value]| {
        let texts = items
            .iter()
            .map(|item| kubectl_byocni::yaml::to_string(item).expect("YAML"));
        texts.collect::<Vec<_>>().join("---\n")
    };
    let (some, others) = items.split_at(items.len() / 2);
    let run = byocni("status -o json --from a.yaml --from b.yaml");
    let apart = run
        .file("a.yaml", documents(some))
        .file("b.yaml", documents(others))
        .end();
    let whole = byocni("status -o json --from -").stdin(documents(&items)).end();
    assert_eq!(apart.stdout, whole.stdout);
    assert_eq!(apart.code, Some(3));
    // The same again as JSON.
    let json = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string();
    assert_eq!(
        byocni("status -o json --from -").stdin(json).end().stdout,
        whole.stdout
    );
}

#[test]
fn rows_are_selected_and_findings_are_not() {
    let json = |arguments: &str| -> serde_json::Value {
        let run = byocni("status -o json --from fresh-byocni.yaml").arg_words(arguments);
        let ended = run.example("fresh-byocni.yaml").end();
        assert_eq!(ended.code, Some(3), "{}", ended.stderr);
        serde_json::from_str(&ended.stdout).expect("JSON")
    };
    let (all, some) = (json(""), json("-l kubernetes.io/hostname=node-2"));
    assert_eq!(all["findings"], some["findings"]);
    assert_eq!(all["nodes"]["total"], some["nodes"]["total"]);
    let names = |report: &serde_json::Value| -> Vec<String> {
        let items = report["nodes"]["items"].as_array().into_iter().flatten();
        items.map(|node| node["name"].to_string()).collect()
    };
    assert_eq!(names(&all), ["\"node-1\"", "\"node-2\""]);
    assert_eq!(names(&some), ["\"node-2\""]);
}

#[test]
fn what_counts_as_unhealthy() {
    let code = |arguments: &str, name: &str| byocni(arguments).arg(name).example(name).end().code;
    assert_eq!(
        code("status --fail-on never --from", "fresh-byocni.yaml"),
        Some(0)
    );
    assert_eq!(
        code("status --fail-on error --from", "fresh-byocni.yaml"),
        Some(3)
    );
    assert_eq!(
        code("status --fail-on error --from", "cilium-healthy.yaml"),
        Some(0)
    );
    assert_eq!(
        code("status --fail-on warning --from", "cilium-healthy.yaml"),
        Some(0)
    );
    let reserved = "status --reserved-cidr 10.244.3.0/24 --from";
    assert_eq!(code(reserved, "cilium-healthy.yaml"), Some(3));
    assert_eq!(
        code(
            "status --reserved-cidr 172.16.0.0/12,fd00::/8 --from",
            "cilium-healthy.yaml"
        ),
        Some(0)
    );
}

#[test]
fn reserved_networks() {
    let name = "cilium-healthy.yaml";
    let run = byocni("status -o name --reserved-cidr 10.244.3.0/24 --from").arg(name);
    shot!("reserved", run.example(name).end());
    let run = byocni("status --reserved-cidr 10.244.3.0/33 --from").arg(name);
    shot!("reserved_wrong", run.example(name).end());
}

/// Text from the cluster is anybody's.
#[test]
fn hostile_text_reaches_no_terminal() {
    let name = "a\\u001b[2J\\u202eb";
    let node = |extra: &str| {
        format!(
            r#"{{"apiVersion":"v1","kind":"Node","metadata":{{"name":"{name}","annotations":{{"a":"{extra}"}}}},"status":{{"conditions":[{{"type":"Ready","status":"False","reason":"KubeletNotReady","message":"{name}\u0007\u009b31m"}}]}}}}"#
        )
    };
    for format in ["table", "wide", "json", "yaml", "markdown", "name"] {
        let run = byocni("status --from - -o").arg(format).stdin(node("x"));
        let ended = run.end();
        let bad = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!ended.stdout.contains(bad), "{format}: {:?}", ended.stdout);
        assert!(!ended.stdout.contains("\\u001b"), "{format}: {}", ended.stdout);
    }
    let ended = byocni("status --from -")
        .stdin(node(&"x".repeat(10_000_000)))
        .end();
    assert!(
        ended.code.is_some() && ended.stdout.len() < 10_000,
        "{:?} {}",
        ended.code,
        ended.stdout.len()
    );
}

/// A file that does not hold what a CNI is found by says nothing of one: no change is planned from it, and none is
/// said to be impossible.
#[test]
fn an_upgrade_of_what_was_not_read() {
    let nodes =
        "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Node, metadata: {name: node-1}}\n";
    let run = byocni("upgrade --to 1.20 --dry-run=client --from nodes.yaml").file("nodes.yaml", nodes);
    shot!("upgrade_unread", run.env("PATH", "/nowhere").end());
}
