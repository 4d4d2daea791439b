//! The world that a course is followed in, and who follows it: as `io/change/replace.rs` does, step by step.

use std::collections::BTreeSet;

use kubectl_byocni::core::{
    code::Change,
    codes::change::{CHANGE_INTERRUPTED, HELM_FAILED},
    course::{self, Ask, Course, Direction, End, Outcome, Step},
    finding::Finding,
    gate::{Look, State},
    journal::{Before, JournaledChart, Operation, Pace, Phase, Replaces},
    revision::{OURS, Revision, STRATEGY_ONLY, strategy_only},
};

/// The version that runs, and the one that is asked for.
pub const OLD: &str = "1.19.6";
pub const NEW: &str = "1.20.0";

/// For how many looks at a pending release a helm without its plugin is waited for, and how many it lives at most.
const OUTLIVED: u8 = 6;

/// Decisions drawn beforehand; where there are none left, all goes well.
#[derive(Clone, Debug, Default)]
pub struct Lot(std::vec::IntoIter<u8>);

impl Lot {
    pub fn of(bytes: Vec<u8>) -> Lot {
        Lot(bytes.into_iter())
    }

    /// One of so many; 0 is the ordinary.
    fn draw(&mut self, of: u8) -> u8 {
        self.0.next().map_or(0, |byte| byte % of)
    }

    /// Whether something happens that does once in so many times.
    fn once_in(&mut self, of: u8) -> bool {
        self.draw(of) == 1
    }

    pub fn is_over(&self) -> bool {
        self.0.as_slice().is_empty()
    }
}

/// A revision as helm keeps it, and whether its DaemonSets replace nothing by themselves.
#[derive(Clone, Debug)]
struct Kept {
    row: Revision,
    held: bool,
}

/// What is in the cluster.
pub struct World {
    /// As it is stored.
    journal: Option<String>,
    history: Vec<Kept>,
    /// For how many looks a helm that outlived its plugin is still at work.
    orphan: Option<u8>,
    /// What the agents run.
    agents: Vec<&'static str>,
    paced: bool,
    /// What the journal named as the revision to go back to, before the first step.
    stood: i64,
    /// Whether a turn was ever stored.
    turned: bool,
    pub broken: BTreeSet<i64>,
    /// The next of helm's operations after so many fails.
    pub helm_fails_after: Option<u8>,
    pub deeds: Vec<Deed>,
}

/// What was done to the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    Defined,
    Helm(Direction),
    /// A pending revision was finished.
    Finished(i64),
    Replaced(Direction, usize),
    Turned,
}

/// Who goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Resume,
    Abort,
}

/// How one run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ran {
    /// Killed, stopped, or without an API server.
    Interrupted,
    Done,
    TakenBack,
    Untouched,
    /// The journal stays.
    Left,
}

/// What a story begins with.
#[derive(Clone, Debug)]
pub struct Start {
    pub paced: bool,
    pub defines: bool,
    pub no_rollback: bool,
    pub pause: bool,
    pub nodes: usize,
    /// Helm's words for the revisions there are, oldest first; the newest that is deployed is the one to go back to.
    pub history: &'static [&'static str],
    /// Whether that one can be read.
    pub former: bool,
}

pub fn finding(words: &str) -> Finding {
    Finding::new(&HELM_FAILED, vec![], words.to_string(), "")
}

fn look() -> Box<Look> {
    Box::new(Look {
        phases: vec![],
        waiting: vec![],
        state: State::Passed,
        probe_on: vec![],
        agents_ever_started: true,
        aside: vec![],
        elapsed: std::time::Duration::ZERO,
    })
}

