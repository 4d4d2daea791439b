//! `--set`, `--set-string` and `--set-json` as Helm reads them (<https://helm.sh/docs/intro/using_helm/>), and the order
//! in which Helm puts values over each other.

use serde_json::{Map, Value};

use super::tree;

/// Larger indices are taken for typing errors: Helm has the same limit.
const LARGEST_INDEX: usize = 65_536;

/// A flag's text that cannot be read. The part behind `=` is not shown: it may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{flag} {text}: {why}")]
pub struct SetError {
    /// `--set`.
    pub flag: &'static str,
    /// The text up to its first `=`.
    pub text: String,
    /// What is wrong with it.
    pub why: String,
}

/// Values of files, then `--set-json`, `--set` and `--set-string`, each over those before: Helm's order.
///
/// # Errors
/// The first text that cannot be read, and the flag that it was given with.
pub fn merge(
    files: &[Value],
    set_json: &[String],
    set: &[String],
    set_string: &[String],
) -> Result<Value, SetError> {
    let mut values = Value::Object(Map::new());
    for file in files.iter().filter(|f| !f.is_null()) {
        tree::merge(&mut values, file);
    }
    for (flag, texts, kind) in [
        ("--set-json", set_json, Kind::Json),
        ("--set", set, Kind::Typed),
        ("--set-string", set_string, Kind::Text),
    ] {
        for text in texts {
            apply(&mut values, text, kind).map_err(|why| SetError {
                flag,
                text: shown(text),
                why,
            })?;
        }
    }
    Ok(values)
}

/// What of a text may be shown.
fn shown(text: &str) -> String {
    if text.trim_start().starts_with('{') {
        return "{...}".to_string();
    }
    let key = text.split('=').next().unwrap_or_default();
    crate::core::text::Text::new(key).line(80)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Typed,
    Text,
    Json,
}

/// One step of a key.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

fn apply(values: &mut Value, text: &str, kind: Kind) -> Result<(), String> {
    if kind == Kind::Json && text.trim_start().starts_with('{') {
        let whole: Value = serde_json::from_str(text).map_err(|e| format!("not JSON: {e}"))?;
        tree::merge(values, &whole);
        return Ok(());
    }
    let mut rest = Reader {
        chars: text.chars().collect(),
        at: 0,
    };
    while rest.at < rest.chars.len() {
        let steps = rest.key()?;
        let value = match kind {
            Kind::Json => rest.json()?,
            kind => rest.value(kind)?,
        };
        place(values, &steps, value)?;
    }
    Ok(())
}

struct Reader {
    chars: Vec<char>,
    at: usize,
}

impl Reader {
    fn next(&mut self) -> Option<char> {
        let c = self.chars.get(self.at).copied();
        self.at += usize::from(c.is_some());
        c
    }

    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    /// A key up to its `=`.
    fn key(&mut self) -> Result<Vec<Step>, String> {
        let mut steps = vec![];
        let mut word = String::new();
        // Behind an index comes a dot, another index or the end.
        let mut after_index = false;
        let named = |word: &mut String, steps: &mut Vec<Step>, after_index: bool| {
            if word.is_empty() {
                return if after_index {
                    Ok(())
                } else {
                    Err("a part of the key is empty".to_string())
                };
            }
            steps.push(Step::Key(std::mem::take(word)));
            Ok(())
        };
        loop {
            match self.next() {
                None => {
                    return Err(if word.is_empty() && steps.is_empty() {
                        "there is no key".to_string()
                    } else {
                        "the key has no value (KEY=VALUE)".to_string()
                    });
                }
                Some('\\') => word.extend(self.next()),
                Some('.') => {
                    named(&mut word, &mut steps, after_index)?;
                    after_index = false;
                }
                Some('[') => {
                    named(&mut word, &mut steps, after_index)?;
                    let mut digits = String::new();
                    loop {
                        match self.next() {
                            Some(']') => break,
                            Some(c) => digits.push(c),
                            None => return Err("a [ is not closed".to_string()),
                        }
                    }
                    let index: usize = digits
                        .trim()
                        .parse()
                        .map_err(|_| "an index is not a number".to_string())?;
                    if index > LARGEST_INDEX {
                        return Err(format!("index {index} is larger than {LARGEST_INDEX}"));
                    }
                    steps.push(Step::Index(index));
                    after_index = true;
                }
                Some('=') => {
                    named(&mut word, &mut steps, after_index)?;
                    return Ok(steps);
                }
                Some(',') => {
                    return Err(format!(
                        "the key {} has no value; a comma within a value is written \\,",
                        crate::core::text::Text::new(&word).line(40)
                    ));
                }
                Some(_) if after_index => return Err("behind ] comes a dot, a [ or a =".to_string()),
                Some(c) => word.push(c),
            }
        }
    }

