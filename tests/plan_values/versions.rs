//! Which version is chosen, and what is said of it.

use kubectl_byocni::core::{
    chart::Offered,
    cni::{Cni, calico::CALICO, cilium::CILIUM, flannel::FLANNEL},
    facts::{Asked, Facts},
    plan::version::{choose, parse, satisfies},
};
use serde_json::json;

use crate::{Cluster, cilium};

fn offered(versions: &[&str], asks: Option<&str>) -> Vec<Offered> {
    let of = |version: &&str| Offered {
        version: version.to_string(),
        app_version: version.to_string(),
        kube_version: asks.map(str::to_string),
        digest: None,
    };
    versions.iter().map(of).collect()
}

const CILIUMS: &[&str] = &[
    "1.17.18",
    "1.15.9",
    "1.21.0-pre.0",
    "1.20.0",
    "1.19.4",
    "1.18.12",
    "1.19.6",
    "1.19.5",
    "1.20.0-rc.1",
    "rubbish",
];

/// The version, or the slug and what is said.
fn chosen(
    cluster: &Cluster,
    cni: &'static Cni,
    all: &[Offered],
    wanted: Option<&str>,
) -> Result<(String, String), (String, String)> {
    let capture = cluster.capture();
    let asked = Asked::default();
    let facts = Facts::of(&capture, &asked);
    choose(all, cni, wanted, &facts)
        .map(|(offered, reason)| (offered.version, reason))
        .map_err(|finding| {
            (
                finding.code.slug.to_string(),
                format!("{} / {}", finding.message, finding.fix),
            )
        })
}

fn version(cluster: &Cluster, wanted: Option<&str>) -> String {
    let all = offered(CILIUMS, Some(">= 1.21.0-0"));
    match chosen(cluster, &CILIUM, &all, wanted) {
        Ok((version, _)) => version,
        Err((slug, words)) => format!("{slug}: {words}"),
    }
}

#[test]
fn the_newest_stable_version_that_suits_is_chosen() {
    let fresh = Cluster::fresh();
    assert_eq!(version(&fresh, None), "1.20.0");
    // An old kernel on one node decides for all.
    let names = fresh.names("Node");
    let old = Cluster::fresh().patched(
        "Node",
        &names[1],
        json!({"status": {"nodeInfo": {"kernelVersion": "5.4.0-1139-azure"}}}),
    );
    assert_eq!(version(&old, None), "1.17.18");
    let all = offered(CILIUMS, None);
    let (_, reason) = chosen(&old, &CILIUM, &all, None).expect("a version");
    assert!(
        reason.contains("1.20.0 needs a kernel of 5.10 or newer") && reason.contains(&names[1]),
        "{reason}"
    );
    let (slug, words) = chosen(&old, &CILIUM, &all, Some("1.19.6")).expect_err("too new");
    assert_eq!(slug, "version-unsuitable", "{words}");
    let calicos = offered(&["v3.31.3", "v3.32.1", "v3.30.9"], None);
    assert_eq!(
        chosen(&fresh, &CALICO, &calicos, None).expect("a version").0,
        "v3.32.1"
    );
    let flannels = offered(&["v0.26.1", "v0.28.3", "v0.28.4"], None);
    assert_eq!(
        chosen(&fresh, &FLANNEL, &flannels, None).expect("a version").0,
        "v0.28.4"
    );
    let (slug, words) =
        chosen(&fresh, &CILIUM, &offered(&["1.14.2", "1.22.0"], None), None).expect_err("none known");
    assert!(
        slug == "version-unknown" && words.contains("the newest is 1.22.0"),
        "{slug} {words}"
    );
}

#[test]
fn the_user_decides_and_mistakes_name_the_nearest() {
    let fresh = Cluster::fresh();
    for (wanted, found) in [
        ("1.19.4", "1.19.4"),
        ("v1.19.4", "1.19.4"),
        ("1.19", "1.19.6"),
        ("v1.20", "1.20.0"),
        ("1.21.0-pre.0", "1.21.0-pre.0"),
        ("1.15.9", "1.15.9"),
    ] {
        assert_eq!(version(&fresh, Some(wanted)), found, "{wanted}");
    }
    for (wanted, nearest) in [
        ("1.19.9", "1.19.6"),
        ("1.21", "1.20.0"),
        ("1.18.0", "1.18.12"),
        ("latest", "1.20.0"),
        ("1", "1.20.0"),
        ("99999999999999999999.1.1", "1.20.0"),
    ] {
        let said = version(&fresh, Some(wanted));
        let right = said.starts_with("version-unknown") && said.ends_with(&format!("--version {nearest}"));
        assert!(right, "{wanted}: {said}");
    }
    let none = chosen(&fresh, &CILIUM, &[], Some("1.19.6")).expect_err("none");
    assert_eq!(none.0, "version-unknown");
}

