//! A user's traffic between pods on two nodes, and what a change of the network does to it (`../real-nodes/traffic.c`).
//!
//! Each of two pods, one on each node, asks the pod on the other node and a service every 100 ms in two ways: on new
//! connections, and on one that stays open. It also asks itself: what is late there is the machine's doing, not the
//! network's.

use std::fmt;
use std::time::{Duration, Instant};

use super::clusters::RealNodes;
use super::clusters::real_nodes::all;

/// Pods that ask, and the node of each with the pod on the other node that it asks.
const ASK: [(&str, &str, &str); 2] = [
    ("asks-1", "node-1", "answers-2"),
    ("asks-2", "node-2", "answers-1"),
];

/// Lines of each pod: it asks three, in two ways.
const WAYS: usize = 6;

/// After this every question's fate is known: five seconds for a short one, and twenty for a connection that is silent,
/// which would be one that broke.
const KNOWN_AFTER: u64 = 6;

/// Traffic that flows until its cluster is gone.
pub struct Traffic<'c> {
    cluster: &'c RealNodes,
}

/// What became of questions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fate {
    /// Questions whose fate is known.
    pub asked: u64,
    /// Answered after more than a second.
    pub late: u64,
    /// Never answered.
    pub lost: u64,
    /// Connections that stayed open until they broke.
    pub broken: u64,
    /// The longest wait for an answer since the traffic began.
    pub slowest: Duration,
}

/// Questions on new connections, and on those that stay.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fates {
    pub short: Fate,
    pub long: Fate,
    /// Of a pod that asks itself.
    pub itself: Fate,
}

