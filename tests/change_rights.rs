//! `docs/rbac-change.yaml`: what changing takes, written from the program's own list, and tried on a real API server:
//! with it (and the reading role) a CNI is installed; with less, the plan says what is missing and nothing is written.
//! `UPDATE=1 cargo test --test change_rights` writes the file anew; it wants helm and the charts.

#![allow(clippy::print_stderr)]

#[path = "clusters/mod.rs"]
mod clusters;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use base64::Engine as _;
use clusters::{ControlPlane, Options, aks, helm, required_or_skip};
use kubectl_byocni::core::{
    capture::Source,
    cni::{Cni, calico::CALICO, cilium::CILIUM, flannel::FLANNEL},
    manifest,
    plan::rights::{Right, Wanted, needed},
};
use serde_json::Value;

const FILE: &str = "docs/rbac-change.yaml";

const HEAD: &str = "\
# What `kubectl byocni install`, `upgrade`, `rollback`, `resume` and `abort` need beside docs/rbac-read.yaml, for Cilium,
# Calico and Flannel with the values that their charts have by default. Bind both to whoever runs them:
#
#   kubectl apply -f docs/rbac-read.yaml -f docs/rbac-change.yaml
#   kubectl create clusterrolebinding byocni-reader --clusterrole=kubectl-byocni-reader --user=USER
#   kubectl create clusterrolebinding byocni-changer --clusterrole=kubectl-byocni-changer --user=USER
#
# Who may make privileged DaemonSets and grant any role (escalate, bind) is as good as cluster-admin: this role keeps from
# mistakes, not from intent. What a chart creates with other values, and charts of your own, may take more: a plan lists
# what is missing (rights-missing) before anything is written.
#
# Written by `UPDATE=1 cargo test --test change_rights`.
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: kubectl-byocni-changer
rules:
";

fn charts() -> Option<PathBuf> {
    required_or_skip("charts", clusters::programs::charts())
}

/// Every right that a change of this CNI takes, with the newest of these charts.
fn rights(helm: &Path, folder: &Path, cni: &'static Cni) -> BTreeSet<Right> {
    let installing = cni.installing.expect("one that can be installed");
    let mut all = BTreeSet::new();
    let archives = fs::read_dir(folder).expect("charts").flatten().map(|e| e.path());
    let of_cni = archives.filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let rest = name.strip_prefix(installing.chart);
        rest.is_some_and(|rest| {
            rest.trim_start_matches("-v")
                .trim_start_matches('-')
                .starts_with(|c: char| c.is_ascii_digit())
        })
    });
    let mut found = 0;
    for archive in of_cni {
        let output = Command::new(helm)
            .args([
                "template",
                "--include-crds",
                "--namespace",
                installing.namespace,
                installing.release,
            ])
            .arg(&archive)
            .output()
            .expect("helm runs");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        let rendered = manifest::objects(kubectl_byocni::yaml::documents(&text).expect("YAML"));
        all.extend(needed(
            &rendered,
            &Wanted {
                cni: Some(cni),
                namespace: installing.namespace,
                namespace_exists: installing.namespace == "kube-system",
                crds: installing.crd_chart.is_some(),
                probe: true,
            },
        ));
        found += 1;
    }
    assert!(found > 0, "no chart of {}", cni.name);
    all
}

/// Group, name and verbs of a rule.
type Kind<'v> = (String, Option<String>, BTreeSet<&'v str>);

/// Rules of a ClusterRole: what is the same but for its verbs or its resource stands together.
fn rules(rights: &BTreeSet<Right>) -> String {
    let mut verbs: BTreeMap<(String, String, Option<String>), BTreeSet<&str>> = BTreeMap::new();
    for right in rights {
        let key = (right.group.clone(), right.resource.clone(), right.name.clone());
        verbs.entry(key).or_default().insert(right.verb);
    }
    // Without these a plan stands too, and says which rules it could not apply.
    for source in Source::FOR_CHANGE {
        let (resource, group) = source
            .resource()
            .split_once('.')
            .unwrap_or((source.resource(), ""));
        let key = (group.to_string(), resource.to_string(), None);
        verbs.entry(key).or_default().insert("list");
    }
    for resource in ["clusterroles", "roles"] {
        let key = (
            "rbac.authorization.k8s.io".to_string(),
            resource.to_string(),
            None,
        );
        verbs.entry(key).or_default().extend(["bind", "escalate"]);
    }
    // What is allowed for every name is not said again for one.
    let whole = verbs.clone();
    for ((group, resource, name), some) in &mut verbs {
        if name.is_some()
            && let Some(of_all) = whole.get(&(group.clone(), resource.clone(), None))
        {
            some.retain(|verb| !of_all.contains(verb));
        }
    }
    verbs.retain(|_, some| !some.is_empty());
    let mut together: BTreeMap<Kind<'_>, Vec<String>> = BTreeMap::new();
    for ((group, resource, name), some) in verbs {
        together.entry((group, name, some)).or_default().push(resource);
    }
    let mut out = String::new();
    for ((group, name, verbs), resources) in together {
        let group = if group.is_empty() {
            "\"\"".to_string()
        } else {
            group
        };
        writeln!(
            out,
            "- apiGroups: [{group}]\n  resources: [{}]",
            resources.join(", ")
        )
        .expect("text");
        if let Some(name) = name {
            writeln!(out, "  resourceNames: [{name}]").expect("text");
        }
        let verbs: Vec<&str> = verbs.into_iter().collect();
        writeln!(out, "  verbs: [{}]", verbs.join(", ")).expect("text");
    }
    out
}