impl World {
    pub fn new(start: &Start) -> World {
        let history: Vec<Kept> = (1..)
            .zip(start.history)
            .map(|(number, status)| Kept {
                // What failed or is pending is somebody else's try of another version.
                row: match *status {
                    "failed" | "pending-upgrade" => row(number, status, NEW, "Upgrade"),
                    _ => row(number, status, OLD, OURS),
                },
                held: false,
            })
            .collect();
        let deployed = history.iter().rfind(|kept| kept.row.status == "deployed");
        let stood = deployed.expect("one is deployed").row.revision;
        let pace = Pace {
            canaries: 1,
            max_parallel: 1,
            soak_seconds: 0,
            limit_seconds: 600,
            pause: start.pause,
        };
        let operation = Operation {
            id: "a1".into(),
            change: Change::Upgrade,
            cni: "cilium".into(),
            by: "ops@host".into(),
            begun: "2026-01-01T00:00:00Z".parse().expect("a time"),
            release: "cilium".into(),
            namespace: "kube-system".into(),
            chart: JournaledChart {
                name: "cilium".into(),
                version: NEW.into(),
                digest: "sha256:00".into(),
            },
            crd_charts: vec![],
            defines: vec![],
            pools: vec![],
            gate_seconds: 600,
            take_ownership: false,
            no_rollback: start.no_rollback,
            replaces: Some(Replaces {
                revision: stood,
                version: OLD.into(),
                target: None,
                settle_seconds: 5,
                pace: start.paced.then_some(pace),
                restart: false,
                done: vec![],
                configured: None,
                back: None,
                then: None,
            }),
            phase: Phase::Planned,
            before: Before {
                revision: history.last().map(|kept| kept.row.revision),
                ..Before::default()
            },
        };
        let mut world = World {
            journal: None,
            history,
            orphan: None,
            agents: vec![OLD; start.nodes],
            paced: start.paced,
            stood,
            turned: false,
            broken: BTreeSet::new(),
            helm_fails_after: None,
            deeds: vec![],
        };
        world.store(&operation);
        world
    }

    pub fn operation(&self) -> Option<Operation> {
        let text = self.journal.as_ref()?;
        Some(serde_json::from_str(text).expect("what was stored"))
    }

    fn store(&mut self, operation: &Operation) {
        let replaces = operation.replaces.as_ref().expect("an upgrade");
        assert_eq!(replaces.revision, self.stood, "the way back has another target");
        assert_eq!(replaces.version, OLD, "the way back has another target");
        if replaces.back.is_some() && !self.turned {
            self.turned = true;
            self.deeds.push(Deed::Turned);
        }
        assert!(replaces.back.is_some() || !self.turned, "it has turned twice");
        self.journal = Some(serde_json::to_string(operation).expect("JSON"));
    }

    fn newest(&self) -> Option<&Revision> {
        self.history.last().map(|kept| &kept.row)
    }

    /// Notes what is done; nothing of the way there is once it has turned.
    fn do_it(&mut self, deed: Deed) {
        let there = matches!(
            deed,
            Deed::Defined | Deed::Helm(Direction::There) | Deed::Replaced(Direction::There, _)
        );
        assert!(
            !(there && self.turned),
            "{deed:?} after it has turned: {:?}",
            self.deeds
        );
        self.deeds.push(deed);
    }

    /// The helm that outlived its plugin works on.
    fn time_goes_by(&mut self) {
        self.orphan = match self.orphan {
            Some(0) => {
                self.deployed();
                None
            }
            Some(more) => Some(more - 1),
            None => None,
        };
    }

    /// Helm is done with the newest revision.
    fn deployed(&mut self) {
        let (newest, older) = self.history.split_last_mut().expect("a revision");
        for kept in older.iter_mut().filter(|kept| kept.row.status == "deployed") {
            kept.row.status = "superseded".into();
        }
        newest.row.status = "deployed".into();
        let version = newest.row.version.clone();
        let at_once = self.agents.iter().any(|runs| *runs != version);
        // Their DaemonSet would replace them past every gate.
        assert!(
            !(self.paced && !newest.held && at_once),
            "agents run {:?} and get {version} all at once: {:?}",
            self.agents,
            self.deeds
        );
        if !self.paced {
            let version = if version == NEW { NEW } else { OLD };
            self.agents.fill(version);
        }
    }

    /// One operation of helm, which makes a revision of these; how it came out.
    fn helm(&mut self, made: Kept, lot: &mut Lot) -> Result<bool, Ran> {
        assert_eq!(self.orphan, None, "two helms at once: {:?}", self.deeds);
        self.history.push(made);
        let fails = self.helm_fails_after == Some(0);
        self.helm_fails_after = self.helm_fails_after.and_then(|more| more.checked_sub(1));
        if fails {
            self.last().status = "failed".into();
            return Ok(false);
        }
        match lot.draw(16) {
            // Killed with its plugin, or in its place at work for a while.
            1 => return Err(Ran::Interrupted),
            2 => {
                self.orphan = Some(lot.draw(OUTLIVED));
                return Err(Ran::Interrupted);
            }
            // Told to stop, as it does at its next safe point.
            3 => {
                self.last().status = "failed".into();
                return Err(Ran::Interrupted);
            }
            4 => {
                self.last().status = "failed".into();
                return Ok(false);
            }
            _ => {}
        }
        self.deployed();
        Ok(true)
    }

