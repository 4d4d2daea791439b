//! The course of an upgrade or a rollback: what is done next, decided from the journal and from how the last step came
//! out. It does nothing itself. `io/change/replace.rs` carries the steps out one by one, and writes down what
//! [`Step::phase`], [`turn`] and [`past_the_canaries`] say before it goes on.
//!
//! ```text
//! Define ─► Helm ─► Roll ─► Gate ─► Strategy ─► End(Done)            the way there
//!    └────────┴───────┴───────┴─► Look ─► End(Untouched)             what fails
//!                                  └─► Turn ─► Helm ─► Roll ─► Gate ─► Strategy ─► End(TakenBack)
//! ```
//!
//! What it promises, and tests/course keeps under interruptions drawn by lot: it ends; once it has turned, nothing of the
//! way there is done any more, by whoever resumes it; and the way back leads to the revision that the journal named
//! before the first step.

mod asked;

pub use asked::{Ask, ask, at_work};

use super::{
    codes::{self, change::CHANGE_INTERRUPTED},
    finding::Finding,
    gate::Look,
    journal::{Operation, Phase},
};

/// Where a step leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// To the chart and values that were asked for.
    There,
    /// To the revision that was there before.
    Back,
}

/// What is to be done next.
#[derive(Debug, Clone)]
pub enum Step {
    /// Apply the CustomResourceDefinitions that go first.
    Define,
    /// Have helm bring the release there; where agents are replaced node by node, with all of them held still.
    Helm(Direction),
    /// Replace agents, node by node.
    Roll(Direction),
    /// Watch until the network is seen to work.
    Gate(Direction),
    /// Give the DaemonSets the chart's own update strategy back. No pod moves.
    Strategy(Direction, Box<Look>),
    /// See whether helm has written anything to the release since the journal was begun.
    Look,
    /// Write down, by [`turn`], that it goes back from here; and that this revision, where there is one, is broken.
    Turn {
        /// The revision that is left, the first time that it turns.
        broken: Option<i64>,
    },
    /// Nothing more.
    End(End),
}

impl Step {
    /// The phase that is written into the journal before the step is begun.
    pub fn phase(&self) -> Option<Phase> {
        match self {
            Step::Define => Some(Phase::ApplyingCrds),
            Step::Helm(_) => Some(Phase::Helm),
            Step::Roll(_) => Some(Phase::Rolling),
            Step::Gate(_) => Some(Phase::Gate),
            Step::Strategy(..) => Some(Phase::Strategy),
            Step::Look | Step::Turn { .. } | Step::End(_) => None,
        }
    }

    /// Where it leads, where it is a step of a way.
    pub fn direction(&self) -> Option<Direction> {
        match self {
            Step::Define => Some(Direction::There),
            Step::Helm(direction)
            | Step::Roll(direction)
            | Step::Gate(direction)
            | Step::Strategy(direction, _) => Some(*direction),
            Step::Look | Step::Turn { .. } | Step::End(_) => None,
        }
    }
}

/// How it ends. The journal is closed by the first three, and stays for `resume` and `abort` otherwise.
#[derive(Debug, Clone)]
pub enum End {
    /// The release is what was asked for, and the network was seen to work.
    Done(Box<Look>),
    /// The release is what it was before, and the network was seen to work.
    TakenBack,
    /// The release is what it was before: nothing had been done to it.
    Untouched,
    /// It waits for something outside.
    Paused(Finding),
    /// The canaries are well, and the user wants to look at them.
    AtCanary(Vec<String>),
    /// It failed, and stays as it is.
    Stays {
        /// Why it was not taken back.
        why: String,
        /// Nodes without a network because of it.
        nodes: Vec<String>,
    },
}

/// How a step came out. One that was interrupted has no outcome: whoever resumes begins a [`Course`] of the journal anew.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// It is done.
    Well,
    /// Of [`Step::Gate`]: the network was seen to work.
    Open(Box<Look>),
    /// It failed.
    Bad {
        /// Why.
        because: Finding,
        /// Nodes without a network because of it.
        nodes: Vec<String>,
    },
    /// Something outside asks for a pause that became too long.
    Paused(Finding),
    /// The canaries are well, and the user wants to look at them.
    AtCanary(Vec<String>),
    /// Of [`Step::Look`]: the newest revision is the one of before.
    Untouched,
    /// Of [`Step::Look`]: it is another, or there is none.
    Touched(Option<i64>),
}

/// A course, from where the journal says that it stands.
#[derive(Debug, Clone)]
pub struct Course {
    /// Whether agents are replaced node by node.
    paced: bool,
    /// `--no-rollback`.
    no_rollback: bool,
    /// The revision to go back to, and whether it can still be read.
    former: (i64, bool),
    /// How far the way back had come, where an earlier run had turned.
    turned: Option<Phase>,
    /// Why it goes back, or ended otherwise than well.
    because: Option<Finding>,
    next: Step,
}

impl Course {
    /// To go on with what the journal says; nothing where it is about an install. `defines`: there are definitions that go
    /// first. `former`: the revision of before can still be read from Helm's record.
    pub fn of(operation: &Operation, defines: bool, former: bool) -> Option<Course> {
        let replaces = operation.replaces.as_ref()?;
        let mut course = Course {
            paced: replaces.pace.is_some(),
            no_rollback: operation.no_rollback,
            former: (replaces.revision, former),
            turned: None,
            because: None,
            next: Step::Look,
        };
        match &replaces.back {
            Some((slug, message)) => {
                course.turned = Some(operation.phase);
                course.turn_round(known(slug, message));
            }
            None => {
                course.next = match operation.phase {
                    Phase::Planned | Phase::ApplyingCrds if defines => Step::Define,
                    phase => course.way(Direction::There, phase),
                }
            }
        }
        Some(course)
    }

