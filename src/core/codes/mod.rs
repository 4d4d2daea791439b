//! Every code there is, with the words of `explain`; one file per family.
//!
//! To add one: the next free number of its family, a static in that file named after its slug, one line in
//! [`ALL`] and one in the frozen list of the tests. Numbers, slugs and severities never change once released;
//! a code that is given up moves to [`RETIRED`].

use super::{code::Code, words::edit_distance};

pub mod calico;
pub mod change;
pub mod cidrs;
pub mod cilium;
pub mod dns;
pub mod flannel;
pub mod nodes;
pub mod platform;
pub mod preflight;
pub mod reading;
pub mod release;
pub mod upgrade;
pub mod values;
pub mod workload;

/// All codes, family by family, by number.
pub const ALL: &[&Code] = &[
    &reading::SOURCE_FORBIDDEN,
    &reading::SOURCE_FAILED,
    &reading::UNPARSABLE_VALUE,
    &nodes::NODE_NETWORK_NOT_READY,
    &nodes::NODE_NOT_READY,
    &nodes::NODE_NETWORK_UNAVAILABLE,
    &nodes::NODE_AGENT_TAINT,
    &nodes::NODE_UNSUPPORTED,
    &nodes::NODE_REPAIR_RISK,
    &nodes::NODE_JOINING,
    &nodes::NO_NODES,
    &workload::CNI_MISSING,
    &workload::CNI_LEFTOVER,
    &workload::CNI_MULTIPLE,
    &workload::CNI_UNKNOWN,
    &workload::CNI_MANAGED,
    &workload::AGENT_MISSING,
    &workload::AGENT_CRASH_LOOPING,
    &workload::AGENT_IMAGE_PULL,
    &workload::AGENT_NOT_READY,
    &workload::AGENT_RESTARTING,
    &workload::ROLLOUT_INCOMPLETE,
    &workload::OPERATOR_NOT_READY,
    &workload::CONFIG_DRIFT,
    &workload::VERSION_SKEW,
    &workload::CNI_COMPANION,
    &workload::NODE_WITHOUT_CNI,
    &cidrs::POD_CIDR_OVERLAPS_SERVICE_CIDR,
    &cidrs::POD_CIDR_OVERLAPS_NODE_NETWORK,
    &cidrs::SERVICE_CIDR_OVERLAPS_NODE_NETWORK,
    &cidrs::POD_CIDR_OVERLAPS_ITSELF,
    &cidrs::RESERVED_RANGE,
    &cidrs::SERVICE_CIDR_TOO_LARGE,
    &cidrs::DNS_SERVICE_IP,
    &cidrs::DNS_SERVICE_IP_FIRST,
    &cidrs::NODE_POD_CIDR_MISSING,
    &cidrs::NODE_BLOCK_OUTSIDE_POOL,
    &cidrs::NODE_BLOCKS_OVERLAP,
    &cidrs::NODE_BLOCK_MISSING,
    &cidrs::POD_IP_OUTSIDE_NODE_BLOCK,
    &cidrs::POD_IP_DUPLICATE,
    &cidrs::POOL_EXHAUSTED,
    &cidrs::POOL_NEARLY_EXHAUSTED,
    &cidrs::NODE_BLOCK_TOO_SMALL,
    &cidrs::KUBE_PROXY_CIDR_MISMATCH,
    &cidrs::KUBE_PROXY_CIDR_OVERLAPS_NODES,
    &cidrs::IP_FAMILY_MISMATCH,
    &cidrs::POD_CIDR_UNALIGNED,
    &cidrs::POD_IP_OUTSIDE_POOL,
    &dns::COREDNS_MISSING,
    &dns::COREDNS_PENDING,
    &dns::COREDNS_NOT_READY,
    &dns::COREDNS_DEGRADED,
    &dns::COREDNS_UNMANAGED,
    &release::RELEASE_MISSING,
    &release::RELEASE_PENDING,
    &release::RELEASE_FAILED,
    &release::RELEASE_FOREIGN_OWNER,
    &release::RELEASE_VERSION_DRIFT,
    &change::ENCAPSULATION_UNSUPPORTED,
    &change::MANAGED_REFUSED,
    &change::FOREIGN_RECONCILER,
    &change::FOREIGN_CNI,
    &change::ALREADY_INSTALLED,
    &change::RIGHTS_MISSING,
    &change::HELM_MISSING,
    &change::HELM_TOO_OLD,
    &change::HELM_FAILED,
    &change::CHART_UNUSABLE,
    &change::CHANGE_LOCKED,
    &change::CHANGE_INTERRUPTED,
    &change::PLAN_STALE,
    &change::GATE_TIMED_OUT,
    &change::GATE_REGRESSED,
    &change::PROBE_DENIED,
    &change::OPERATOR_UNSCHEDULABLE,
    &change::WEBHOOK_BLOCKS_CHANGE,
    &change::WEBHOOK_AT_RISK,
    &values::POOL_REQUIRED,
    &values::POOL_TOO_SMALL,
    &values::POOL_RESERVED,
    &values::POOL_FAMILY_MISMATCH,
    &values::POOL_CONFLICT,
    &values::POOL_MISSES_NODES,
    &values::VALUE_UNKNOWN,
    &values::VALUE_REMOVED,
    &values::VALUE_INVALID,
    &values::AKSBYOCNI_IPAM_MODE,
    &values::API_HOST_REQUIRED,
    &values::KUBE_PROXY_IPVS,
    &values::KNOWN_BAD_VERSION,
    &values::KUBERNETES_UNTESTED,
    &values::CNI_VERSION_OUT_OF_RANGE,
    &values::VERSION_UNKNOWN,
    &values::VERSION_UNSUITABLE,
    &preflight::CRDS_FIRST,
    &preflight::NAMESPACE_TERMINATING,
    &preflight::RELEASE_IN_THE_WAY,
    &preflight::OWNERSHIP_CONFLICT,
    &preflight::OWNERSHIP_TAKEN,
    &preflight::BYOCNI_UNKNOWN,
    &preflight::CHANGE_UNDER_WAY,
    &preflight::CHANGE_PAUSED,
    &upgrade::UPGRADE_SKIPS_MINOR,
    &upgrade::DOWNGRADE_SKIPS_MINOR,
    &upgrade::PATCH_FIRST,
    &upgrade::UPGRADE_GOES_BACK,
    &upgrade::IPAM_MODE_CHANGE,
    &upgrade::POOL_ELEMENT_CHANGED,
    &upgrade::MASK_SIZE_CHANGE,
    &upgrade::ENCAPSULATION_CHANGE,
    &upgrade::LIVE_CHANGE_FORBIDDEN,
    &upgrade::ROLLBACK_UNSAFE,
    &upgrade::FIRST_VERSION_UNKNOWN,
    &upgrade::VALUE_IGNORED,
    &upgrade::DEFAULT_CHANGED,
    &upgrade::CRDS_STAY,
    &upgrade::RELEASE_ABSENT,
    &platform::PLATFORM_UNKNOWN,
    &platform::KUBE_PROXY_MISSING,
    &platform::AKS_UPGRADE_RUNNING,
    &platform::UNSUPPORTED_FEATURES,
    &cilium::CILIUM_NODE_COUNT,
    &cilium::CILIUM_OPERATOR_ERROR,
    &cilium::CILIUM_POLICY_AUDIT,
    &calico::TIGERA_STATUS_UNAVAILABLE,
    &calico::TIGERA_STATUS_DEGRADED,
    &calico::INSTALLATION_POOL_DIFFERS,
    &flannel::FLANNEL_BACKEND_DIFFERS,
];

