//! How far a command line has come: which command its words lead to, what was given, and what the last word is.

use clap::{Arg, ArgAction, Command};

/// A command line whose last word is being typed.
pub struct Line<'c> {
    /// The command that the words before lead to.
    pub command: &'c Command,
    /// Its name, with those above it but without the program's: `completion install`.
    pub name: String,
    /// What was given before, in order, with its value where it has one.
    pub given: Vec<(&'c Arg, Option<String>)>,
    /// What the last word is.
    pub wanted: Wanted<'c>,
}

/// What a word that is being typed is, as far as it is there.
pub enum Wanted<'c> {
    /// The value of a flag or of a positional argument.
    Value(&'c Arg, String),
    /// A flag's name.
    Flag(String),
    /// The name of a command.
    Command(String),
    /// Nothing that the grammar knows.
    Nothing,
}

impl<'c> Line<'c> {
    /// Walks the words of a command line without the program's name; the last one is being typed, and may be empty.
    /// `root` must have been built.
    pub fn walk(root: &'c Command, words: &[String]) -> Self {
        let (current, before) = match words.split_last() {
            Some((current, before)) => (current.as_str(), before),
            None => ("", words),
        };
        let mut line = Line {
            command: root,
            name: String::new(),
            given: vec![],
            wanted: Wanted::Nothing,
        };
        let mut flags_over = false;
        // The flag whose value is the next word.
        let mut open: Option<&'c Arg> = None;
        for word in before {
            if let Some(arg) = open.take() {
                line.given.push((arg, Some(word.clone())));
            } else if flags_over || !word.starts_with('-') || word == "-" {
                line.word(word);
            } else if word == "--" {
                flags_over = true;
            } else {
                open = line.flag(word);
            }
        }
        line.wanted = match open {
            Some(arg) => Wanted::Value(arg, current.to_string()),
            None if !flags_over && current.starts_with('-') => line.typed_flag(current),
            None => line.typed_word(current),
        };
        line
    }

    /// The values that were given for an argument, in order.
    pub fn values(&self, id: &str) -> impl Iterator<Item = &str> {
        self.given
            .iter()
            .filter(move |(arg, _)| arg.get_id() == id)
            .filter_map(|(_, value)| value.as_deref())
    }

    /// The last value that was given for an argument.
    pub fn value(&self, id: &str) -> Option<&str> {
        self.values(id).last()
    }

    /// Whether a flag may stand here beside those that were given.
    pub fn may_have(&self, arg: &Arg) -> bool {
        let again = matches!(arg.get_action(), ArgAction::Append | ArgAction::Count);
        let meets = |one: &Arg, other: &Arg| {
            self.command
                .get_arg_conflicts_with(one)
                .iter()
                .any(|against| against.get_id() == other.get_id())
        };
        !arg.is_hide_set()
            && self
                .given
                .iter()
                .all(|(given, _)| match given.get_id() == arg.get_id() {
                    true => again,
                    false => !meets(arg, given) && !meets(given, arg),
                })
    }

    /// A word that is no flag: a command, or the next positional argument.
    fn word(&mut self, word: &str) {
        if self.next_position() == 0
            && let Some(command) = self.command.find_subcommand(word)
        {
            if !self.name.is_empty() {
                self.name.push(' ');
            }
            self.name.push_str(command.get_name());
            self.command = command;
        } else if let Some(arg) = self.command.get_positionals().nth(self.next_position()) {
            self.given.push((arg, Some(word.to_string())));
        }
    }

    fn next_position(&self) -> usize {
        self.given.iter().filter(|(arg, _)| arg.is_positional()).count()
    }

