//! Helm 3 and 4 themselves, with the charts that CNIs come in: what is fetched, rendered, installed and undone.

#![allow(clippy::print_stderr)]

#[path = "clusters/mod.rs"]
mod clusters;

use std::{
    future::Future,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use clusters::{ControlPlane, Options, files::serve, helm, required_or_skip};
use kubectl_byocni::{
    core::{
        chart::Offered,
        manifest::{Object, objects},
        revision::Revision,
    },
    io::{
        charts::{ChartError, ChartSource, Charts, Fetched, ManifestSource},
        helm::{Cause, Change, Environment, Helm, HelmError, Rendering, Target},
    },
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const LIMIT: Duration = Duration::from_secs(60);

fn block<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(future)
}

/// Both majors, those that there are.
fn helms() -> Vec<Helm> {
    [3, 4]
        .into_iter()
        .filter_map(|major| {
            let program = required_or_skip("control-plane", helm(major))?;
            let own: Vec<(String, String)> = ["PATH", "HOME", "TMPDIR"]
                .into_iter()
                .filter_map(|name| Some((name.to_string(), std::env::var(name).ok()?)))
                .chain([("HELM_BIN".to_string(), program.display().to_string())])
                .collect();
            let found = block(Helm::find(&Environment::of(own))).expect("a good helm");
            assert_eq!(found.version().major, u64::from(major));
            Some(found)
        })
        .collect()
}

fn real_charts() -> Option<PathBuf> {
    required_or_skip("charts", clusters::programs::charts())
}

async fn rendered(
    helm: &Helm,
    fetched: &Fetched,
    namespace: &str,
    values: &Value,
) -> Result<Vec<Object>, HelmError> {
    let rendering = Rendering {
        chart: &fetched.path,
        release: &fetched.chart.name,
        namespace,
        values,
        kube_version: Some("1.33.2"),
        api_versions: &[],
        upgrade: false,
    };
    let text = helm.template(&rendering).await?;
    Ok(objects(kubectl_byocni::yaml::documents(&text).expect("YAML")))
}

fn names(objects: &[Object]) -> Vec<String> {
    let mut all: Vec<String> = objects.iter().map(|o| format!("{}/{}", o.kind, o.name)).collect();
    all.sort();
    all
}

#[test]
fn every_real_chart_is_read_without_helm() {
    let Some(folder) = real_charts() else { return };
    let charts = Charts::new(None).expect("a folder");
    let repository = folder.display().to_string();
    let mut read = vec![];
    for name in ["cilium", "flannel", "tigera-operator", "crd.projectcalico.org.v1"] {
        let source = ChartSource::repository(&repository, name).expect("a source");
        let offered: Vec<Offered> = block(charts.offered(&source)).expect("offered");
        assert!(!offered.is_empty());
        for version in offered {
            let fetched = block(charts.fetch(&source, Some(&version.version))).expect(&version.version);
            let chart = fetched.chart;
            assert_eq!((chart.name.as_str(), &chart.version), (name, &version.version));
            assert_eq!(Some(&chart.digest), version.digest.as_ref());
            assert_eq!(chart.app_version, version.app_version);
            assert_eq!(chart.kube_version, version.kube_version);
            assert!(chart.values.is_object());
            read.push((name, chart));
        }
    }
    let of = |name: &str| read.iter().filter(|(n, _)| *n == name).count();
    assert!(
        of("cilium") >= 9 && of("flannel") >= 2 && of("tigera-operator") >= 2,
        "{}",
        read.len()
    );
    for (name, chart) in &read {
        match *name {
            "cilium" => assert!(chart.values["ipam"].is_object() && chart.values_text.contains("# -- ")),
            "flannel" => assert!(chart.values["podCidr"].is_string()),
            _ => {}
        }
    }
}

#[test]
fn both_majors_render_the_same_from_the_real_charts() {
    let Some(folder) = real_charts() else { return };
    let repository = folder.display().to_string();
    let mut all: Vec<Vec<(String, Vec<String>)>> = vec![];
    for helm in helms() {
        let charts = Charts::new(Some(&helm)).expect("a folder");
        let mut of_helm = vec![];
        for (name, values) in [
            (
                "cilium",
                json!({"aksbyocni": {"enabled": true}, "ipam": {"operator": {"clusterPoolIPv4PodCIDRList": ["10.42.0.0/16"]}}}),
            ),
            ("flannel", json!({"podCidr": "10.42.0.0/16"})),
            ("tigera-operator", json!({"installation": {"enabled": true}})),
            ("crd.projectcalico.org.v1", json!({})),
        ] {
            let source = ChartSource::repository(&repository, name).expect("a source");
            let fetched = block(charts.fetch(&source, None)).expect(name);
            let found = block(rendered(&helm, &fetched, "kube-system", &values)).expect(name);
            assert!(!found.is_empty());
            of_helm.push((name.to_string(), names(&found)));
        }
        assert!(
            of_helm[0].1.contains(&"DaemonSet/cilium".to_string()),
            "{:?}",
            of_helm[0]
        );
        all.push(of_helm);
    }
    if let [three, four] = &all[..] {
        assert_eq!(three, four);
    }
}

#[test]
fn what_cannot_be_rendered_says_why() {
    let Some(folder) = real_charts() else { return };
    for helm in helms() {
        let charts = Charts::new(Some(&helm)).expect("a folder");
        let source = ChartSource::repository(&folder.display().to_string(), "cilium").expect("a source");
        let fetched = block(charts.fetch(&source, None)).expect("fetched");
        let broken = |values: Value| {
            let error = block(rendered(&helm, &fetched, "kube-system", &values)).expect_err("broken");
            (error.cause().cloned(), error.to_string())
        };
        let (cause, text) = broken(json!({"ipam": "text"}));
        assert!(matches!(cause, Some(Cause::Schema | Cause::Template)), "{text}");
        // The chart's own refusal: templates are run with these values.
        let (cause, text) = broken(
            json!({"clusterMeshNothing": 1, "cluster": {"name": "much-too-long-for-a-cluster-name-of-cilium"}, "clustermesh": {"useAPIServer": true}}),
        );
        assert_eq!(cause, Some(Cause::Template), "{text}");
        let rendering = Rendering {
            chart: &fetched.path,
            release: "cilium",
            namespace: "kube-system",
            values: &json!({}),
            kube_version: Some("1.10.0"),
            api_versions: &[],
            upgrade: false,
        };
        let error = block(helm.template(&rendering)).expect_err("too old a cluster");
        assert_eq!(error.cause(), Some(&Cause::KubernetesVersion), "{error}");
    }
}

/// A chart with a ConfigMap, whose text is `value`, and optionally a hook that never ends without nodes.
fn chart(hook: bool) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("templates")).expect("made");
    let put = |path: &str, text: &str| std::fs::write(folder.path().join(path), text).expect("written");
    put(
        "Chart.yaml",
        "apiVersion: v2\nname: net\nversion: 1.2.3\nappVersion: 1.2.3-app\n",
    );
    put("values.yaml", "value: one\n");
    put(
        "templates/map.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: net-config}\ndata: {value: {{ .Values.value | quote }}}\n",
    );
    if hook {
        put(
            "templates/job.yaml",
            "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: net-hook\n  annotations: {helm.sh/hook: 'pre-install,pre-upgrade'}\n\
             spec:\n  template:\n    spec:\n      restartPolicy: Never\n      containers: [{name: c, image: none}]\n",
        );
    }
    folder
}

