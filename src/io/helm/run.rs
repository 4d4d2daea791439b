//! One run of helm: its limits, its end, and that it is never cut off in the middle of a write.
//!
//! Helm marks a release failed when SIGTERM reaches an install or an upgrade; a rollback or an uninstall that is
//! signalled stays pending for ever (its actions handle no signal). So the first are asked to stop, the second are
//! waited for, and SIGKILL is for what writes nothing.
#![expect(clippy::disallowed_methods, reason = "the door to the helm process")]

use std::{
    ffi::OsString,
    fs,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use tokio::{
    process::{Child, Command},
    sync::watch,
    time::{MissedTickBehavior, interval, sleep},
};

use super::{cause::Cause, error::HelmError, said};
use crate::io::private_folder::PrivateFolder;

/// Becomes true when the user wants to stop.
pub type Stop = watch::Receiver<bool>;

/// What is read of one run's output, in bytes: the manifests of the largest CNI chart are 2 MB, the history of a
/// release a few KB.
const LONGEST: u64 = 64 * 1024 * 1024;

/// What may happen to a run that takes too long, or that nobody wants any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// It writes nothing to the cluster: it may be killed at any time.
    Reads,
    /// Asked to stop it marks the release failed.
    Marks,
    /// Once begun it must end by itself.
    Finishes,
}

/// One command.
pub(super) struct Call<'a> {
    /// `helm install`, for messages.
    pub doing: &'static str,
    pub arguments: Vec<OsString>,
    pub manner: Manner,
    pub limit: Duration,
    /// For [`Manner::Marks`] alone: what reads ends with its future, and what must finish does.
    pub stop: Option<Stop>,
    /// Texts that must not be repeated.
    pub secrets: &'a [String],
}

/// What a run that ended well printed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Printed {
    /// To standard output, whole.
    pub out: String,
    /// To standard error, its end: progress and warnings.
    pub err: String,
}

/// The program and its surroundings.
#[derive(Debug, Clone)]
pub(super) struct Runner {
    pub program: PathBuf,
    pub variables: Vec<(OsString, OsString)>,
    pub folder: Arc<PrivateFolder>,
    /// How long a run that was asked to stop has for it.
    pub grace: Duration,
}

/// Where a run is in its life.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Running,
    /// Asked to stop, because its limit passed.
    Late,
    /// Asked to stop, because the user wants to.
    Unwanted,
}

impl Runner {
    /// Runs helm and gives what it printed.
    ///
    /// # Errors
    /// As [`HelmError`] says; that it exits with 0 is not proof that it did what it was asked.
    pub async fn run(&self, call: Call<'_>) -> Result<Printed, HelmError> {
        let doing = call.doing;
        let mut stop = call.stop;
        if stop.as_ref().is_some_and(|stop| *stop.borrow()) {
            return Err(HelmError::Stopped {
                doing,
                said: String::new(),
            });
        }
        let files = |error: std::io::Error| HelmError::Files {
            what: "keep what helm says",
            why: error.to_string(),
        };
        let number = self.folder.next();
        let (out, stdout) = self.folder.create(&format!("{number}.out")).map_err(files)?;
        let (err, stderr) = self.folder.create(&format!("{number}.err")).map_err(files)?;

        let mut command = Command::new(&self.program);
        command
            .args(&call.arguments)
            .env_clear()
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr)
            .kill_on_drop(false);
        // Ctrl-C in the terminal is for us; helm gets its signal when it is time.
        #[cfg(unix)]
        command.process_group(0);
        #[cfg(windows)]
        command.creation_flags(0x0000_0200);
        let child = command.spawn().map_err(|e| HelmError::Strange {
            program: self.program.clone(),
            why: format!("it cannot be started: {e}"),
        })?;