    fn last(&mut self) -> &mut Revision {
        &mut self.history.last_mut().expect("a revision").row
    }

    fn next_number(&self) -> i64 {
        self.newest().map_or(1, |newest| newest.revision + 1)
    }

    /// Brings the release to what is wanted, as `io/change/at_helm.rs` does.
    fn bring(&mut self, direction: Direction, held: bool, lot: &mut Lot) -> Result<Outcome, Ran> {
        let operation = self.operation().expect("a journal");
        let (version, description) = (
            match direction {
                Direction::There => NEW,
                Direction::Back => OLD,
            },
            if held { STRATEGY_ONLY } else { OURS },
        );
        for _ in 0..OUTLIVED {
            if !course::at_work(self.newest(), &operation) {
                break;
            }
            self.time_goes_by();
        }
        for _ in 0..5 {
            match course::ask(self.newest(), &operation, version, description) {
                Ask::Gone => {
                    return Ok(Outcome::Bad {
                        because: finding("gone"),
                        nodes: vec![],
                    });
                }
                Ask::Compare => return Ok(Outcome::Well),
                Ask::Upgrade => {
                    self.do_it(Deed::Helm(direction));
                    let made = Kept {
                        row: row(self.next_number(), "pending-upgrade", version, description),
                        held,
                    };
                    return Ok(match self.helm(made, lot)? {
                        true => Outcome::Well,
                        false => Outcome::Bad {
                            because: finding("helm"),
                            nodes: vec![],
                        },
                    });
                }
                Ask::Finish(revision) => {
                    self.do_it(Deed::Finished(revision));
                    let own = self.history.iter().find(|kept| kept.row.revision == revision);
                    let own = own.expect("a revision that there is").clone();
                    let words = format!("Rollback to {revision}");
                    let made = Kept {
                        row: row(self.next_number(), "pending-rollback", &own.row.version, &words),
                        held: own.held,
                    };
                    if !self.helm(made, lot)? {
                        return Ok(Outcome::Bad {
                            because: finding("helm"),
                            nodes: vec![],
                        });
                    }
                }
            }
        }
        panic!("helm is asked for ever: {:?}", self.history)
    }

    /// Replaces agents one by one, and writes down which.
    fn roll(&mut self, direction: Direction, lot: &mut Lot) -> Result<Outcome, Ran> {
        let newest = self.history.last().expect("a revision");
        assert!(
            newest.held,
            "agents are replaced while their DaemonSet does: {newest:?}"
        );
        let template = if newest.row.version == NEW { NEW } else { OLD };
        for node in 0..self.agents.len() {
            let mut operation = self.operation().expect("a journal");
            let replaces = operation.replaces.as_mut().expect("an upgrade");
            let name = format!("node-{node}");
            let own = replaces.back.is_some() == (direction == Direction::Back);
            if own && replaces.done.contains(&name) {
                continue;
            }
            match lot.draw(24) {
                1 => return Err(Ran::Interrupted),
                2 => {
                    return Ok(Outcome::Bad {
                        because: finding("agent"),
                        nodes: vec![name],
                    });
                }
                3 => return Ok(Outcome::Paused(finding("the platform is at work"))),
                _ => {}
            }
            if self.agents[node] != template {
                self.do_it(Deed::Replaced(direction, node));
                self.agents[node] = template;
            }
            if lot.once_in(24) {
                return Err(Ran::Interrupted);
            }
            replaces.done.push(name);
            let stops = direction == Direction::There && replaces.pace.is_some_and(|pace| pace.pause);
            self.store(&operation);
            if stops {
                return Ok(Outcome::AtCanary(vec!["node-0".into()]));
            }
        }
        Ok(Outcome::Well)
    }

    fn gate(&self, direction: Direction, lot: &mut Lot) -> Result<Outcome, Ran> {
        let wanted = match direction {
            Direction::There => NEW,
            Direction::Back => OLD,
        };
        let all = self.agents.iter().all(|runs| *runs == wanted);
        match lot.draw(12) {
            1 => return Err(Ran::Interrupted),
            2 => {}
            _ if all => return Ok(Outcome::Open(look())),
            _ => {}
        }
        Ok(Outcome::Bad {
            because: finding("gate"),
            nodes: vec!["node-0".into()],
        })
    }