    /// To take back what the journal says.
    pub fn aborting(operation: &Operation, former: bool, because: Finding) -> Option<Course> {
        let mut course = Course::of(operation, false, former)?;
        course.turn_round(because);
        Some(course)
    }

    /// What is to be done next.
    pub fn next(&self) -> &Step {
        &self.next
    }

    /// Why it goes back, or ended otherwise than well.
    pub fn because(&self) -> Option<&Finding> {
        self.because.as_ref()
    }

    /// Goes on from how the step came out that was next.
    pub fn came(&mut self, outcome: Outcome) {
        use Direction::{Back, There};
        let done = |direction, look| match direction {
            There => Step::End(End::Done(look)),
            Back => Step::End(End::TakenBack),
        };
        self.next = match (&self.next, outcome) {
            (Step::End(_), _) => return,
            (Step::Define, Outcome::Well) => self.way(There, Phase::Helm),
            (Step::Helm(direction), Outcome::Well) => self.way(*direction, Phase::Rolling),
            (Step::Roll(direction), Outcome::Well) => self.way(*direction, Phase::Gate),
            (Step::Gate(direction), Outcome::Open(look)) => match self.paced {
                true => Step::Strategy(*direction, look),
                false => done(*direction, look),
            },
            (Step::Strategy(direction, look), Outcome::Well) => done(*direction, look.clone()),
            (Step::Look, Outcome::Untouched) => Step::End(End::Untouched),
            (Step::Look, Outcome::Touched(newest)) => Step::Turn {
                // Nobody goes back to it by itself. Once it has turned, the newest is the way back's own.
                broken: newest.filter(|_| self.turned.is_none()),
            },
            (Step::Turn { .. }, Outcome::Well) => self.way(Back, self.turned.unwrap_or(Phase::Planned)),
            (step, outcome) => {
                let there = step.direction() == Some(There);
                return self.failed(there, outcome);
            }
        };
    }

    /// The first step of this way from this phase on; definitions have gone before.
    fn way(&self, direction: Direction, from: Phase) -> Step {
        match from {
            Phase::Planned | Phase::ApplyingCrds | Phase::Helm => Step::Helm(direction),
            Phase::Rolling if self.paced => Step::Roll(direction),
            // What was seen to work before an interruption is looked at once more.
            _ => Step::Gate(direction),
        }
    }

    fn failed(&mut self, there: bool, outcome: Outcome) {
        let stays = |why: String, nodes| Step::End(End::Stays { why, nodes });
        let as_well = |second: &Finding| format!("the way back failed as well: {}", second.message);
        let works = "the network works; its DaemonSets replace no agent by themselves until resume gives them the \
                     chart's own update strategy back";
        let at_strategy = matches!(self.next, Step::Strategy(..));
        self.next = match (outcome, there) {
            // Nobody's agents are replaced once more for that.
            (Outcome::Bad { because, .. }, true) if at_strategy => {
                self.because = Some(because);
                stays(works.into(), vec![])
            }
            (Outcome::Bad { because, .. }, false) if at_strategy => {
                stays(format!("{works} ({})", because.message), vec![])
            }
            (Outcome::Bad { because, nodes }, true) => {
                self.turn_round(because);
                if self.no_rollback {
                    self.next = stays("--no-rollback was given".into(), nodes);
                }
                return;
            }
            (Outcome::Paused(because), true) => Step::End(End::Paused(because)),
            (Outcome::AtCanary(canaries), true) => Step::End(End::AtCanary(canaries)),
            (Outcome::Bad { because, nodes }, false) => stays(as_well(&because), nodes),
            (Outcome::Paused(because), false) => stays(as_well(&because), vec![]),
            // The way back has no canaries, and the others are no outcomes of such a step.
            (Outcome::AtCanary(nodes), false) => stays("the way back was stopped".into(), nodes),
            (Outcome::Well | Outcome::Open(_) | Outcome::Untouched | Outcome::Touched(_), _) => {
                stays("what came of a step cannot be understood".into(), vec![])
            }
        };
    }

    /// From here on it goes back, as far as there is a way.
    fn turn_round(&mut self, because: Finding) {
        self.because = Some(because);
        self.next = match self.former {
            (_, true) => Step::Look,
            (revision, false) => Step::End(End::Stays {
                why: format!("revision {revision} can no longer be read"),
                nodes: vec![],
            }),
        };
    }
}

/// Writes into the journal that it goes back. It is one way only: the first reason stays, and so does how far it came.
pub fn turn(operation: &mut Operation, because: &Finding) {
    if let Some(replaces) = &mut operation.replaces
        && replaces.back.is_none()
    {
        // What was done on the way there is not done on the way back.
        replaces.done.clear();
        replaces.back = Some((because.code.slug.to_string(), because.message.clone()));
        operation.phase = Phase::Helm;
    }
    operation.phase = operation.phase.max(Phase::Helm);
}

/// Writes into the journal that what goes on does not stop at the canaries a second time.
pub fn past_the_canaries(operation: &mut Operation) {
    if let Some(pace) = operation.replaces.as_mut().and_then(|r| r.pace.as_mut()) {
        pace.pause = false;
    }
}

/// The finding that a way back was begun for, as the journal keeps it.
fn known(slug: &str, message: &str) -> Finding {
    let code = codes::find(slug).unwrap_or(&CHANGE_INTERRUPTED);
    let fix = format!("kubectl byocni explain {}", code.slug);
    Finding::new(code, vec![], message.to_string(), fix)
}
