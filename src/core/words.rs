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
