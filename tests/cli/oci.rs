//! Charts from a registry: a real one by its protocol, asked by helm 3 and helm 4 for the built plugin.

use std::fs;

use serde_json::Value;

use super::{
    plans::{charts, json},
    programs::{helm, required_or_skip},
    registry::{Manner, Registry, digest, serve},
    run::{Ended, Run, byocni, example, shot},
};

/// Tags as a project pushes them; the newest is a pre-release, of which only the tag matters.
const CILIUM: &[(&str, &str, &str)] = &[
    ("cilium", "1.17.18", "cilium-1.17.18.tgz"),
    ("cilium", "1.18.12", "cilium-1.18.12.tgz"),
    ("cilium", "1.19.5", "cilium-1.19.5.tgz"),
    ("cilium", "1.19.6", "cilium-1.19.6.tgz"),
    ("cilium", "1.20.0", "cilium-1.20.0.tgz"),
    ("cilium", "1.21.0-rc.1", "cilium-1.20.0.tgz"),
];

/// Tags with a `v`, as some projects write their versions.
const WITH_A_V: &[(&str, &str, &str)] = &[
    ("flannel", "v0.28.3", "flannel-v0.28.3.tgz"),
    ("flannel", "v0.28.4", "flannel-v0.28.4.tgz"),
    ("tigera-operator", "v3.32.1", "tigera-operator-v3.32.1.tgz"),
    (
        "crd.projectcalico.org.v1",
        "v3.32.1",
        "crd.projectcalico.org.v1-v3.32.1.tgz",
    ),
];

fn registry(charts_in_it: &[(&str, &str, &str)], manner: Manner) -> Option<Registry> {
    Some(serve(&charts()?, charts_in_it, manner))
}

/// The plugin with this helm, by a user who trusts the registry's authority.
fn asked(registry: &Registry, arguments: &str, major: u8) -> Option<Run> {
    let program = required_or_skip("helm", helm(major))?;
    let run = byocni(arguments)
        .file("authority.pem", &registry.authority)
        .env("HELM_BIN", &program.display().to_string());
    let authority = run.home().join("authority.pem").display().to_string();
    Some(run.env("SSL_CERT_FILE", &authority))
}

/// Cilium's install in a version that is not the newest.
fn install_1_19_6(registry: &Registry) -> String {
    format!(
        "install cilium --chart {} --version 1.19.6",
        registry.chart("cilium")
    )
}

/// A plan of theirs for a cluster without a CNI.
fn planned(registry: &Registry, arguments: &str, major: u8) -> Option<Run> {
    let run = asked(registry, arguments, major)?;
    let run = run.arg_words("--dry-run=client --from fresh-aks.yaml");
    Some(run.example("fresh-aks.yaml"))
}

/// The same plan with either helm, which says the same with both but for capitals.
fn with_both(registry: &Registry, arguments: &str, prepare: impl Fn(Run) -> Run) -> Option<Ended> {
    let old = prepare(planned(registry, arguments, 3)?).end();
    let new = prepare(planned(registry, arguments, 4)?).end();
    assert_eq!(
        old.shown().to_lowercase(),
        new.shown().to_lowercase(),
        "helm 3 and helm 4"
    );
    Some(new)
}

/// A plan in JSON that may begin, and how many archives were pulled for it.
fn ready(registry: &Registry, arguments: &str, major: u8) -> Option<(Value, usize)> {
    let before = registry.pulls();
    let ended = planned(registry, &format!("{arguments} -o json"), major)?.end();
    assert_eq!(ended.code, Some(0), "{arguments}: {}", ended.said());
    Some((json(&ended), registry.pulls() - before))
}

/// The refusal's message with its fix, and that it is this one alone.
fn refused(ended: &Ended, slug: &str) -> String {
    assert_eq!(ended.code, Some(4), "{}", ended.said());
    let plan = json(ended);
    assert_eq!(plan["blockedBy"], serde_json::json!([slug]), "{}", ended.said());
    let finding = plan["findings"]
        .as_array()
        .and_then(|all| all.iter().find(|f| f["slug"] == slug))
        .expect("a finding");
    let word = |key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    format!("{}\n{}", word("message"), word("fix"))
}

