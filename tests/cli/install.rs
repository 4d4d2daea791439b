//! `install`, `resume` and `abort` with what they cannot work with: each is refused in words, with its exit code, before
//! anything is written. What cannot be tried without a cluster is in `tests/install_control_plane`.

use std::io::Write;

use super::{
    programs::{helm, required_or_skip},
    run::{Ended, Run, byocni, shot},
    server::{Behaviour, serve},
};

const CHART: &str = "apiVersion: v2\nname: my-net\nversion: 1.2.3\nappVersion: \"1.2\"\n";

/// An agent of nobody's that is known.
const AGENT: &str = "apiVersion: apps/v1
kind: DaemonSet
metadata: {name: my-net, namespace: kube-system}
spec:
  selector: {matchLabels: {app: my-net}}
  template:
    metadata: {labels: {app: my-net}}
    spec:
      hostNetwork: true
      containers: [{name: agent, image: 'registry.example/my-net:1.2'}]
";

/// `install --chart ./chart --dry-run=client --from fresh-aks.yaml`, with a small chart that is well.
fn plan(more: &str) -> Run {
    byocni("install --dry-run=client --from fresh-aks.yaml")
        .arg_words(more)
        .example("fresh-aks.yaml")
        .file("chart/Chart.yaml", CHART)
        .file("chart/values.yaml", "image: a\nlevel: info\n")
        .file("chart/templates/agent.yaml", AGENT)
}

/// A helm that says that it is `version`, notes every call, and renders by `template`.
#[cfg(unix)]
fn fake(run: Run, version: &str, template: &str) -> Run {
    let text = format!(
        "echo \"$@\" >> \"$HOME/calls\"\ncase \"$1\" in\nversion) {version};;\ntemplate) {template};;\n*) echo 'Error: no' >&2; exit 1;;\nesac\n"
    );
    run.script("helm", &text)
        .env("HELM_BIN", "./helm")
        .env("PATH", "/usr/bin:/bin")
}

const GOOD: &str = "printf v4.1.3";

#[cfg(unix)]
fn calls(ended: &Ended, command: &str) -> usize {
    let calls = ended.left("calls").unwrap_or_default();
    calls.lines().filter(|l| l.starts_with(command)).count()
}

#[test]
fn help() {
    shot!("help_install", byocni("install --help").end());
    shot!("help_resume", byocni("resume --help").end());
    shot!("help_abort", byocni("abort --help").end());
}

/// Wrong usage: exit 2, standard output empty, and what to do.
#[test]
fn command_lines_that_mean_nothing() {
    for (name, arguments) in [
        ("install_nothing", "install"),
        ("install_unknown", "install ciliun"),
        ("install_far", "install nothing-like-it"),
        ("install_known_not_how", "install weave"),
        ("install_cidr", "install cilium --pod-cidr 10.300.0.0/16"),
        ("install_from_live", "install cilium --from fresh-aks.yaml"),
        (
            "install_from_server",
            "install cilium --dry-run=server --from fresh-aks.yaml",
        ),
        ("install_both", "install --chart ./a --manifest b.yaml"),
        ("install_set", "install cilium --set rubbish"),
        ("install_set_json", "install cilium --set-json a={b"),
        ("install_timeout", "install cilium --timeout soon"),
        ("install_chart_nowhere", "install cilium --chart ./nowhere.tgz"),
        ("install_values_missing", "install cilium -f nowhere.yaml"),
        ("install_values_list", "install cilium -f list.yaml"),
        ("install_values_broken", "install cilium -f broken.yaml"),
        ("install_manifest_missing", "install --manifest nowhere.yaml"),
        ("resume_flag", "resume --uninstall"),
        ("abort_flag", "abort --version 1.19.6"),
    ] {
        let run = byocni(arguments)
            .example("fresh-aks.yaml")
            .file("list.yaml", "- a\n")
            .file("broken.yaml", "a: b: c\n");
        let ended = run.end();
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (Some(2), ""),
            "{}",
            ended.said()
        );
        shot!(name, ended);
    }
}