    /// A value up to the comma that ends it.
    fn value(&mut self, kind: Kind) -> Result<Value, String> {
        if self.peek() == Some('{') {
            self.at += 1;
            return self.list(kind);
        }
        let (word, _) = self.word(&[','])?;
        Ok(typed(&word, kind))
    }

    fn list(&mut self, kind: Kind) -> Result<Value, String> {
        let mut items = vec![];
        loop {
            let (word, end) = self.word(&[',', '}'])?;
            match end {
                Some('}') => {
                    if !(word.is_empty() && items.is_empty()) {
                        items.push(typed(&word, kind));
                    }
                    break;
                }
                Some(_) => items.push(typed(&word, kind)),
                None => return Err("a { is not closed".to_string()),
            }
        }
        match self.next() {
            None | Some(',') => Ok(Value::Array(items)),
            Some(_) => Err("behind } comes a comma or the end".to_string()),
        }
    }

    /// Everything up to one of these, which is taken too.
    fn word(&mut self, ends: &[char]) -> Result<(String, Option<char>), String> {
        let mut word = String::new();
        loop {
            match self.next() {
                None => return Ok((word, None)),
                Some('\\') => match self.next() {
                    Some(c) => word.push(c),
                    None => return Err("it ends with a lone \\".to_string()),
                },
                Some(c) if ends.contains(&c) => return Ok((word, Some(c))),
                Some(c) => word.push(c),
            }
        }
    }

    /// One JSON value, and the comma behind it.
    fn json(&mut self) -> Result<Value, String> {
        let rest: String = self.chars.get(self.at..).unwrap_or_default().iter().collect();
        let mut stream = serde_json::Deserializer::from_str(&rest).into_iter::<Value>();
        let value = match stream.next() {
            Some(value) => value.map_err(|e| format!("not JSON: {e}"))?,
            None => return Err("there is no JSON behind =".to_string()),
        };
        let read = rest.get(..stream.byte_offset()).unwrap_or_default();
        self.at += read.chars().count();
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
        match self.next() {
            None | Some(',') => Ok(value),
            Some(_) => Err("behind the JSON comes a comma or the end".to_string()),
        }
    }
}

/// Helm's types: `true`, `false`, `null`, and whole numbers that do not begin with 0; everything else is text.
fn typed(word: &str, kind: Kind) -> Value {
    if kind == Kind::Text {
        return word.into();
    }
    match word {
        "0" => 0.into(),
        _ if word.eq_ignore_ascii_case("true") => true.into(),
        _ if word.eq_ignore_ascii_case("false") => false.into(),
        _ if word.eq_ignore_ascii_case("null") => Value::Null,
        _ if word.starts_with('0') => word.into(),
        _ => word.parse::<i64>().map_or_else(|_| word.into(), Value::from),
    }
}

