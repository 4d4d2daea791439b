//! Shows a change while it runs: one live block on a terminal, plain lines everywhere else, all on standard error.

use std::sync::{Mutex, PoisonError};

use super::terminal::Terminal;
use crate::{
    core::{change::Event, gate::Look},
    render::progress,
};

/// What was shown last.
#[derive(Default)]
struct Shown {
    look: Option<Look>,
    frame: usize,
    step: String,
}

/// Somebody who watches.
pub struct Watcher<'w> {
    terminal: &'w Terminal,
    head: String,
    limit: std::time::Duration,
    shown: Mutex<Shown>,
}

impl<'w> Watcher<'w> {
    /// `head` says what is done: `installing Cilium 1.20.0`.
    pub fn new(terminal: &'w Terminal, head: String, limit: std::time::Duration) -> Self {
        Watcher {
            terminal,
            head,
            limit,
            shown: Mutex::default(),
        }
    }

    /// Takes an event.
    pub fn see(&self, event: &Event) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Step { name, does } => {
                self.terminal.block(&[]);
                self.terminal.say(&format!("{name}: {does}"));
                shown.step = (*name).to_string();
            }
            Event::Note(text) if self.terminal.stderr_live => self.terminal.fleeting(text),
            Event::Note(text) => self.terminal.say(&format!("  {text}")),
            Event::Look(look) => {
                if self.terminal.stderr_live {
                    let lines = progress::live(
                        look,
                        &self.head,
                        look.elapsed,
                        self.limit,
                        &self.terminal.style,
                        shown.frame,
                    );
                    self.terminal.block(&lines);
                } else {
                    for line in progress::lines(shown.look.as_ref(), look, look.elapsed) {
                        self.terminal.say(&line);
                    }
                }
                shown.frame += 1;
                shown.look = Some((**look).clone());
            }
        }
    }

    /// Leaves the last block where it is.
    pub fn end(&self) {
        self.terminal.leave_block();
    }
}
