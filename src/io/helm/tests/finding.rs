//! Which helm is taken, what it is told, and what it sees.

use super::*;
use crate::io::connection::Flags;

async fn found(script: &str) -> Result<String, HelmError> {
    let fake = Fake::whole(script);
    Helm::find(&fake.environment(&[]))
        .await
        .map(|helm| helm.version().to_string())
}

#[tokio::test]
async fn versions_that_are_tested_are_taken_and_no_others() {
    for good in [
        "v3.17.0",
        "v3.20.2",
        "v4.1.3",
        "v4.3.1",
        "v3.21.0-rc.1",
        "4.2.0+build",
    ] {
        let version = found(&format!("echo {good}")).await;
        assert_eq!(version, Ok(good.trim_start_matches('v').to_string()));
    }
    for old in ["v2.17.0", "v3.16.9", "v4.0.5", "v4.1.2"] {
        let error = found(&format!("echo {old}")).await.expect_err(old);
        assert!(matches!(error, HelmError::TooOld { .. }), "{old}: {error}");
        assert!(error.hint().is_some_and(|hint| hint.contains("helm.sh")));
    }
    let error = found("echo v5.0.0").await.expect_err("unknown");
    assert!(matches!(error, HelmError::TooNew { .. }), "{error}");
}

#[tokio::test]
async fn what_is_no_helm_is_said_to_be_none() {
    let strange = [
        ("echo 'ls: hello'", "it says that its version is \"ls: hello\""),
        ("", "it says that its version is \"\""),
        ("printf '\\033[2J'", "it says that its version is \"\u{fffd}[2J\""),
        ("echo oops >&2; exit 3", "helm version failed: oops"),
        ("exit 3", "helm version failed: it said nothing (exit status: 3)"),
        (
            "kill -9 $$",
            "helm version failed: it was ended by signal 9 and said nothing",
        ),
        ("exec yes", "helm version prints without end"),
        (
            "printf '\\377\\376'",
            "helm version prints something that is not text",
        ),
    ];
    for (script, wanted) in strange {
        match found(script).await.expect_err(script) {
            HelmError::Strange { why, .. } => assert_eq!(why, wanted, "{script}"),
            other => panic!("{script}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn no_helm_says_where_it_was_looked_for() {
    let empty = tempfile::tempdir().expect("a folder");
    let path = empty.path().display().to_string();
    let error = Helm::find(&Environment::of([("PATH", path.clone())]))
        .await
        .expect_err("none");
    assert_eq!(error.to_string(), "helm was not found: there is none on the PATH");
    let all = [("PATH", path.as_str()), ("HELM_BIN", "nowhere")];
    let error = Helm::find(&Environment::of(all)).await.expect_err("none");
    assert_eq!(
        error.to_string(),
        "helm was not found: HELM_BIN names \"nowhere\", which is no program"
    );

    // An empty variable is none, and a file that may not be run is no program.
    let fake = Fake::new("");
    let own = fake.path().display().to_string();
    let all = [("PATH", own.as_str()), ("HELM_BIN", "")];
    let environment = Environment::of(all);
    assert_eq!(environment.program(OsStr::new("helm")), Some(fake.program()));
    assert_eq!(environment.program(OsStr::new("script")), None);
    let relative = Environment::of([("PATH", ".:")]);
    assert_eq!(relative.program(OsStr::new("helm")), None);
}

#[tokio::test]
async fn it_sees_the_users_network_and_logins_and_nothing_that_bends_a_command() {
    let fake = Fake::new("env | sort > \"$LOG\"; echo '[]'");
    let own = [
        ("HOME", "/h"),
        ("HTTPS_PROXY", "http://proxy:1"),
        ("SSL_CERT_FILE", "/ca"),
        ("KUBECONFIG", "/k"),
        ("AZURE_CLIENT_SECRET", "s"),
        ("HELM_DRIVER", "configmap"),
        ("HELM_NAMESPACE", "wrong"),
        ("HELM_KUBECONTEXT", "wrong"),
        ("HELM_KUBETOKEN", "wrong"),
        ("HELM_DEBUG", "1"),
        ("HELM_PLUGINS", "/plugins"),
        ("HELM_REPOSITORY_CONFIG", "/mine"),
        ("NO_COLOR", ""),
    ];
    let helm = Helm::find(&fake.environment(&own)).await.expect("found");
    let target = target();
    assert_eq!(helm.release(&target, "r", None).history().await, Ok(vec![]));
    let folder = helm.folder().path().display().to_string();
    let seen = fake.log().replace(&folder, "OURS");
    let kept: Vec<&str> = seen
        .lines()
        .filter(|line| {
            !["PATH=", "PWD=", "OLDPWD=", "SHLVL=", "_=", "LOG="]
                .iter()
                .any(|own| line.starts_with(own))
        })
        .collect();
    insta::assert_snapshot!(kept.join("\n"));

    let registry = |all: &[(&str, &str)]| {
        let of = Environment::of(all.iter().map(|(n, v)| (n.to_string(), v.to_string())));
        of.for_helm(Path::new("/ours"))
            .into_iter()
            .filter(|(name, _)| name == "HELM_REGISTRY_CONFIG")
            .map(|(_, value)| value.into_string().expect("text"))
            .collect::<Vec<String>>()
    };
    let of_home = registry(&[("HOME", "/h"), ("HELM_REGISTRY_CONFIG", "")]);
    assert_eq!(of_home.len(), 1);
    assert!(of_home[0].ends_with("registry/config.json"), "{of_home:?}");
    assert_eq!(
        registry(&[("HOME", "/h"), ("HELM_REGISTRY_CONFIG", "/r")]),
        ["/r"]
    );
    assert_eq!(
        registry(&[("HOME", "/h"), ("HELM_CONFIG_HOME", "/c")]),
        ["/c/registry/config.json"]
    );
    assert_eq!(
        registry(&[("XDG_CONFIG_HOME", "/x")]),
        ["/x/helm/registry/config.json"]
    );
    assert!(registry(&[]).is_empty());
}

/// Every command as helm gets it, with the files' names made the same.
async fn commands(version: &str) -> String {
    // Values must be ours alone, and whole, while helm runs.
    let fake = Fake::printing(
        version,
        "for a in \"$@\"; do case $a in --values=*) v=${a#--values=}; stat -c %a \"$v\" >> \"$LOG\"; \
         cat \"$v\" >> \"$LOG\"; echo >> \"$LOG\";; esac; done\n\
         echo \"$@\" >> \"$LOG\"; case $1 in history) echo '[]';; get) echo null;; esac",
    );
    let helm = fake.helm().await;
    let target = Target {
        kubeconfig: Some("conf ig".into()),
        as_user: Some("-u".into()),
        as_groups: vec!["a".into(), "b".into()],
        server: Some("https://s".into()),
        tls_server_name: Some("t".into()),
        certificate_authority: Some("ca".into()),
        insecure_skip_tls_verify: true,
        ..target()
    };
    let release = helm.release(&target, "-odd", None);
    let values = serde_json::json!({"a": "no", "secret": "hunter2"});
    let limit = Duration::from_secs(90);
    let plain = Change::new(Path::new("c.tgz"), &values, limit);
    let forced = Change {
        create_namespace: true,
        take_ownership: true,
        force_conflicts: true,
        description: Some("-why"),
        ..plain.clone()
    };
    release.install(&plain).await.expect("installed");
    release.install(&forced).await.expect("installed");
    release.upgrade(&plain).await.expect("upgraded");
    release.upgrade(&forced).await.expect("upgraded");
    release.rollback(3, limit, true).await.expect("rolled back");
    release.uninstall(true, limit).await.expect("gone");
    release.uninstall(false, Duration::ZERO).await.expect("gone");
    assert_eq!(release.history().await, Ok(vec![]));
    assert_eq!(release.values(None).await, Ok(serde_json::json!({})));
    assert_eq!(release.values(Some(2)).await, Ok(serde_json::json!({})));
    let rendering = Rendering {
        chart: Path::new("c.tgz"),
        release: "r",
        namespace: "n",
        values: &values,
        kube_version: Some("1.33.2"),
        api_versions: &["a/v1".into(), "b/v1/C".into()],
        upgrade: true,
    };
    helm.template(&rendering).await.expect("rendered");
    let left: Vec<_> = std::fs::read_dir(helm.folder().path())
        .expect("the folder")
        .flatten()
        .filter(|e| e.file_name().to_string_lossy().ends_with(".values"))
        .collect();
    assert!(left.is_empty(), "values stay: {left:?}");
    let ours = helm.folder().path().display().to_string();
    let log = fake.log().replace(&ours, "OURS");
    assert!(
        log.lines()
            .filter(|line| line.contains("hunter2"))
            .all(|line| line.starts_with('{'))
    );
    for never in [
        "--set",
        "--wait",
        "--atomic",
        "--reuse-values",
        "--rollback-on-failure",
        "--force ",
    ] {
        assert!(!log.contains(never), "{never}");
    }
    log
}

#[tokio::test]
async fn commands_of_helm_3() {
    insta::assert_snapshot!(commands("v3.17.0").await);
}

#[tokio::test]
async fn commands_of_helm_4() {
    insta::assert_snapshot!(commands("v4.1.3").await);
}

#[test]
fn flags_without_a_counterpart_are_refused_and_named() {
    let good = Flags {
        kubeconfig: Some("k".into()),
        context: Some("flag".into()),
        as_user: Some("me".into()),
        request_timeout: Some(Duration::from_secs(1)),
        disable_compression: true,
        ..Flags::default()
    };
    let target = Target::of(&good, Some("blue"), "ns").expect("a target");
    assert_eq!(target.context.as_deref(), Some("blue"));
    assert_eq!(
        Target::of(&good, None, "ns")
            .expect("a target")
            .context
            .as_deref(),
        Some("flag")
    );
    type Break = fn(&mut Flags);
    let broken: [(&str, Break); 7] = [
        ("--token", |f| f.token = Some("t0ken".into())),
        ("--user", |f| f.user = Some("x".into())),
        ("--cluster", |f| f.cluster = Some("x".into())),
        ("--as-uid", |f| f.as_uid = Some("x".into())),
        ("--as-user-extra", |f| f.as_user_extra = vec!["a=b".into()]),
        ("--client-certificate", |f| {
            f.client_certificate = Some("x".into())
        }),
        ("--client-key", |f| f.client_key = Some("x".into())),
    ];
    for (flag, break_it) in broken {
        let mut flags = good.clone();
        break_it(&mut flags);
        let error = Target::of(&flags, None, "ns").expect_err(flag);
        assert_eq!(error, HelmError::Flag { flag });
        assert!(!error.to_string().contains("t0ken"));
    }
}