fn place(values: &mut Value, steps: &[Step], value: Value) -> Result<(), String> {
    let mut here = values;
    for step in steps {
        here = match step {
            Step::Key(key) => {
                if here.is_null() {
                    *here = Value::Object(Map::new());
                }
                let Some(map) = here.as_object_mut() else {
                    return Err(format!("what stands before {key} is no map in the values so far"));
                };
                map.entry(key.clone()).or_insert(Value::Null)
            }
            Step::Index(index) => {
                if here.is_null() {
                    *here = Value::Array(vec![]);
                }
                let Some(list) = here.as_array_mut() else {
                    return Err(format!(
                        "what stands before [{index}] is no list in the values so far"
                    ));
                };
                if list.len() <= *index {
                    list.resize(index + 1, Value::Null);
                }
                &mut list[*index]
            }
        };
    }
    *here = value;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn set(texts: &[&str]) -> Result<Value, String> {
        let texts: Vec<String> = texts.iter().map(|t| t.to_string()).collect();
        merge(&[], &[], &texts, &[]).map_err(|e| e.to_string())
    }

    #[test]
    fn what_helm_reads_is_read() {
        for (text, wanted) in [
            ("a=b", json!({"a": "b"})),
            ("a.b=c,d=e", json!({"a": {"b": "c"}, "d": "e"})),
            (
                "a=1,b=-1,c=0,d=007,e=1.5",
                json!({"a": 1, "b": -1, "c": 0, "d": "007", "e": "1.5"}),
            ),
            (
                "a=true,b=FALSE,c=null,d=",
                json!({"a": true, "b": false, "c": null, "d": ""}),
            ),
            ("a={x,y,3}", json!({"a": ["x", "y", 3]})),
            ("a={},b={x}", json!({"a": [], "b": ["x"]})),
            ("a[0].b=c,a[0].d=e", json!({"a": [{"b": "c", "d": "e"}]})),
            ("a[1]=x", json!({"a": [null, "x"]})),
            ("a[0][1]=x", json!({"a": [[null, "x"]]})),
            (r"a=x\,y", json!({"a": "x,y"})),
            (
                r"nodeSelector.kubernetes\.io/os=linux",
                json!({"nodeSelector": {"kubernetes.io/os": "linux"}}),
            ),
            ("a=b=c", json!({"a": "b=c"})),
            ("a={10.244.0.0/16}", json!({"a": ["10.244.0.0/16"]})),
        ] {
            assert_eq!(set(&[text]), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn what_helm_refuses_is_refused_without_its_value() {
        for (text, why) in [
            ("a", "--set a: the key has no value"),
            ("a=b,secret", "--set a: the key has no value"),
            ("a=b,secret,c=d", "the key secret has no value"),
            ("=b", "a part of the key is empty"),
            ("a..b=c", "a part of the key is empty"),
            ("a[x]=b", "an index is not a number"),
            ("a[0=b", "a [ is not closed"),
            ("a[99999]=b", "larger than 65536"),
            ("a={b", "a { is not closed"),
            ("a={b}c", "behind } comes"),
            (r"a=b\", "a lone"),
        ] {
            let error = set(&[text]).expect_err(text);
            assert!(error.contains(why), "{text}: {error}");
        }
        let secret = set(&["password=hunter2{,x"]).expect_err("no value for x");
        assert!(!secret.contains("hunter2"), "{secret}");
        assert!(
            set(&["a=b", "a.c=d"])
                .expect_err("a is no map")
                .contains("before c")
        );
    }

    #[test]
    fn later_flags_win_in_helms_order() {
        let files = [
            json!({"a": {"x": 1, "l": [1, 2]}, "b": "file"}),
            json!({"a": {"y": 2}}),
            json!(null),
        ];
        let text = |t: &str| vec![t.to_string()];
        let all = merge(
            &files,
            &text("a.l=[3],b=\"json\""),
            &text("b=set,n=1"),
            &text("n=1"),
        )
        .expect("values");
        assert_eq!(
            all,
            json!({"a": {"x": 1, "y": 2, "l": [3]}, "b": "set", "n": "1"})
        );
        let whole = merge(&files, &text(r#"{"a": {"x": 9}}"#), &[], &[]).expect("values");
        assert_eq!(whole["a"], json!({"x": 9, "y": 2, "l": [1, 2]}));
        let error = merge(&[], &text(r#"a={"b": hunter2}"#), &[], &[]).expect_err("no JSON");
        assert!(error.to_string().starts_with("--set-json a: not JSON"), "{error}");
        let error = merge(&[], &text(r#"{"b": hunter2}"#), &[], &[]).expect_err("no JSON");
        assert!(!error.to_string().contains("hunter2"), "{error}");
        let json = merge(&[], &text(r#"a={"b": [1, "x,y"]},c=2"#), &[], &[]).expect("values");
        assert_eq!(json, json!({"a": {"b": [1, "x,y"]}, "c": 2}));
    }

    #[test]
    fn a_null_stays_and_takes_the_charts_default_away() {
        let files = [json!({"a": {"x": 1}})];
        let values = merge(&files, &[], &["a.x=null".into()], &[]).expect("values");
        assert_eq!(values, json!({"a": {"x": null}}));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,40}") {
            let one = std::slice::from_ref(&text);
            let _ = merge(&[], one, one, one);
        }
    }
}
