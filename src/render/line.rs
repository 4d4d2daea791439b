//! Lines that fit: measuring, cutting and wrapping by display columns, and colouring last of all, so that no width
//! is ever computed from text with escapes in it.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::{
    Style,
    theme::{self, Mark, Tone},
};

/// Pieces of text with their meaning, on one line.
#[derive(Debug, Clone, Default)]
pub struct Line(Vec<(Tone, String)>);

impl Line {
    /// An empty line.
    pub fn new() -> Self {
        Line::default()
    }

    /// A line that begins with a symbol.
    pub fn marked(mark: Mark, style: &Style) -> Self {
        Line::new().with(mark.tone(), mark.cell(style))
    }

    /// A line that is indented as far as the symbols are wide.
    pub fn indented(style: &Style) -> Self {
        Line::new().with(Tone::Plain, " ".repeat(theme::margin(style)))
    }

    /// The line with a piece more.
    pub fn with(mut self, tone: Tone, text: impl Into<String>) -> Self {
        self.0.push((tone, text.into()));
        self
    }

    /// Display columns.
    pub fn width(&self) -> usize {
        self.0.iter().map(|(_, text)| width(text)).sum()
    }

    /// Columns that are left.
    pub fn room(&self, style: &Style) -> usize {
        style.width.saturating_sub(self.width())
    }

    /// The text, cut where it would be wider than the style allows.
    pub fn paint(self, style: &Style) -> String {
        if self.width() <= style.width {
            return self.paint_uncut(style);
        }
        let mut cut = Line::new();
        for (tone, text) in self.0 {
            let room = cut.room(style);
            if width(&text) > room {
                return cut.with(tone, clip(&text, room, style)).paint_uncut(style);
            }
            cut = cut.with(tone, text);
        }
        cut.paint_uncut(style)
    }

    /// The text whatever its width: for commands, which a cut would turn into other commands.
    pub fn paint_uncut(mut self, style: &Style) -> String {
        // Blanks at the end would be copied along.
        while let Some((_, last)) = self.0.last_mut() {
            last.truncate(last.trim_end().len());
            if !last.is_empty() {
                break;
            }
            self.0.pop();
        }
        self.0
            .iter()
            .map(|(tone, text)| theme::paint(*tone, text, style))
            .collect()
    }
}

/// Display columns of a text, never fewer than a terminal may use.
pub fn width(text: &str) -> usize {
    text.chars().map(columns).sum::<usize>().max(text.width())
}

/// Display columns of a character. A variation selector may widen the character before it, so it counts itself.
fn columns(c: char) -> usize {
    match c {
        '\u{fe0f}' => 1,
        _ => c.width().unwrap_or(1),
    }
}

/// Text as one line. Without Unicode the typographic marks of our own messages become ASCII and the rest `?`.
pub fn clean(text: &str, style: &Style) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if style.unicode || line.is_ascii() {
        return line;
    }
    let mut plain = String::with_capacity(line.len());
    for c in line.chars() {
        match c {
            ' '..='~' => plain.push(c),
            '…' => plain.push_str("..."),
            '→' => plain.push_str("->"),
            '≥' => plain.push_str(">="),
            '≤' => plain.push_str("<="),
            '–' | '—' | '·' => plain.push('-'),
            '×' => plain.push('x'),
            '‘' | '’' => plain.push('\''),
            '“' | '”' => plain.push('"'),
            _ => plain.push('?'),
        }
    }
    plain
}

/// The longest beginning of `text` that takes at most `room` columns.
fn beginning(text: &str, room: usize) -> &str {
    let mut used = 0;
    for (at, c) in text.char_indices() {
        used += columns(c);
        if used > room {
            return &text[..at];
        }
    }
    text
}

/// The longest end of `text` that takes at most `room` columns.
fn ending(text: &str, room: usize) -> &str {
    let mut used = 0;
    for (at, c) in text.char_indices().rev() {
        used += columns(c);
        if used > room {
            return &text[at + c.len_utf8()..];
        }
    }
    text
}

/// `text` cut at its end, with an ellipsis, to at most `room` columns.
pub fn clip(text: &str, room: usize, style: &Style) -> String {
    if width(text) <= room {
        return text.to_string();
    }
    let ellipsis = theme::ellipsis(style);
    match room.checked_sub(width(ellipsis)) {
        Some(rest) => format!("{}{ellipsis}", beginning(text, rest).trim_end()),
        None => beginning(text, room).to_string(),
    }
}

