//! Completion of a command line that is being typed, for kubectl and for the shells alike.
//!
//! One answer serves all of them: a candidate a line, `value<TAB>what it is`, and at last `:N`, the sum of what the
//! shell is to do besides ([`FILES`] and its neighbours; the numbers are Cobra's, kubectl's command line library:
//! <https://pkg.go.dev/github.com/spf13/cobra#ShellCompDirective>). It is asked for as `__complete WORD…`, or by
//! running us as `kubectl_complete-byocni WORD…`, which is what kubectl does for a plugin. The last word is the one that
//! is being typed. Whatever goes wrong, nothing is said and nothing is offered: a person is typing.

mod line;
pub mod scripts;
mod values;

use std::{ffi::OsString, path::Path, process::ExitCode, time::Duration};

use clap::{Arg, Command, ValueHint};

use self::line::{Line, Wanted};
use super::{Outcome, global::Color, terminal::Terminal};
use crate::core::text::Text;

/// The shell completes file names where it is told nothing else.
pub const FILES: u8 = 0;
/// The shell completes no file names.
pub const NO_FILES: u8 = 4;
/// The shell completes names of folders.
pub const FOLDERS: u8 = 16;
/// The order of the candidates means something.
pub const IN_ORDER: u8 = 32;

/// How long looking things up in a cluster may take, all in all: who waits longer for a TAB believes that the shell hangs.
const LIMIT: Duration = Duration::from_millis(900);

/// How a line begins that asks for an answer.
const ASKED: &[&str] = &["__complete", "__completeNoDesc"];

/// How the executable's name begins that kubectl runs to complete a plugin's command line.
const BY_NAME: &str = "kubectl_complete-";

/// One word that may stand where the cursor is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Candidate {
    value: String,
    /// What it is, one line; may be empty.
    says: String,
}

impl Candidate {
    fn new(value: impl Into<String>, says: impl Into<String>) -> Self {
        Candidate {
            value: value.into(),
            says: says.into(),
        }
    }
}

/// What may stand where the cursor is.
#[derive(Debug, Default)]
struct Answer {
    candidates: Vec<Candidate>,
    directive: u8,
}

impl Answer {
    fn of(candidates: Vec<Candidate>) -> Self {
        Answer {
            candidates,
            directive: NO_FILES,
        }
    }

    fn in_order(candidates: Vec<Candidate>) -> Self {
        Answer {
            candidates,
            directive: NO_FILES | IN_ORDER,
        }
    }

    fn nothing() -> Self {
        Self::of(vec![])
    }

    /// Only what begins as the word does, and nothing that would not be the same after the terminal has shown it.
    fn written(mut self, typed: &str, described: bool) -> String {
        self.candidates.retain(|candidate| {
            candidate.value.starts_with(typed) && Text::new(&candidate.value).line(400) == candidate.value
        });
        let mut out = String::new();
        for Candidate { value, says } in self.candidates {
            out += &value;
            if described && !says.is_empty() {
                out.push('\t');
                out += &Text::new(&says).line(120);
            }
            out.push('\n');
        }
        out + &format!(":{}\n", self.directive)
    }
}

/// The words of a command line that is being typed, where we were run to complete it; and whether to describe.
pub fn asked(arguments: &[OsString]) -> Option<(Vec<String>, bool)> {
    let text = |words: &[OsString]| words.iter().map(|w| w.to_string_lossy().into_owned()).collect();
    let called = arguments.first().map(Path::new).and_then(Path::file_stem);
    if called.is_some_and(|stem| stem.to_string_lossy().starts_with(BY_NAME)) {
        return Some((text(&arguments[1..]), true));
    }
    let first = arguments.get(1)?.to_str()?;
    ASKED
        .contains(&first)
        .then(|| (text(&arguments[2..]), first == ASKED[0]))
}

/// Answers on standard output. The exit code is always 0: with any other kubectl throws the answer away and offers files.
pub fn answer(words: &[String], described: bool) -> ExitCode {
    let mut root = super::grammar();
    root.build();
    let line = Line::walk(&root, words);
    let (answer, typed) = match &line.wanted {
        Wanted::Value(arg, typed) => (of_value(&line, arg, typed), typed.as_str()),
        Wanted::Flag(typed) => (of_flags(&line, typed), typed.as_str()),
        Wanted::Command(typed) => (of_commands(line.command), typed.as_str()),
        Wanted::Nothing => (Answer::nothing(), ""),
    };
    // Nobody would see why it cannot be written.
    let _ = Terminal::new(Color::Never).print(&answer.written(typed, described));
    Outcome::Done.into()
}

