//! Numbers, ages and networks as words.

use std::fmt::Display;

use jiff::Timestamp;

/// How long ago `since` was, in the two largest units, as kubectl's AGE columns have it.
pub fn age(since: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_second().saturating_sub(since.as_second()).max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let two = |large: i64, unit: &str, small: i64, smaller: &str| match small {
        0 => format!("{large}{unit}"),
        _ => format!("{large}{unit}{small}{smaller}"),
    };
    match () {
        () if seconds < 120 => format!("{seconds}s"),
        () if minutes < 10 => two(minutes, "m", seconds % 60, "s"),
        () if minutes < 180 => format!("{minutes}m"),
        () if hours < 8 => two(hours, "h", minutes % 60, "m"),
        () if hours < 48 => format!("{hours}h"),
        () if days < 8 => two(days, "d", hours % 24, "h"),
        () if days < 730 => format!("{days}d"),
        () if days < 2920 => two(days / 365, "y", days % 365, "d"),
        () => format!("{}y", days / 365),
    }
}

/// `1 node`, `2 nodes`, `3 warnings`: only for words whose plural adds an s.
pub fn plural(count: usize, word: &str) -> String {
    match count {
        1 => format!("1 {word}"),
        _ => format!("{count} {word}s"),
    }
}

/// `a, b, c`, at most `most` of them: `a, b, +40 more`.
pub fn list<T: Display>(items: &[T], most: usize) -> String {
    let mut words: Vec<String> = items.iter().take(most).map(ToString::to_string).collect();
    if items.len() > most {
        words.push(format!("+{} more", items.len() - most));
    }
    words.join(", ")
}

/// Names that keep their capital in the middle of a sentence.
const PROPER: [&str; 13] = [
    "Antrea",
    "Azure",
    "Calico",
    "Canal",
    "Cilium",
    "Flannel",
    "Flux",
    "Helm",
    "Kubernetes",
    "Linux",
    "Microsoft",
    "Weave",
    "Windows",
];

/// A code's title as a headline: `No CNI is installed` becomes `no CNI installed`.
pub fn headline(title: &str) -> String {
    let title = title.trim_end_matches('.');
    let first = title.split([' ', '\'', '’']).next().unwrap_or_default();
    let mut rest = title.chars();
    let lowered = match rest.next() {
        // Lower the first letter of a plain word, not of `CNI`, `CoreDNS` or a product.
        Some(c) if first.chars().skip(1).all(char::is_lowercase) && !PROPER.contains(&first) => {
            c.to_lowercase().chain(rest).collect()
        }
        _ => title.to_string(),
    };
    match lowered
        .strip_prefix("no ")
        .and_then(|rest| rest.split_once(" is "))
    {
        Some((subject, state)) => format!("no {subject} {state}"),
        None => lowered,
    }
}

/// A platform's name as its makers write it.
pub fn platform(name: &str) -> &str {
    match name {
        "aks" => "AKS",
        "azure" => "Azure",
        "eks" => "EKS",
        "gke" => "GKE",
        "unknown" | "" => "Kubernetes",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_read_as_kubectls() {
        let now = Timestamp::from_second(2_000_000_000).expect("a time");
        let ago = |seconds: i64| {
            age(
                Timestamp::from_second(2_000_000_000 - seconds).expect("a time"),
                now,
            )
        };
        let days = 86_400;
        for (seconds, text) in [
            (-5, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (330, "5m30s"),
            (600, "10m"),
            (10_740, "179m"),
            (10_800, "3h"),
            (19_200, "5h20m"),
            (28_800, "8h"),
            (47 * 3600, "47h"),
            (2 * days, "2d"),
            (7 * days + 5 * 3600, "7d5h"),
            (8 * days, "8d"),
            (729 * days, "729d"),
            (830 * days, "2y100d"),
            (3000 * days, "8y"),
        ] {
            assert_eq!(ago(seconds), text);
        }
    }

    #[test]
    fn titles_become_headlines() {
        assert_eq!(headline("No CNI is installed"), "no CNI installed");
        assert_eq!(headline("No CNI installed."), "no CNI installed");
        assert_eq!(headline("CoreDNS is pending"), "CoreDNS is pending");
        assert_eq!(headline("Cilium's operator is down"), "Cilium's operator is down");
        assert_eq!(headline("Nodes have no block"), "nodes have no block");
        assert_eq!(headline("A node is lost"), "a node is lost");
        assert_eq!(headline(""), "");
    }

    #[test]
    fn lists_say_how_much_is_left_out() {
        assert_eq!(list(&[1, 2, 3], 2), "1, 2, +1 more");
        assert_eq!(list(&[1, 2], 2), "1, 2");
    }
}