/// `text` cut in its middle: names of one family differ at their ends.
pub fn clip_middle(text: &str, room: usize, style: &Style) -> String {
    if width(text) <= room {
        return text.to_string();
    }
    let ellipsis = theme::ellipsis(style);
    match room.checked_sub(width(ellipsis)) {
        Some(rest) if rest >= 4 => {
            let head = beginning(text, rest / 2);
            format!("{head}{ellipsis}{}", ending(text, rest - width(head)))
        }
        _ => clip(text, room, style),
    }
}

/// Wraps text at spaces into lines of `first` columns and, after that, of `rest` columns; a word that fits on no line
/// is broken.
pub fn wrap(text: &str, first: usize, rest: usize) -> Vec<String> {
    let (first, rest) = (first.max(1), rest.max(1));
    let mut lines = Vec::new();
    let mut line = String::new();
    for mut word in text.split_whitespace() {
        loop {
            let room = if lines.is_empty() { first } else { rest };
            let gap = usize::from(!line.is_empty());
            if width(&line) + gap + width(word) <= room {
                line.push_str(&" "[..gap]);
                line.push_str(word);
                break;
            }
            if !line.is_empty() {
                lines.push(std::mem::take(&mut line));
                continue;
            }
            let head = beginning(word, room);
            // A wide character on a line of one column: it cannot be broken further.
            let head = if head.is_empty() { word } else { head };
            lines.push(head.to_string());
            word = &word[head.len()..];
            if word.is_empty() {
                break;
            }
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

/// The words of a command as a shell sees them, still quoted: a space within quotes is no place to break.
fn shell_words(command: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let (mut start, mut quote, mut escaped) = (None, None, false);
    for (at, c) in command.char_indices() {
        if c == ' ' && quote.is_none() && !escaped {
            if let Some(from) = start.take() {
                words.push(&command[from..at]);
            }
            continue;
        }
        start.get_or_insert(at);
        match (quote, c) {
            _ if escaped => escaped = false,
            (None | Some('"'), '\\') => escaped = true,
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            _ => {}
        }
    }
    words.extend(start.map(|from| &command[from..]));
    words
}

/// Breaks a command at its spaces so that it can still be copied: every line but the last ends in ` \`.
/// A single word that is too long stays whole. `first` and `rest` as in [`wrap`].
pub fn command(command: &str, first: usize, rest: usize) -> Vec<String> {
    if width(command) <= first {
        return vec![command.to_string()];
    }
    let words = shell_words(command);
    let mut lines = Vec::new();
    let mut line = String::new();
    for (at, word) in words.iter().enumerate() {
        // Room for the ` \`, which the last line does not need.
        let tail = if at + 1 == words.len() { 0 } else { 2 };
        let room = if lines.is_empty() { first } else { rest };
        if !line.is_empty() && width(&line) + 1 + width(word) + tail > room {
            lines.push(format!("{line} \\"));
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STYLE: Style = Style {
        width: 80,
        color: false,
        unicode: true,
    };

    #[test]
    fn a_command_breaks_only_outside_quotes() {
        let broken = command("kubectl get pods -o 'jsonpath={.a b}' --context prod", 24, 24);
        assert_eq!(
            broken,
            ["kubectl get pods -o \\", "'jsonpath={.a b}' \\", "--context prod"]
        );
    }

    #[test]
    fn a_name_keeps_both_its_ends() {
        assert_eq!(
            clip_middle("aks-user-12345678-vmss00001f", 16, &STYLE),
            "aks-use…ss00001f"
        );
    }

    #[test]
    fn wide_characters_count_twice() {
        assert_eq!(clip("漢字漢字", 5, &STYLE), "漢字…");
        assert_eq!(wrap("漢字漢字", 4, 4), ["漢字", "漢字"]);
    }

    proptest! {
        #[test]
        fn what_is_cut_or_wrapped_fits(text in any::<String>(), room in 2usize..60) {
            prop_assert!(width(&clip(&text, room, &STYLE)) <= room);
            prop_assert!(width(&clip_middle(&text, room, &STYLE)) <= room);
            for line in wrap(&text, room, room) {
                prop_assert!(width(&line) <= room, "{line:?}");
            }
        }

        #[test]
        fn wrapping_loses_no_word(text in "[a-z ]{0,80}", room in 1usize..20) {
            let letters = |s: &str| s.replace(' ', "");
            prop_assert_eq!(letters(&wrap(&text, room, room).concat()), letters(&text));
        }

        #[test]
        fn a_broken_command_is_the_same_command(text in "[a-z '\"-]{0,80}", room in 1usize..20) {
            let joined = command(&text, room, room).join(" ").replace(" \\ ", " ");
            prop_assert_eq!(shell_words(&joined), shell_words(&text));
        }
    }
}