/// Ids that were in use once. They never come back with another meaning.
pub const RETIRED: &[&str] = &[];

/// The code with this id (`BYO0201`) or slug (`cni-missing`), in any case.
pub fn find(text: &str) -> Option<&'static Code> {
    let text = text.trim();
    ALL.iter()
        .copied()
        .find(|code| code.id.eq_ignore_ascii_case(text) || code.slug.eq_ignore_ascii_case(text))
}

/// The code that was probably meant by `text`, for "did you mean"; none if nothing is close.
///
/// A slug may be off by a third of the text. Ids are so close to each other that only one typing error is
/// forgiven, and only if a single id is that near.
pub fn nearest(text: &str) -> Option<&'static Code> {
    let text: Vec<char> = text.trim().to_lowercase().chars().take(LONGEST_TYPO).collect();
    let distance = |name: &str| edit_distance(&text, &name.to_lowercase().chars().collect::<Vec<_>>());

    let mut near_ids = ALL.iter().copied().filter(|code| distance(code.id) <= 1);
    if let (Some(code), None) = (near_ids.next(), near_ids.next()) {
        return Some(code);
    }
    let limit = (text.len() / 3).max(2);
    ALL.iter()
        .copied()
        .map(|code| (distance(code.slug), code))
        .filter(|&(distance, _)| distance <= limit)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, code)| code)
}