#[test]
fn a_version_that_is_named_is_planned_whatever_is_newest() {
    let Some(registry) = registry(CILIUM, Manner::Open) else {
        return;
    };
    let install = install_1_19_6(&registry);
    let Some(ended) = with_both(&registry, &install, |run| run) else {
        return;
    };
    assert_eq!(ended.code, Some(0), "{}", ended.said());
    shot!("oci_version", ended);
    for wanted in ["1.19", "v1.19.6"] {
        let install = format!(
            "install cilium --chart {} --version {wanted}",
            registry.chart("cilium")
        );
        let Some((plan, pulls)) = ready(&registry, &install, 4) else {
            return;
        };
        assert_eq!(plan["chart"]["version"], "1.19.6", "{wanted}");
        assert_eq!(pulls, 1, "{wanted}");
    }
    let asked = registry.asked();
    assert!(
        asked.iter().all(|line| !line.contains("1.20.0")),
        "what is not wanted is not asked for: {asked:#?}"
    );
}

/// The newest stable version stands on the last page of tags but one, before a pre-release.
#[test]
fn without_a_version_the_newest_stable_one_that_suits_is_planned() {
    let Some(registry) = registry(CILIUM, Manner::Open) else {
        return;
    };
    let by_chart = format!("install cilium --chart {}", registry.chart("cilium"));
    let by_repo = format!("install cilium --repo oci://{}/charts", registry.host);
    let tagged = format!("{by_chart}:1.19.5");
    for (arguments, version) in [(&by_chart, "1.20.0"), (&by_repo, "1.20.0"), (&tagged, "1.19.5")] {
        for major in [3, 4] {
            let Some((plan, pulls)) = ready(&registry, arguments, major) else {
                return;
            };
            assert_eq!(plan["chart"]["version"], version, "{arguments}");
            let file = charts().expect("charts").join(format!("cilium-{version}.tgz"));
            let bytes = fs::read(file).expect("a chart");
            assert_eq!(plan["chart"]["digest"], digest(&bytes), "{arguments}");
            assert_eq!(pulls, 1, "{arguments}: the chart is pulled once");
        }
    }
    let asked = registry.asked();
    assert!(
        !asked
            .iter()
            .any(|line| line.contains("rc.1") && line.contains("manifests"))
    );
    assert!(asked.iter().any(|line| line.contains("last=")), "{asked:#?}");

    // From 1.18 on Cilium needs a kernel of 5.10.
    let Some(run) = planned(&registry, &format!("{by_chart} -o json"), 4) else {
        return;
    };
    let capture = fs::read_to_string(example("fresh-aks.yaml")).expect("an example");
    let old = capture.replace("6.8.0-1034-azure", "5.4.0-1034-azure");
    assert_ne!(old, capture);
    let ended = run.file("fresh-aks.yaml", old).end();
    assert_eq!(json(&ended)["chart"]["version"], "1.17.18", "{}", ended.said());
}

#[test]
fn upgrades_go_over_the_minors_of_a_registry() {
    let Some(registry) = registry(CILIUM, Manner::Open) else {
        return;
    };
    let chart = registry.chart("cilium");
    let cases = [
        (
            format!("--to 1.20 --repo oci://{}/charts", registry.host),
            vec![("1.18.12", "1.19.6"), ("1.19.6", "1.20.0")],
        ),
        (
            format!("--to 1.19.5 --repo oci://{}/charts", registry.host),
            vec![("1.18.12", "1.19.5")],
        ),
        (
            format!("--version 1.19 --chart {chart}"),
            vec![("1.18.12", "1.19.6")],
        ),
        (format!("--chart {chart}:1.19.5"), vec![("1.18.12", "1.19.5")]),
        // Without a version the newest patch of what runs, as from any source of many versions: here the one that runs.
        (format!("--chart {chart}"), vec![("1.18.12", "1.18.12")]),
    ];
    for ((arguments, hops), major) in cases.into_iter().zip([3, 4].into_iter().cycle()) {
        let upgrade = format!(
            "upgrade {arguments} --dry-run=client --from cilium-1.18-aks.yaml -f cilium-1.18-values.yaml -o json"
        );
        let before = registry.pulls();
        let Some(run) = asked(&registry, &upgrade, major) else {
            return;
        };
        let run = run
            .example("cilium-1.18-aks.yaml")
            .example("cilium-1.18-values.yaml");
        let ended = run.end();
        assert_eq!(ended.code, Some(0), "{arguments}: {}", ended.said());
        let said = json(&ended);
        let one = std::slice::from_ref(&said);
        let found: Vec<(&str, &str)> = said["items"]
            .as_array()
            .map_or(one, Vec::as_slice)
            .iter()
            .filter_map(|plan| {
                Some((
                    plan["from"]["version"].as_str()?,
                    plan["chart"]["version"].as_str()?,
                ))
            })
            .collect();
        assert_eq!(found, hops, "{arguments}: {}", ended.said());
        // Each of the versions, that which runs, and the newest patch of its minor and of the goal's.
        let pulls = registry.pulls() - before;
        assert!(pulls <= hops.len() + 3, "{arguments}: {pulls} pulls");
    }
}