    /// One run of the plugin, to whatever end.
    pub fn run(&mut self, verb: Verb, start: &Start, lot: &mut Lot) -> Ran {
        match self.follow(verb, start, lot) {
            Ok(ran) | Err(ran) => ran,
        }
    }

    fn follow(&mut self, verb: Verb, start: &Start, lot: &mut Lot) -> Result<Ran, Ran> {
        let operation = self.operation().expect("a journal");
        let course = match verb {
            Verb::Resume => Course::of(&operation, start.defines, start.former),
            Verb::Abort => {
                let because = Finding::new(&CHANGE_INTERRUPTED, vec![], "interrupted".to_string(), "");
                Course::aborting(&operation, start.former, because)
            }
        };
        let mut course = course.expect("an upgrade");
        for _ in 0..30 {
            let step = course.next().clone();
            if let Some(phase) = step.phase() {
                let mut operation = self.operation().expect("a journal");
                operation.phase = phase;
                self.store(&operation);
            }
            if !matches!(step, Step::End(_)) && lot.once_in(20) {
                return Err(Ran::Interrupted);
            }
            let outcome = match step {
                Step::Define => {
                    self.do_it(Deed::Defined);
                    match lot.once_in(12) {
                        true => Outcome::Bad {
                            because: finding("definitions"),
                            nodes: vec![],
                        },
                        false => Outcome::Well,
                    }
                }
                Step::Helm(direction) => self.bring(direction, self.paced, lot)?,
                Step::Strategy(direction, _) => self.bring(direction, false, lot)?,
                Step::Roll(direction) => self.roll(direction, lot)?,
                Step::Gate(direction) => self.gate(direction, lot)?,
                Step::Look => {
                    let newest = self.newest().map(|newest| newest.revision);
                    let operation = self.operation().expect("a journal");
                    match newest == operation.before.revision {
                        true => Outcome::Untouched,
                        false => Outcome::Touched(newest),
                    }
                }
                Step::Turn { broken } => {
                    self.broken.extend(broken);
                    let mut operation = self.operation().expect("a journal");
                    course::turn(&mut operation, course.because().expect("a reason"));
                    self.store(&operation);
                    Outcome::Well
                }
                Step::End(end) => return Ok(self.ended(end, start, lot)),
            };
            if lot.once_in(20) {
                return Err(Ran::Interrupted);
            }
            course.came(outcome);
        }
        panic!("it does not end: {:?} {:?}", course, self.deeds)
    }

    fn ended(&mut self, end: End, start: &Start, lot: &mut Lot) -> Ran {
        let newest = self.history.last().expect("a revision").clone();
        let at_rest = |version: &str| {
            assert_eq!(
                (
                    newest.row.status.as_str(),
                    newest.row.version.as_str(),
                    newest.held
                ),
                ("deployed", version, false),
                "{:?}",
                self.history
            );
            assert!(!strategy_only(&newest.row.description), "{newest:?}");
            assert!(
                self.agents.iter().all(|runs| *runs == version),
                "{:?}",
                self.agents
            );
            assert_eq!(self.orphan, None);
        };
        let ran = match end {
            End::Done(_) => {
                at_rest(NEW);
                assert!(!self.turned, "it turned, and was done");
                Ran::Done
            }
            End::TakenBack => {
                at_rest(OLD);
                assert!(
                    self.turned,
                    "it was taken back without a word of it in the journal"
                );
                Ran::TakenBack
            }
            End::Untouched => {
                assert_eq!(self.history.len(), start.history.len(), "{:?}", self.history);
                assert!(self.agents.iter().all(|runs| *runs == OLD), "{:?}", self.agents);
                Ran::Untouched
            }
            End::AtCanary(_) => {
                if !lot.once_in(4) {
                    let mut operation = self.operation().expect("a journal");
                    course::past_the_canaries(&mut operation);
                    self.store(&operation);
                }
                return Ran::Left;
            }
            End::Paused(_) | End::Stays { .. } => return Ran::Left,
        };
        self.journal = None;
        ran
    }
}

fn row(revision: i64, status: &str, version: &str, description: &str) -> Revision {
    Revision {
        revision,
        status: status.into(),
        chart: "cilium".into(),
        version: version.into(),
        app_version: version.into(),
        updated: None,
        description: description.into(),
    }
}
