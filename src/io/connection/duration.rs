//! Durations as kubectl's flags spell them.

use std::time::Duration;

/// The longest duration Go can hold (about 292 years), in nanoseconds: what kubectl refuses, we refuse.
const LONGEST: u128 = i64::MAX as u128;

/// Reads a duration the way kubectl reads `--request-timeout`: a bare integer is seconds (`0` meaning no limit),
/// anything else is a Go duration such as `500ms`, `1s`, `1m30s` or `1.5h`.
///
/// # Errors
/// A sentence that names the text and what would have been right.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || {
        format!(
            "{text:?} is not a duration: give seconds (30) or a number with a unit (500ms, 30s, 1m30s, 2h)"
        )
    };
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Err(wrong());
    }
    let nanoseconds = if trimmed.bytes().all(|b| b.is_ascii_digit()) {
        trimmed
            .parse::<u128>()
            .ok()
            .and_then(|seconds| seconds.checked_mul(1_000_000_000))
    } else {
        sum_of_parts(trimmed)
    };
    match nanoseconds {
        None => Err(wrong()),
        Some(n) if n > LONGEST => Err(format!("{text:?} is too long for a duration")),
        Some(n) => Ok(Duration::from_nanos(n as u64)),
    }
}

/// `1h2m3.5s` in nanoseconds; `None` when any part of it is malformed or overflows.
fn sum_of_parts(text: &str) -> Option<u128> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    let mut total: u128 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(number_end);
        let unit_end = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let (unit, after) = tail.split_at(unit_end);
        let scale: u128 = match unit {
            "ns" => 1,
            // Both the micro sign and the Greek letter, as in Go.
            "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        total = total.checked_add(scaled(number, scale)?)?;
        rest = after;
    }
    Some(total)
}

/// `1.5` times `scale`, cut to whole nanoseconds.
fn scaled(number: &str, scale: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let mut value = if whole.is_empty() {
        0
    } else {
        whole.parse::<u128>().ok()?.checked_mul(scale)?
    };
    let mut place = scale;
    for digit in fraction.bytes() {
        place /= 10;
        value = value.checked_add(place * u128::from(digit - b'0'))?;
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_kubectl_reads() {
        for (text, milliseconds) in [
            ("0", 0),
            ("0s", 0),
            ("30", 30_000),
            ("1s", 1_000),
            ("2m", 120_000),
            ("3h", 10_800_000),
            ("1m30s", 90_000),
            ("500ms", 500),
            ("1.5h", 5_400_000),
            (".5s", 500),
            ("1.s", 1_000),
            ("+5s", 5_000),
            (" 7 ", 7_000),
            ("1h0m0.250s", 3_600_250),
        ] {
            assert_eq!(
                parse_duration(text),
                Ok(Duration::from_millis(milliseconds)),
                "{text}"
            );
        }
        assert_eq!(parse_duration("3us"), Ok(Duration::from_micros(3)));
        assert_eq!(parse_duration("3\u{b5}s"), Ok(Duration::from_micros(3)));
        assert_eq!(parse_duration("1.5ns"), Ok(Duration::from_nanos(1)));
    }

    #[test]
    fn refuses_what_is_no_duration() {
        for text in [
            "", " ", "s", "-1", "-5s", "1d", "1.5", "1..5s", ".s", "5 s", "1s2", "+", "abc", "１s",
        ] {
            let error = parse_duration(text).expect_err(text);
            assert!(
                error.contains("is not a duration") && error.contains(&format!("{text:?}")),
                "{error}"
            );
        }
        for text in ["99999999999999999999", "9999999999h"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "[0-9a-z.µ+ -]{0,24}") {
            let _ = parse_duration(&text);
        }
    }
}