#[test]
fn the_shipped_role_is_what_the_program_asks_for() {
    let (Some(folder), Some(helm)) = (charts(), required_or_skip("helm", helm(4))) else {
        return;
    };
    let mut all = BTreeSet::new();
    for cni in [&CILIUM, &CALICO, &FLANNEL] {
        all.extend(rights(&helm, &folder, cni));
    }
    let expected = format!("{HEAD}{}", rules(&all));
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(FILE);
    if std::env::var_os("UPDATE").is_some_and(|v| !v.is_empty()) {
        fs::write(&path, &expected).expect("a writable file");
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "{FILE} is not what the program asks for now: UPDATE=1 cargo test --test change_rights"
    );
}

/// Somebody with the roles of these names.
fn user(plane: &ControlPlane, name: &str, roles: &[&str]) -> PathBuf {
    for role in roles {
        plane.apply(&format!(
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {{name: {name}-{role}}}\n\
             roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {role}}}\n\
             subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: User, name: {name}}}]\n"
        ));
    }
    plane.kubeconfig_for(name, &[])
}

fn run(kubeconfig: &Path, helm: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kubectl-byocni"))
        .args(arguments)
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .env("HOME", kubeconfig.parent().expect("a folder"))
        .envs([("LANG", "C.UTF-8"), ("COLUMNS", "100")])
        .env("KUBECONFIG", kubeconfig)
        .env("HELM_BIN", helm)
        .output()
        .expect("the plugin starts")
}

