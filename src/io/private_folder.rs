//! A folder of this run alone: the values that Helm reads, what it says, charts. It goes when the run ends, unless a
//! helm that outlives us still works in it.
#![expect(clippy::disallowed_methods, reason = "the door to the folder of this run")]

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use tempfile::TempDir;

/// The folder; nobody else can look into it (mode 0700).
#[derive(Debug)]
pub(crate) struct PrivateFolder {
    inner: Option<TempDir>,
    path: PathBuf,
    kept: AtomicBool,
    count: AtomicU64,
}

impl PrivateFolder {
    /// Makes it where the system keeps temporary files.
    ///
    /// # Errors
    /// The system's, where there is no room or no right.
    pub fn new() -> io::Result<Self> {
        let mut builder = tempfile::Builder::new();
        builder.prefix("kubectl-byocni-");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            builder.permissions(fs::Permissions::from_mode(0o700));
        }
        let inner = builder.tempdir()?;
        Ok(PrivateFolder {
            path: inner.path().to_path_buf(),
            inner: Some(inner),
            kept: AtomicBool::new(false),
            count: AtomicU64::new(0),
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves it where it is at the end: a helm still works in it.
    pub fn keep(&self) {
        self.kept.store(true, Ordering::Relaxed);
    }

    /// A number that was not given before, for names of files.
    pub fn next(&self) -> u64 {
        self.count.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A new file in it, which only this user can read (mode 0600).
    ///
    /// # Errors
    /// The system's; also where there is such a file.
    pub fn create(&self, name: &str) -> io::Result<(PathBuf, fs::File)> {
        let path = self.path.join(name);
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path)?;
        Ok((path, file))
    }

    /// A new file in it with these bytes.
    ///
    /// # Errors
    /// As [`PrivateFolder::create`].
    pub fn write(&self, name: &str, bytes: &[u8]) -> io::Result<PathBuf> {
        let (path, mut file) = self.create(name)?;
        file.write_all(bytes)?;
        Ok(path)
    }

    /// A new folder in it.
    ///
    /// # Errors
    /// The system's; also where there is such a folder.
    pub fn folder(&self, name: &str) -> io::Result<PathBuf> {
        let path = self.path.join(name);
        fs::create_dir(&path)?;
        Ok(path)
    }
}

impl Drop for PrivateFolder {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.take().filter(|_| self.kept.load(Ordering::Relaxed)) {
            // Only the removal is called off.
            let _ = inner.keep();
        }
    }
}
