//! Credential plugins, tokens and certificates: run once, renewed once, errors in words.
#![cfg(unix)] // The plugins are shell scripts.

use super::*;

/// A kubeconfig whose user logs in with this script; the script's runs are counted in `runs`.
struct Login {
    folder: tempfile::TempDir,
}

impl Login {
    /// `exec` is more YAML for the plugin.
    fn new(server: &str, script: &str, exec: &str) -> Self {
        use std::os::unix::fs::PermissionsExt;
        let folder = folder();
        let path = write(
            folder.path(),
            "login.sh",
            &format!("#!/bin/sh\ncd \"$(dirname \"$0\")\"\necho run >> runs\n{script}\n"),
        );
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("its own file");
        let text = format!(
            "current-context: a\ncontexts: [{{name: a, context: {{cluster: a, user: a}}}}]\n\
             clusters: [{{name: a, cluster: {{server: \"{server}\", tls-server-name: tls, extensions: \
             [{{name: client.authentication.k8s.io/exec, extension: {{audience: x}}}}]}}}}]\n\
             users:\n- name: a\n  user:\n    exec:\n      apiVersion: client.authentication.k8s.io/v1beta1\n      \
             command: ./login.sh\n{exec}\n"
        );
        write(folder.path(), "config", &text);
        Self { folder }
    }

    async fn open(&self) -> Result<Connection, ConnectError> {
        let flags = Flags {
            kubeconfig: Some(self.folder.path().join("config")),
            ..Flags::default()
        };
        Connection::open_in(&flags, &Environment::default()).await
    }

    fn runs(&self) -> usize {
        std::fs::read_to_string(self.folder.path().join("runs"))
            .unwrap_or_default()
            .lines()
            .count()
    }
}

