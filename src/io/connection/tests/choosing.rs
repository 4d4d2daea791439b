//! Which kubeconfig, context, cluster and user are taken.

use super::kubeconfig::{Target, target};
use super::*;

/// A kubeconfig with one context, cluster and user of this name.
fn config(name: &str, current: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: \"{current}\"\n\
         contexts: [{{name: {name}, context: {{cluster: {name}, user: {name}, namespace: ns-{name}}}}}]\n\
         clusters: [{{name: {name}, cluster: {{server: \"https://{name}.example.com\", certificate-authority: pki/ca.crt}}}}]\n\
         users: [{{name: {name}, user: {{token: token-{name}}}}}]\n"
    )
}

fn listed(paths: &[PathBuf]) -> Environment {
    Environment {
        kubeconfig: Some(std::env::join_paths(paths).expect("a list")),
        ..Environment::default()
    }
}

fn from_file(path: &Path) -> Flags {
    Flags {
        kubeconfig: Some(path.to_owned()),
        ..Flags::default()
    }
}

fn chosen(flags: &Flags, env: &Environment) -> Target {
    target(flags, env).expect("a target")
}

#[test]
fn a_list_skips_missing_files_and_the_first_file_wins() {
    let folder = folder();
    let first = write(folder.path(), "first", &config("aks", ""));
    let second = write(
        folder.path(),
        "second",
        &config("kind", "kind").replace("kind.example", "second.example"),
    );
    let third = write(
        folder.path(),
        "third",
        &config("kind", "aks").replace("kind.example", "third.example"),
    );
    let env = listed(&[folder.path().join("missing"), first, second, third]);
    let got = chosen(&Flags::default(), &env);
    // The empty current-context of the first file does not hide the second's.
    assert_eq!(
        (
            got.context.as_str(),
            got.cluster_name.as_str(),
            got.namespace.as_str()
        ),
        ("kind", "kind", "ns-kind")
    );
    assert_eq!(got.cluster.server.as_deref(), Some("https://second.example.com"));
    let other = chosen(
        &Flags {
            context: Some("aks".into()),
            ..Flags::default()
        },
        &env,
    );
    assert_eq!(other.cluster.server.as_deref(), Some("https://aks.example.com"));
}

#[test]
fn the_flag_wins_over_the_list_and_must_exist() {
    let folder = folder();
    let env = listed(&[write(folder.path(), "listed", &config("listed", "listed"))]);
    let own = write(folder.path(), "own", &config("own", "own"));
    assert_eq!(chosen(&from_file(&own), &env).context, "own");
    let missing = folder.path().join("missing");
    let error = target(&from_file(&missing), &env).expect_err("missing");
    assert!(
        matches!(&error, ConnectError::KubeconfigMissing { path } if *path == missing),
        "{error}"
    );
}

#[test]
fn without_flag_and_list_it_is_the_home_folder() {
    let folder = folder();
    std::fs::create_dir(folder.path().join(".kube")).expect("a folder");
    write(&folder.path().join(".kube"), "config", &config("home", "home"));
    let homes = vec![folder.path().join("elsewhere"), folder.path().to_owned()];
    assert_eq!(
        chosen(
            &Flags::default(),
            &Environment {
                homes,
                ..Environment::default()
            }
        )
        .context,
        "home"
    );
}

#[test]
fn no_kubeconfig_at_all_says_where_it_looked() {
    let error = target(&Flags::default(), &Environment::default()).expect_err("nothing");
    assert_eq!(
        error.to_string(),
        "no kubeconfig found: no home folder and no KUBECONFIG"
    );
    assert!(
        error
            .hint()
            .is_some_and(|hint| hint.contains("az aks get-credentials"))
    );
    let homes = vec![PathBuf::from("no-such-home")];
    let error = target(
        &Flags::default(),
        &Environment {
            homes,
            ..Environment::default()
        },
    )
    .expect_err("nothing");
    let place = Path::new("no-such-home").join(".kube").join("config");
    assert_eq!(
        error.to_string(),
        format!("no kubeconfig found (looked at {})", place.display())
    );
}