fn fetched(helm: &Helm, folder: &Path) -> Fetched {
    let charts = Charts::new(Some(helm)).expect("a folder");
    let source = ChartSource::chart(&folder.display().to_string()).expect("a source");
    block(charts.fetch(&source, None)).expect("fetched")
}

#[test]
fn a_folder_that_we_packed_renders_as_helm_packs_it() {
    let folder = chart(true);
    for helm in helms() {
        let ours = fetched(&helm, folder.path());
        let theirs = tempfile::tempdir().expect("a folder");
        let packed = std::process::Command::new(helm.program())
            .arg("package")
            .arg(folder.path())
            .arg("--destination")
            .arg(theirs.path())
            .output()
            .expect("helm runs");
        assert!(packed.status.success());
        let charts = Charts::new(Some(&helm)).expect("a folder");
        let archive = theirs.path().join("net-1.2.3.tgz");
        let source = ChartSource::chart(&archive.display().to_string()).expect("a source");
        let theirs = block(charts.fetch(&source, None)).expect("read");
        let values = json!({"value": "no"});
        let one = block(rendered(&helm, &ours, "n", &values)).expect("rendered");
        let two = block(rendered(&helm, &theirs, "n", &values)).expect("rendered");
        assert_eq!(one, two);
        // A word stays text on its way through the file of values.
        let map = one.iter().find(|o| o.kind == "ConfigMap").expect("a ConfigMap");
        assert_eq!(map.value["data"]["value"], "no");
    }
}