        let mut run = Run {
            pid: child.id().unwrap_or_default(),
            child,
            manner: call.manner,
            folder: Arc::clone(&self.folder),
            over: false,
        };
        let mut stage = Stage::Running;
        let deadline = sleep(call.limit);
        tokio::pin!(deadline);
        let mut tick = interval(Duration::from_millis(200));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let status = loop {
            tokio::select! {
                status = run.child.wait() => break status,
                () = &mut deadline => match (call.manner, stage) {
                    (Manner::Reads, _) => {
                        run.kill().await;
                        return Err(HelmError::TimedOut { doing, limit: call.limit });
                    }
                    (Manner::Marks, Stage::Running) => {
                        run.ask_to_stop();
                        stage = Stage::Late;
                        deadline.set(sleep(self.grace));
                    }
                    // Dropping the run leaves it and its files alone.
                    _ => return Err(HelmError::StillRunning { doing, pid: run.pid, output: err }),
                },
                () = wanted(&mut stop), if stage == Stage::Running => {
                    run.ask_to_stop();
                    stage = Stage::Unwanted;
                    deadline.set(sleep(self.grace));
                }
                _ = tick.tick(), if call.manner == Manner::Reads => {
                    if length(&out) > LONGEST || length(&err) > LONGEST {
                        run.kill().await;
                        return Err(self.strange(doing, "prints without end"));
                    }
                }
            }
        };
        run.over = true;
        let status = status.map_err(|e| self.strange(doing, &format!("cannot be waited for: {e}")))?;
        if status.success() {
            let whole = text(&out).map_err(files)?;
            return Ok(Printed {
                out: whole.ok_or_else(|| self.strange(doing, "prints something that is not text"))?,
                err: tail(&err),
            });
        }
        let words = said::complaint(&tail(&err), call.secrets);
        Err(match stage {
            Stage::Late => HelmError::Ended {
                doing,
                limit: call.limit,
                said: words,
            },
            Stage::Unwanted => HelmError::Stopped { doing, said: words },
            Stage::Running => match words.is_empty() {
                true => HelmError::Failed {
                    doing,
                    cause: Cause::Unknown,
                    said: how_it_ended(status),
                },
                false => HelmError::Failed {
                    doing,
                    cause: Cause::of(&words),
                    said: words,
                },
            },
        })
    }

    /// That helm did something that helm does not do.
    pub fn strange(&self, doing: &str, why: &str) -> HelmError {
        HelmError::Strange {
            program: self.program.clone(),
            why: format!("{doing} {why}"),
        }
    }
}

/// A running helm. When we lose interest in it, readers end and writers go on with their files.
struct Run {
    child: Child,
    pid: u32,
    manner: Manner,
    folder: Arc<PrivateFolder>,
    over: bool,
}

impl Run {
    fn ask_to_stop(&self) {
        // Only helm itself: a credential plugin that it started must live for its last writes.
        #[cfg(unix)]
        if let Some(pid) = self.group() {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
    }

    async fn kill(&mut self) {
        self.kill_now();
        // A killed process that waits for a device goes later.
        let _ = tokio::time::timeout(Duration::from_secs(5), self.child.wait()).await;
        self.over = true;
    }

    fn kill_now(&mut self) {
        #[cfg(unix)]
        if let Some(pid) = self.group() {
            let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
        }
        let _ = self.child.start_kill();
    }

    /// The process, which leads its group, while it has not been waited for: later the number may be another's.
    #[cfg(unix)]
    fn group(&self) -> Option<rustix::process::Pid> {
        let pid = self.child.id()?;
        rustix::process::Pid::from_raw(i32::try_from(pid).ok()?)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        match self.manner {
            Manner::Reads => self.kill_now(),
            Manner::Marks | Manner::Finishes => self.folder.keep(),
        }
    }
}

/// Waits until the user wants to stop; for ever where nobody can say so any more.
async fn wanted(stop: &mut Option<Stop>) {
    if let Some(stop) = stop
        && stop.wait_for(|stop| *stop).await.is_ok()
    {
        return;
    }
    std::future::pending().await
}

fn how_it_ended(status: ExitStatus) -> String {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return format!("it was ended by signal {signal} and said nothing");
    }
    format!("it said nothing ({status})")
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |found| found.len())
}

/// The whole file, nothing where it is not UTF-8 or too long.
fn text(path: &Path) -> std::io::Result<Option<String>> {
    let mut bytes = vec![];
    fs::File::open(path)?.take(LONGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONGEST {
        return Ok(None);
    }
    Ok(String::from_utf8(bytes).ok())
}

/// The file's end: what helm fails with comes last.
fn tail(path: &Path) -> String {
    const KEPT: u64 = 64 * 1024;
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = fs::File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(KEPT)))?;
        let mut bytes = vec![];
        file.take(KEPT).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    // What helm failed with is lost then, but not that it failed.
    String::from_utf8_lossy(&read().unwrap_or_default()).into_owned()
}
