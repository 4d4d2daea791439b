//! A chart that lies unpacked in a folder, packed by ourselves: a plan needs no helm then, and the same files have the
//! same digest (`helm package` writes the time into its archive).
#![expect(clippy::disallowed_methods, reason = "the door to charts in folders")]

use std::{fs, io::Read, path::Path};

use super::{
    archive::{Files, LARGEST, MOST_FILES, pack},
    error::ChartError,
    ignore::Ignore,
};

/// Reads a folder and packs it.
///
/// # Errors
/// Why it cannot be read, or is no chart.
pub(super) fn packed(folder: &Path, source: &str) -> Result<Vec<u8>, ChartError> {
    let bad = |why: String, hint| ChartError::Bad {
        source_name: source.to_string(),
        why,
        hint,
    };
    // First of all: a folder that is no chart may be large.
    if !folder.join("Chart.yaml").is_file() {
        return Err(bad("it has no Chart.yaml".into(), None));
    }
    let unreadable = |path: &Path, e: std::io::Error| ChartError::Unreadable {
        path: path.display().to_string(),
        why: e.to_string(),
    };
    let rules = match fs::read_to_string(folder.join(".helmignore")) {
        Ok(text) => Ignore::parse(&text).map_err(|why| bad(why, None))?,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ignore::default(),
        Err(e) => return Err(unreadable(&folder.join(".helmignore"), e)),
    };
    let mut files = Files::new();
    let mut left = LARGEST;
    let mut open = vec![String::new()];
    while let Some(inside) = open.pop() {
        let here = folder.join(&inside);
        for entry in fs::read_dir(&here).map_err(|e| unreadable(&here, e))? {
            let entry = entry.map_err(|e| unreadable(&here, e))?;
            let path = entry.path();
            let Some(name) = entry.file_name().to_str().map(str::to_string) else {
                return Err(bad(
                    format!("the name {:?} in it is not UTF-8", entry.file_name()),
                    None,
                ));
            };
            let inside = match inside.as_str() {
                "" => name,
                inside => format!("{inside}/{name}"),
            };
            let kind = entry.file_type().map_err(|e| unreadable(&path, e))?;
            if rules.ignores(&inside, kind.is_dir()) {
                continue;
            }
            if kind.is_symlink() {
                return Err(bad(
                    format!("{inside} in it is a link"),
                    Some("pack it, which follows links, and name the archive: helm package FOLDER"),
                ));
            }
            if kind.is_dir() {
                open.push(inside);
                continue;
            }
            if !kind.is_file() {
                return Err(bad(
                    format!("{inside} in it is neither a file nor a folder"),
                    None,
                ));
            }
            if files.len() == MOST_FILES {
                return Err(bad(format!("it holds more than {MOST_FILES} files"), None));
            }
            let mut content = vec![];
            fs::File::open(&path)
                .and_then(|file| file.take(left + 1).read_to_end(&mut content))
                .map_err(|e| unreadable(&path, e))?;
            left = left
                .checked_sub(content.len() as u64)
                .ok_or_else(|| bad(format!("it holds more than {} MiB", LARGEST >> 20), None))?;
            files.insert(inside, content);
        }
    }
    // The folder's name within the archive means nothing to helm; a fixed one gives the same bytes anywhere.
    pack("chart", &files).map_err(|e| bad(format!("it cannot be packed: {e}"), None))
}