#[test]
fn a_wrapped_manifest_renders_as_it_is_with_its_definitions() {
    let text = "apiVersion: v1\nkind: Namespace\nmetadata: {name: net}\n---\n\
                apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {x: '{{ .Release.Name }}'}}\n---\n\
                apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: things.net.io}\n---\n";
    for helm in helms() {
        let charts = Charts::new(Some(&helm)).expect("a folder");
        let fetched = charts.wrap_manifest("net", "net.yaml", text).expect("wrapped");
        let found = block(rendered(&helm, &fetched, "kube-system", &json!({}))).expect("rendered");
        assert_eq!(
            names(&found),
            [
                "ConfigMap/a",
                "CustomResourceDefinition/things.net.io",
                "Namespace/net"
            ]
        );
        let map = found.iter().find(|o| o.kind == "ConfigMap").expect("a ConfigMap");
        assert_eq!(map.value["data"]["x"], "{{ .Release.Name }}");
    }
}

#[test]
fn repositories_and_archives_are_fetched_over_http_and_checked() {
    for helm in helms() {
        let folder = tempfile::tempdir().expect("a folder");
        let ours = fetched(&helm, chart(false).path());
        std::fs::write(folder.path().join("net-1.2.3.tgz"), &ours.archive).expect("written");
        let index = |digest: &str| {
            let text = format!(
                "apiVersion: v1\nentries:\n  net:\n  - {{apiVersion: v2, name: net, version: 1.2.3, appVersion: 1.2.3-app, \
                 digest: {digest}, urls: [net-1.2.3.tgz]}}\n"
            );
            std::fs::write(folder.path().join("index.yaml"), text).expect("written");
        };
        let digest = ours.chart.digest.trim_start_matches("sha256:").to_string();
        index(&digest);
        let url = serve(folder.path());
        let source = ChartSource::repository(&url, "net").expect("a source");
        let charts = Charts::new(Some(&helm)).expect("a folder");
        let offered = block(charts.offered(&source)).expect("offered");
        assert_eq!(offered[0].digest.as_ref(), Some(&ours.chart.digest));
        let got = block(charts.fetch(&source, Some("v1.2.3"))).expect("fetched");
        assert_eq!(got.archive, ours.archive);
        let archive = ChartSource::chart(&format!("{url}/net-1.2.3.tgz@sha256:{digest}")).expect("a source");
        assert_eq!(
            block(charts.fetch(&archive, None)).expect("fetched").archive,
            ours.archive
        );

        let of = |error: ChartError| match error {
            ChartError::Helm(error) => (error.cause().cloned(), error.to_string()),
            other => panic!("{other:?}"),
        };
        for (file, wanted) in [
            ("none.tgz", Cause::ChartNotFound),
            ("busy.tgz", Cause::RegistryLimit),
            ("private.tgz", Cause::RegistryLogin),
        ] {
            let source = ChartSource::chart(&format!("{url}/{file}")).expect("a source");
            let (cause, text) = of(block(charts.fetch(&source, None)).expect_err(file));
            assert_eq!(cause, Some(wanted), "{text}");
        }
        // Another one under the same name, while the index stays; and an index with another digest.
        let other =
            ChartSource::chart(&format!("{url}/net-1.2.3.tgz@sha256:{}", "0".repeat(64))).expect("a source");
        let error = block(charts.fetch(&other, None)).expect_err("pinned to another");
        assert!(
            matches!(error, ChartError::Digest { by: "the user", .. }),
            "{error}"
        );
        index(&"a".repeat(64));
        let fresh = serve(folder.path());
        let source = ChartSource::repository(&fresh, "net").expect("a source");
        let error = block(charts.fetch(&source, None)).expect_err("another digest");
        assert!(matches!(error, ChartError::Digest { .. }), "{error}");

        let nowhere = ChartSource::repository("http://127.0.0.1:9", "net").expect("a source");
        let (cause, text) = of(block(charts.offered(&nowhere)).expect_err("nobody there"));
        assert_eq!(cause, Some(Cause::Network), "{text}");
        let empty = tempfile::tempdir().expect("a folder");
        let nothing = ChartSource::repository(&serve(empty.path()), "net").expect("a source");
        let (cause, text) = of(block(charts.offered(&nothing)).expect_err("no index"));
        assert_eq!(cause, Some(Cause::ChartNotFound), "{text}");
    }
}

