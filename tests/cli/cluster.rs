//! The way to the cluster: no kubeconfig, the wrong one, servers that are away, ill or none.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use super::{
    run::{Run, byocni, shot},
    server::{Behaviour, refusal, serve},
};

fn kubeconfig(server: &str, user: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: prod\n\
         contexts: [{{name: prod, context: {{cluster: c, user: u}}}}, {{name: staging, context: {{cluster: c, user: u}}}}]\n\
         clusters: [{{name: c, cluster: {{server: \"{server}\"}}}}]\n\
         users: [{{name: u, user: {user}}}]\n"
    )
}

fn against(behaviour: Behaviour) -> Run {
    byocni("status --request-timeout 2s").kubeconfig(&kubeconfig(&serve(behaviour), "{token: canary}"))
}

#[test]
fn kubeconfigs_that_lead_nowhere() {
    shot!("no_kubeconfig", byocni("status").end());
    shot!("kubeconfig_missing", byocni("status --kubeconfig nowhere").end());
    shot!(
        "kubeconfig_broken",
        byocni("status").kubeconfig("apiVersion: v1\nclusters: [").end()
    );
    let config = kubeconfig("http://127.0.0.1:1", "{}");
    shot!(
        "context_unknown",
        byocni("status --context prd").kubeconfig(&config).end()
    );
    shot!(
        "context_none",
        byocni("status")
            .kubeconfig("apiVersion: v1\nkind: Config\n")
            .end()
    );
    let plugin =
        "{exec: {apiVersion: client.authentication.k8s.io/v1, command: kubelogin, interactiveMode: Never}}";
    shot!(
        "plugin_missing",
        byocni("status")
            .kubeconfig(&kubeconfig("http://127.0.0.1:1", plugin))
            .end()
    );
}

#[test]
fn a_server_that_is_not_there() {
    let config = kubeconfig("http://127.0.0.1:1", "{token: canary}");
    shot!("unreachable", byocni("status").kubeconfig(&config).end());
    shot!(
        "unreachable_capture",
        byocni("capture -f out.yaml").kubeconfig(&config).end()
    );
    shot!("unreachable_version", byocni("version").kubeconfig(&config).end());
}

#[test]
fn an_expired_client_certificate() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/io/connection/testdata");
    let read = |name: &str| std::fs::read(data.join(name)).expect("a certificate");
    let user = "{client-certificate: expired.pem, client-key: key.pem}";
    let run = byocni("status")
        .kubeconfig(&kubeconfig("https://127.0.0.1:1", user))
        .file(".kube/expired.pem", read("expired.pem"))
        .file(".kube/key.pem", read("key.pem"));
    shot!("certificate_expired", run.end());
}

#[test]
fn servers_that_are_ill() {
    let body = refusal(401, "Unauthorized", "Unauthorized");
    shot!(
        "server_401",
        against(Behaviour::Answers("401 Unauthorized", body)).end()
    );
    let body = refusal(429, "TooManyRequests", "too many requests");
    shot!(
        "server_429",
        against(Behaviour::Answers("429 Too Many Requests", body)).end()
    );
    let body = refusal(500, "InternalError", "etcdserver: \u{1b}[31mleader changed");
    shot!(
        "server_500",
        against(Behaviour::Answers("500 Internal Server Error", body)).end()
    );
    let page = "<html><title>Sign in to the hotel's network</title></html>".to_string();
    shot!("server_html", against(Behaviour::Answers("200 OK", page)).end());
    let mut ended = against(Behaviour::Answers("200 OK", "[1, 2, 3]".into())).end();
    // Lists and the table of pods are read at once: which of them is the first to be told is chance.
    ended.stderr = ended.stderr.replace("expected a table", "expected a list");
    shot!("server_other", ended);
}

#[test]
fn servers_that_take_for_ever() {
    let begun = Instant::now();
    shot!("server_drips", against(Behaviour::Drips).end());
    shot!("server_silent", against(Behaviour::Silent).end());
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
}

#[cfg(unix)]
#[test]
fn an_interruption_ends_it_at_once() {
    for verb in ["status", "status --wait", "status --watch", "capture -f -"] {
        let begun = Instant::now();
        let config = kubeconfig(&serve(Behaviour::Silent), "{}");
        let ended = byocni(verb)
            .kubeconfig(&config)
            .interrupted(Duration::from_millis(500))
            .end();
        assert_eq!(
            (ended.code, &*ended.stdout, &*ended.stderr),
            (Some(130), "", ""),
            "{verb}"
        );
        assert!(begun.elapsed().as_secs() < 10, "{verb}: {:?}", begun.elapsed());
    }
}

/// Somebody who may do nothing is told which rights are missing.
#[test]
fn a_reader_without_rights() {
    let body = refusal(
        403,
        "Forbidden",
        "nodes is forbidden: User \"dev\" cannot list resource \"nodes\"",
    );
    shot!(
        "server_403",
        against(Behaviour::Answers("403 Forbidden", body)).end()
    );
}

/// The credential is in no output, however wrong things go.
#[test]
fn a_token_is_never_told() {
    for status in ["401 Unauthorized", "500 Internal Server Error", "200 OK"] {
        let run = against(Behaviour::Answers(status, "{}".into())).arg("-vv");
        let ended = run.end();
        assert!(
            !ended.stdout.contains("canary") && !ended.stderr.contains("canary"),
            "{status}: {}",
            ended.stderr
        );
    }
}
