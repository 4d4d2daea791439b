//! Pictures are of real runs: each is in the table of the script that makes them, and a document shows it.

use std::{collections::BTreeSet, fs};

use super::blocks::{documents, root};

/// The names in the table of docs/pictures/make: its first column.
fn made() -> BTreeSet<String> {
    let script = fs::read_to_string(root().join("docs/pictures/make")).expect("docs/pictures/make");
    let table = script.split("cat <<'END'\n").nth(1).expect("a table");
    let rows = table.lines().take_while(|line| *line != "END");
    let cells: Vec<Vec<&str>> = rows.map(|row| row.split('|').map(str::trim).collect()).collect();
    for row in &cells {
        assert_eq!(row.len(), 6, "the table's columns: {row:?}");
        assert!(
            row[3].starts_with("kubectl byocni "),
            "a run of the plugin: {row:?}"
        );
        assert!(!row[4].is_empty(), "what is waited for: {row:?}");
    }
    let names: BTreeSet<String> = cells.iter().map(|row| row[0].to_string()).collect();
    assert_eq!(names.len(), cells.len(), "a picture is made once");
    names
}

#[test]
fn every_picture_is_made_by_the_script() {
    let there: BTreeSet<String> = fs::read_dir(root().join("docs/pictures"))
        .expect("docs/pictures")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .filter_map(|name| name.strip_suffix(".png").map(str::to_string))
        .collect();
    assert_eq!(there, made(), "the files, and the table of docs/pictures/make");
}

#[test]
fn every_picture_is_shown() {
    let all = documents();
    for name in made() {
        let link = format!("pictures/{name}.png)");
        assert!(
            all.iter().any(|document| document.text.contains(&link)),
            "no document shows {name}"
        );
    }
}