fn of_commands(command: &Command) -> Answer {
    let shown = command.get_subcommands().filter(|command| !command.is_hide_set());
    Answer::of(
        shown
            .map(|command| Candidate::new(command.get_name(), in_short(command.get_about())))
            .collect(),
    )
}

/// Long names; a short one where it has been typed whole.
fn of_flags(line: &Line<'_>, typed: &str) -> Answer {
    let flags = line.command.get_arguments().filter(|arg| line.may_have(arg));
    Answer::of(
        flags
            .filter_map(|arg| {
                let short = arg.get_short().map(|letter| format!("-{letter}"));
                let name = short
                    .filter(|short| short == typed)
                    .or_else(|| Some(format!("--{}", arg.get_long()?)))?;
                Some(Candidate::new(name, in_short(arg.get_help())))
            })
            .collect(),
    )
}

/// What a list has room for: the first sentence, without what follows a colon or stands in brackets.
fn in_short(text: Option<&clap::builder::StyledStr>) -> String {
    let text = text.map(ToString::to_string).unwrap_or_default();
    let line = text.lines().next().unwrap_or_default();
    let ends = [": ", " [", " (", ". ", "; "];
    let end = ends.iter().filter_map(|end| line.find(end)).min();
    line[..end.unwrap_or(line.len())].to_string()
}

fn of_value(line: &Line<'_>, arg: &Arg, typed: &str) -> Answer {
    let possible = arg.get_possible_values();
    if !possible.is_empty() {
        let shown = possible.iter().filter(|value| !value.is_hide_set());
        return Answer::of(
            shown
                .map(|value| Candidate::new(value.get_name(), in_short(value.get_help())))
                .collect(),
        );
    }
    let hint = match arg.get_value_hint() {
        ValueHint::AnyPath | ValueHint::FilePath => Some(FILES),
        ValueHint::DirPath => Some(FOLDERS),
        _ => None,
    };
    if let Some(directive) = hint {
        return Answer {
            candidates: vec![],
            directive,
        };
    }
    if let Some(answer) = values::at_hand(line, arg, typed) {
        return answer;
    }
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(2)
        .build()
    else {
        return Answer::nothing();
    };
    let answer = runtime.block_on(async {
        tokio::time::timeout(LIMIT, values::looked_up(line, arg))
            .await
            .ok()
            .flatten()
    });
    // What is still on its way is of no more use.
    runtime.shutdown_background();
    answer.unwrap_or_else(Answer::nothing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_asked_for_by_a_word_or_by_name() {
        let asked = |words: &[&str]| {
            let words: Vec<OsString> = words.iter().map(OsString::from).collect();
            asked(&words)
        };
        let of =
            |words: &[&str], described| Some((words.iter().map(ToString::to_string).collect(), described));
        assert_eq!(asked(&["kubectl-byocni", "__complete", "st"]), of(&["st"], true));
        assert_eq!(
            asked(&["kubectl-byocni", "__completeNoDesc", ""]),
            of(&[""], false)
        );
        assert_eq!(
            asked(&["/bin/kubectl_complete-byocni", "a", ""]),
            of(&["a", ""], true)
        );
        assert_eq!(asked(&["kubectl_complete-byocni.exe"]), of(&[], true));
        assert_eq!(asked(&["kubectl-byocni", "status", "__complete"]), None);
        assert_eq!(asked(&["kubectl-byocni"]), None);
        assert_eq!(asked(&[]), None);
    }

    #[test]
    fn only_what_fits_and_is_plain_is_written() {
        let answer = Answer::of(vec![
            Candidate::new("prod", "the \u{1b}[31mred\none"),
            Candidate::new("pro\u{1b}[2Jd", ""),
            Candidate::new("pro\nd", ""),
            Candidate::new("pro\td", ""),
            Candidate::new("staging", ""),
            Candidate::new("produce", ""),
        ]);
        let written = answer.written("pro", true);
        assert!(!written.contains('\u{1b}'), "{written:?}");
        let values: Vec<&str> = written
            .lines()
            .map(|line| line.split('\t').next().unwrap_or_default())
            .collect();
        assert_eq!(values, ["prod", "produce", ":4"]);
    }
}
