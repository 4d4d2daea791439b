//! Exit codes and failures (DESIGN: "Exit codes").

use std::process::ExitCode;

use crate::io::{
    capture_file::FileError, change::ChangeError, charts::ChartError, cluster::ReadError,
    connection::ConnectError, helm::HelmError,
};

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Done, or healthy.
    Done,
    /// Could not do it: API, helm, files.
    Failed,
    /// The command line was wrong.
    Usage,
    /// The cluster is unhealthy.
    Unhealthy,
    /// Preflight, confirmation, lock or a stale plan said no; nothing was changed.
    Refused,
    /// Something needed could not be read: the verdict is incomplete.
    Incomplete,
    /// The change failed and was taken back.
    RolledBack,
    /// The change failed and was not recovered.
    NotRecovered,
    /// By a signal.
    Interrupted,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> ExitCode {
        ExitCode::from(match outcome {
            Outcome::Done => 0,
            Outcome::Failed => 1,
            Outcome::Usage => 2,
            Outcome::Unhealthy => 3,
            Outcome::Refused => 4,
            Outcome::Incomplete => 5,
            Outcome::RolledBack => 6,
            Outcome::NotRecovered => 7,
            Outcome::Interrupted => 130,
        })
    }
}

/// Why a command could not do it, and what to do next.
#[derive(Debug)]
pub struct Failure {
    /// What and why, one sentence.
    pub message: String,
    /// The next command, where there is one.
    pub hint: Option<String>,
    /// The exit code.
    pub outcome: Outcome,
}

impl Failure {
    /// A failure without a hint.
    pub fn new(message: impl Into<String>) -> Self {
        Failure {
            message: message.into(),
            hint: None,
            outcome: Outcome::Failed,
        }
    }

    /// The user's words were wrong.
    pub fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Failure {
            message: message.into(),
            hint: Some(hint.into()),
            outcome: Outcome::Usage,
        }
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        Failure {
            message: error.to_string(),
            hint: error.hint(),
            outcome: Outcome::Failed,
        }
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        Failure {
            message: error.to_string(),
            hint: error.error.hint(),
            outcome: Outcome::Failed,
        }
    }
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        let hint = match &error {
            FileError::Unreadable { .. } | FileError::Unwritable { .. } => None,
            _ => Some("a capture is made with: kubectl byocni capture -f FILE".into()),
        };
        Failure {
            message: error.to_string(),
            hint,
            outcome: Outcome::Failed,
        }
    }
}

impl From<ChartError> for Failure {
    fn from(error: ChartError) -> Self {
        Failure {
            message: error.to_string(),
            hint: error.hint(),
            outcome: Outcome::Failed,
        }
    }
}

impl From<ChangeError> for Failure {
    fn from(error: ChangeError) -> Self {
        let outcome = match &error {
            // It may yet change the cluster.
            ChangeError::Helm(HelmError::StillRunning { .. }) | ChangeError::Midway { .. } => {
                Outcome::NotRecovered
            }
            _ => Outcome::Failed,
        };
        Failure {
            message: error.to_string(),
            hint: error.hint(),
            outcome,
        }
    }
}