/// Without a cluster nothing can be changed, resumed or aborted.
#[test]
fn no_cluster() {
    for verb in ["install cilium --yes", "resume --yes", "abort --yes"] {
        let ended = byocni(verb).env("PATH", "/nowhere").end();
        assert_eq!(ended.code, Some(1), "{}", ended.said());
        assert!(ended.stderr.contains("kubeconfig"), "{}", ended.said());
    }
}

fn refused(run: Run, slug: &str, words: &[&str]) -> Ended {
    let ended = run.end();
    assert_eq!(ended.code, Some(4), "{}", ended.said());
    assert!(ended.stdout.contains("REFUSED"), "{}", ended.said());
    assert!(ended.stdout.contains(slug), "{}", ended.said());
    let flat = ended.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in words {
        assert!(flat.contains(words), "{words:?} is not in {}", ended.said());
    }
    ended
}

/// A tar in gzip of these paths; one without a text is a symbolic link to /etc/passwd.
fn packed(files: &[(&str, Option<&str>)]) -> Vec<u8> {
    let gzip = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
    let mut tar = tar::Builder::new(gzip);
    for (path, text) in files {
        let mut header = tar::Header::new_gnu();
        // The library would not write a path that leads outside.
        let name = &mut header.as_gnu_mut().expect("a header of GNU's").name;
        name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_mode(0o644);
        match text {
            Some(text) => {
                header.set_size(text.len() as u64);
                header.set_cksum();
                tar.append(&header, text.as_bytes()).expect("a file");
            }
            None => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_link_name("/etc/passwd").expect("a link");
                header.set_size(0);
                header.set_cksum();
                tar.append(&header, std::io::empty()).expect("a link");
            }
        }
    }
    let mut gzip = tar.into_inner().expect("a tar");
    gzip.flush().expect("written");
    gzip.finish().expect("a gzip")
}

/// Scenario 43: what is no chart, leads out of its folder, or has another digest is refused before helm sees it.
#[cfg(unix)]
#[test]
fn scenario_43_charts_that_cannot_be_trusted_never_reach_helm() {
    let well = [
        ("net/Chart.yaml", Some(CHART)),
        ("net/templates/a.yaml", Some(AGENT)),
    ];
    let wrong = "0".repeat(64);
    let with = |more: (&'static str, Option<&'static str>)| [&well[..], &[more]].concat();
    for (name, bytes, argument, words) in [
        ("text", b"hello\n".to_vec(), "./a.tgz", "not packed with gzip"),
        ("empty", vec![], "./a.tgz", "no chart"),
        (
            "cut",
            packed(&well)[..60].to_vec(),
            "./a.tgz",
            "no chart that can be installed",
        ),
        ("no Chart.yaml", packed(&well[1..]), "./a.tgz", "Chart.yaml"),
        (
            "traversal",
            packed(&with(("net/../../evil.yaml", Some("a")))),
            "./a.tgz",
            "no chart that can be installed",
        ),
        (
            "absolute",
            packed(&with(("/etc/evil.yaml", Some("a")))),
            "./a.tgz",
            "no chart that can be installed",
        ),
        (
            "symlink",
            packed(&with(("net/templates/b.yaml", None))),
            "./a.tgz",
            "no chart that can be installed",
        ),
        (
            "digest",
            packed(&well),
            &format!("./a.tgz@sha256:{wrong}"),
            "has the digest",
        ),
    ] {
        let run = plan("--chart").arg(argument).file("a.tgz", bytes);
        let ended = refused(fake(run, GOOD, "echo 'a: 1'"), "chart-unusable", &[words]);
        assert_eq!(calls(&ended, "template"), 0, "{name}: {}", ended.said());
        assert!(!ended.stdout.contains("root:"), "{name}");
    }
    // The same archive with its own digest is taken.
    let run = plan("--chart ./a.tgz").file("a.tgz", packed(&well));
    let ended = fake(run, GOOD, "cat \"$HOME/chart/templates/agent.yaml\"").end();
    assert_eq!(ended.code, Some(0), "{}", ended.said());
    assert_eq!(calls(&ended, "template"), 1);
}