#[test]
fn a_pod_uses_its_service_account_unless_there_is_a_kubeconfig() {
    let folder = folder();
    for (name, text) in [("token", "t"), ("ca.crt", "c"), ("namespace", "mine\n")] {
        write(folder.path(), name, text);
    }
    let pod = |host: &str| Environment {
        service_host: Some(host.into()),
        service_port: Some("443".into()),
        service_account: folder.path().to_owned(),
        ..Environment::default()
    };
    let got = chosen(&Flags::default(), &pod("10.0.0.1"));
    assert_eq!(got.cluster.server.as_deref(), Some("https://10.0.0.1:443"));
    assert_eq!(
        (got.context.as_str(), got.namespace.as_str()),
        ("in-cluster", "mine")
    );
    assert_eq!(
        got.user.token_file.as_deref(),
        folder.path().join("token").to_str()
    );
    assert_eq!(
        chosen(&Flags::default(), &pod("fd00::1"))
            .cluster
            .server
            .as_deref(),
        Some("https://[fd00::1]:443")
    );
    let kubeconfig = Some(write(folder.path(), "config", &config("own", "own")).into_os_string());
    assert_eq!(
        chosen(
            &Flags::default(),
            &Environment {
                kubeconfig,
                ..pod("10.0.0.1")
            }
        )
        .context,
        "own"
    );
    let elsewhere = Environment {
        service_account: folder.path().join("none"),
        ..pod("10.0.0.1")
    };
    assert!(matches!(
        target(&Flags::default(), &elsewhere),
        Err(ConnectError::NoKubeconfig { .. })
    ));
}