#[test]
fn manifests_are_fetched_over_http_and_checked() {
    const TEXT: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";
    for helm in helms() {
        let folder = tempfile::tempdir().expect("a folder");
        let put =
            |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).expect("written");
        put("net.yaml", TEXT.as_bytes());
        put("page.yaml", b"\n<!DOCTYPE html><html>log in</html>");
        put("bytes.yaml", &[0xff, 0xfe]);
        put("large.yaml", &vec![b'#'; 5 * 1024 * 1024 + 1]);
        let url = serve(folder.path());
        let charts = Charts::new(Some(&helm)).expect("a folder");
        let fetch = |named: &str| {
            let source = ManifestSource::find(named).expect("a URL");
            block(charts.manifest(&source))
        };
        let digest = format!("{:x}", Sha256::digest(TEXT));
        assert_eq!(
            fetch(&format!("{url}/net.yaml@sha256:{digest}")).as_deref(),
            Ok(TEXT)
        );
        assert_eq!(fetch(&format!("{url}/net.yaml")).as_deref(), Ok(TEXT));
        assert_eq!(
            fetch(&format!("{url}/away.yaml")).as_deref(),
            Ok(TEXT),
            "redirected"
        );
        // What was planned is what runs: it is fetched once.
        put("net.yaml", b"kind: Other\n");
        assert_eq!(fetch(&format!("{url}/net.yaml")).as_deref(), Ok(TEXT));

        let pinned = fetch(&format!("{url}/net.yaml@sha256:{}", "0".repeat(64)));
        assert!(
            matches!(pinned, Err(ChartError::Digest { by: "the user", .. })),
            "{pinned:?}"
        );
        for (named, wanted) in [
            (format!("{url}/page.yaml"), "a page for browsers"),
            (format!("{url}/bytes.yaml"), "not text in UTF-8"),
            (format!("{url}/large.yaml"), "larger than 5 MiB"),
            (format!("{url}/none.yaml?sig=hunter2"), "cannot be fetched: "),
            (format!("{url}/round.yaml"), "cannot be fetched: "),
            ("http://127.0.0.1:9/net.yaml".into(), "cannot be fetched: "),
        ] {
            let error = fetch(&named).expect_err(&named);
            let text = format!("{error} | {}", error.hint().unwrap_or_default());
            assert!(
                text.contains(wanted) && !text.contains("--chart"),
                "{named}: {text}"
            );
            assert!(!text.contains("hunter2"), "{named}: {text}");
        }
    }
}

fn states(history: &[Revision]) -> Vec<String> {
    history
        .iter()
        .map(|r| format!("{} {}", r.revision, r.status))
        .collect()
}