/// Chart sources that do not answer, or answer something else.
#[cfg(unix)]
#[test]
fn chart_sources_that_cannot_be_used() {
    let page = serve(Behaviour::Answers("200 OK", "<html>log in</html>".into()));
    let gone = serve(Behaviour::Answers("404 Not Found", "no".into()));
    for source in ["http://127.0.0.1:1/charts".to_string(), page, gone] {
        for flag in ["--repo", "--chart"] {
            let url = match flag {
                "--repo" => source.clone(),
                _ => format!("{source}/cilium-1.19.6.tgz"),
            };
            let run = byocni("install cilium --dry-run=client --from fresh-aks.yaml")
                .arg_words(flag)
                .arg(url)
                .example("fresh-aks.yaml");
            // Without helm there is no way to them at all.
            let ended = run.env("PATH", "/nowhere").end();
            assert_eq!(ended.code, Some(4), "{}", ended.said());
            assert!(ended.stdout.contains("helm-missing"), "{}", ended.said());
        }
    }
}

/// The same with helm itself: refused with what is wrong, whatever is fetched; a manifest that is there is planned.
#[test]
fn sources_that_cannot_be_used_are_told_with_helm() {
    let text = "apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: net, namespace: kube-system}\nspec:\n  \
                selector: {matchLabels: {app: net}}\n  template:\n    metadata: {labels: {app: net}}\n    spec: \
                {containers: [{name: cni, image: registry.example/net:1}]}\n";
    let there = serve(Behaviour::Answers("200 OK", text.into()));
    let page = serve(Behaviour::Answers("200 OK", "<html>log in</html>".into()));
    let gone = serve(Behaviour::Answers("404 Not Found", "no".into()));
    let nobody = "http://127.0.0.1:1".to_string();
    for major in [3, 4] {
        let Some(helm) = required_or_skip("control-plane", helm(major)) else {
            continue;
        };
        let run = |words: &str, flag: &str, url: String| {
            byocni(&format!(
                "install {words} --dry-run=client --from fresh-aks.yaml {flag}"
            ))
            .arg(url)
            .example("fresh-aks.yaml")
            .env("HELM_BIN", &helm.display().to_string())
            .end()
        };
        for (source, words) in [(&nobody, "refused"), (&page, ""), (&gone, "404")] {
            for (cni, flag, file) in [
                ("cilium", "--repo", ""),
                ("cilium", "--chart", "/cilium-1.19.6.tgz"),
                ("", "--manifest", "/net.yaml"),
            ] {
                let ended = run(cni, flag, format!("{source}{file}"));
                assert_eq!(ended.code, Some(4), "{}", ended.said());
                let flat = ended.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
                assert!(
                    flat.contains("chart-unusable") && flat.contains(words),
                    "{}",
                    ended.said()
                );
                // Helm takes any file for one: that it is none is told by us.
                let browsers = flag == "--manifest" && *source == page;
                assert!(
                    !browsers || flat.contains("a page for browsers"),
                    "{}",
                    ended.said()
                );
                let from = format!("from {source}{file}: not to be had");
                assert!(flat.contains(&from), "{}", ended.said());
            }
        }
        let ended = run("", "--manifest", format!("{there}/Small%20net.yaml?sig=hunter2"));
        assert_eq!(ended.code, Some(0), "{}", ended.said());
        assert!(!ended.said().contains("hunter2"), "{}", ended.said());
        assert!(ended.stdout.contains("small-20net"), "{}", ended.said());
        assert!(ended.stdout.contains("1 DaemonSet"), "{}", ended.said());
    }
}

