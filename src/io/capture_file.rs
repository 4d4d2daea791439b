//! Captures on disk: read as they are, written whole or not at all.
#![expect(clippy::disallowed_methods, reason = "the door to captures on disk")]

use std::{
    fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::{
    core::{
        capture::{Capture, file},
        cni,
        text::Text,
    },
    yaml,
};

/// Why a file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It could not be opened or read.
    #[error("cannot read {path}: {error}")]
    Unreadable {
        /// Which.
        path: String,
        /// The system's word.
        error: io::Error,
    },
    /// It is neither YAML nor JSON.
    #[error("{path} is neither YAML nor JSON: {why}")]
    Unparsable {
        /// Which.
        path: String,
        /// The parser's words, with line and column.
        why: String,
    },
    /// It holds something else than Kubernetes objects.
    #[error("{path}: {why}")]
    NotKubernetes {
        /// Which.
        path: String,
        /// What was found.
        why: String,
    },
    /// It could not be written.
    #[error("cannot write {path}: {error}")]
    Unwritable {
        /// Which.
        path: String,
        /// The system's word.
        error: io::Error,
    },
}

/// Reads one capture from several files; `-` is standard input.
///
/// # Errors
/// The first file that cannot be read or understood, with the place.
pub fn load(paths: &[PathBuf]) -> Result<Capture, FileError> {
    let mut documents = vec![];
    for path in paths {
        let of_file = parse(path, &text_of(path)?)?;
        documents.extend(file::objects(of_file).map_err(|why| FileError::NotKubernetes {
            path: shown(path),
            why,
        })?);
    }
    let names: Vec<String> = paths.iter().map(|p| shown(p)).collect();
    file::from_documents(documents, &cni::resources()).map_err(|why| FileError::NotKubernetes {
        path: names.join(", "),
        why,
    })
}

/// A path as it may be shown.
fn shown(path: &Path) -> String {
    if path == Path::new("-") {
        "standard input".into()
    } else {
        Text::new(&path.to_string_lossy()).line(200)
    }
}

fn text_of(path: &Path) -> Result<String, FileError> {
    let failed = |error| FileError::Unreadable {
        path: shown(path),
        error,
    };
    let mut bytes = vec![];
    if path == Path::new("-") {
        io::stdin().lock().read_to_end(&mut bytes).map_err(failed)?;
    } else {
        bytes = fs::read(path).map_err(failed)?;
    }
    String::from_utf8(bytes).map_err(|_| FileError::Unparsable {
        path: shown(path),
        why: "it is not text in UTF-8".into(),
    })
}

fn parse(path: &Path, text: &str) -> Result<Vec<Value>, FileError> {
    let failed = |why: String| FileError::Unparsable {
        path: shown(path),
        why: Text::new(&why).line(300),
    };
    // JSON is YAML too, and reading it as JSON is many times faster.
    if text.trim_start().starts_with('{') {
        let stream = serde_json::Deserializer::from_str(text).into_iter::<Value>();
        let documents: Result<Vec<Value>, _> = stream.collect();
        match documents {
            Ok(documents) => return Ok(documents),
            // A flow mapping is YAML that begins like JSON: let YAML have the last word, unless it is just cut short.
            Err(error) if error.is_eof() => {
                let (line, column) = (error.line(), error.column());
                return Err(failed(format!(
                    "it ends too early, at line {line} column {column}"
                )));
            }
            Err(_) => {}
        }
    }
    yaml::documents(text).map_err(failed)
}

/// Writes a capture as a Kubernetes List; `-` is standard output.
///
/// # Errors
/// Where it cannot be written; a file that was there before is then as it was.
pub fn save(capture: &Capture, path: &Path) -> Result<(), FileError> {
    let failed = |error| FileError::Unwritable {
        path: shown(path),
        error,
    };
    let list = file::to_list(capture, &cni::resources());
    let text = yaml::to_string(&list).map_err(|why| failed(io::Error::other(why)))?;
    if path == Path::new("-") {
        return io::stdout().lock().write_all(text.as_bytes()).map_err(failed);
    }
    let folder = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let name = path
        .file_name()
        .ok_or_else(|| failed(io::Error::other("it is a folder")))?;
    if path.is_dir() {
        return Err(failed(io::Error::other("it is a folder")));
    }
    // Beside its place and renamed into it: a full disk leaves no half of a capture.
    let draft = folder.join(format!(".{}.{}", name.to_string_lossy(), std::process::id()));
    let written = fs::write(&draft, text).and_then(|()| fs::rename(&draft, path));
    if written.is_err() {
        let _ = fs::remove_file(&draft);
    }
    written.map_err(failed)
}