#[test]
fn a_release_goes_its_way_in_a_real_cluster() {
    let Some(plane) = required_or_skip("control-plane", ControlPlane::start(Options::default())) else {
        return;
    };
    let folder = chart(false);
    for helm in helms() {
        let fetched = fetched(&helm, folder.path());
        let namespace = format!("net-{}", helm.version().major);
        let target = Target {
            kubeconfig: Some(plane.kubeconfig().to_path_buf()),
            namespace: namespace.clone(),
            ..Target::default()
        };
        let release = helm.release(&target, "net", None);
        let (one, two) = (
            json!({"value": "no", "token": "hunter2"}),
            json!({"value": "0777"}),
        );
        block(async {
            assert_eq!(release.history().await.expect("a history"), vec![]);
            let error = release.values(None).await.expect_err("none");
            assert_eq!(error.cause(), Some(&Cause::ReleaseNotFound), "{error}");
            let error = release.uninstall(true, LIMIT).await.expect_err("none");
            assert_eq!(error.cause(), Some(&Cause::ReleaseNotFound), "{error}");
            let mut change = Change::new(&fetched.path, &one, LIMIT);
            let error = release.install(&change).await.expect_err("no namespace");
            assert_eq!(error.cause(), Some(&Cause::NamespaceMissing), "{error}");
            change.create_namespace = true;
            change.description = Some("by a test");
            release.install(&change).await.expect("installed");
            let history = release.history().await.expect("a history");
            assert_eq!(states(&history), ["1 deployed"]);
            let newest = &history[0];
            assert_eq!((newest.chart.as_str(), newest.version.as_str()), ("net", "1.2.3"));
            assert_eq!(
                (newest.app_version.as_str(), newest.description.as_str()),
                ("1.2.3-app", "by a test")
            );
            assert!(newest.updated.is_some());
            let error = release.install(&change).await.expect_err("twice");
            assert_eq!(error.cause(), Some(&Cause::NameInUse), "{error}");

            // Nothing of the first revision's values is left in the second.
            release
                .upgrade(&Change::new(&fetched.path, &two, LIMIT))
                .await
                .expect("upgraded");
            assert_eq!(release.values(None).await.expect("values"), two);
            assert_eq!(release.values(Some(1)).await.expect("values"), one);
            release.rollback(1, LIMIT, false).await.expect("rolled back");
            assert_eq!(release.values(None).await.expect("values"), one);
            let history = release.history().await.expect("a history");
            assert_eq!(states(&history), ["1 superseded", "2 superseded", "3 deployed"]);
            let error = release
                .rollback(9, LIMIT, false)
                .await
                .expect_err("no such revision");
            assert_eq!(error.cause(), Some(&Cause::ReleaseNotFound), "{error}");
        });
        let map = format!("/api/v1/namespaces/{namespace}/configmaps/net-config");
        assert_eq!(plane.get(&map).expect("there")["data"]["value"], "no");

        // Another release wants the same object.
        let other = helm.release(&target, "other", None);
        let error = block(other.install(&Change::new(&fetched.path, &one, LIMIT))).expect_err("owned");
        let Some(Cause::ForeignOwnership { objects }) = error.cause() else {
            panic!("{error:?}");
        };
        assert_eq!(
            (objects[0].kind.as_str(), objects[0].owner.as_deref()),
            ("ConfigMap", Some("net"))
        );
        block(release.uninstall(true, LIMIT)).expect("uninstalled");
        assert!(plane.get(&map).is_none());
        assert_eq!(block(release.history()), Ok(vec![]));

        // An object without an owner is taken over only when asked.
        plane.apply(&format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: net-config, namespace: {namespace}}}\ndata: {{value: mine}}\n"
        ));
        let mut change = Change::new(&fetched.path, &one, LIMIT);
        let error = block(release.install(&change)).expect_err("not ours");
        let Some(Cause::ForeignOwnership { objects }) = error.cause() else {
            panic!("{error:?}");
        };
        assert_eq!(
            (objects[0].name.as_str(), &objects[0].owner),
            ("net-config", &None)
        );
        change.take_ownership = true;
        change.force_conflicts = true;
        block(release.install(&change)).expect("taken over");
        assert_eq!(plane.get(&map).expect("there")["data"]["value"], "no");
        block(release.uninstall(true, LIMIT)).expect("uninstalled");

        // Somebody else wrote a field of it: helm 4 says so, helm 3 writes over it.
        block(release.install(&Change::new(&fetched.path, &one, LIMIT))).expect("installed");
        plane.apply(&format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: net-config, namespace: {namespace}}}\ndata: {{value: mine}}\n"
        ));
        let mut change = Change::new(&fetched.path, &two, LIMIT);
        let outcome = block(release.upgrade(&change));
        if helm.version().major >= 4 {
            let error = outcome.expect_err("a conflict");
            let Some(Cause::Conflict { object, fields }) = error.cause() else {
                panic!("{error:?}");
            };
            assert!(object.contains("net-config"), "{object}");
            assert_eq!(fields.len(), 1, "{fields:?}");
            assert_eq!(fields[0].1, ".data.value");
        } else {
            outcome.expect("upgraded");
        }
        change.force_conflicts = true;
        block(release.upgrade(&change)).expect("forced");
        assert_eq!(plane.get(&map).expect("there")["data"]["value"], "0777");
        block(release.uninstall(true, LIMIT)).expect("uninstalled");

        // Without rights, and without a cluster.
        let nobody = Target {
            as_user: Some("nobody".into()),
            ..target.clone()
        };
        let error = block(helm.release(&nobody, "net", None).history()).expect_err("no rights");
        assert!(
            matches!(error.cause(), Some(Cause::Forbidden { denied: Some(_) })),
            "{error}"
        );
        for (broken, wanted) in [
            (
                Target {
                    context: Some("nope".into()),
                    ..target.clone()
                },
                Cause::NoContext,
            ),
            (
                Target {
                    server: Some("https://127.0.0.1:9".into()),
                    ..target.clone()
                },
                Cause::ClusterUnreachable,
            ),
        ] {
            let error = block(helm.release(&broken, "net", None).history()).expect_err("no cluster");
            assert_eq!(error.cause(), Some(&wanted), "{error}");
        }
    }
}