impl<'c> Traffic<'c> {
    /// Begins it, and returns when all of it flows.
    pub fn start(cluster: &'c RealNodes) -> Traffic<'c> {
        cluster.plane().apply(include_str!("../real-nodes/traffic.yaml"));
        let runs = |pod: &serde_json::Value| {
            pod["status"]["phase"] == "Running" && pod["status"]["podIP"].is_string()
        };
        cluster.wait_for_pods("pods that answer", "default", "app=answers", 90, runs);
        let read = |path: &str, at: &str| {
            let found = cluster.plane().get(path).unwrap_or_default();
            let text = found.pointer(at).and_then(|value| value.as_str());
            text.unwrap_or_else(|| panic!("{path} has no {at}: {found}"))
                .to_owned()
        };
        let service = read("/api/v1/namespaces/default/services/answers", "/spec/clusterIP");
        for (name, node, other) in ASK {
            let pod = read(
                &format!("/api/v1/namespaces/default/pods/{other}"),
                "/status/podIP",
            );
            let pod = include_str!("../real-nodes/asks.yaml")
                .replace("@NAME@", name)
                .replace("@NODE@", node)
                .replace("@POD@", &pod)
                .replace("@SERVICE@", &service);
            cluster.plane().apply(&pod);
        }
        cluster.wait_for_pods("pods that ask", "default", "app=asks", 90, runs);
        let traffic = Traffic { cluster };
        traffic.until("all of it flows", |now, before| {
            now.iter().zip(before).all(|(now, before)| {
                now.fate.asked > before.fate.asked + 5 && now.fate.lost == before.fate.lost
            })
        });
        traffic
    }

    /// What became of the questions asked while this was done, and the seconds that it took.
    pub fn during<T>(&self, work: impl FnOnce() -> T) -> (T, Fates, u64) {
        let before = self.told();
        let since = Instant::now();
        let done = work();
        let took = since.elapsed().as_secs();
        let ended = self.told();
        let after = self.until("the fate of all questions", |now, _| {
            let known = |(now, ended): (&Told, &Told)| now.second >= ended.second + KNOWN_AFTER;
            now.iter().zip(&ended).all(known)
        });
        for label in ["app=asks", "app=answers"] {
            self.cluster
                .wait_for_pods("pods that were never restarted", "default", label, 5, |pod| {
                    all(&pod["status"]["containerStatuses"], |one| {
                        one["restartCount"] == 0
                    })
                });
        }
        let mut fates = Fates::default();
        for (before, after) in before.iter().zip(&after) {
            let sum = match (after.target.as_str(), after.way.as_str()) {
                ("itself", _) => &mut fates.itself,
                (_, "short") => &mut fates.short,
                _ => &mut fates.long,
            };
            sum.add(&after.fate.since(&before.fate));
        }
        (done, fates, took)
    }

    /// Waits until this holds of what is told and what was told at first.
    fn until(&self, what: &str, holds: impl Fn(&[Told], &[Told]) -> bool) -> Vec<Told> {
        let end = Instant::now() + Duration::from_secs(60);
        let mut first: Option<Vec<Told>> = None;
        loop {
            let told = self.told();
            // In its first second a pod has told nothing.
            if told.len() == ASK.len() * WAYS {
                match &first {
                    Some(first) if holds(&told, first) => return told,
                    Some(_) => {}
                    None => first = Some(told),
                }
            }
            assert!(
                Instant::now() < end,
                "{what}: not within a minute, from {first:#?}"
            );
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    /// Why open connections broke, a line for each since the traffic began.
    pub fn breaks(&self) -> Vec<String> {
        let logs = ASK.map(|(name, ..)| (name, self.cluster.kubectl(&["logs", name, "--container=traffic"])));
        let mut breaks = vec![];
        for (name, log) in logs {
            let log = String::from_utf8_lossy(&log.stdout).into_owned();
            let lines = log.lines().filter_map(|line| line.strip_prefix("broken: "));
            breaks.extend(lines.map(|line| format!("{name}: {line}")));
        }
        breaks
    }

    /// The last that each of them told, in the same order every time.
    fn told(&self) -> Vec<Told> {
        let logs = ASK.iter().map(|(name, ..)| {
            self.cluster
                .kubectl(&["logs", name, "--container=traffic", &format!("--tail={WAYS}")])
        });
        let logs = logs.map(|said| String::from_utf8_lossy(&said.stdout).into_owned());
        logs.flat_map(|log| log.lines().filter_map(Told::of).collect::<Vec<_>>())
            .collect()
    }
}

impl Fate {
    fn since(&self, before: &Fate) -> Fate {
        Fate {
            asked: self.asked - before.asked,
            late: self.late - before.late,
            lost: self.lost - before.lost,
            broken: self.broken - before.broken,
            slowest: self.slowest,
        }
    }

    fn add(&mut self, other: &Fate) {
        self.asked += other.asked;
        self.late += other.late;
        self.lost += other.lost;
        self.broken += other.broken;
        self.slowest = self.slowest.max(other.slowest);
    }

    /// Lost or late, in percent.
    pub fn disturbed(&self) -> f64 {
        let part = u32::try_from(self.late + self.lost).unwrap_or(u32::MAX);
        100.0 * f64::from(part) / f64::from(u32::try_from(self.asked).unwrap_or(u32::MAX).max(1))
    }
}

impl Fates {
    /// Both together, as several runs are.
    pub fn and(mut self, other: &Fates) -> Fates {
        self.short.add(&other.short);
        self.long.add(&other.long);
        self.itself.add(&other.itself);
        self
    }

    /// Lost or late, in percent of all that went through the network.
    pub fn disturbed(&self) -> f64 {
        let mut sum = self.short;
        sum.add(&self.long);
        sum.disturbed()
    }
}

impl fmt::Display for Fates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ways = [
            ("new connections", self.short),
            ("open connections", self.long),
            ("a pod itself", self.itself),
        ];
        for (way, fate) in ways {
            let Fate {
                asked,
                late,
                lost,
                broken,
                slowest,
            } = fate;
            let part = fate.disturbed();
            write!(
                f,
                "{way}: {asked} asked, {late} late, {lost} lost, {broken} broken ({part:.2} %), slowest so far {slowest:?}; "
            )?;
        }
        write!(f, "without the last {:.3} %", self.disturbed())
    }
}

/// A line of `traffic ask`.
#[derive(Debug)]
struct Told {
    second: u64,
    target: String,
    way: String,
    fate: Fate,
}

impl Told {
    fn of(line: &str) -> Option<Told> {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| words.get(at)?.parse::<u64>().ok();
        Some(Told {
            second: number(0)?,
            target: (*words.get(1)?).to_owned(),
            way: (*words.get(2)?).to_owned(),
            fate: Fate {
                asked: number(3)?,
                late: number(4)?,
                lost: number(5)?,
                broken: number(6)?,
                slowest: Duration::from_millis(number(7)?),
            },
        })
    }
}
