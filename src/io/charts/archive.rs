//! A chart's archive, read by ourselves before helm sees it: bounded, and refused where unpacking it could reach
//! anything but one folder. Nothing is unpacked to disk.

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    path::Component,
};

use flate2::{Compression, GzBuilder, read::MultiGzDecoder};
use tar::EntryType;

use crate::core::text::Text;

/// Largest archive, and largest content, in bytes. Helm's own limit is 100 MiB; the largest CNI chart has 3 MB.
pub(super) const LARGEST: u64 = 50 * 1024 * 1024;
/// Most files: the CNI charts have up to 170.
pub(super) const MOST_FILES: usize = 10_000;

/// Files by their path within the chart's folder.
pub(super) type Files = BTreeMap<String, Vec<u8>>;

/// Reads an archive (`.tgz`) whole.
///
/// # Errors
/// Why it is none, or none that is safe.
pub(super) fn unpack(bytes: &[u8]) -> Result<Files, String> {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Err("it is not packed with gzip, so it is no .tgz".into());
    }
    // Several gzip members are one stream, as for helm: both must read the same chart.
    let mut archive = tar::Archive::new(Bounded {
        inner: MultiGzDecoder::new(bytes),
        left: LARGEST,
    });
    let damaged = |e: io::Error| match too_large(&e) {
        true => format!("it unpacks to more than {} MiB", LARGEST >> 20),
        false => format!(
            "it is damaged, or no tar archive: {}",
            Text::new(&e.to_string()).line(120)
        ),
    };
    let mut top: Option<String> = None;
    let mut files = Files::new();
    for entry in archive.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let raw = entry.path_bytes().into_owned();
        let shown = Text::new(&String::from_utf8_lossy(&raw)).line(120);
        match entry.header().entry_type() {
            EntryType::Regular | EntryType::Directory => {}
            // Written by git archive; it carries a comment.
            EntryType::XGlobalHeader => continue,
            EntryType::Symlink | EntryType::Link => return Err(format!("{shown} in it is a link")),
            _ => return Err(format!("{shown} in it is neither a file nor a folder")),
        }
        let path = inside(&raw).ok_or_else(|| format!("{shown} in it leads outside the chart's folder"))?;
        let folder = path.first().cloned().unwrap_or_default();
        match &top {
            Some(top) if *top != folder => {
                return Err(format!(
                    "it holds more than one folder: {top} and {}",
                    Text::new(&folder).line(60)
                ));
            }
            Some(_) => {}
            None => top = Some(folder),
        }
        if entry.header().entry_type() == EntryType::Directory {
            continue;
        }
        if path.len() < 2 {
            return Err(format!("{shown} in it lies outside the chart's folder"));
        }
        if files.len() == MOST_FILES {
            return Err(format!("it holds more than {MOST_FILES} files"));
        }
        let mut content = vec![];
        entry.read_to_end(&mut content).map_err(damaged)?;
        if files.insert(path[1..].join("/"), content).is_some() {
            return Err(format!("{shown} is in it twice"));
        }
    }
    match files.is_empty() {
        true => Err("it is empty".into()),
        false => Ok(files),
    }
}

/// Packs files as a chart's archive. The same files give the same bytes: no time, no user.
///
/// # Errors
/// Where a path is too long for an archive.
pub(super) fn pack(folder: &str, files: &Files) -> io::Result<Vec<u8>> {
    let gzip = GzBuilder::new().write(vec![], Compression::default());
    let mut archive = tar::Builder::new(gzip);
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_entry_type(EntryType::Regular);
        archive.append_data(&mut header, format!("{folder}/{path}"), content.as_slice())?;
    }
    let mut gzip = archive.into_inner()?;
    gzip.flush()?;
    gzip.finish()
}

/// The parts of a path that stays below where it begins; nothing where it does not, on any system.
fn inside(raw: &[u8]) -> Option<Vec<String>> {
    let text = std::str::from_utf8(raw).ok()?;
    // What is a plain name here may be a way out on Windows.
    if text.contains(['\\', '\0']) || text.as_bytes().get(1) == Some(&b':') {
        return None;
    }
    let mut parts = vec![];
    for part in std::path::Path::new(text).components() {
        match part {
            Component::Normal(name) => parts.push(name.to_str()?.to_string()),
            Component::CurDir => {}
            _ => return None,
        }
    }
    // `./` alone is the folder that everything lies in.
    Some(parts)
}

/// A reader that fails, rather than ends, where there is too much.
struct Bounded<R> {
    inner: R,
    left: u64,
}

#[derive(Debug, thiserror::Error)]
#[error("too much")]
struct TooLarge;

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.left = self
            .left
            .checked_sub(count as u64)
            .ok_or_else(|| io::Error::other(TooLarge))?;
        Ok(count)
    }
}

/// Whether ours is somewhere below: the tar library wraps errors in its own.
fn too_large(error: &io::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = error.get_ref().map(|inner| inner as _);
    while let Some(inner) = cause {
        if inner.is::<TooLarge>() {
            return true;
        }
        cause = match inner.downcast_ref::<io::Error>() {
            Some(io) => io.get_ref().map(|inner| inner as _),
            None => inner.source(),
        };
    }
    false
}