#[test]
fn asked_to_stop_helm_marks_the_release_failed_and_never_leaves_it_pending() {
    let Some(plane) = required_or_skip("control-plane", ControlPlane::start(Options::default())) else {
        return;
    };
    let (slow, quick) = (chart(true), chart(false));
    for helm in helms() {
        let (slow, quick) = (fetched(&helm, slow.path()), fetched(&helm, quick.path()));
        let target = Target {
            kubeconfig: Some(plane.kubeconfig().to_path_buf()),
            namespace: format!("stop-{}", helm.version().major),
            ..Target::default()
        };
        let values = json!({});
        // Stops as soon as the revision is pending.
        let stopped = |upgrade: bool| {
            let (sender, stop) = tokio::sync::watch::channel(false);
            let release = helm.release(&target, "net", Some(stop));
            let mut change = Change::new(&slow.path, &values, LIMIT);
            change.create_namespace = true;
            let since = Instant::now();
            let (outcome, ()) = block(async {
                tokio::join!(
                    async {
                        match upgrade {
                            true => release.upgrade(&change).await,
                            false => release.install(&change).await,
                        }
                    },
                    async {
                        while !release
                            .history()
                            .await
                            .is_ok_and(|all| all.last().is_some_and(Revision::pending))
                        {
                            assert!(since.elapsed() < LIMIT, "never pending");
                        }
                        // While it is pending nobody else gets in.
                        if upgrade {
                            let other = helm.release(&target, "net", None);
                            let change = Change::new(&quick.path, &values, LIMIT);
                            let error = other.upgrade(&change).await.expect_err("locked");
                            assert_eq!(error.cause(), Some(&Cause::InProgress), "{error}");
                        }
                        sender.send(true).expect("heard");
                    }
                )
            });
            assert!(since.elapsed() < LIMIT / 2, "it took {:?}", since.elapsed());
            assert!(matches!(outcome, Err(HelmError::Stopped { .. })), "{outcome:?}");
            block(release.history()).expect("a history")
        };
        assert_eq!(states(&stopped(false)), ["1 failed"]);
        let release = helm.release(&target, "net", None);
        block(release.uninstall(false, LIMIT)).expect("uninstalled");
        block(release.install(&Change::new(&quick.path, &values, LIMIT))).expect("installed");
        assert_eq!(states(&stopped(true)), ["1 deployed", "2 failed"]);
        block(release.uninstall(false, LIMIT)).expect("uninstalled");
    }
}