/// Longer input is no typing error of anything here; what follows is not looked at.
const LONGEST_TYPO: usize = 80;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// What was released stays as it was: lines are added here, never edited.
    const FROZEN: &str = "\
BYO0001 source-forbidden warning
BYO0002 source-failed warning
BYO0003 unparsable-value warning
BYO0101 node-network-not-ready error
BYO0102 node-not-ready error
BYO0103 node-network-unavailable error
BYO0104 node-agent-taint warning
BYO0105 node-unsupported error
BYO0106 node-repair-risk warning
BYO0107 node-joining info
BYO0108 no-nodes error
BYO0201 cni-missing error
BYO0202 cni-leftover error
BYO0203 cni-multiple error
BYO0204 cni-unknown info
BYO0205 cni-managed info
BYO0206 agent-missing error
BYO0207 agent-crash-looping error
BYO0208 agent-image-pull error
BYO0209 agent-not-ready error
BYO0210 agent-restarting warning
BYO0211 rollout-incomplete warning
BYO0212 operator-not-ready error
BYO0213 config-drift warning
BYO0214 version-skew warning
BYO0215 cni-companion info
BYO0216 node-without-cni info
BYO0301 pod-cidr-overlaps-service-cidr error
BYO0302 pod-cidr-overlaps-node-network error
BYO0303 service-cidr-overlaps-node-network error
BYO0304 pod-cidr-overlaps-itself error
BYO0305 reserved-range error
BYO0306 service-cidr-too-large warning
BYO0307 dns-service-ip error
BYO0308 dns-service-ip-first warning
BYO0309 node-pod-cidr-missing error
BYO0310 node-block-outside-pool error
BYO0311 node-blocks-overlap error
BYO0312 node-block-missing error
BYO0313 pod-ip-outside-node-block error
BYO0314 pod-ip-duplicate error
BYO0315 pool-exhausted error
BYO0316 pool-nearly-exhausted warning
BYO0317 node-block-too-small warning
BYO0318 kube-proxy-cidr-mismatch warning
BYO0319 kube-proxy-cidr-overlaps-nodes error
BYO0320 ip-family-mismatch warning
BYO0321 pod-cidr-unaligned info
BYO0322 pod-ip-outside-pool error
BYO0401 coredns-missing error
BYO0402 coredns-pending error
BYO0403 coredns-not-ready error
BYO0404 coredns-degraded warning
BYO0405 coredns-unmanaged warning
BYO0501 release-missing warning
BYO0502 release-pending error
BYO0503 release-failed warning
BYO0504 release-foreign-owner warning
BYO0505 release-version-drift warning
BYO0601 encapsulation-unsupported error
BYO0602 managed-refused error
BYO0603 foreign-reconciler error
BYO0604 foreign-cni error
BYO0605 already-installed info
BYO0606 rights-missing error
BYO0607 helm-missing error
BYO0608 helm-too-old error
BYO0609 helm-failed error
BYO0610 chart-unusable error
BYO0611 change-locked error
BYO0612 change-interrupted warning
BYO0613 plan-stale error
BYO0614 gate-timed-out error
BYO0615 gate-regressed error
BYO0616 probe-denied error
BYO0617 operator-unschedulable error
BYO0618 webhook-blocks-change error
BYO0619 webhook-at-risk warning
BYO0620 pool-required error
BYO0621 pool-too-small error
BYO0622 pool-reserved error
BYO0623 pool-family-mismatch error
BYO0624 pool-conflict error
BYO0625 pool-misses-nodes error
BYO0626 value-unknown error
BYO0627 value-removed error
BYO0628 value-invalid error
BYO0629 aksbyocni-ipam-mode error
BYO0630 api-host-required error
BYO0631 kube-proxy-ipvs error
BYO0632 known-bad-version error
BYO0633 kubernetes-untested warning
BYO0634 cni-version-out-of-range warning
BYO0635 version-unknown error
BYO0636 version-unsuitable error
BYO0640 crds-first info
BYO0641 namespace-terminating error
BYO0642 release-in-the-way error
BYO0643 ownership-conflict error
BYO0644 ownership-taken info
BYO0645 byocni-unknown error
BYO0646 change-under-way info
BYO0647 change-paused error
BYO0650 upgrade-skips-minor error
BYO0651 downgrade-skips-minor error
BYO0652 patch-first warning
BYO0653 upgrade-goes-back error
BYO0654 ipam-mode-change error
BYO0655 pool-element-changed error
BYO0656 mask-size-change error
BYO0657 encapsulation-change error
BYO0658 live-change-forbidden error
BYO0659 rollback-unsafe error
BYO0660 first-version-unknown warning
BYO0661 value-ignored info
BYO0662 default-changed info
BYO0663 crds-stay info
BYO0664 release-absent error
BYO0701 platform-unknown info
BYO0702 kube-proxy-missing warning
BYO0703 aks-upgrade-running warning
BYO0704 unsupported-features info
BYO2001 cilium-node-count warning
BYO2002 cilium-operator-error error
BYO2003 cilium-policy-audit warning
BYO2101 tigera-status-unavailable error
BYO2102 tigera-status-degraded warning
BYO2103 installation-pool-differs warning
BYO2201 flannel-backend-differs error";

    const SOURCES: &[(&str, &str)] = &[
        ("00", include_str!("reading.rs")),
        ("01", include_str!("nodes.rs")),
        ("02", include_str!("workload.rs")),
        ("03", include_str!("cidrs.rs")),
        ("04", include_str!("dns.rs")),
        ("05", include_str!("release.rs")),
        (
            "06",
            concat!(
                include_str!("change.rs"),
                include_str!("values.rs"),
                include_str!("preflight.rs"),
                include_str!("upgrade.rs")
            ),
        ),
        ("07", include_str!("platform.rs")),
        ("20", include_str!("cilium.rs")),
        ("21", include_str!("calico.rs")),
        ("22", include_str!("flannel.rs")),
    ];

    #[test]
    fn ids_slugs_and_severities_are_frozen() {
        let now: Vec<String> = ALL
            .iter()
            .map(|c| format!("{} {} {}", c.id, c.slug, c.severity.as_str()))
            .collect();
        assert_eq!(now.join("\n"), FROZEN);
    }

    #[test]
    fn ids_are_well_formed_unique_in_order_and_without_gaps() {
        let mut previous = (String::new(), 0);
        for code in ALL {
            let digits = code.id.strip_prefix("BYO").expect(code.id);
            assert!(
                digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_digit()),
                "{}",
                code.id
            );
            assert!(!RETIRED.contains(&code.id), "{} is retired", code.id);
            let (family, number) = (
                digits[..2].to_string(),
                digits[2..].parse::<u32>().expect(code.id),
            );
            let retired = |n: u32| RETIRED.contains(&format!("BYO{family}{n:02}").as_str());
            let start = if family == previous.0 {
                previous.1 + 1
            } else {
                assert!(family > previous.0, "{} is out of order", code.id);
                1
            };
            let expected = (start..).find(|&n| !retired(n)).expect("a free number");
            // A family that is kept in several files: each begins at a multiple of 10.
            let next_file = number > expected && number % 10 == 0;
            assert!(
                number == expected || next_file,
                "{} leaves a gap or is out of order",
                code.id
            );
            previous = (family, number);
        }
    }

    #[test]
    fn slugs_are_unique_kebab_case() {
        let mut seen = HashSet::new();
        for code in ALL {
            assert!(seen.insert(code.slug), "{} twice", code.slug);
            let word =
                |w: &str| !w.is_empty() && w.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
            assert!(code.slug.split('-').all(word), "{}", code.slug);
        }
    }

    #[test]
    fn every_text_is_there_and_clean() {
        for code in ALL {
            let texts = [code.title, code.means, code.matters, code.see, code.fix];
            for text in texts.iter().chain(code.sources) {
                assert!(!text.is_empty() && text.trim() == *text, "{}: {text:?}", code.id);
                assert!(text.is_ascii(), "{}: {text:?}", code.id);
                assert!(
                    !text.contains("  ") && !text.contains(" \n"),
                    "{}: {text:?}",
                    code.id
                );
            }
            assert!(!code.sources.is_empty() && code.sources.len() <= 3, "{}", code.id);
            assert!(
                code.sources.iter().all(|s| s.starts_with("https://")),
                "{}",
                code.id
            );
            assert!(
                !code.title.ends_with('.') && code.title.len() <= 72,
                "{}",
                code.id
            );
            assert!(!code.title.contains('\n'), "{}", code.id);
            let sentences = code.means.matches(". ").count() + 1;
            assert!(
                code.means.ends_with('.') && (2..=5).contains(&sentences),
                "{}: {sentences}",
                code.id
            );
            assert!(code.matters.ends_with('.'), "{}", code.id);
        }
    }

    #[test]
    fn see_is_one_to_three_plain_kubectl_commands() {
        for code in ALL {
            assert!((1..=3).contains(&code.see.lines().count()), "{}", code.id);
            for line in code.see.lines() {
                assert!(line.starts_with("kubectl "), "{}: {line}", code.id);
                assert!(!line.starts_with("kubectl byocni"), "{}: {line}", code.id);
            }
        }
    }

    #[test]
    fn texts_name_only_codes_that_exist() {
        for code in ALL {
            for text in [code.means, code.matters, code.fix] {
                for quoted in text.split('`').skip(1).step_by(2) {
                    let words = quoted.split('-').count();
                    if words < 3 || quoted.contains([' ', '.', '/']) {
                        continue;
                    }
                    assert!(find(quoted).is_some(), "{} names `{quoted}`", code.id);
                }
            }
        }
    }

    /// A static that nobody listed would be invisible to `explain`; a static named unlike its slug hard to find.
    #[test]
    fn every_static_is_listed_under_its_own_name() {
        for (family, source) in SOURCES {
            let listed: Vec<_> = ALL.iter().filter(|c| &c.id[3..5] == *family).collect();
            assert_eq!(
                source.matches("\npub static ").count(),
                listed.len(),
                "family {family}"
            );
            for code in listed {
                let name = code.slug.to_uppercase().replace('-', "_");
                let head = format!("pub static {name}: Code = Code {{\n    id: \"{}\",", code.id);
                assert!(source.contains(&head), "{head}");
            }
        }
        let families: HashSet<_> = ALL.iter().map(|c| &c.id[3..5]).collect();
        assert_eq!(families.len(), SOURCES.len());
    }

    #[test]
    fn codes_are_found_by_id_or_slug_in_any_case() {
        for code in ALL {
            assert_eq!(find(code.id), Some(*code));
            assert_eq!(find(&code.id.to_lowercase()), Some(*code));
            assert_eq!(find(code.slug), Some(*code));
            assert_eq!(find(&format!(" {} ", code.slug.to_uppercase())), Some(*code));
        }
        assert_eq!(find(""), None);
        assert_eq!(find("BYO"), None);
        assert_eq!(find("cni"), None);
    }

    #[test]
    fn the_nearest_code_is_offered_and_nothing_far_off() {
        let slug = |text| nearest(text).map(|c| c.slug);
        assert_eq!(slug("cni-mising"), Some("cni-missing"));
        assert_eq!(slug("CNI_Missing"), Some("cni-missing"));
        assert_eq!(slug("coredns-pedning"), Some("coredns-pending"));
        assert_eq!(
            slug("pod-cidr-overlap-service-cidr"),
            Some("pod-cidr-overlaps-service-cidr")
        );
        assert_eq!(slug("BY00301"), Some("pod-cidr-overlaps-service-cidr"));
        assert_eq!(slug("byo2201x"), Some("flannel-backend-differs"));
        for code in ALL {
            assert_eq!(nearest(code.slug), Some(*code));
        }
        assert_eq!(slug("BYO9999"), None);
        assert_eq!(slug("BYO020"), None);
        assert_eq!(slug(""), None);
        assert_eq!(slug("weather"), None);
        assert_eq!(slug(&"x".repeat(100_000)), None);
    }
}
