//! The one sanitizer: text that comes from the cluster is written by whoever may write there.
//!
//! Terminal escapes, carriage returns and bidirectional overrides in a name or a message can rewrite what an
//! operator sees (CVE-2021-25743 in kubectl). Every string of a capture is a [`Text`], and a `Text` cannot be made
//! without passing through here, so no later room has to remember it.

use std::{borrow::Borrow, fmt, ops::Deref};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Visitor};

/// Longest text that is kept, in bytes. Kubernetes caps what it writes itself far below (an event's message at
/// 1 KiB, a ConfigMap at 1 MiB in all); what is longer is cut, so that a 10 MB value cannot fill our memory.
pub const LONGEST: usize = 256 * 1024;

/// Text from the cluster or from a file, free of anything that a terminal would act on. Line feeds are kept:
/// configuration files have them; [`Text::line`] gives the text as one line.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(Box<str>);

impl Text {
    /// Sanitizes `raw`.
    pub fn new(raw: &str) -> Self {
        let cut = &raw[..floor_char_boundary(raw, LONGEST)];
        if cut.bytes().all(|b| matches!(b, b'\n' | 0x20..=0x7e)) {
            return Text(cut.into());
        }
        Text(cut.chars().map(harmless).collect::<String>().into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text as one line of at most `longest` characters, for a message or a table cell.
    pub fn line(&self, longest: usize) -> String {
        let words = self.0.split_whitespace().collect::<Vec<_>>().join(" ");
        if words.chars().count() <= longest {
            return words;
        }
        words
            .chars()
            .take(longest.saturating_sub(1))
            .chain(['…'])
            .collect()
    }
}

/// The largest index up to `at` at which `text` may be cut.
fn floor_char_boundary(text: &str, at: usize) -> usize {
    if at >= text.len() {
        return text.len();
    }
    (0..=at).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0)
}

/// Replaces what a terminal or a reader's eye would be fooled by: C0 (line feeds stay), DEL, C1, zero-width and
/// bidirectional controls, line and paragraph separators, and the byte order mark.
fn harmless(c: char) -> char {
    match c {
        '\n' => c,
        '\t' => ' ',
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' => '\u{fffd}',
        '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' => '\u{fffd}',
        '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' => '\u{fffd}',
        '\u{e0000}'..='\u{e007f}' => '\u{fffd}',
        _ => c,
    }
}

impl Deref for Text {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Text {
    fn from(raw: &str) -> Self {
        Text::new(raw)
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        &*self.0 == other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        &*self.0 == *other
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Door;
        impl Visitor<'_> for Door {
            type Value = Text;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_str<E>(self, raw: &str) -> Result<Text, E> {
                Ok(Text::new(raw))
            }
            // Kubernetes writes `null` for an empty string now and then.
            fn visit_unit<E>(self) -> Result<Text, E> {
                Ok(Text::default())
            }
        }
        deserializer.deserialize_any(Door)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The code points of acceptance scenario 40 of the reliability research.
    fn forbidden(c: char) -> bool {
        matches!(c, '\u{0}'..='\u{9}' | '\u{b}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    }

    #[test]
    fn escapes_lose_their_power() {
        let text = Text::new("\u{1b}]0;owned\u{7}a\rb\u{202e}c\u{200b}");
        assert_eq!(
            text.as_str(),
            "\u{fffd}]0;owned\u{fffd}a\u{fffd}b\u{fffd}c\u{fffd}"
        );
    }

    #[test]
    fn plain_text_stays_as_it_is() {
        assert_eq!(
            Text::new("line one\nline two ✔ ü").as_str(),
            "line one\nline two ✔ ü"
        );
    }

    #[test]
    fn a_huge_value_is_cut() {
        assert_eq!(Text::new(&"ü".repeat(LONGEST)).len(), LONGEST);
    }

    proptest! {
        #[test]
        fn nothing_forbidden_passes(raw in any::<String>()) {
            prop_assert!(!Text::new(&raw).chars().any(forbidden));
        }

        #[test]
        fn sanitizing_twice_changes_nothing(raw in any::<String>()) {
            let once = Text::new(&raw);
            prop_assert_eq!(Text::new(once.as_str()), once);
        }
    }
}
