//! How findings name many things in few words.

/// How many names a message spells out before it counts the rest.
const NAMED: usize = 3;

/// `a, b, c and 9 more`.
pub fn names<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> String {
    let all: Vec<S> = names.into_iter().collect();
    let shown: Vec<&str> = all.iter().take(NAMED).map(AsRef::as_ref).collect();
    match all.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// `1 node`, `3 nodes`.
pub fn count(n: usize, one: &str) -> String {
    if n == 1 {
        format!("1 {one}")
    } else {
        format!("{n} {one}s")
    }
}

/// `is` for one, `are` for others.
pub fn are(n: usize) -> &'static str {
    if n == 1 { "is" } else { "are" }
}

/// `has` for one, `have` for others, and so on.
pub fn verb(n: usize, one: &'static str, others: &'static str) -> &'static str {
    if n == 1 { one } else { others }
}

/// Networks, separated by commas; `none` for none.
pub fn networks(nets: impl IntoIterator<Item = ipnet::IpNet>) -> String {
    let texts: Vec<String> = nets.into_iter().map(|n| n.to_string()).collect();
    if texts.is_empty() {
        "none".into()
    } else {
        texts.join(", ")
    }
}

/// A span of time as kubectl writes ages: `45s`, `12m`, `3h`, `9d`.
pub fn span(duration: jiff::SignedDuration) -> String {
    let seconds = duration.as_secs().max(0);
    match seconds {
        0..=119 => format!("{seconds}s"),
        120..=7199 => format!("{}m", seconds / 60),
        7200..=172_799 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// How many characters must be put in, taken out, replaced or swapped with their neighbour to get from `a` to `b`.
pub fn edit_distance(a: &[char], b: &[char]) -> usize {
    let mut before_last = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, &ca) in a.iter().enumerate() {
        let mut row = vec![i + 1; b.len() + 1];
        for (j, &cb) in b.iter().enumerate() {
            let replaced = last[j] + usize::from(ca != cb);
            row[j + 1] = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && ca == b[j - 1] && a[i - 1] == cb {
                row[j + 1] = row[j + 1].min(before_last[j - 1] + 1);
            }
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

/// The one of these that was probably meant by `text`, for "did you mean": at most a third of it is different.
pub fn nearest<'a>(text: &str, all: &[&'a str]) -> Option<&'a str> {
    let letters = |text: &str| text.to_lowercase().chars().take(80).collect::<Vec<char>>();
    let text = letters(text);
    let limit = (text.len() / 3).max(1);
    all.iter()
        .map(|name| (edit_distance(&text, &letters(name)), *name))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_count_single_edits() {
        let distance =
            |a: &str, b: &str| edit_distance(&a.chars().collect::<Vec<_>>(), &b.chars().collect::<Vec<_>>());
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", "abc"), 0);
        assert_eq!(distance("abc", "acb"), 1);
        assert_eq!(distance("abcd", "abd"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