#[test]
fn charts_ask_for_kubernetes_as_helm_reads_it() {
    for (constraint, version, holds) in [
        (">= 1.21.0-0", "v1.34.4", true),
        (">= 1.21.0-0", "v1.34.4-gke.1", true),
        (">=1.21.0", "v1.34.4-gke.1", false),
        (">= 1.21.0", "v1.34.4+k3s1", true),
        (">= 1.21.0-0", "v1.20.9", false),
        (">= 1.35", "1.34.9", false),
        ("> 1.34", "1.34.9", false),
        ("> 1.33", "1.34.0", true),
        ("<= 1.34", "1.34.9", true),
        ("< 1.34", "1.34.0", false),
        ("1.34", "1.34.9", true),
        ("1.34.x", "1.34.9", true),
        ("*", "1.34.9", true),
        ("!= 1.34", "1.34.9", false),
        ("~1.34.2", "1.34.9", true),
        ("~1.34.2", "1.35.0", false),
        ("^1.21", "1.34.9", true),
        ("^1.21", "2.0.0", false),
        ("1.20 - 1.34", "1.34.9", true),
        ("1.20 - 1.33", "1.34.9", false),
        (">=1.20, <1.30", "1.34.9", false),
        (">=1.20 <1.30 || >=1.34", "1.34.9", true),
    ] {
        let version = parse(version).expect("a version");
        assert_eq!(
            satisfies(constraint, &version),
            Some(holds),
            "{constraint} {version}"
        );
    }
    let version = parse("1.34.4").expect("a version");
    assert_eq!(satisfies("newest please", &version), None);
    let asks = offered(&["1.20.0"], Some(">= 1.35.0-0"));
    let (slug, words) = chosen(&Cluster::fresh(), &CILIUM, &asks, None).expect_err("too old a cluster");
    assert!(
        slug == "version-unsuitable" && words.contains("asks for Kubernetes >= 1.35.0-0"),
        "{words}"
    );
}

#[test]
fn untested_and_unknown_versions_are_told_and_block_nothing() {
    let said = |kubernetes: &'static str, version: &str| {
        let planned = Cluster::fresh()
            .kubernetes(kubernetes)
            .draft(&CILIUM, &cilium(version), &[], &[]);
        assert!(planned.blocking().is_empty(), "{}", planned.page());
        planned.slugs().join(" ")
    };
    assert_eq!(said("v1.34.4", "1.19.6"), "");
    assert_eq!(said("v1.36.0", "1.19.6"), "kubernetes-untested");
    assert_eq!(said("v1.31.0", "1.19.6"), "kubernetes-untested");
    assert_eq!(
        said("v1.34.4", "1.20.0"),
        "",
        "no list was found: nothing is claimed"
    );
    assert_eq!(said("v1.34.4", "1.15.9"), "cni-version-out-of-range");
    assert_eq!(said("v1.34.4", "1.21.0"), "cni-version-out-of-range");
}

#[test]
fn a_known_fault_blocks_where_its_condition_holds() {
    let multi = "ipam.mode=multi-pool,aksbyocni.enabled=false,ipam.operator.autoCreateCiliumPodIPPools.default.ipv4.cidrs={10.99.0.0/16}";
    for (version, sets, bad) in [
        ("1.17.6", multi, false),
        ("1.17.7", multi, true),
        ("1.17.18", multi, true),
        ("1.18.0", multi, false),
        ("1.17.18", "cluster.name=a", false),
    ] {
        let planned = Cluster::fresh().draft(&CILIUM, &cilium(version), &[], &[sets]);
        let blocked = planned.blocking().contains(&"known-bad-version");
        assert_eq!(blocked, bad, "{version} {sets}: {}", planned.page());
    }
}
