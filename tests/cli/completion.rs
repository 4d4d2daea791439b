//! What may stand where the cursor is, as kubectl and the shells ask for it; and putting in its place what kubectl asks.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use kubectl_byocni::core::revision::STRATEGY_ONLY;

use super::{
    kubectl::required,
    programs::{charts, required_or_skip},
    run::{Ended, Run, byocni, example},
    server::{Behaviour, serve},
};

/// Asks for the last of these words.
fn completing(words: &[&str]) -> Run {
    words
        .iter()
        .fold(byocni("__complete"), |run, word| run.arg(*word))
}

/// The values that were offered, and what the shell is told besides.
fn offered(ended: &Ended) -> (Vec<&str>, &str) {
    assert_eq!(ended.code, Some(0), "{}", ended.said());
    assert_eq!(ended.stderr, "", "nothing may be said while somebody types");
    let mut values: Vec<&str> = ended
        .stdout
        .lines()
        .map(|line| line.split('\t').next().unwrap_or_default())
        .collect();
    let directive = values.pop().unwrap_or_default();
    (values, directive)
}

#[track_caller]
fn expect(run: Run, values: &[&str], directive: &str) {
    let ended = run.end();
    assert_eq!(offered(&ended), (values.to_vec(), directive));
}

fn kubeconfig(server: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: prod\n\
         contexts: [{{name: prod, context: {{cluster: blue, user: anna}}}}, {{name: staging, context: {{cluster: green, user: otto}}}}]\n\
         clusters: [{{name: blue, cluster: {{server: \"{server}\"}}}}, {{name: green, cluster: {{server: \"{server}\"}}}}]\n\
         users: [{{name: anna, user: {{token: canary}}}}, {{name: otto, user: {{token: canary}}}}]\n"
    )
}

#[test]
fn commands_flags_and_fixed_values() {
    expect(completing(&["sta"]), &["status"], ":4");
    expect(completing(&["re"]), &["resume"], ":4");
    let ended = completing(&[""]).end();
    let (commands, _) = offered(&ended);
    for verb in [
        "status",
        "install",
        "upgrade",
        "rollback",
        "history",
        "resume",
        "abort",
        "completion",
        "help",
    ] {
        assert!(commands.contains(&verb), "{commands:?}");
    }
    assert!(
        ended
            .stdout
            .contains("history\tList the revisions of the CNI's release\n"),
        "{}",
        ended.stdout
    );
    expect(completing(&["help", "expl"]), &["explain"], ":4");
    expect(completing(&["completion", "b"]), &["bash"], ":4");

    expect(completing(&["install", "--dry"]), &["--dry-run"], ":4");
    expect(
        completing(&["install", "--dry-run="]),
        &["client", "server"],
        ":4",
    );
    expect(completing(&["status", "-o"]), &["-o"], ":4");
    expect(completing(&["status", "-o", "m"]), &["markdown"], ":4");
    expect(completing(&["status", "--output=y"]), &["yaml"], ":4");
    expect(completing(&["--color", "a"]), &["auto", "always"], ":4");
    expect(completing(&["install", "c"]), &["cilium", "calico"], ":4");
    expect(
        completing(&["explain", "BYO030"]).env("KUBECONFIG", "nowhere"),
        &[
            "BYO0301", "BYO0302", "BYO0303", "BYO0304", "BYO0305", "BYO0306", "BYO0307", "BYO0308", "BYO0309",
        ],
        ":4",
    );
    expect(completing(&["explain", "cni-mis"]), &["cni-missing"], ":4");
    let described = completing(&["explain", "cni-mis"]).end();
    assert_eq!(described.stdout, "cni-missing\tNo CNI is installed\n:4\n");

    // Files and folders are the shell's business.
    expect(completing(&["status", "--from", ""]), &[], ":0");
    expect(completing(&["capture", "--file=x"]), &[], ":0");
    expect(completing(&["install", "--repo", ""]), &[], ":16");
    expect(completing(&["status", "--timeout", ""]), &[], ":4");
}

#[test]
fn nothing_that_is_typed_is_an_error() {
    for words in [
        &["nothing-like-it", ""][..],
        &["status", "--nothing-like-it", ""],
        &["status", "--from"],
        &["rollback", "one", "two", ""],
        &["rollback", ""],
        &["status", "\u{1b}[2J"],
        &["install", "cilium", "--repo", "nowhere", "--version", ""],
        &["upgrade", "--from", "nowhere", "--to", ""],
        &["status", "--context", ""],
        &["-n", ""],
    ] {
        let ended = completing(words).end();
        offered(&ended);
        let ended = completing(words).kubeconfig("{not: [a kubeconfig").end();
        offered(&ended);
    }
}

#[test]
fn contexts_clusters_and_users() {
    let asked = |words: &[&str]| completing(words).kubeconfig(&kubeconfig("http://127.0.0.1:1"));
    expect(asked(&["--context", ""]), &["prod", "staging"], ":4");
    expect(asked(&["status", "--context=st"]), &["staging"], ":4");
    expect(
        asked(&["status", "--context=nothing-like-it", "--user", ""]),
        &["anna", "otto"],
        ":4",
    );
    expect(asked(&["status", "--cluster", "g"]), &["green"], ":4");
    let ended = asked(&["status", "--context", "p"]).end();
    assert_eq!(ended.stdout, "prod\tcurrent, cluster blue\n:4\n");
    let other = completing(&["--kubeconfig", "other", "--context", ""])
        .file("other", kubeconfig("http://127.0.0.1:1"));
    expect(other, &["prod", "staging"], ":4");
}

#[test]
fn versions_of_charts_on_disk_and_known_minors() {
    let known = completing(&["install", "flannel", "--version", ""]).end();
    assert!(
        known.stdout.starts_with("0.28\tits newest patch\n"),
        "{}",
        known.stdout
    );
    let known = completing(&["install", "cilium", "--version", "1.1"]).end();
    assert!(
        offered(&known).0.starts_with(&["1.19", "1.18"]),
        "{}",
        known.stdout
    );
    // What runs is not offered as an upgrade; neither is what is older.
    let newer = completing(&["upgrade", "--from", "cluster.yaml", "--to", "1."])
        .file(
            "cluster.yaml",
            fs::read(example("cilium-healthy.yaml")).expect("an example"),
        )
        .end();
    assert!(!offered(&newer).0.contains(&"1.16"), "{}", newer.stdout);

    let Some(charts) = required_or_skip("charts", charts()) else {
        return;
    };
    let charts = charts.display().to_string();
    let run = completing(&["install", "cilium", "--repo", &charts, "--version", "1.19."]).end();
    let (values, directive) = offered(&run);
    assert_eq!(
        (values.first(), directive),
        (Some(&"1.19.6"), ":36"),
        "{}",
        run.stdout
    );
    let archive = format!("{charts}/cilium-1.19.6.tgz");
    let run = completing(&["install", "cilium", "--chart", &archive, "--version", ""]).end();
    assert_eq!(offered(&run).0, ["1.19.6"]);
}

/// The objects of an example as a list of one kind.
fn list(kind: &str) -> String {
    let text = fs::read_to_string(example("cilium-healthy.yaml")).expect("an example");
    let documents = kubectl_byocni::yaml::documents::<serde_json::Value>(&text).expect("YAML");
    let items = documents
        .iter()
        .flat_map(|document| document["items"].as_array().into_iter().flatten());
    let items: Vec<_> = items.filter(|item| item["kind"] == kind).collect();
    serde_json::json!({ "kind": "List", "items": items }).to_string()
}

fn cluster() -> Behaviour {
    let namespaces = ["kube-system", "default", "cilium-secrets"];
    let namespaces: Vec<_> = namespaces
        .map(|name| serde_json::json!({ "metadata": { "name": name } }))
        .into();
    let revisions = [
        (1, "superseded"),
        (2, "superseded"),
        (3, "failed"),
        (4, "superseded"),
        (5, "superseded"),
        (6, "deployed"),
    ];
    let records = revisions.map(|(number, status)| {
        serde_json::json!({ "metadata": {
            "name": format!("sh.helm.release.v1.cilium.v{number}"),
            "namespace": "kube-system",
            "creationTimestamp": format!("2026-11-2{number}T10:00:00Z"),
            "labels": { "owner": "helm", "name": "cilium", "status": status, "version": number.to_string() },
        }})
    });
    // Read by nobody else, each says what it is; that of 4 cannot be read.
    let record = |version: &str, description: &str| {
        let json = serde_json::json!({
            "info": { "description": description }, "chart": { "metadata": { "version": version } },
        });
        let release = STANDARD.encode(STANDARD.encode(json.to_string()));
        serde_json::json!({ "kind": "Secret", "data": { "release": release } }).to_string()
    };
    let health = r#"{"kube-system/cilium": {"health": {"1": "healthy", "2": "broken"}}}"#;
    let journal = serde_json::json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "name": "kubectl-byocni", "namespace": "kube-system", "resourceVersion": "1" },
        "data": { "records": health },
    });
    Behaviour::Knows(vec![
        (
            "/api/v1/namespaces",
            serde_json::json!({ "items": namespaces }).to_string(),
        ),
        ("/apis/apps/v1/daemonsets", list("DaemonSet")),
        (
            "/apis/apps/v1/namespaces/kube-system/deployments",
            list("Deployment"),
        ),
        (
            "/api/v1/namespaces/kube-system/secrets",
            serde_json::json!({ "items": records }).to_string(),
        ),
        (
            "/api/v1/namespaces/kube-system/secrets/sh.helm.release.v1.cilium.v1",
            record("1.18.11", "Install complete"),
        ),
        (
            "/api/v1/namespaces/kube-system/secrets/sh.helm.release.v1.cilium.v5",
            record("1.19.6", STRATEGY_ONLY),
        ),
        (
            "/api/v1/namespaces/kube-system/configmaps/kubectl-byocni",
            journal.to_string(),
        ),
    ])
}

#[test]
fn what_a_cluster_must_be_asked() {
    let config = kubeconfig(&serve(cluster()));
    let asked = |words: &[&str]| completing(words).kubeconfig(&config);
    expect(asked(&["install", "-n", "k"]), &["kube-system"], ":4");
    expect(
        asked(&["--namespace="]),
        &["kube-system", "default", "cilium-secrets"],
        ":4",
    );
    // Not the one that stands, not what failed, is known to be broken or only held agents still; newest first.
    let ended = asked(&["rollback", ""]).end();
    assert_eq!(
        ended.stdout,
        "4\tsuperseded, 2026-11-24 10:00 UTC\n1\t1.18.11, superseded, healthy, 2026-11-21 10:00 UTC\n:36\n",
        "{}",
        ended.stderr
    );
    let ended = asked(&["upgrade", "--to", ""]).end();
    let (versions, _) = offered(&ended);
    assert!(
        versions.contains(&"1.20") && !versions.contains(&"1.16"),
        "{versions:?}"
    );
}

/// Whoever waits longer for a TAB believes that the shell hangs. The limit of a request is 30 s.
#[test]
fn a_cluster_that_does_not_answer_is_not_waited_for() {
    for behaviour in [
        Behaviour::Silent,
        Behaviour::Drips,
        Behaviour::Answers("500 No", "no".into()),
    ] {
        let begun = Instant::now();
        let run = completing(&["rollback", ""]).kubeconfig(&kubeconfig(&serve(behaviour)));
        expect(run, &[], ":4");
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    }
}

#[cfg(unix)]
#[test]
fn a_credential_plugin_asks_nobody_and_is_not_heard() {
    let plugin = |text: &str| {
        let user = "{exec: {apiVersion: client.authentication.k8s.io/v1, command: ./login, interactiveMode: IfAvailable}}";
        let config = kubeconfig("http://127.0.0.1:1").replace("{token: canary}", user);
        completing(&["rollback", ""])
            .kubeconfig(&config)
            .script(".kube/login", text)
    };
    expect(plugin("echo open your browser >&2\nexit 1\n"), &[], ":4");
    let begun = Instant::now();
    expect(plugin("echo open your browser >&2\nexec sleep 100\n"), &[], ":4");
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    let run = plugin("cat > heard\nexit 1\n").stdin("an answer");
    let ended = run.end();
    offered(&ended);
    assert_eq!(ended.left("heard").unwrap_or_default(), "");
}

/// `bin/kubectl-byocni` in its home is the plugin; the PATH holds these folders of its home.
#[cfg(unix)]
fn at_home(words: &str, path: &[&str]) -> Run {
    let run = byocni(words)
        .file("bin/kept", "")
        .file("free/kept", "")
        .file("no-folder", "");
    std::os::unix::fs::symlink(
        env!("CARGO_BIN_EXE_kubectl-byocni"),
        run.home().join("bin/kubectl-byocni"),
    )
    .expect("a link");
    let path: Vec<String> = path
        .iter()
        .map(|name| run.home().join(name).display().to_string())
        .collect();
    run.env("PATH", &path.join(":"))
}

#[cfg(unix)]
fn installed(run: Run) -> Ended {
    let program = run.home().join("bin/kubectl-byocni");
    run.end_as(&program)
}

#[cfg(unix)]
#[test]
fn it_is_put_where_kubectl_finds_it() {
    let link = |ended: &Ended, name: &str| {
        let path = Path::new(ended.home()).join(name).join("kubectl_complete-byocni");
        fs::read_link(path)
            .ok()
            .map(|target| target.display().to_string())
    };
    // Beside the plugin, so that both can be moved together.
    let ended = installed(at_home("completion install", &["free", "bin"]));
    assert_eq!(ended.code, Some(0), "{}", ended.said());
    assert_eq!(
        link(&ended, "bin").as_deref(),
        Some("kubectl-byocni"),
        "{}",
        ended.said()
    );
    assert!(ended.stdout.contains("is now there"), "{}", ended.said());
    assert!(
        ended.stderr.contains("kubectl completion bash"),
        "{}",
        ended.said()
    );
    // Elsewhere where that folder is not on the PATH, or where the first ones cannot be written.
    let ended = installed(at_home("completion install", &["no-folder", "nowhere", "free"]));
    let plugin = format!("{}/bin/kubectl-byocni", ended.home());
    assert_eq!(link(&ended, "free"), Some(plugin), "{}", ended.said());
    // Where the user wants it; what kubectl will not find is said.
    let ended = installed(at_home("completion install --dir free", &["bin"]));
    assert!(
        link(&ended, "free").is_some() && link(&ended, "bin").is_none(),
        "{}",
        ended.said()
    );
    assert!(ended.stderr.contains("is not on the PATH"), "{}", ended.said());
    // Twice is once, and a link that an older plugin made is made anew.
    let run = at_home("completion install", &["bin"]);
    std::os::unix::fs::symlink("kubectl-byocni", run.home().join("bin/kubectl_complete-byocni"))
        .expect("a link");
    let ended = installed(run);
    assert!(
        ended.code == Some(0) && ended.stdout.contains("already"),
        "{}",
        ended.said()
    );
    let run = at_home("completion install", &["bin"]);
    std::os::unix::fs::symlink(
        "../old/kubectl-byocni",
        run.home().join("bin/kubectl_complete-byocni"),
    )
    .expect("a link");
    let ended = installed(run);
    assert_eq!(
        link(&ended, "bin").as_deref(),
        Some("kubectl-byocni"),
        "{}",
        ended.said()
    );
}

#[cfg(unix)]
#[test]
fn where_it_cannot_be_put_is_said_and_nothing_is_overwritten() {
    let run = at_home("completion install", &["bin"]).file("bin/kubectl_complete-byocni", "somebody else's");
    let ended = installed(run);
    assert_eq!(ended.code, Some(1), "{}", ended.said());
    assert!(
        ended.stderr.contains("none of ours") && ended.stderr.contains("--dir"),
        "{}",
        ended.said()
    );
    assert_eq!(
        ended.left("bin/kubectl_complete-byocni").as_deref(),
        Some("somebody else's")
    );
    // A package's script does the same.
    let script = include_str!("../../completions/kubectl_complete-byocni");
    let ended =
        installed(at_home("completion install", &["bin"]).file("bin/kubectl_complete-byocni", script));
    assert!(
        ended.code == Some(0) && ended.stdout.contains("already"),
        "{}",
        ended.said()
    );
    let ended = installed(at_home("completion install", &["no-folder", "nowhere"]));
    assert_eq!(ended.code, Some(1), "{}", ended.said());
    assert!(
        ended.stderr.contains("no folder of the PATH can be written") && ended.stderr.contains("--dir"),
        "{}",
        ended.said()
    );
    let ended = installed(at_home("completion install --dir no-folder", &["bin"]));
    assert_eq!(ended.code, Some(1), "{}", ended.said());
    assert!(ended.stderr.contains("cannot be written"), "{}", ended.said());
}

#[cfg(unix)]
#[test]
fn kubectl_completes_through_it() {
    let Some(kubectl) = required() else { return };
    // By the link, and by the script that packages install.
    for script in [false, true] {
        let asked = |words: &[&str]| {
            let run = words
                .iter()
                .fold(at_home("__complete byocni", &["bin"]), |run, word| run.arg(*word));
            let place = run.home().join("bin/kubectl_complete-byocni");
            match script {
                false => std::os::unix::fs::symlink("kubectl-byocni", place).expect("a link"),
                true => {
                    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/completions/kubectl_complete-byocni");
                    fs::copy(script, place).expect("a script");
                }
            }
            // The script is one of /bin/sh.
            let path = format!("{}:/usr/bin:/bin", run.home().join("bin").display());
            let ended = run
                .env("PATH", &path)
                .kubeconfig(&kubeconfig(&serve(cluster())))
                .end_as(&kubectl);
            assert_eq!(ended.code, Some(0), "{}", ended.said());
            ended.stdout
        };
        assert_eq!(
            asked(&["sta"]),
            "status\tShow the state of the cluster's network on one page\n:4\n"
        );
        assert_eq!(
            asked(&["status", "--context", "p"]),
            "prod\tcurrent, cluster blue\n:4\n"
        );
        assert_eq!(asked(&["install", "fl"]), "flannel\tFlannel\n:4\n");
        assert_eq!(asked(&["install", "--dry-run=s"]), "server\n:4\n");
        assert_eq!(
            asked(&["explain", "cni-mis"]),
            "cni-missing\tNo CNI is installed\n:4\n"
        );
        assert!(asked(&["rollback", ""]).starts_with("4\tsuperseded"));
        assert_eq!(asked(&["status", "--from", ""]), ":0\n");
    }
}

/// A person at a terminal takes a tenth of a second for at once. Of several tries, because the machine may be busy.
#[test]
fn first_words_are_there_at_once() {
    for words in [
        "--help",
        "__complete ",
        "explain cni-missing",
        "status --from fresh-byocni.yaml",
    ] {
        let patience = Instant::now();
        loop {
            let run = byocni(words).example("fresh-byocni.yaml");
            let begun = Instant::now();
            run.end();
            let took = begun.elapsed();
            if took < Duration::from_millis(100) {
                break;
            }
            assert!(patience.elapsed() < Duration::from_secs(60), "{words}: {took:?}");
        }
    }
}