#[test]
fn a_digest_names_the_manifest_or_the_archive_and_must_be_right() {
    let Some(registry) = registry(CILIUM, Manner::Open) else {
        return;
    };
    let Some(folder) = charts() else { return };
    let chart = registry.chart("cilium");
    let archive = |version: &str| {
        let bytes = fs::read(folder.join(format!("cilium-{version}.tgz"))).expect("a chart");
        digest(&bytes)
    };
    let manifest = registry.digest("cilium", "1.19.5");
    let cases = [
        // The manifest's alone says which version is meant; the archive's does together with the version.
        (format!("{chart}@{manifest}"), "1.19.5"),
        (format!("{chart}@{manifest} --version 1.19.5"), "1.19.5"),
        (format!("{chart}:1.19.5@{manifest}"), "1.19.5"),
        (
            format!("{chart}@{} --version 1.19.5", archive("1.19.5")),
            "1.19.5",
        ),
        (format!("{chart}@{}", archive("1.20.0")), "1.20.0"),
    ];
    for ((named, version), major) in cases.into_iter().zip([3, 4].into_iter().cycle()) {
        let install = format!("install cilium --chart {named}");
        let Some((plan, _)) = ready(&registry, &install, major) else {
            return;
        };
        assert_eq!(plan["chart"]["version"], version, "{named}");
    }
    let wrong = format!("sha256:{}", "0".repeat(64));
    for named in [
        format!("{chart}@{wrong}"),
        format!("{chart}@{wrong} --version 1.19.5"),
        format!("{chart}:1.19.5@{wrong}"),
        format!("{chart}@{} --version 1.19.6", archive("1.19.5")),
    ] {
        let install = format!("install cilium --chart {named} -o json");
        let Some(ended) = with_both(&registry, &install, |run| run) else {
            return;
        };
        let said = refused(&ended, "chart-unusable");
        assert!(
            said.contains("as the user says") && said.contains("--version"),
            "{said}"
        );
    }
    let install = format!("install cilium --chart {chart}@{wrong} --version 1.19.5");
    let Some(ended) = with_both(&registry, &install, |run| run) else {
        return;
    };
    shot!("oci_wrong_digest", ended);
}

#[test]
fn what_a_registry_does_not_have_is_told_with_what_is_near() {
    let Some(registry) = registry(CILIUM, Manner::Open) else {
        return;
    };
    let chart = registry.chart("cilium");
    for (wanted, nearest) in [
        ("1.19.99", "1.19.6"),
        ("1.16", "1.17.18"),
        ("1.91", "1.20.0"),
        ("v1.18.13", "1.18.12"),
    ] {
        let install = format!("install cilium --chart {chart} --version {wanted} -o json");
        let Some(ended) = with_both(&registry, &install, |run| run) else {
            return;
        };
        let said = refused(&ended, "version-unknown");
        assert!(said.contains(&format!("--version {nearest}")), "{wanted}: {said}");
    }
    // A tag in the reference is one version, and not another.
    let install = format!("install cilium --chart {chart}:1.19.5 --version 1.20.0 -o json");
    let Some(ended) = with_both(&registry, &install, |run| run) else {
        return;
    };
    let said = refused(&ended, "version-unknown");
    assert!(said.contains("--version 1.19.5"), "{said}");
    // Of a chart that nobody knows the versions are not judged, but named all the same.
    let install = format!("install --chart {chart} --version 1.19.99 -o json");
    let Some(ended) = with_both(&registry, &install, |run| run) else {
        return;
    };
    let said = refused(&ended, "chart-unusable");
    assert!(
        said.contains("has no version 1.19.99; the nearest are 1.19.6, 1.20.0"),
        "{said}"
    );

    for arguments in ["", "--version 1.19.6", "--version 1.19"] {
        let install = format!(
            "install cilium --chart {} {arguments} -o json",
            registry.chart("nett")
        );
        let Some(ended) = with_both(&registry, &install, |run| run) else {
            return;
        };
        let said = refused(&ended, "chart-unusable");
        assert!(said.contains("there is no such chart or version"), "{said}");
        assert!(said.contains("charts/nett"), "{said}");
    }
    let install = format!("install cilium --chart {}", registry.chart("nett"));
    let Some(ended) = with_both(&registry, &install, |run| run) else {
        return;
    };
    shot!("oci_no_repository", ended);
}

