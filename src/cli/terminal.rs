//! The one place that writes to the terminal: data to standard output, everything else to standard error. Width,
//! colour and symbols are decided here, once.
#![expect(
    clippy::disallowed_methods,
    reason = "the one door to the terminal and to what the environment says about it"
)]

use std::{
    env,
    io::{self, ErrorKind, IsTerminal, Write},
    sync::atomic::Ordering,
};

use super::{exit::Failure, global::Color};
use crate::{core::text::Text, render::Style};

/// The width of what is piped, where nothing says otherwise.
const PIPED_WIDTH: usize = 100;

/// The user's terminal, or what stands in its place.
#[derive(Debug)]
pub struct Terminal {
    /// How standard output is drawn.
    pub style: Style,
    /// Standard output is a terminal.
    pub live: bool,
    /// Standard error is a terminal.
    pub stderr_live: bool,
    /// How many lines of the block at the end of standard error are ours to draw anew.
    drawn: std::sync::atomic::AtomicUsize,
}

impl Terminal {
    /// Looks at the environment once.
    pub fn new(color: Color) -> Self {
        let live = io::stdout().is_terminal();
        Terminal {
            style: Style {
                width: width(),
                color: colored(color, live),
                unicode: unicode(),
            },
            live,
            stderr_live: io::stderr().is_terminal(),
            drawn: std::sync::atomic::AtomicUsize::new(0),
        }
    }

    /// Writes data. A reader that has gone (`| head`) is no failure.
    ///
    /// # Errors
    /// Where standard output cannot be written for another reason, such as a full disk.
    pub fn print(&self, text: &str) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                Err(Failure::new(format!("cannot write to standard output: {error}")))
            }
            _ => Ok(()),
        }
    }

    /// Writes a line beside the data, in the place of the last block, where there is one.
    pub fn say(&self, line: &str) {
        self.block(&[]);
        let _ = writeln!(io::stderr().lock(), "{line}");
    }

    /// Says why a command could not do it.
    pub fn failure(&self, failure: &Failure) {
        self.say(&format!("error: {}", Text::new(&failure.message)));
        if let Some(hint) = &failure.hint {
            self.say(&format!("hint: {}", Text::new(hint)));
        }
    }

    /// A line that the next one overwrites; only on a terminal.
    pub fn fleeting(&self, line: &str) {
        if self.stderr_live {
            let mut shown = Text::new(line).line(self.style.width.saturating_sub(1));
            shown.insert_str(0, "\r\u{1b}[2K");
            let mut err = io::stderr().lock();
            let _ = err.write_all(shown.as_bytes()).and_then(|()| err.flush());
        }
    }

    /// Takes the last fleeting line away.
    pub fn settle(&self) {
        if self.stderr_live {
            let _ = io::stderr().lock().write_all(b"\r\x1b[2K");
        }
    }

    /// Draws these lines on standard error in the place of those of the last call, each cleared to its end, so that
    /// nothing flickers; none takes the last ones away.
    pub fn block(&self, lines: &[String]) {
        let height = terminal_size::terminal_size()
            .map_or(24, |(_, h)| usize::from(h.0))
            .max(4);
        let lines = &lines[..lines.len().min(height - 2)];
        let before = self.drawn.swap(lines.len(), Ordering::Relaxed);
        if !self.stderr_live || (before == 0 && lines.is_empty()) {
            return;
        }
        let mut drawn = String::from("\r");
        if before > 0 {
            drawn.push_str(&format!("\u{1b}[{before}A"));
        }
        for line in lines {
            drawn.push_str(line);
            drawn.push_str("\u{1b}[K\n");
        }
        drawn.push_str("\u{1b}[J");
        let mut err = io::stderr().lock();
        let _ = err.write_all(drawn.as_bytes()).and_then(|()| err.flush());
    }

    /// Leaves the last block where it is: what is said next stands below it.
    pub fn leave_block(&self) {
        self.drawn.store(0, Ordering::Relaxed);
    }

    /// Whether a question can be asked.
    pub fn asks(&self) -> bool {
        io::stdin().is_terminal() && self.stderr_live
    }

    /// Asks for a yes; anything else, and the end of input, is a no. Waiting for it leaves signals heard.
    pub async fn confirm(&self, question: &str) -> bool {
        {
            let mut err = io::stderr().lock();
            let _ = write!(err, "{} [y/N] ", Text::new(question)).and_then(|()| err.flush());
        }
        let answer = tokio::task::spawn_blocking(|| {
            let mut answer = String::new();
            io::stdin().read_line(&mut answer).map(|_| answer)
        });
        let answer = answer.await.map(Result::unwrap_or_default).unwrap_or_default();
        matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
    }

    /// Redraws a whole page in place: no more lines than the terminal has, each cleared to its end, so that nothing
    /// flickers and nothing is left over.
    ///
    /// # Errors
    /// As [`Terminal::print`].
    pub fn redraw(&self, page: &str, first: bool) -> Result<(), Failure> {
        let height = terminal_size::terminal_size()
            .map_or(24, |(_, h)| usize::from(h.0))
            .max(4);
        let lines: Vec<&str> = page.lines().collect();
        let mut drawn = String::from(if first { "\u{1b}[2J\u{1b}[H" } else { "\u{1b}[H" });
        let shown = if lines.len() < height {
            lines.len()
        } else {
            height - 2
        };
        for line in &lines[..shown] {
            drawn.push_str(line);
            drawn.push_str("\u{1b}[K\n");
        }
        if shown < lines.len() {
            drawn.push_str(&format!(
                "({} more lines: enlarge the window, or leave out --watch)\u{1b}[K\n",
                lines.len() - shown
            ));
        }
        drawn.push_str("\u{1b}[J");
        self.print(&drawn)
    }
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|v| !v.is_empty())
}

fn width() -> usize {
    let asked = variable("COLUMNS")
        .and_then(|c| c.parse::<usize>().ok())
        .filter(|w| *w > 0);
    let seen = || {
        io::stdout()
            .is_terminal()
            .then(terminal_size::terminal_size)
            .flatten()
    };
    asked
        .or_else(|| seen().map(|(w, _)| usize::from(w.0)).filter(|w| *w > 0))
        .unwrap_or(PIPED_WIDTH)
}

/// `--color` > `NO_COLOR` > `CLICOLOR_FORCE` > `CLICOLOR=0` > `TERM=dumb` > a terminal.
fn colored(color: Color, live: bool) -> bool {
    let set = |name: &str| variable(name).is_some();
    match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto if set("NO_COLOR") => false,
        Color::Auto if variable("CLICOLOR_FORCE").is_some_and(|v| v != "0") => true,
        Color::Auto if variable("CLICOLOR").as_deref() == Some("0") => false,
        Color::Auto if variable("TERM").as_deref() == Some("dumb") => false,
        Color::Auto => live,
    }
}

/// The locale says whether the terminal can show more than ASCII; the first of these that is set decides (POSIX).
fn unicode() -> bool {
    if cfg!(windows) {
        return variable("WT_SESSION").is_some();
    }
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(variable)
        .unwrap_or_default();
    let locale = locale.to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8") || (cfg!(target_os = "macos") && locale.is_empty())
}
