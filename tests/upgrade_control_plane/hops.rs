//! A hop that fails on the way over several, and what holds of an upgrade beyond its agents: DNS, and what is told of values.

use std::io::Read as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    clusters::{Behaviour, Which},
    running::{
        QUICK, agents, all_run, at_rest, by_helm, cilium, comes_up, history, operation, turned_back, until,
        until_deleted,
    },
    story::{KUBE_SYSTEM, Ran, SOON, Story, items, name},
};

/// The first hop of two is done, the second fails at its canary: that hop is taken back and no other, exit 6.
#[test]
fn a_hop_that_fails_goes_back_to_the_one_before() {
    let Some(story) = cilium(3, "1.18.12", 3) else {
        return;
    };
    story.kubelet.set_everywhere(
        Which::Image("cilium/cilium:v1.20.0".into()),
        Behaviour::CrashLoop { exit_code: 1 },
    );
    let ran = story.upgrade(&[&["--to", "1.20"], &QUICK[..]].concat());
    ran.expect(
        6,
        &[
            "Cilium 1.19.6 runs in place of 1.18.12",
            "stopped at the canary",
            "exit code 1",
            "ROLLED BACK",
        ],
    );
    let last = ran.out.trim_end().lines().rev().take(3).collect::<String>();
    assert!(last.contains("1.19.6"), "what runs now is told last: {}", ran.out);
    all_run(&story, 3, "1.19.6");
    at_rest(&story, "1.19.6");
    let rows = history(&story);
    let good = rows.last().expect("a row");
    assert_eq!(
        (good["chart"]["version"].as_str(), good["health"].as_str()),
        (Some("1.19.6"), Some("healthy")),
        "{rows:#?}"
    );
    story.status().expect("healthy", 0, &[]);
}

/// The first hop of two fails: the second is not begun.
#[test]
fn after_a_hop_that_failed_there_is_no_other() {
    let Some(story) = cilium(2, "1.18.12", 4) else {
        return;
    };
    story.kubelet.set_everywhere(
        Which::Image("cilium/cilium:v1.19.6".into()),
        Behaviour::CrashLoop { exit_code: 1 },
    );
    let ran = story.upgrade(&[&["--to", "1.20"], &QUICK[..]].concat());
    ran.expect(6, &["ROLLED BACK", "1.18.12"]);
    all_run(&story, 2, "1.18.12");
    at_rest(&story, "1.18.12");
    let charts: Vec<String> = history(&story)
        .iter()
        .filter_map(|row| row["chart"]["version"].as_str().map(str::to_owned))
        .collect();
    assert!(!charts.contains(&"1.20.0".to_owned()), "{charts:?}");
}

/// Acceptance scenario 49 at an upgrade: every agent is new and Ready, and nothing answers DNS any more: no success. The way
/// back is behind the same gate, and ends well once somebody answers.
#[test]
fn scenario_49_an_upgrade_after_which_nothing_answers_dns_is_no_success() {
    let Some(story) = cilium(2, "1.19.6", 4) else {
        return;
    };
    let mut running =
        story.start(&story.upgrading(&[&["--to", "1.20", "--timeout", "40s"], &QUICK[..]].concat()));
    until_deleted(&story, 1);
    let dns = Which::Pods("coredns-".into());
    story.kubelet.set_everywhere(dns.clone(), Behaviour::NeverReady);
    let pods = story.plane.get(KUBE_SYSTEM).expect("pods");
    for pod in items(&pods)
        .iter()
        .filter(|pod| name(pod).starts_with("coredns-"))
    {
        story.plane.delete(&format!("{KUBE_SYSTEM}/{}", name(pod)));
    }
    until("it turns back or ends", SOON * 6, || {
        turned_back(&story) || running.try_wait().expect("a child").is_some()
    });
    assert!(turned_back(&story), "it ended without an answer from DNS");
    assert_eq!(
        agents(&story).values().filter(|agent| agent.ready).count(),
        2,
        "no agent is what it failed for"
    );
    story.kubelet.set_everywhere(dns, Behaviour::Healthy);
    Ran::end(running).expect(6, &["gate-", "coredns", "ROLLED BACK"]);
    all_run(&story, 2, "1.19.6");
    at_rest(&story, "1.19.6");
}

/// What a word may be wrapped in: base64, gzip, and both again.
fn holds(text: &str, word: &str) -> bool {
    fn within(bytes: &[u8], word: &str, depth: u8) -> bool {
        if bytes.windows(word.len()).any(|part| part == word.as_bytes()) {
            return true;
        }
        if depth == 0 {
            return false;
        }
        if bytes.starts_with(&[0x1f, 0x8b]) {
            let mut plain = vec![];
            let _ = flate2::read::GzDecoder::new(bytes).read_to_end(&mut plain);
            return within(&plain, word, depth - 1);
        }
        bytes
            .split(|byte| !byte.is_ascii_alphanumeric() && !b"+/=".contains(byte))
            .filter(|run| run.len() >= 16)
            .any(|run| {
                // Words of four, wherever the first begins.
                (0..4).any(|skip| {
                    let run = &run[skip..];
                    let whole = &run[..run.len() - run.len() % 4];
                    let open = STANDARD.decode(whole);
                    open.is_ok_and(|open| within(&open, word, depth - 1))
                })
            })
    }
    within(text.as_bytes(), word, 4)
}