/// Helm takes such a tag where it is named, and passes over it in a list.
#[test]
fn tags_with_a_v_are_found_by_the_whole_version() {
    let Some(registry) = registry(WITH_A_V, Manner::Open) else {
        return;
    };
    let repository = format!("--repo oci://{}/charts", registry.host);
    for (wanted, major) in [("3.32.1", 3), ("v3.32.1", 4)] {
        let install = format!("install calico {repository} --version {wanted}");
        let Some((plan, pulls)) = ready(&registry, &install, major) else {
            return;
        };
        assert_eq!(plan["chart"]["version"], "v3.32.1");
        // Its definitions have a chart of their own, beside it.
        assert_eq!(
            plan["crdCharts"][0]["name"], "crd.projectcalico.org.v1",
            "{plan:#}"
        );
        assert_eq!(pulls, 2, "each chart once");
    }
    for arguments in ["", "--version 3.32"] {
        let install = format!("install calico {repository} {arguments} -o json");
        let Some(ended) = with_both(&registry, &install, |run| run) else {
            return;
        };
        let said = refused(&ended, "chart-unusable");
        assert!(said.contains("tags with a v"), "{said}");
        assert!(said.contains("--version v"), "{said}");
    }
}

#[test]
fn a_registry_that_wants_a_login_takes_the_one_that_helm_keeps() {
    let Some(registry) = registry(CILIUM, Manner::Login("someone", "let-me-in")) else {
        return;
    };
    let install = install_1_19_6(&registry);
    let Some(ended) = with_both(&registry, &install, |run| run) else {
        return;
    };
    assert_eq!(ended.code, Some(4), "{}", ended.said());
    shot!("oci_no_login", ended);
    // As `helm registry login` leaves it, where each of helm's own variables puts it.
    for (place, variable, value) in [
        (".config/helm/registry/config.json", "", ""),
        ("mine/registry.json", "HELM_REGISTRY_CONFIG", "mine/registry.json"),
        ("mine/registry/config.json", "HELM_CONFIG_HOME", "mine"),
        ("mine/helm/registry/config.json", "XDG_CONFIG_HOME", "mine"),
    ] {
        for (password, expected) in [("let-me-in", 0), ("let-me-out", 4)] {
            // Refused in the same way wherever it is from.
            if expected == 4 && !variable.is_empty() {
                continue;
            }
            let put = |run: Run| {
                let run = run.file(place, registry.login("someone", password));
                let value = run.home().join(value).display().to_string();
                match variable {
                    "" => run,
                    variable => run.env(variable, &value),
                }
            };
            let Some(ended) = with_both(&registry, &format!("{install} -o json"), put) else {
                return;
            };
            assert_eq!(
                ended.code,
                Some(expected),
                "{password} in {place}: {}",
                ended.said()
            );
            assert!(!ended.said().contains(password), "{}", ended.said());
            if expected == 4 {
                let said = refused(&ended, "chart-unusable");
                let next = format!("helm registry login {}", registry.host);
                assert!(said.contains("wants a login") && said.contains(&next), "{said}");
            }
        }
    }
}

#[test]
fn an_authority_that_nobody_named_is_not_trusted() {
    let Some(registry) = registry(CILIUM, Manner::Open) else {
        return;
    };
    let install = install_1_19_6(&registry);
    let strangers = |run: Run| {
        run.file(
            "authority.pem",
            include_str!("../../src/io/connection/testdata/stranger.pem"),
        )
    };
    let Some(ended) = with_both(&registry, &install, strangers) else {
        return;
    };
    assert_eq!(ended.code, Some(4), "{}", ended.said());
    shot!("oci_not_trusted", ended);
    assert_eq!(
        registry.asked(),
        [] as [String; 0],
        "nothing is sent to a stranger"
    );
}

#[test]
fn an_archive_that_does_not_come_whole_is_no_chart() {
    for (manner, words) in [
        (Manner::BreaksOff, "broke off in the middle"),
        (Manner::Changes, "is not what the registry announced"),
    ] {
        let Some(registry) = registry(CILIUM, manner) else {
            return;
        };
        let install = install_1_19_6(&registry);
        let Some(ended) = with_both(&registry, &install, |run| run) else {
            return;
        };
        assert_eq!(ended.code, Some(4), "{}", ended.said());
        assert!(ended.stdout.contains("chart-unusable"), "{}", ended.said());
        assert!(ended.stdout.contains(words), "{}", ended.said());
        shot!(format!("oci_{manner:?}").to_lowercase(), ended);
    }
}
