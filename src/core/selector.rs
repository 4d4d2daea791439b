//! Label selectors, as `kubectl -l` takes them.

use super::capture::object::Map;

/// A parsed selector: every requirement must hold.
#[derive(Debug, Clone, Default)]
pub struct Selector(Vec<Requirement>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Absent(String),
}

impl Selector {
    /// Reads `a=b,c!=d,e in (x,y),f notin (z),g,!h`.
    ///
    /// # Errors
    /// In words, naming the part that is no requirement.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut requirements = vec![];
        for part in parts(text)? {
            requirements.push(requirement(&part)?);
        }
        Ok(Selector(requirements))
    }

    /// Whether these labels are selected.
    pub fn selects(&self, labels: &Map) -> bool {
        let value = |key: &str| labels.get(key).map(|v| v.as_str());
        self.0.iter().all(|requirement| match requirement {
            Requirement::In(key, values) => value(key).is_some_and(|v| values.iter().any(|w| w == v)),
            Requirement::NotIn(key, values) => value(key).is_none_or(|v| !values.iter().any(|w| w == v)),
            Requirement::Exists(key) => value(key).is_some(),
            Requirement::Absent(key) => value(key).is_none(),
        })
    }
}

/// Splits at commas outside parentheses.
fn parts(text: &str) -> Result<Vec<String>, String> {
    let (mut parts, mut part, mut depth) = (vec![], String::new(), 0u32);
    for c in text.chars() {
        match c {
            '(' => depth += 1,
            ')' => {
                depth = depth
                    .checked_sub(1)
                    .ok_or("a closing parenthesis without an opening one")?
            }
            ',' if depth == 0 => {
                parts.push(std::mem::take(&mut part));
                continue;
            }
            _ => {}
        }
        part.push(c);
    }
    if depth > 0 {
        return Err("a parenthesis is not closed".into());
    }
    parts.push(part);
    Ok(parts)
}

fn requirement(part: &str) -> Result<Requirement, String> {
    let part = part.trim();
    let key = |text: &str| -> Result<String, String> {
        let key = text.trim();
        let sound = !key.is_empty()
            && key
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c));
        if sound {
            Ok(key.to_string())
        } else {
            Err(format!("{part:?} is no label requirement"))
        }
    };
    if let Some((left, right)) = part.split_once("!=") {
        return Ok(Requirement::NotIn(key(left)?, vec![right.trim().into()]));
    }
    if let Some((left, right)) = part.split_once("==").or_else(|| part.split_once('=')) {
        return Ok(Requirement::In(key(left)?, vec![right.trim().into()]));
    }
    if let Some((head, list)) = part.split_once('(') {
        let list = list
            .strip_suffix(')')
            .ok_or(format!("{part:?} is no label requirement"))?;
        let values: Vec<String> = list.split(',').map(|v| v.trim().to_string()).collect();
        let words: Vec<&str> = head.split_whitespace().collect();
        return match words[..] {
            [name, "in"] => Ok(Requirement::In(key(name)?, values)),
            [name, "notin"] => Ok(Requirement::NotIn(key(name)?, values)),
            _ => Err(format!("{part:?} is no label requirement")),
        };
    }
    match part.strip_prefix('!') {
        Some(name) => Ok(Requirement::Absent(key(name)?)),
        None => Ok(Requirement::Exists(key(part)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selects(selector: &str) -> bool {
        let labels = [("pool", "user"), ("os", "linux")]
            .map(|(k, v)| (k.into(), v.into()))
            .into();
        Selector::parse(selector).expect(selector).selects(&labels)
    }

    #[test]
    fn kubectls_forms() {
        for yes in [
            "pool=user",
            "pool==user,os",
            "pool!=system",
            "pool in (user, gpu)",
            "!gpu",
            "gpu!=1",
            "pool notin (a)",
        ] {
            assert!(selects(yes), "{yes}");
        }
        for no in [
            "pool=system",
            "gpu",
            "!os",
            "pool in (a,b)",
            "pool notin (user)",
            "os!=linux",
        ] {
            assert!(!selects(no), "{no}");
        }
    }

    #[test]
    fn what_is_no_selector_is_said() {
        for bad in ["", "a=b,", "pool in (a", "pool within (a)", "a b"] {
            assert!(Selector::parse(bad).is_err(), "{bad}");
        }
    }
}