/// What a plugin prints for this status.
fn credential(status: &str) -> String {
    let api = "client.authentication.k8s.io/v1beta1";
    format!(r#"echo '{{"kind":"ExecCredential","apiVersion":"{api}","status":{{{status}}}}}'"#)
}

#[tokio::test]
async fn a_plugin_runs_exactly_once() {
    let server = Server::start(vec![ok("{}")]).await;
    let login = Login::new(
        &server.address,
        &credential(r#""token":"t1","expirationTimestamp":"2126-01-01T00:00:00Z""#),
        "",
    );
    let connection = login.open().await.expect("a token");
    for _ in 0..3 {
        connection.get("/x", "application/json").await.expect("an answer");
    }
    assert_eq!(login.runs(), 1);
    assert!(
        server.heard().iter().all(|heard| heard.contains("Bearer t1")),
        "{:?}",
        server.heard()
    );
}

#[tokio::test]
async fn a_refused_token_is_renewed_once_and_for_all_requests() {
    let refused = status("401 Unauthorized", "Unauthorized", "token expired");
    let server = Server::start(vec![refused, ok("{}")]).await;
    let login = Login::new(
        &server.address,
        &credential(r#""token":"'"t$(wc -l < runs | tr -d ' ')"'""#),
        "",
    );
    let connection = login.open().await.expect("a token");
    connection
        .get("/x", "application/json")
        .await
        .expect("the renewed token to do");
    connection
        .clone()
        .get("/y", "application/json")
        .await
        .expect("the renewed token to last");
    assert_eq!(login.runs(), 2);
    let heard = server.heard();
    assert!(
        heard[0].contains("Bearer t1") && heard[1].contains("Bearer t2") && heard[2].contains("Bearer t2"),
        "{heard:?}"
    );
}

#[tokio::test]
async fn many_refused_requests_renew_together_and_a_useless_renewal_is_not_repeated() {
    let server = Server::start(vec![status("401 Unauthorized", "Unauthorized", "who are you")]).await;
    let login = Login::new(&server.address, &credential(r#""token":"t""#), "");
    let connection = login.open().await.expect("a token");
    let (a, b, c) = tokio::join!(
        connection.get("/a", "application/json"),
        connection.get("/b", "application/json"),
        connection.post_json("/c", b"{}".to_vec()),
    );
    for error in [a, b, c, connection.get("/d", "application/json").await] {
        assert!(
            matches!(&error, Err(RequestError::Unauthorized { message }) if message == "who are you"),
            "{error:?}"
        );
    }
    assert_eq!(login.runs(), 2);
}

#[tokio::test]
async fn an_expired_credential_is_renewed_before_it_is_refused() {
    let server = Server::start(vec![ok("{}")]).await;
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_millis(1200);
    let script = credential(&format!(
        r#""token":"'"t$(wc -l < runs | tr -d ' ')"'","expirationTimestamp":"{soon}""#
    ));
    let login = Login::new(&server.address, &script, "");
    let connection = login.open().await.expect("a token");
    tokio::time::sleep(Duration::from_millis(1300)).await;
    for _ in 0..3 {
        connection.get("/x", "application/json").await.expect("an answer");
    }
    // The second one comes expired already: it is used, not renewed for ever.
    assert_eq!(login.runs(), 2);
    assert!(server.heard()[0].contains("Bearer t2"), "{:?}", server.heard());
}

#[tokio::test]
async fn a_plugin_is_told_what_kubectl_tells_it() {
    let script = format!(
        "printf '%s' \"$KUBERNETES_EXEC_INFO\" > info; echo \"$1-$NAME\" > args; cat > stdin\n{}",
        credential(r#""token":"t""#)
    );
    let exec =
        "      args: [get-token]\n      env: [{name: NAME, value: set}]\n      provideClusterInfo: true";
    let login = Login::new("http://127.0.0.1:1", &script, exec);
    login.open().await.expect("a token");
    let kept = |name: &str| std::fs::read_to_string(login.folder.path().join(name)).expect(name);
    let info: serde_json::Value = serde_json::from_str(&kept("info")).expect("JSON");
    let wanted = serde_json::json!({
        "kind": "ExecCredential",
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "spec": {
            "interactive": false,
            "cluster": {"server": "http://127.0.0.1:1", "tls-server-name": "tls", "config": {"audience": "x"}},
        },
    });
    assert_eq!(info, wanted);
    assert_eq!(kept("args"), "get-token-set\n");
    assert_eq!(kept("stdin"), "");
}

#[tokio::test]
async fn a_failing_plugin_is_quoted() {
    let login = Login::new(
        "http://127.0.0.1:1",
        "echo 'first' >&2; echo 'AADSTS70043: log in' >&2; exit 3",
        "",
    );
    let error = login.open().await.expect_err("exit 3");
    assert!(matches!(error, ConnectError::ExecFailed { .. }), "{error:?}");
    assert!(
        error
            .to_string()
            .ends_with("failed: exit code 3: AADSTS70043: log in"),
        "{error}"
    );
    let login = Login::new("http://127.0.0.1:1", "kill -9 $$", "");
    assert!(
        login
            .open()
            .await
            .expect_err("killed")
            .to_string()
            .ends_with("failed: ended by a signal")
    );
}

#[tokio::test]
async fn a_missing_plugin_shows_how_to_install_it() {
    let login = Login::new("http://127.0.0.1:1", "", "      installHint: brew install login");
    std::fs::remove_file(login.folder.path().join("login.sh")).expect("there");
    let error = login.open().await.expect_err("missing");
    assert!(matches!(error, ConnectError::ExecNotFound { .. }), "{error:?}");
    assert_eq!(error.hint().as_deref(), Some("brew install login"));
    let azure = ConnectError::ExecNotFound {
        command: "/opt/kubelogin".into(),
        install_hint: None,
    };
    assert_eq!(
        azure.hint().as_deref(),
        Some("install kubelogin: az aks install-cli")
    );
}

#[tokio::test]
async fn what_is_no_credential_is_never_shown() {
    let wrong_api = r#"echo '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"token":"s3cret"}}'"#;
    for (script, words) in [
        ("echo 's3cret: ['", "no ExecCredential"),
        ("", "no ExecCredential"),
        (
            r#"echo '{"kind":"Pod","status":{"token":"s3cret"}}'"#,
            "not ExecCredential",
        ),
        (wrong_api, "it answered in \"client.authentication.k8s.io/v1\""),
        (&credential(r#""token":"""#), "neither a token nor a certificate"),
        (
            &credential(r#""clientCertificateData":"s3cret""#),
            "without a key",
        ),
        (
            &credential(r#""token":"s3cret","expirationTimestamp":"soon""#),
            "no RFC 3339 time",
        ),
        (
            &credential(r#""token":"s3 cret""#),
            "characters that no token has",
        ),
    ] {
        let said = Login::new("http://127.0.0.1:1", script, "")
            .open()
            .await
            .expect_err(words)
            .to_string();
        // Not "s3": the name of a temporary folder can hold that.
        assert!(said.contains(words) && !said.contains("cret"), "{script}: {said}");
    }
}

#[tokio::test]
async fn a_plugin_that_needs_a_person_or_an_old_kubectl_is_not_started() {
    let login = Login::new("http://127.0.0.1:1", "", "      interactiveMode: Always");
    assert!(matches!(
        login.open().await,
        Err(ConnectError::ExecNeedsTerminal { .. })
    ));
    assert_eq!(login.runs(), 0);
    let path = login.folder.path().join("config");
    let old = std::fs::read_to_string(&path)
        .expect("there")
        .replace("k8s.io/v1beta1", "k8s.io/v1alpha1");
    std::fs::write(&path, old).expect("writable");
    let said = login.open().await.expect_err("v1alpha1").to_string();
    assert!(said.contains("v1alpha1"), "{said}");
}

#[tokio::test]
async fn a_certificate_from_a_plugin_is_used() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/io/connection/testdata");
    let pem = |name: &str| {
        std::fs::read_to_string(folder.join(name))
            .expect(name)
            .replace('\n', "\\n")
    };
    let answer = |certificate: &str| {
        let status = format!(
            r#""clientCertificateData":"{}","clientKeyData":"{}""#,
            pem(certificate),
            pem("key.pem")
        );
        format!(
            "cat <<'EOF'\n{}\nEOF",
            credential(&status)
                .trim_start_matches("echo '")
                .trim_end_matches('\'')
        )
    };
    let login = Login::new("http://127.0.0.1:1", &answer("good.pem"), "");
    let connection = login.open().await.expect("a certificate");
    let user = &connection.inner.current();
    assert_eq!((user.generation, login.runs()), (0, 1));
    let login = Login::new("http://127.0.0.1:1", &answer("expired.pem"), "");
    assert!(matches!(
        login.open().await,
        Err(ConnectError::ClientCertificateExpired { .. })
    ));
}

#[tokio::test]
async fn a_token_of_the_flag_keeps_the_plugin_from_running() {
    let server = Server::start(vec![ok("{}")]).await;
    let login = Login::new(&server.address, "exit 1", "");
    let flags = Flags {
        kubeconfig: Some(login.folder.path().join("config")),
        token: Some("mine".into()),
        ..Flags::default()
    };
    let connection = Connection::open_in(&flags, &Environment::default())
        .await
        .expect("no plugin");
    connection.get("/x", "application/json").await.expect("an answer");
    assert!(server.heard()[0].contains("Bearer mine"));
    assert_eq!(login.runs(), 0);
}

/// Opens a kubeconfig with this user.
async fn open_user(folder: &Path, server: &str, user: &str) -> Result<Connection, ConnectError> {
    let text = format!(
        "current-context: a\ncontexts: [{{name: a, context: {{cluster: a, user: a}}}}]\n\
         clusters: [{{name: a, cluster: {{server: \"{server}\"}}}}]\nusers: [{{name: a, user: {{{user}}}}}]\n"
    );
    let flags = Flags {
        kubeconfig: Some(write(folder, "config", &text)),
        ..Flags::default()
    };
    Connection::open_in(&flags, &Environment::default()).await
}

#[tokio::test]
async fn a_token_file_is_trimmed_and_read_again_when_refused() {
    let server = Server::start(vec![status("401 Unauthorized", "Unauthorized", "old"), ok("{}")]).await;
    let folder = folder();
    write(folder.path(), "token", "one\n");
    let connection = open_user(folder.path(), &server.address, "tokenFile: token")
        .await
        .expect("a token");
    write(folder.path(), "token", "two\n");
    connection
        .get("/x", "application/json")
        .await
        .expect("the new token to do");
    assert!(server.heard()[0].contains("Bearer one\r\n") && server.heard()[1].contains("Bearer two\r\n"));
}

#[tokio::test]
async fn credentials_that_cannot_work_are_refused_at_the_door() {
    let folder = folder();
    let open = async |user: &str| {
        open_user(folder.path(), "http://127.0.0.1:1", user)
            .await
            .expect_err(user)
    };
    let azure = open("auth-provider: {name: azure, config: {}}").await;
    assert!(
        azure
            .hint()
            .is_some_and(|hint| hint.contains("kubelogin convert-kubeconfig")),
        "{azure}"
    );
    let missing = open("client-certificate: gone.crt, client-key: gone.key").await;
    assert!(
        matches!(&missing, ConnectError::File { what: "client key", path, .. } if path.ends_with("gone.key")),
        "{missing}"
    );
    assert!(matches!(
        open("client-certificate-data: '%%%'").await,
        ConnectError::BadData { .. }
    ));
    assert!(matches!(
        open("client-certificate-data: aGVsbG8=").await,
        ConnectError::BadData { .. }
    ));
    assert!(matches!(
        open("tokenFile: gone").await,
        ConnectError::File {
            what: "token file",
            ..
        }
    ));
    assert!(matches!(
        open("token: \"a\\nb\"").await,
        ConnectError::BadData { what: "token", .. }
    ));
}
