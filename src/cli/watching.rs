//! Shows a change while it runs: on a terminal one live block whose clock goes on between the looks, plain lines
//! everywhere else; all on standard error.
#![expect(clippy::disallowed_methods, reason = "the clock of a live view")]

use std::{
    future::Future,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::terminal::Terminal;
use crate::{
    core::{change::Event, gate::Look},
    render::progress::{self, Aside, Step},
};

/// How often the clock of a live view moves.
const TICK: Duration = Duration::from_secs(1);

/// How long a note stands beside the gate's view, which has much to say itself.
const NOTED: Duration = Duration::from_secs(10);

/// What was shown last.
#[derive(Default)]
struct Shown {
    /// Of the step under way, where it is another than the gate's.
    limit: Option<Duration>,
    step: Option<(Step, Instant)>,
    look: Option<(Look, Instant)>,
    note: Option<Note>,
    frame: usize,
}

/// Something on the side, or what is waited for.
struct Note {
    text: String,
    at: Instant,
    limit: Option<Duration>,
}

/// Somebody who watches.
pub struct Watcher<'w> {
    terminal: &'w Terminal,
    head: String,
    limit: Duration,
    shown: Mutex<Shown>,
}

impl<'w> Watcher<'w> {
    /// `head` says what is done: `installing Cilium 1.20.0`.
    pub fn new(terminal: &'w Terminal, head: String, limit: Duration) -> Self {
        Watcher {
            terminal,
            head,
            limit,
            shown: Mutex::default(),
        }
    }

    /// Does this, and lets the clock go on meanwhile.
    pub async fn during<T>(&self, work: impl Future<Output = T>) -> T {
        // On the heap: a change is large, and each layer above it would hold a place for it.
        let work = Box::pin(work);
        if !self.terminal.stderr_live {
            return work.await;
        }
        ticking(work, || self.draw(&mut self.shown())).await
    }

    /// Takes an event.
    pub fn see(&self, event: &Event) {
        let mut shown = self.shown();
        match event {
            Event::Step { name, does, limit } => {
                self.close(&mut shown);
                shown.limit = *limit;
                let step = Step {
                    name: (*name).to_string(),
                    does: does.clone(),
                };
                if !self.terminal.stderr_live {
                    self.terminal.say(&progress::plain(&step));
                } else if shown.frame == 0 {
                    // Apart from the plan above it.
                    self.terminal.say("");
                }
                shown.step = Some((step, Instant::now()));
            }
            Event::Note(text) => {
                if !self.terminal.stderr_live {
                    self.terminal.say(&format!("  {text}"));
                }
                shown.note = Some(Note::new(text, None));
            }
            Event::Wait { what, limit } => {
                if !self.terminal.stderr_live {
                    self.terminal.say(&progress::waited_for(what, *limit));
                }
                shown.note = Some(Note::new(what, Some(*limit)));
            }
            Event::Look(look) => {
                if !self.terminal.stderr_live {
                    for line in progress::lines(shown.look.as_ref().map(|(l, _)| l), look, look.elapsed) {
                        self.terminal.say(&line);
                    }
                }
                if shown.look.is_none() {
                    // The gate's own view goes on from here, and has a clock of its own.
                    if let (true, Some((step, _))) = (self.terminal.stderr_live, &shown.step) {
                        self.terminal
                            .say(&progress::done(step, None, &self.terminal.style));
                    }
                    (shown.step, shown.note) = (None, None);
                }
                shown.look = Some(((**look).clone(), Instant::now()));
            }
        }
        self.draw(&mut shown);
    }

    /// Leaves the last view where it is.
    pub fn end(&self) {
        self.close(&mut self.shown());
    }

    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is in the block now stays as it is: the gate's last look, or the step with the time that it took.
    fn close(&self, shown: &mut Shown) {
        if self.terminal.stderr_live {
            match (shown.look.take(), shown.step.take()) {
                (Some(_), _) => self.terminal.leave_block(),
                (None, Some((step, begun))) => {
                    self.terminal.block(&[]);
                    let took = Some(begun.elapsed());
                    self.terminal
                        .say(&progress::done(&step, took, &self.terminal.style));
                }
                (None, None) => {}
            }
        }
        (shown.look, shown.step, shown.note) = (None, None, None);
    }

    /// Draws the block anew, on a terminal only.
    fn draw(&self, shown: &mut Shown) {
        if !self.terminal.stderr_live {
            return;
        }
        let style = &self.terminal.style;
        let lasting = shown.look.is_some();
        let note = shown.note.as_ref().filter(|n| !lasting || n.at.elapsed() < NOTED);
        let aside = note.map(|note| Aside {
            text: &note.text,
            since: note.at.elapsed(),
            limit: note.limit,
        });
        let lines = match (&shown.look, &shown.step) {
            (Some((look, at)), _) => {
                let elapsed = look.elapsed + at.elapsed();
                let mut lines = progress::live(
                    look,
                    &self.head,
                    elapsed,
                    shown.limit.unwrap_or(self.limit),
                    style,
                    shown.frame,
                );
                lines.extend(aside.map(|aside| progress::aside(&aside, style)));
                lines
            }
            (None, Some((step, begun))) => {
                progress::step(step, begun.elapsed(), aside.as_ref(), style, shown.frame)
            }
            (None, None) => return,
        };
        self.terminal.block(&lines);
        shown.frame += 1;
    }
}

impl Note {
    fn new(text: &str, limit: Option<Duration>) -> Self {
        Note {
            text: text.to_string(),
            at: Instant::now(),
            limit,
        }
    }
}

/// Does this while a line of the terminal says so, with the time that it takes.
pub async fn awaited<T>(terminal: &Terminal, what: &str, work: impl Future<Output = T>) -> T {
    // On the heap: what is awaited here is large, and each layer above would hold a place for it.
    let work = Box::pin(work);
    if !terminal.stderr_live {
        return work.await;
    }
    let begun = Instant::now();
    ticking(work, || match begun.elapsed().as_secs() {
        // What is done at once needs no clock.
        0..2 => terminal.fleeting(what),
        seconds => terminal.fleeting(&format!("{what} {seconds}s")),
    })
    .await
}

/// Does this, and calls `tick` at once and each second until it is done.
async fn ticking<T>(work: impl Future<Output = T>, tick: impl Fn()) -> T {
    let mut work = std::pin::pin!(work);
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            _ = ticks.tick() => tick(),
        }
    }
}