/// Helms that are none, too old, too new, or that hang, lie, fail or print rubbish while rendering.
#[cfg(unix)]
#[test]
fn helms_that_cannot_be_used() {
    let agent = "cat \"$HOME/chart/templates/agent.yaml\"";
    // Offline the plan is made without it, and says so.
    for (version, words) in [
        ("printf v3.10.0", "helm 3.10.0 is too old"),
        ("printf v9.0.0", "helm 9.0.0 is not known"),
        ("printf 'I am no helm'", "does not behave like helm"),
        ("printf '\\033]0;evil\\007'", "does not behave like helm"),
        ("kill -9 $$", "does not behave like helm"),
        ("exit 3", "does not behave like helm"),
    ] {
        let ended = fake(plan("--chart ./chart"), version, agent).end();
        assert_eq!(ended.code, Some(0), "{version}: {}", ended.said());
        let flat = ended.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            flat.contains("not checked") && flat.contains(words),
            "{version}: {}",
            ended.said()
        );
        assert!(!ended.stdout.contains(['\x1b', '\x07']), "{}", ended.said());
        assert_eq!(calls(&ended, "template"), 0);
    }
    // What it renders is judged, not believed.
    for (template, slug, words) in [
        (
            "echo 'Error: template: my-net/templates/a.yaml:1: boom' >&2; exit 1",
            "chart-unusable",
            "boom",
        ),
        ("printf 'a: b: c\\n'", "chart-unusable", "no YAML"),
        ("printf '\\377\\376\\n'", "chart-unusable", ""),
        ("true", "chart-unusable", "nothing"),
        ("echo 'hello world'", "chart-unusable", "nothing"),
    ] {
        refused(fake(plan("--chart ./chart"), GOOD, template), slug, &[words]);
    }
    let ended = fake(plan("--chart ./chart"), GOOD, agent).end();
    assert_eq!(ended.code, Some(0), "{}", ended.said());
    assert!(ended.stdout.contains("1 DaemonSet"), "{}", ended.said());
}

/// A helm that never answers is given up after its limit.
#[cfg(unix)]
#[test]
fn a_helm_that_hangs_is_given_up() {
    let ended = fake(plan("--chart ./chart"), "exec sleep 300", "true").end();
    assert_eq!(ended.code, Some(0), "{}", ended.said());
    assert!(ended.stdout.contains("within 10 s"), "{}", ended.said());
}

/// Whether a text holds what a terminal would act on, beside the end of a line.
fn acts(text: &str) -> Option<char> {
    text.chars().find(|c| {
        matches!(u32::from(*c), 0x00..=0x09 | 0x0b..=0x1f | 0x7f..=0x9f | 0x200b..=0x200f | 0x202a..=0x202e | 0x2066..=0x2069)
    })
}

const PAYLOAD: &str = "\x1b]0;owned\x07\r\x1b[2J\u{9b}31m\u{202e}txt\u{2066}\u{200b}\x00\x7f";

