//! `.helmignore`: what does not belong to a chart. As Helm documents it
//! (https://helm.sh/docs/chart_template_guide/helm_ignore_file): shell patterns of one path part, no `**`, a leading
//! slash ties to the chart's folder, a trailing one to folders, and `!` refuses whatever does *not* match.

/// The rules of one chart.
#[derive(Debug, Default)]
pub(super) struct Ignore {
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    pattern: String,
    negated: bool,
    folders: bool,
    whole: bool,
}

impl Ignore {
    /// Reads the file.
    ///
    /// # Errors
    /// Where it holds a pattern that Helm does not know.
    pub fn parse(text: &str) -> Result<Ignore, String> {
        let mut rules = vec![];
        let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
        for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if line.contains("**") {
                return Err(format!("its .helmignore has {line:?}: helm knows no **"));
            }
            let (negated, pattern) = match line.strip_prefix('!') {
                Some(rest) => (true, rest),
                None => (false, line),
            };
            let (folders, pattern) = match pattern.strip_suffix('/') {
                Some(rest) => (true, rest),
                None => (false, pattern),
            };
            rules.push(Rule {
                pattern: pattern.trim_start_matches('/').to_string(),
                negated,
                folders,
                whole: pattern.contains('/'),
            });
        }
        Ok(Ignore { rules })
    }

    /// Whether this path within the chart is left out.
    pub fn ignores(&self, path: &str, is_folder: bool) -> bool {
        let name = path.rsplit('/').next().unwrap_or(path);
        // Helm's only rule of its own: `templates/.?*`, what editors leave there.
        let left_by_editor =
            path.strip_prefix("templates/") == Some(name) && name.starts_with('.') && name.len() > 1;
        left_by_editor
            || self.rules.iter().any(|rule| {
                let subject = if rule.whole { path } else { name };
                let hit =
                    (is_folder || !rule.folders) && matches(rule.pattern.as_bytes(), subject.as_bytes());
                hit != rule.negated
            })
    }
}

/// Whether a shell pattern (`*`, `?`, `[a-z]`, `[^a]`, `\x`) matches all of a path; `*` and `?` stay within one part.
fn matches(pattern: &[u8], path: &[u8]) -> bool {
    let Some((first, rest)) = pattern.split_first() else {
        return path.is_empty();
    };
    let head = path.first().copied();
    match first {
        b'*' => matches(rest, path) || head.is_some_and(|c| c != b'/') && matches(pattern, &path[1..]),
        b'?' => head.is_some_and(|c| c != b'/') && matches(rest, &path[1..]),
        b'[' => {
            let Some(end) = rest.iter().skip(1).position(|c| *c == b']').map(|at| at + 1) else {
                return false;
            };
            let (set, rest) = (&rest[..end], &rest[end + 1..]);
            let (negated, set) = match set.split_first() {
                Some((b'^' | b'!', set)) => (true, set),
                _ => (false, set),
            };
            let Some(c) = head else { return false };
            let mut found = false;
            let mut at = 0;
            while at < set.len() {
                if at + 2 < set.len() && set[at + 1] == b'-' {
                    found |= (set[at]..=set[at + 2]).contains(&c);
                    at += 3;
                } else {
                    found |= set[at] == c;
                    at += 1;
                }
            }
            found != negated && matches(rest, &path[1..])
        }
        b'\\' if !rest.is_empty() => head == Some(rest[0]) && matches(&rest[1..], &path[1..]),
        c => head == Some(*c) && matches(rest, &path[1..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_helms() {
        let rules =
            Ignore::parse("# editors\n*.bak\n.git/\n/top.txt\ndocs/*.md\nx[0-9].y?\n").expect("rules");
        let out = [
            ("a.bak", false),
            ("templates/b.bak", false),
            (".git", true),
            ("top.txt", false),
            ("docs/a.md", false),
            ("sub/x7.yz", false),
            ("templates/.a.swp", false),
        ];
        let stays = [
            ("a.bak2", false),
            (".git", false),
            ("sub/top.txt", false),
            ("docs/a/b.md", false),
            ("x.yz", false),
            ("templates/a", false),
            (".helmignore", false),
        ];
        for (path, folder) in out {
            assert!(rules.ignores(path, folder), "{path} stays");
        }
        for (path, folder) in stays {
            assert!(!rules.ignores(path, folder), "{path} is left out");
        }
        assert!(Ignore::parse("a/**/b").is_err());
        let only = Ignore::parse("!keep*").expect("rules");
        assert!(only.ignores("other", false) && !only.ignores("keep.txt", false));
    }
}