#[test]
fn what_is_wrapped_is_found() {
    use std::io::Write as _;
    let mut zipped = flate2::write::GzEncoder::new(vec![], flate2::Compression::best());
    zipped.write_all(b"{\"a\": \"needle-1A\"}").expect("zipped");
    let zipped = STANDARD.encode(zipped.finish().expect("zipped"));
    for text in [
        "needle-1A".to_owned(),
        format!("key: {}", STANDARD.encode("{\"a\": \"needle-1A\"}")),
        format!("{{\"release\":\"{zipped}\"}}"),
        // Behind what base64 may be itself, of any length.
        format!("a/{zipped}"),
        format!("abcdef/{}", STANDARD.encode("{\"a\": \"needle-1A\"}")),
        format!("{{\"release\":\"{}\"}}", STANDARD.encode(&zipped)),
    ] {
        assert!(holds(&text, "needle-1A"), "{text}");
    }
    assert!(!holds("haystack-haystack-haystack", "needle-1A"));
}

/// Acceptance scenario 41 at an upgrade: words of the release's own values and of those that are given, by file and by flag, are
/// in no output of any verb with `-v`, nor in the journal or the lock, while the change is under way and afterwards.
#[test]
fn scenario_41_values_are_told_nowhere_while_a_change_is_under_way() {
    let Some(story) = cilium(3, "1.19.6", 3) else {
        return;
    };
    let words = ["needle-old-3Kd", "needle-set-8Wq", "needle-file-5Tz"];
    let old = format!("operator.podAnnotations.old={}", words[0]);
    by_helm(&story, "upgrade", &["--set", &old], "1.19.6");
    comes_up(&story, 3, "1.19.6");
    let set = format!("operator.podAnnotations.new={}", words[1]);
    let file = story.plane.dir().join("values.yaml");
    let text = format!(
        "operator: {{extraEnv: [{{name: NEEDLE, value: {}}}]}}\n",
        words[2]
    );
    std::fs::write(&file, text).expect("a file of values");
    let file = file.to_string_lossy().into_owned();
    let given = ["--to", "1.20", "-v", "--set", &set, "-f", &file];

    let mut told: Vec<(String, String)> = vec![];
    let mut hear = |story: &Story, what: &str, ran: &Ran| {
        told.push((format!("{what}, on standard output"), ran.out.clone()));
        told.push((format!("{what}, on standard error"), ran.err.clone()));
        let journal = story.journal().map(|map| map.to_string()).unwrap_or_default();
        told.push((format!("the journal after {what}"), journal));
        let lock = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/kubectl-byocni";
        let lock = story.plane.get(lock).map(|lock| lock.to_string());
        told.push((format!("the lock after {what}"), lock.unwrap_or_default()));
    };
    let charts = story.chart("");
    for format in ["table", "wide", "json", "yaml", "markdown", "name"] {
        let plan = [
            &["upgrade"],
            &given[..],
            &["--dry-run", "--repo", &charts, "-o", format],
        ];
        let ran = story.run(&plan.concat());
        assert_eq!(ran.exit, 0, "{}", ran.said());
        hear(&story, &format!("the plan as {format}"), &ran);
    }
    let running = story.start(&story.upgrading(&[&given[..], &["--pause"], &QUICK].concat()));
    // The lock is there only while a run has it.
    let mut lock = None;
    until("the change is under way", SOON * 6, || {
        lock = story
            .plane
            .get("/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/kubectl-byocni");
        lock.is_some() && operation(&story).is_some()
    });
    let meanwhile = [("the lock", lock), ("the journal", story.journal())]
        .map(|(what, object)| (format!("{what} meanwhile"), object.expect(what).to_string()));
    let ran = Ran::end(running);
    ran.expect(0, &["PAUSED"]);
    hear(&story, "the pause", &ran);
    assert!(operation(&story).is_some(), "the journal has the change");
    for verb in [&["status", "-v"][..], &["history", "-v", "-o", "json"]] {
        hear(&story, verb[0], &story.run(verb));
    }
    let ran = story.run(&["resume", "-v", "--yes"]);
    ran.expect(0, &["DONE"]);
    hear(&story, "going on", &ran);
    hear(
        &story,
        "the history",
        &story.run(&["history", "-v", "-o", "yaml"]),
    );
    let ran = story.run(&[&["rollback", "-v", "--yes"], &QUICK[..]].concat());
    ran.expect(0, &["DONE"]);
    hear(&story, "going back", &ran);
    for word in words {
        for (what, text) in told.iter().chain(&meanwhile) {
            assert!(!holds(text, word), "{word} is in {what}:\n{text}");
        }
    }
    // They were indeed there to be told.
    let record = "/api/v1/namespaces/kube-system/secrets/sh.helm.release.v1.cilium.v4";
    let record = story.plane.get(record).expect("helm's record").to_string();
    for word in words {
        assert!(holds(&record, word), "{word} was never given");
    }
}
