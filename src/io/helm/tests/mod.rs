//! A scripted helm, for everything that the real ones do rarely.

mod causes;
mod finding;
mod process;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use super::*;

/// A folder with a `helm` in it that is a shell script.
pub(super) struct Fake {
    folder: tempfile::TempDir,
}

impl Fake {
    /// A helm 3.17.0 that runs `body` for everything but `helm version`.
    pub fn new(body: &str) -> Fake {
        Fake::printing("v3.17.0", body)
    }

    /// As this version.
    pub fn printing(version: &str, body: &str) -> Fake {
        Fake::whole(&format!(
            "if [ \"$1\" = version ]; then echo '{version}'; exit 0; fi\n{body}"
        ))
    }

    /// All of the script. `$LOG` is a file for what it sees.
    pub fn whole(body: &str) -> Fake {
        let folder = tempfile::tempdir().expect("a folder");
        let script = folder.path().join("script");
        let log = folder.path().join("log");
        std::fs::write(&script, format!("#!/bin/sh\nLOG='{}'\n{body}\n", log.display())).expect("written");
        // By another process: a file that this one wrote cannot be run while a fork of another test has it open.
        let made = Command::new("sh")
            .args(["-c", "cp script helm && chmod 755 helm"])
            .current_dir(folder.path())
            .status()
            .expect("sh runs");
        assert!(made.success());
        Fake { folder }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn program(&self) -> PathBuf {
        self.path().join("helm")
    }

    /// An environment that finds it.
    pub fn environment(&self, more: &[(&str, &str)]) -> Environment {
        let path = std::env::var("PATH").expect("a PATH");
        let program = self.program().display().to_string();
        let mut all = vec![("HELM_BIN", program.as_str()), ("PATH", path.as_str())];
        all.extend(more);
        Environment::of(all.into_iter().map(|(n, v)| (n.to_string(), v.to_string())))
    }

    pub async fn helm(&self) -> Helm {
        Helm::find(&self.environment(&[])).await.expect("it is found")
    }

    /// What the script wrote to `$LOG`.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path().join("log")).unwrap_or_default()
    }
}

pub(super) fn target() -> Target {
    Target {
        context: Some("blue".into()),
        namespace: "kube-system".into(),
        ..Target::default()
    }
}