    /// A flag that was given; returned where its value is the next word.
    fn flag(&mut self, word: &str) -> Option<&'c Arg> {
        if let Some(long) = word.strip_prefix("--") {
            let (name, value) = match long.split_once('=') {
                Some((name, value)) => (name, Some(value.to_string())),
                None => (long, None),
            };
            let arg = self.long(name)?;
            return self.noted(arg, value);
        }
        // One word may hold several short ones; what follows the first that takes a value is the value.
        let letters = word.trim_start_matches('-');
        for (at, letter) in letters.char_indices() {
            let arg = self
                .command
                .get_arguments()
                .find(|arg| arg.get_short() == Some(letter))?;
            if arg.get_action().takes_values() {
                let rest = &letters[at + letter.len_utf8()..];
                let rest = rest.strip_prefix('=').unwrap_or(rest);
                return self.noted(arg, (!rest.is_empty()).then(|| rest.to_string()));
            }
            self.given.push((arg, None));
        }
        None
    }

    fn noted(&mut self, arg: &'c Arg, value: Option<String>) -> Option<&'c Arg> {
        if value.is_none() && arg.get_action().takes_values() && !arg.is_require_equals_set() {
            return Some(arg);
        }
        self.given.push((arg, value));
        None
    }

    fn long(&self, name: &str) -> Option<&'c Arg> {
        self.command
            .get_arguments()
            .find(|arg| arg.get_long() == Some(name))
    }

    fn typed_flag(&self, word: &str) -> Wanted<'c> {
        match word.strip_prefix("--").and_then(|long| long.split_once('=')) {
            Some((name, value)) => match self.long(name).filter(|arg| arg.get_action().takes_values()) {
                Some(arg) => Wanted::Value(arg, value.to_string()),
                None => Wanted::Nothing,
            },
            None => Wanted::Flag(word.to_string()),
        }
    }

    fn typed_word(&self, word: &str) -> Wanted<'c> {
        if self.command.has_subcommands() {
            return Wanted::Command(word.to_string());
        }
        match self.command.get_positionals().nth(self.next_position()) {
            Some(arg) => Wanted::Value(arg, word.to_string()),
            None => Wanted::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(words: &str) -> String {
        let mut root = crate::cli::grammar();
        root.build();
        let words: Vec<String> = words.split(' ').map(str::to_string).collect();
        let line = Line::walk(&root, &words);
        let wanted = match &line.wanted {
            Wanted::Value(arg, typed) => format!("value of {} from {typed:?}", arg.get_id()),
            Wanted::Flag(typed) => format!("flag from {typed:?}"),
            Wanted::Command(typed) => format!("command from {typed:?}"),
            Wanted::Nothing => "nothing".into(),
        };
        let given: Vec<String> = line
            .given
            .iter()
            .map(|(arg, value)| format!("{}={}", arg.get_id(), value.as_deref().unwrap_or("-")))
            .collect();
        format!("{}|{}|{wanted}", line.name, given.join(" "))
    }

    #[test]
    fn words_lead_to_what_is_being_typed() {
        for (words, expected) in [
            ("", "||command from \"\""),
            ("sta", "||command from \"sta\""),
            ("--context a st", "|context=a|command from \"st\""),
            ("--context=a status -", "status|context=a|flag from \"-\""),
            ("status -o ", "status||value of output from \"\""),
            ("status -o=js --wat", "status|output=js|flag from \"--wat\""),
            (
                "status -ojson -wv ",
                "status|output=json watch=- verbose=-|nothing",
            ),
            ("status --output=j", "status||value of output from \"j\""),
            ("install --dry-run ", "install|dry_run=-|value of cni from \"\""),
            ("install --dry-run=", "install||value of dry_run from \"\""),
            ("install cilium ", "install|cni=cilium|nothing"),
            ("install -- --", "install||value of cni from \"--\""),
            (
                "install --set --x= -y -",
                "install|set=--x= yes=-|flag from \"-\"",
            ),
            ("status --from - --su", "status|from=-|flag from \"--su\""),
            (
                "completion install --dir ",
                "completion install||value of dir from \"\"",
            ),
            ("rollback 3 ", "rollback|revision=3|nothing"),
            ("nothing-like-it ", "||command from \"\""),
            ("status --no-such=x --no-such -q ", "status||nothing"),
            ("status --watch=", "status||nothing"),
        ] {
            assert_eq!(seen(words), expected, "{words:?}");
        }
    }

    #[test]
    fn flags_that_do_not_go_together_are_not_offered_together() {
        let mut root = crate::cli::grammar();
        root.build();
        let offered = |words: &str| -> Vec<String> {
            let words: Vec<String> = words.split(' ').map(str::to_string).collect();
            let line = Line::walk(&root, &words);
            let all = line.command.get_arguments().filter(|arg| line.may_have(arg));
            all.filter_map(|arg| arg.get_long()).map(str::to_string).collect()
        };
        let has = |words: &str, flag: &str| offered(words).iter().any(|name| name == flag);
        assert!(has("upgrade -", "to") && has("upgrade -", "version"));
        assert!(!has("upgrade --to 1.20 -", "version"));
        assert!(!has("upgrade --version 1.20 -", "to"), "in whichever order");
        assert!(!has("status --wait -", "wait"), "given already");
        assert!(has("status --from a.yaml -", "from"), "may be repeated");
        assert!(!has("status --from a.yaml -", "watch"));
        // Every flag of every command can be asked.
        for command in root.get_subcommands().filter(|c| c.get_name() != "help") {
            assert!(offered(&format!("{} -", command.get_name())).contains(&"help".to_string()));
        }
    }
}
