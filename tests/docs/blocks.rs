//! The documents, their fenced blocks, and the commands in them.

use std::{fs, path::PathBuf};

/// The project's folder.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// One document.
pub struct Document {
    /// Its path from the project's folder.
    pub path: String,
    /// What it says.
    pub text: String,
}

/// Every document: those at the top, and those in `docs`.
pub fn documents() -> Vec<Document> {
    let mut paths = vec![];
    for folder in ["", "docs"] {
        for entry in fs::read_dir(root().join(folder)).expect("a folder") {
            let name = entry.expect("an entry").file_name();
            let name = name.to_string_lossy().into_owned();
            if name.ends_with(".md") {
                paths.push(PathBuf::from(folder).join(name));
            }
        }
    }
    paths.sort();
    assert!(
        paths.len() > 5,
        "README, CONTRIBUTING and docs/*.md are not all there: {paths:?}"
    );
    paths
        .into_iter()
        .map(|path| Document {
            text: fs::read_to_string(root().join(&path)).expect("a readable document"),
            path: path.display().to_string(),
        })
        .collect()
}

/// A fenced block.
pub struct Block<'t> {
    /// The word behind the fence.
    pub language: &'t str,
    /// The line of the fence, from 1.
    pub line: usize,
    /// Where its text begins and ends in the document's.
    pub range: std::ops::Range<usize>,
    /// Its text, with the last line feed.
    pub text: &'t str,
}

/// The fenced blocks of a document. They begin at the margin.
pub fn blocks<'t>(document: &'t Document) -> Vec<Block<'t>> {
    let mut found = vec![];
    let mut open: Option<(&str, usize, usize)> = None;
    let mut at = 0;
    for (number, line) in document.text.split_inclusive('\n').enumerate() {
        if let Some(language) = line.strip_prefix("```") {
            open = match open {
                None => Some((language.trim(), number + 1, at + line.len())),
                Some((language, line, begin)) => {
                    let range = begin..at;
                    let text = &document.text[range.clone()];
                    found.push(Block {
                        language,
                        line,
                        range,
                        text,
                    });
                    None
                }
            };
        } else {
            assert!(
                !line.trim_start().starts_with("```"),
                "{}:{}: a fence that does not begin at the margin",
                document.path,
                number + 1
            );
        }
        at += line.len();
    }
    assert!(open.is_none(), "{}: a block without an end", document.path);
    found
}

/// What is written in backticks within the text, outside of blocks: `(line, text)`.
pub fn spans(document: &Document) -> Vec<(usize, String)> {
    let mut prose = document.text.clone();
    for block in blocks(document).iter().rev() {
        let blank: String = block
            .text
            .chars()
            .map(|c| if c == '\n' { '\n' } else { ' ' })
            .collect();
        prose.replace_range(block.range.clone(), &blank);
    }
    let prose = prose.replace("```", "   ");
    let mut line = 1;
    let mut found = vec![];
    for (at, part) in prose.split('`').enumerate() {
        if at % 2 == 1 {
            found.push((line, part.split_whitespace().collect::<Vec<_>>().join(" ")));
        }
        line += part.matches('\n').count();
    }
    found
}

/// The words of a command line, quotes taken off; nothing behind ` #`.
pub fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote): (Vec<String>, Option<String>, Option<char>) = (vec![], None, None);
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// The commands of a shell's text, one each: lines that end in `\` or `|` joined, pipes and lists taken apart.
pub fn commands(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = vec![];
    let mut joined = false;
    for line in text.lines() {
        let line = line.strip_prefix("$ ").unwrap_or(line).trim_end();
        let plain = line.strip_suffix('\\').unwrap_or(line);
        match lines.last_mut().filter(|_| joined) {
            Some(last) => *last += &format!(" {}", plain.trim_start()),
            None => lines.push(plain.to_string()),
        }
        joined = line.ends_with('\\') || line.ends_with('|');
    }
    let mut commands = vec![];
    for line in lines {
        let (mut command, mut quote) = (String::new(), None);
        for c in line.chars() {
            match (quote, c) {
                (None, '\'' | '"') => quote = Some(c),
                (Some(open), c) if c == open => quote = None,
                _ => {}
            }
            if quote.is_none() && matches!(c, '|' | ';' | '&') {
                commands.push(std::mem::take(&mut command).trim().to_string());
            } else {
                command.push(c);
            }
        }
        commands.push(command.trim().to_string());
    }
    commands.retain(|command| !command.is_empty());
    commands
}

#[test]
fn commands_are_found_wherever_they_are_written() {
    let text = "kubectl get nodes -o yaml |\n  kubectl byocni status --from - # a comment\nkubectl byocni install \\\n  cilium --set 'a=b|c' && echo done\n";
    assert_eq!(
        commands(text),
        [
            "kubectl get nodes -o yaml",
            "kubectl byocni status --from - # a comment",
            "kubectl byocni install  cilium --set 'a=b|c'",
            "echo done"
        ]
    );
    assert_eq!(words("a 'b c' --d=\"e f\" '' # g"), ["a", "b c", "--d=e f", ""]);
    let document = Document {
        path: "a.md".into(),
        text: "one `two\nthree` four\n```sh\n`five`\n```\n`six`\n".into(),
    };
    assert_eq!(
        spans(&document),
        [(1, "two three".to_string()), (6, "six".to_string())]
    );
    assert_eq!(blocks(&document)[0].text, "`five`\n");
}