fn said(output: &Output) -> String {
    format!(
        "{:?}\n{}\n{}",
        output.status.code(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Writes of this user in the audit log, reviews and dry runs left out.
fn writes(plane: &ControlPlane, user: &str) -> Vec<String> {
    let log = fs::read_to_string(plane.dir().join("audit.log")).expect("an audit log");
    let events = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let of_user = events.filter(|e| e["user"]["username"] == user);
    let uris = of_user.filter_map(|e| Some(format!("{} {}", e["verb"].as_str()?, e["requestURI"].as_str()?)));
    uris.filter(|uri| {
        !["get ", "list ", "watch "]
            .iter()
            .any(|verb| uri.starts_with(verb))
            && !uri.contains("dryRun=All")
            && !uri.contains("selfsubject")
    })
    .collect()
}

/// Every slug that a plan is refused for, and the message of the rights that are missing.
fn refused(output: &Output) -> (Vec<String>, String) {
    let plan: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", said(output)));
    let slugs = plan["blockedBy"].as_array().cloned().unwrap_or_default();
    let slugs = slugs
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_string)
        .collect();
    let findings = plan["findings"].as_array().cloned().unwrap_or_default();
    let rights = findings.iter().find(|f| f["slug"] == "rights-missing");
    let message = rights.and_then(|f| f["message"].as_str()).unwrap_or_default();
    (slugs, message.to_string())
}

/// Repeats a plan until it satisfies: authorizers hear of new roles after a moment.
fn until(what: &str, mut plan: impl FnMut() -> Output, holds: impl Fn(&Output) -> bool) -> Output {
    for _ in 0..50 {
        let output = plan();
        if holds(&output) {
            return output;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    panic!("{what}: {}", said(&plan()));
}

/// Scenario 39 for changes (a reader is refused before any write, with all that is missing), what a review does not see
/// (a role that may not grant), and the shipped role from plan to network. Scenario 41 for the journal's ConfigMap.
#[test]
fn scenarios_39_and_41_rights_from_none_to_enough() {
    let (Some(folder), Some(helm)) = (charts(), required_or_skip("helm", helm(4))) else {
        return;
    };
    let options = Options {
        audit: true,
        ..aks::options()
    };
    let Some(plane) = required_or_skip("control-plane", ControlPlane::start(options)) else {
        return;
    };
    let _kubelet = aks::start(&plane, 3);
    plane.wait_for("nodes", Duration::from_secs(60), "/api/v1/nodes", |list| {
        list["items"].as_array().is_some_and(|all| all.len() == 3)
    });
    plane.apply(include_str!("../docs/rbac-read.yaml"));
    plane.apply(include_str!("../docs/rbac-change.yaml"));
    let granting = include_str!("../docs/rbac-change.yaml")
        .replace("kubectl-byocni-changer", "without-granting")
        .replace("bind, ", "")
        .replace("escalate, ", "");
    plane.apply(&granting);
    let charts = folder.display().to_string();
    let install = |more: &[&'static str]| -> Vec<String> {
        let fixed = ["install", "cilium", "--version", "1.19", "--repo", &charts];
        fixed.iter().chain(more).map(|s| (*s).to_string()).collect()
    };
    let ask = |kubeconfig: &Path, more: &[&'static str]| -> Output {
        let arguments = install(more);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        run(kubeconfig, &helm, &arguments)
    };

    // A reader: everything that is missing, at once, and not one write.
    let reader = user(&plane, "reader", &["kubectl-byocni-reader"]);
    let output = until(
        "the reader's plan",
        || ask(&reader, &["--yes", "-o", "json"]),
        |output| output.status.code() == Some(4),
    );
    let (slugs, message) = refused(&output);
    assert!(slugs.contains(&"rights-missing".to_string()), "{}", said(&output));
    for right in [
        "create daemonsets.apps in kube-system",
        "create clusterroles.rbac.authorization.k8s.io",
        "create leases.coordination.k8s.io in kube-system",
        "patch nodes",
    ] {
        assert!(message.contains(right), "{right} in {message}");
    }
    assert_eq!(writes(&plane, "reader"), Vec::<String>::new());

    // Somebody who may make roles, but not grant what Cilium's grant: reviews say yes, the dry run does not.
    let short = user(&plane, "short", &["kubectl-byocni-reader", "without-granting"]);
    let output = until(
        "a plan that only lacks what reviews do not see",
        || ask(&short, &["--yes", "-o", "json"]),
        |output| {
            let (slugs, message) = refused(output);
            slugs == ["rights-missing"] && !message.contains("create ")
        },
    );
    let (_, message) = refused(&output);
    for right in [
        "escalate clusterroles.rbac.authorization.k8s.io/cilium-operator",
        "bind clusterroles.rbac.authorization.k8s.io/cilium",
    ] {
        assert!(message.contains(right), "{right} in {message}");
    }
    assert_eq!(output.status.code(), Some(4));
    assert_eq!(writes(&plane, "short"), Vec::<String>::new());

    // The shipped roles: the plan stands, and what was planned is done.
    let changer = user(
        &plane,
        "changer",
        &["kubectl-byocni-reader", "kubectl-byocni-changer"],
    );
    let output = until(
        "the changer's plan",
        || ask(&changer, &["--dry-run=server"]),
        |output| output.status.code() == Some(0),
    );
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("READY"),
        "{}",
        said(&output)
    );
    assert_eq!(writes(&plane, "changer"), Vec::<String>::new());
    let canary = "canary-4Zq9-in-values";
    let output = ask(
        &changer,
        &[
            "--yes",
            "-v",
            "--set",
            "podAnnotations.note=canary-4Zq9-in-values",
        ],
    );
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let journal = plane
        .get("/api/v1/namespaces/kube-system/configmaps/kubectl-byocni")
        .map(|map| map.to_string())
        .unwrap_or_default();
    let encoded = base64::engine::general_purpose::STANDARD.encode(canary);
    assert!(journal.contains("cilium"), "{journal}");
    for text in [&said(&output), &journal] {
        assert!(!text.contains(canary) && !text.contains(&encoded), "{text}");
    }
    assert!(
        plane
            .get("/api/v1/namespaces/kube-system/secrets/kubectl-byocni")
            .is_none(),
        "the Secret with the values is gone at the end"
    );

    // There and back by the same roles.
    for way in [
        &["upgrade", "--version", "1.20.0", "--repo", &charts][..],
        &["rollback"],
    ] {
        let quick = ["--yes", "--soak", "1s", "--settle", "2s"];
        let output = run(&changer, &helm, &[way, &quick].concat());
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        assert!(!said(&output).contains(canary), "{}", said(&output));
    }
}

/// `--dry-run=server`: what only the server knows is found before anything is written.
#[test]
fn what_the_server_refuses_is_found_by_a_dry_run() {
    let (Some(folder), Some(helm)) = (charts(), required_or_skip("helm", helm(3))) else {
        return;
    };
    let options = Options {
        audit: true,
        ..aks::options()
    };
    let Some(plane) = required_or_skip("control-plane", ControlPlane::start(options)) else {
        return;
    };
    let _kubelet = aks::start(&plane, 2);
    plane.wait_for("nodes", Duration::from_secs(60), "/api/v1/nodes", |list| {
        list["items"].as_array().is_some_and(|all| all.len() == 2)
    });
    plane.apply(
        "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicy\nmetadata: {name: no-agents}\n\
         spec:\n  matchConstraints: {resourceRules: [{apiGroups: [apps], apiVersions: [v1], operations: [CREATE], resources: [daemonsets]}]}\n  \
         validations: [{expression: 'false', message: no DaemonSets on Saturdays}]\n---\n\
         apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicyBinding\nmetadata: {name: no-agents}\n\
         spec: {policyName: no-agents, validationActions: [Deny]}\n",
    );
    let charts = folder.display().to_string();
    let planner = user(&plane, "planner", &["cluster-admin"]);
    let ask = |dry: &str| {
        run(
            &planner,
            &helm,
            &["install", "cilium", "--repo", &charts, dry, "-o", "json"],
        )
    };
    // The client's plan cannot know it.
    until(
        "the administrator's rights",
        || ask("--dry-run=client"),
        |o| o.status.code() == Some(0),
    );
    let output = until(
        "the policy at work",
        || ask("--dry-run=server"),
        |o| o.status.code() == Some(4),
    );
    let plan: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let findings = plan["findings"].as_array().cloned().unwrap_or_default();
    let told: Vec<&Value> = findings
        .iter()
        .filter(|f| f["slug"] == "chart-unusable")
        .collect();
    assert!(
        told.iter()
            .any(|f| f["subject"]["kind"] == "DaemonSet" && f["message"].to_string().contains("Saturdays")),
        "{findings:?}"
    );
    // Objects of a namespace that is made first cannot be tried, which is said.
    let skipped = plan["skipped"].to_string();
    assert!(skipped.contains("namespace cilium-secrets"), "{skipped}");
    assert_eq!(writes(&plane, "planner"), Vec::<String>::new());
    assert_eq!(
        plane.get("/apis/apps/v1/namespaces/kube-system/daemonsets/cilium"),
        None
    );
}

/// The shipped roles from a network that does not come up back to the cluster as it was: with the operator's objects, and
/// namespaces that the server leaves Terminating while metrics.k8s.io waits for a network, as on AKS.
#[test]
fn the_shipped_role_is_enough_for_the_way_back() {
    let (Some(folder), Some(helm)) = (charts(), required_or_skip("helm", helm(4))) else {
        return;
    };
    let Some(plane) = required_or_skip("control-plane", ControlPlane::start(aks::options())) else {
        return;
    };
    let kubelet = aks::start(&plane, 2);
    plane.wait_for("nodes", Duration::from_secs(60), "/api/v1/nodes", |list| {
        list["items"].as_array().is_some_and(|all| all.len() == 2)
    });
    kubelet.set_everywhere(clusters::Which::Agent, clusters::Behaviour::ImagePull);
    plane.apply(include_str!("../docs/rbac-read.yaml"));
    plane.apply(include_str!("../docs/rbac-change.yaml"));
    let changer = user(
        &plane,
        "changer",
        &["kubectl-byocni-reader", "kubectl-byocni-changer"],
    );
    let charts = folder.display().to_string();
    let install = |more: &[&str]| -> Output {
        let fixed = ["install", "calico", "--version", "v3.32.1", "--repo", &charts];
        run(&changer, &helm, &[&fixed, more].concat())
    };
    until(
        "the changer's plan",
        || install(&["--dry-run"]),
        |output| output.status.code() == Some(0),
    );
    let output = install(&["--yes", "--timeout", "20s"]);
    assert_eq!(output.status.code(), Some(6), "{}", said(&output));
    for namespace in ["tigera-operator", "calico-system"] {
        let path = format!("/api/v1/namespaces/{namespace}");
        assert_eq!(plane.get(&path), None, "{}", said(&output));
    }
}