/// Scenario 40, as far as plans go: names, labels, images, a chart's words and helm's own never reach the terminal as
/// anything but text.
#[cfg(unix)]
#[test]
fn scenario_40_no_text_from_outside_acts_on_the_terminal() {
    // As every reader of YAML takes it.
    let escaped: String = PAYLOAD
        .chars()
        .map(|c| format!("\\u{:04x}", u32::from(c)))
        .collect();
    let quoted = format!("\"{escaped}\"");
    let agent = format!(
        "{{\"apiVersion\": \"apps/v1\", \"kind\": \"DaemonSet\", \"metadata\": {{\"name\": {quoted}, \"namespace\": {quoted}}}, \
         \"spec\": {{\"selector\": {{}}, \"template\": {{\"spec\": {{\"containers\": [{{\"name\": \"a\", \"image\": {quoted}}}]}}}}}}}}"
    );
    let capture = std::fs::read_to_string(super::run::example("fresh-aks.yaml")).expect("an example");
    let node = format!(
        "- apiVersion: v1\n  kind: Node\n  metadata: {{name: {quoted}, labels: {{kubernetes.io/os: linux, pool: {quoted}}}}}\n  status: {{conditions: [{{type: Ready, status: \"False\", reason: {quoted}, message: {quoted}}}]}}\n"
    );
    let capture = capture.replacen("kind: List\n", &format!("{node}kind: List\n"), 1);
    assert!(capture.contains(&escaped));
    for format in ["table", "wide", "json", "yaml", "markdown", "name"] {
        for template in [
            "cat \"$HOME/agent.json\"",
            "cat \"$HOME/payload\" >&2; cat \"$HOME/payload\"; exit 1",
        ] {
            let run = byocni("install --dry-run=client --from evil.yaml --chart ./chart -v -o")
                .arg(format)
                .arg("--set-json")
                .arg(format!("level={quoted}"))
                .file("evil.yaml", &capture)
                .file("agent.json", &agent)
                .file("payload", format!("Error: {PAYLOAD}\n"))
                .file(
                    "chart/Chart.yaml",
                    format!("apiVersion: v2\nname: my-net\nversion: 1.2.3\nappVersion: {quoted}\n"),
                )
                .file("chart/values.yaml", format!("level: {quoted}\n"))
                .file("chart/templates/agent.yaml", AGENT);
            let ended = fake(run, GOOD, template).end();
            assert!(matches!(ended.code, Some(0 | 4)), "{}", ended.said());
            for text in [&ended.stdout, &ended.stderr] {
                assert_eq!(acts(text), None, "{format}: {text:?}");
            }
            if format == "json" {
                serde_json::from_str::<serde_json::Value>(&ended.stdout).expect("JSON");
            }
        }
    }
}

/// Scenario 41, as far as plans go: what is given as a value is in no output and in no process's arguments; neither as
/// it is, nor in base64.
#[cfg(unix)]
#[test]
fn scenario_41_values_of_the_users_are_not_shown() {
    use base64::Engine as _;
    let canaries = [
        "canary-file-7Q",
        "canary-set-8R",
        "canary-json-9S",
        "canary-text-0T",
    ];
    let encoded = canaries.map(|c| base64::engine::general_purpose::STANDARD.encode(c));
    let agent = "cat \"$HOME/chart/templates/agent.yaml\"";
    // A helm that shows what it was given: its words are not passed on either.
    let telltale = "for a in \"$@\"; do case $a in --values=*) cat \"${a#--values=}\" >&2;; esac; done; \
                    echo \"Error: template: a: $(printenv CANARY)\" >&2; exit 1";
    for format in ["table", "wide", "json", "yaml", "markdown", "name"] {
        for template in [agent, telltale] {
            let run = plan("--chart ./chart -f values.yaml -v -o")
                .arg(format)
                .arg_words("--set set=canary-set-8R --set-json json={\"a\":[\"canary-json-9S\"]}")
                .arg_words("--set-string level=canary-text-0T")
                .file("values.yaml", "password: canary-file-7Q\nimage: canary-file-7Q\n")
                .file(
                    "chart/values.yaml",
                    "image: a\nlevel: info\nset: a\njson: {}\npassword: ''\n",
                );
            let ended = fake(run, GOOD, template).end();
            assert!(matches!(ended.code, Some(0 | 4)), "{}", ended.said());
            let arguments = ended.left("calls").expect("helm was called");
            assert!(arguments.contains("template"), "{arguments}");
            for canary in canaries.iter().copied().chain(encoded.iter().map(String::as_str)) {
                for text in [&ended.stdout, &ended.stderr, &arguments] {
                    assert!(!text.contains(canary), "{format}: {canary} in {text}");
                }
            }
        }
    }
}
