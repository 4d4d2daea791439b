//! Archives as krew unpacks them: what they are is seen from their content, not from their name.

use std::{io::Read as _, path::Path};

/// One thing in an archive.
pub struct Entry {
    pub path: String,
    /// As `ls` shows it: 0o755.
    pub mode: u32,
    /// Neither a folder nor a link.
    pub file: bool,
    pub content: Vec<u8>,
    /// Seconds since 1970 in a tar; in a zip as it is written there.
    pub time: u64,
}

/// What is in an archive, in its order.
pub fn entries(archive: &Path) -> Result<Vec<Entry>, String> {
    let bytes = std::fs::read(archive).map_err(|e| format!("{}: {e}", archive.display()))?;
    match bytes.get(..4) {
        Some([0x1f, 0x8b, ..]) => tar(&bytes),
        Some(b"PK\x03\x04") => zip(&bytes),
        _ => Err(format!("{}: neither gzip nor zip", archive.display())),
    }
}

fn tar(bytes: &[u8]) -> Result<Vec<Entry>, String> {
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(bytes));
    let mut all = vec![];
    for entry in archive.entries().map_err(|e| e.to_string())? {
        let mut entry = entry.map_err(|e| e.to_string())?;
        let header = entry.header();
        let (owner, group) = (header.uid(), header.gid());
        if (owner.ok(), group.ok()) != (Some(0), Some(0)) {
            return Err("it names an owner".into());
        }
        let mut found = Entry {
            path: entry.path().map_err(|e| e.to_string())?.display().to_string(),
            mode: header.mode().map_err(|e| e.to_string())?,
            file: header.entry_type().is_file(),
            content: vec![],
            time: header.mtime().map_err(|e| e.to_string())?,
        };
        entry.read_to_end(&mut found.content).map_err(|e| e.to_string())?;
        all.push(found);
    }
    Ok(all)
}

/// A zip from its directory, which is at its end (<https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT>, 4.3.12).
fn zip(bytes: &[u8]) -> Result<Vec<Entry>, String> {
    let number = |at: usize, length: usize| -> Result<usize, String> {
        let part = bytes.get(at..at + length).ok_or("cut off")?;
        Ok(part
            .iter()
            .rev()
            .fold(0, |number, byte| number << 8 | usize::from(*byte)))
    };
    let end = bytes
        .windows(4)
        .rposition(|window| window == b"PK\x05\x06")
        .ok_or("no directory")?;
    let (count, mut at) = (number(end + 10, 2)?, number(end + 16, 4)?);
    let mut all = vec![];
    for _ in 0..count {
        let (method, time) = (number(at + 10, 2)?, number(at + 12, 4)?);
        let (packed, name) = (number(at + 20, 4)?, number(at + 28, 2)?);
        let (attributes, local) = (number(at + 38, 4)?, number(at + 42, 4)?);
        let path = bytes.get(at + 46..at + 46 + name).ok_or("cut off")?;
        let begin = local + 30 + number(local + 26, 2)? + number(local + 28, 2)?;
        let stored = bytes.get(begin..begin + packed).ok_or("cut off")?;
        let mut content = vec![];
        match method {
            0 => content.extend(stored),
            8 => {
                flate2::read::DeflateDecoder::new(stored)
                    .read_to_end(&mut content)
                    .map_err(|e| e.to_string())?;
            }
            other => return Err(format!("packed by method {other}")),
        }
        let mode = u32::try_from(attributes >> 16).expect("16 bits");
        all.push(Entry {
            path: String::from_utf8_lossy(path).into_owned(),
            mode: mode & 0o7777,
            file: mode & 0o170_000 == 0o100_000,
            content,
            time: time as u64,
        });
        at += 46 + name + number(at + 30, 2)? + number(at + 32, 2)?;
    }
    Ok(all)
}
