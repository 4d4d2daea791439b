//! Every link between the documents leads somewhere.

use std::{collections::BTreeSet, path::Path};

use kubectl_byocni::core::codes;

use super::blocks::{Document, blocks, documents, root};

/// The text without its blocks and code spans.
fn prose(document: &Document) -> String {
    let mut text = document.text.clone();
    for block in blocks(document).iter().rev() {
        text.replace_range(block.range.clone(), "");
    }
    let parts = text.split('`').enumerate();
    parts
        .map(|(at, part)| if at % 2 == 0 { part } else { "" })
        .collect()
}

/// The anchors of a document's headings, as GitHub makes them.
fn anchors(document: &Document) -> BTreeSet<String> {
    let mut text = document.text.clone();
    for block in blocks(document).iter().rev() {
        text.replace_range(block.range.clone(), "");
    }
    let mut found = BTreeSet::new();
    for line in text.lines().filter(|line| line.starts_with('#')) {
        let heading = line.trim_start_matches('#').trim().to_lowercase();
        let kept = heading
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        let anchor: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
        let mut name = anchor.clone();
        for more in 1.. {
            if found.insert(name) {
                break;
            }
            name = format!("{anchor}-{more}");
        }
    }
    found
}

#[test]
fn every_link_leads_somewhere() {
    let all = documents();
    let mut wrong = vec![];
    for document in &all {
        let folder = Path::new(&document.path).parent().unwrap_or(Path::new(""));
        let text = prose(document);
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|t| !t.starts_with("https://")) {
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let mut full = match path.is_empty() {
                true => document.path.clone(),
                false => folder.join(path).display().to_string(),
            };
            while let Some(at) = full.find("/../") {
                let before = full[..at].rfind('/').map_or(0, |slash| slash + 1);
                full.replace_range(before..at + 4, "");
            }
            let there = root().join(&full).exists();
            let found = all.iter().find(|d| d.path == full);
            let known = anchor.is_empty() || found.is_some_and(|d| anchors(d).contains(anchor));
            if !there || !known {
                wrong.push(format!("{}: {target}", document.path));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "these links lead nowhere:\n  {}",
        wrong.join("\n  ")
    );
}

/// Who looks for a finding by what they see finds it: every code stands on the page once, under its own name and title.
#[test]
fn every_code_is_on_the_page_for_troubleshooting() {
    let all = documents();
    let page = all.iter().find(|d| d.path == "docs/troubleshooting.md");
    let page = &page.expect("docs/troubleshooting.md").text;
    let mut wrong = vec![];
    for code in codes::ALL {
        let link = format!(
            "| [{} {}](codes.md#{}-{}) | {} |",
            code.id,
            code.slug,
            code.id.to_lowercase(),
            code.slug,
            code.title
        );
        let times = page.matches(&link).count();
        if times != 1 {
            wrong.push(format!("{times} times: {link}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "docs/troubleshooting.md has each once:\n  {}",
        wrong.join("\n  ")
    );
}

/// A document that nothing leads to is not found by whoever needs it.
#[test]
fn every_document_can_be_reached_from_the_first() {
    let all = documents();
    let mut open = vec!["README.md".to_string()];
    let mut seen = BTreeSet::new();
    while let Some(path) = open.pop() {
        if !seen.insert(path.clone()) {
            continue;
        }
        let Some(document) = all.iter().find(|d| d.path == path) else {
            continue;
        };
        let folder = Path::new(&path).parent().unwrap_or(Path::new("")).to_path_buf();
        let text = prose(document);
        for target in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split([')', '#']).next())
        {
            let full = match target.strip_prefix("../") {
                Some(up) => up.to_string(),
                None => folder.join(target).display().to_string(),
            };
            open.push(full);
        }
    }
    let lost: Vec<&str> = all
        .iter()
        .map(|d| d.path.as_str())
        .filter(|p| !seen.contains(*p))
        .collect();
    assert!(lost.is_empty(), "no link leads to {lost:?}");
}