#[test]
fn an_unknown_name_is_answered_with_the_nearest() {
    let folder = folder();
    let path = write(folder.path(), "config", &config("aks-prod-west", ""));
    let ask = |context: &str| {
        let flags = Flags {
            context: Some(context.into()),
            ..from_file(&path)
        };
        target(&flags, &Environment::default())
            .expect_err("unknown")
            .to_string()
    };
    let known = "(it has: aks-prod-west)";
    let meant = format!("did you mean \"aks-prod-west\"? {known}");
    assert_eq!(
        ask("aks-prod-wset"),
        format!("the kubeconfig has no context named \"aks-prod-wset\"; {meant}")
    );
    assert!(ask("PROD").ends_with(&meant), "{}", ask("PROD"));
    assert_eq!(
        ask("minikube"),
        format!("the kubeconfig has no context named \"minikube\" {known}")
    );
    for (flags, words) in [
        (
            Flags {
                cluster: Some("x".into()),
                context: Some("aks-prod-west".into()),
                ..from_file(&path)
            },
            "no cluster named",
        ),
        (
            Flags {
                user: Some("x".into()),
                context: Some("aks-prod-west".into()),
                ..from_file(&path)
            },
            "no user named",
        ),
        (from_file(&path), "no current-context (it has: aks-prod-west)"),
    ] {
        let said = target(&flags, &Environment::default())
            .expect_err(words)
            .to_string();
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn relative_paths_start_at_the_file() {
    let folder = folder();
    let text = "current-context: a\ncontexts: [{name: a, context: {cluster: a, user: a}}]\n\
        clusters: [{name: a, cluster: {server: s, certificate-authority: pki/ca.crt}}]\n\
        users: [{name: a, user: {client-certificate: c.crt, client-key: /abs/c.key, tokenFile: ../t, \
        exec: {command: bin/login}}}]\n";
    let path = write(folder.path(), "config", text);
    let got = chosen(&from_file(&path), &Environment::default());
    let at = |name: &str| folder.path().join(name).to_str().map(str::to_owned);
    assert_eq!(got.cluster.certificate_authority, at("pki/ca.crt"));
    assert_eq!(got.user.client_certificate, at("c.crt"));
    assert_eq!(got.user.client_key.as_deref(), Some("/abs/c.key"));
    assert_eq!(got.user.token_file, at("../t"));
    assert_eq!(got.user.exec.and_then(|exec| exec.command), at("bin/login"));
    let bare = write(folder.path(), "bare", &text.replace("bin/login", "kubelogin"));
    let got = chosen(&from_file(&bare), &Environment::default());
    assert_eq!(
        got.user.exec.and_then(|exec| exec.command).as_deref(),
        Some("kubelogin")
    );
}

#[test]
fn a_broken_file_is_named_with_its_line_but_without_its_secrets() {
    let folder = folder();
    let path = write(
        folder.path(),
        "config",
        "kind: Config\nusers:\n- name: a\n  user:\n    exec: \"s3cret\"\n",
    );
    let error = target(&from_file(&path), &Environment::default()).expect_err("broken");
    let said = error.to_string();
    assert!(
        said.contains(&format!("{}, line 5:", path.display())) && !said.contains("s3cret"),
        "{said}"
    );
    let tabs = write(folder.path(), "tabs", "kind: Config\nusers:\n\t- x\n");
    let error = target(&from_file(&tabs), &Environment::default()).expect_err("tabs");
    assert!(
        matches!(error, ConnectError::KubeconfigUnparsable { line: Some(3), .. }),
        "{error}"
    );
    let pod = write(folder.path(), "pod", "kind: Pod\n");
    let said = target(&from_file(&pod), &Environment::default())
        .expect_err("a pod")
        .to_string();
    assert!(said.contains("its kind is \"Pod\", not \"Config\""), "{said}");
}

#[test]
fn byte_order_marks_and_utf16_are_read() {
    let folder = folder();
    let text = config("käse", "käse");
    let little: Vec<u8> = [0xff, 0xfe]
        .into_iter()
        .chain(text.encode_utf16().flat_map(u16::to_le_bytes))
        .collect();
    let big: Vec<u8> = [0xfe, 0xff]
        .into_iter()
        .chain(text.encode_utf16().flat_map(u16::to_be_bytes))
        .collect();
    let marked = [b"\xef\xbb\xbf".as_slice(), text.as_bytes()].concat();
    for bytes in [little.clone(), big, marked] {
        let path = folder.path().join("config");
        std::fs::write(&path, bytes).expect("writable");
        assert_eq!(chosen(&from_file(&path), &Environment::default()).context, "käse");
    }
    let path = folder.path().join("config");
    std::fs::write(&path, &little[..little.len() - 1]).expect("writable");
    let error = target(&from_file(&path), &Environment::default()).expect_err("half a character");
    assert!(
        matches!(error, ConnectError::KubeconfigUnreadable { .. }),
        "{error}"
    );
}

#[test]
fn an_empty_file_is_an_empty_kubeconfig() {
    let folder = folder();
    for text in ["", "\n", "# nothing\n", "---\n", "{}"] {
        let env = listed(&[write(folder.path(), "config", text)]);
        let error = target(&Flags::default(), &env).expect_err("nothing in it");
        assert!(
            matches!(error, ConnectError::NoKubeconfig { .. }),
            "{text:?}: {error}"
        );
    }
}

#[test]
fn flags_override_as_in_kubectl() {
    let folder = folder();
    let text = config("a", "a").replace(
        "certificate-authority:",
        "tls-server-name: old, certificate-authority:",
    );
    let file = from_file(&write(folder.path(), "config", &text));
    let env = Environment::default();
    assert_eq!(
        chosen(&file, &env).cluster.tls_server_name.as_deref(),
        Some("old")
    );
    let got = chosen(
        &Flags {
            server: Some("https://other".into()),
            token: Some("new".into()),
            ..file.clone()
        },
        &env,
    );
    // The name in the certificate belongs to the kubeconfig's own server.
    assert_eq!(
        (got.cluster.server.as_deref(), got.cluster.tls_server_name),
        (Some("https://other"), None)
    );
    assert_eq!(
        got.user
            .token
            .as_ref()
            .map(|token| token.expose_secret().to_owned())
            .as_deref(),
        Some("new")
    );
    let got = chosen(
        &Flags {
            insecure_skip_tls_verify: true,
            ..file.clone()
        },
        &env,
    );
    assert_eq!(
        (
            got.cluster.insecure_skip_tls_verify,
            got.cluster.certificate_authority
        ),
        (Some(true), None)
    );
    for bad in [
        Flags {
            insecure_skip_tls_verify: true,
            certificate_authority: Some("x".into()),
            ..file.clone()
        },
        Flags {
            as_groups: vec!["g".into()],
            ..file.clone()
        },
        Flags {
            as_user: Some("u".into()),
            as_user_extra: vec!["novalue".into()],
            ..file.clone()
        },
    ] {
        assert!(
            matches!(target(&bad, &env), Err(ConnectError::BadFlag { .. })),
            "{bad:?}"
        );
    }
}

#[test]
fn a_server_is_read_as_kubectl_reads_it() {
    let read = |text: &str, authority: Option<&str>| {
        let cluster = Cluster {
            server: Some(text.into()),
            certificate_authority: authority.map(str::to_owned),
            ..Cluster::default()
        };
        server_of(&cluster, &AuthInfo::default(), "c").map(|uri| uri.to_string())
    };
    assert_eq!(
        read("10.0.0.1:6443", None).expect("http"),
        "http://10.0.0.1:6443/"
    );
    assert_eq!(
        read("10.0.0.1:6443", Some("ca")).expect("https"),
        "https://10.0.0.1:6443/"
    );
    assert_eq!(read("HTTPS://a/b?c#d", None).expect("path"), "https://a/b");
    for bad in ["", "ftp://a", "https://", "https:///x", "https://user:secret@"] {
        let said = read(bad, None).expect_err(bad).to_string();
        assert!(!said.contains("secret"), "{said}");
    }
}

#[test]
fn debug_output_holds_no_token() {
    let flags = Flags {
        token: Some("s3cret".into()),
        ..Flags::default()
    };
    assert!(!format!("{flags:?}").contains("s3cret"));
}
