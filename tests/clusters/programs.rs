//! The programs of a cluster: where they are, and running them so that none outlives the test.

use std::ffi::OsString;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};

/// Where the programs are: `KUBEBUILDER_ASSETS`, else `bin` in `BYOCNI_TEST_CACHE`, else in the user's cache.
pub fn assets() -> Result<PathBuf, String> {
    let folder = match std::env::var_os("KUBEBUILDER_ASSETS").filter(|v| !v.is_empty()) {
        Some(folder) => PathBuf::from(folder),
        None => cache()?.join("bin"),
    };
    for program in [
        "etcd",
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
    ] {
        if !folder.join(program).is_file() {
            return Err(format!(
                "no {program} in {}: build it with tests/clusters/build.sh '{}' control-plane",
                folder.display(),
                folder.display()
            ));
        }
    }
    Ok(folder)
}

/// The helm program of this major version, built with the others.
pub fn helm(major: u8) -> Result<PathBuf, String> {
    built(&format!("helm{major}/helm"))
}

/// What installs charts through helm's Go library (tests/clusters/helm-library).
pub fn helm_library() -> Result<PathBuf, String> {
    built("helm-library")
}

fn built(program: &str) -> Result<PathBuf, String> {
    let program = cache()?.join("bin").join(program);
    match program.is_file() {
        true => Ok(program),
        false => Err(format!(
            "no {}: build it with tests/clusters/build.sh",
            program.display()
        )),
    }
}

/// The folder with the charts' archives: `BYOCNI_TEST_CHARTS`, else `../shared/charts` beside the project.
pub fn charts() -> Result<PathBuf, String> {
    let named = std::env::var_os("BYOCNI_TEST_CHARTS")
        .filter(|folder| !folder.is_empty())
        .map(PathBuf::from);
    let folder = named.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/charts"));
    if folder.join("index.yaml").is_file() {
        return Ok(folder);
    }
    Err(format!(
        "no charts in {} (BYOCNI_TEST_CHARTS names a folder with index.yaml)",
        folder.display()
    ))
}

/// Kept between runs and outside the repository: built programs, images.
pub fn cache() -> Result<PathBuf, String> {
    let set = |name: &str| {
        std::env::var_os(name)
            .filter(|v| !v.is_empty())
            .map(PathBuf::from)
    };
    set("BYOCNI_TEST_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|cache| cache.join("kubectl-byocni")))
        .or_else(|| set("HOME").map(|home| home.join(".cache/kubectl-byocni")))
        .ok_or_else(|| "no BYOCNI_TEST_CACHE and no HOME".to_owned())
}

/// A tier that cannot run here says so in one line and its test returns, unless `BYOCNI_TEST_REQUIRE`
/// (`all`, or names of tiers) says that it must run.
pub fn required_or_skip<T>(tier: &str, result: Result<T, String>) -> Option<T> {
    let reason = match result {
        Ok(value) => return Some(value),
        Err(reason) => reason,
    };
    let required = std::env::var("BYOCNI_TEST_REQUIRE").unwrap_or_default();
    let named = required
        .split([',', ' '])
        .any(|word| word == "all" || word == tier);
    assert!(
        !named,
        "BYOCNI_TEST_REQUIRE={required}, but the {tier} tier cannot run: {reason}"
    );
    // Not eprintln: the test harness would swallow it with the output of a test that passed.
    let _ = writeln!(std::io::stderr(), "skipped: the {tier} tier cannot run: {reason}");
    None
}

/// A program that runs until this is dropped.
pub struct Running {
    name: &'static str,
    log: PathBuf,
    child: Child,
}

type Request = (Command, Sender<std::io::Result<Child>>);

/// The kernel sends the signal of `--pdeathsig` when the *thread* that started a program ends, and tests end
/// their threads long before a cluster that they share. So one thread, which never ends, starts all programs.
fn starter() -> &'static Sender<Request> {
    static STARTER: OnceLock<Sender<Request>> = OnceLock::new();
    STARTER.get_or_init(|| {
        let (sender, requests) = channel::<Request>();
        std::thread::spawn(move || {
            for (mut command, reply) in requests {
                let _ = reply.send(command.spawn());
            }
        });
        sender
    })
}

impl Running {
    /// Starts `folder/name` in `dir`, with its output in `dir/name.log`.
    pub fn start(
        folder: &Path,
        name: &'static str,
        dir: &Path,
        arguments: impl IntoIterator<Item = impl Into<OsString>>,
    ) -> Result<Running, String> {
        let log = dir.join(format!("{name}.log"));
        let output = File::create(&log).map_err(|e| format!("{}: {e}", log.display()))?;
        let errors = output.try_clone().map_err(|e| e.to_string())?;
        // setpriv (util-linux) becomes the program, which then dies with this process even if that is killed.
        let mut command = if on_path("setpriv") {
            let mut setpriv = Command::new("setpriv");
            setpriv.args(["--pdeathsig", "KILL", "--"]).arg(folder.join(name));
            setpriv
        } else {
            Command::new(folder.join(name))
        };
        command
            .args(arguments.into_iter().map(Into::into))
            .current_dir(dir);
        // A group of their own: Ctrl-C in a terminal is for us, who then stop them in order.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        // Less collecting of garbage while thousands of objects are written; not at the price of all memory: a listing
        // of 150,000 pods by kubectl takes 11 GB beside the API server.
        command.env("GOGC", "200").env("GOMEMLIMIT", "9GiB");
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        let (sender, reply) = channel();
        starter()
            .send((command, sender))
            .map_err(|_| "the starting thread is gone".to_owned())?;
        let child = reply
            .recv()
            .map_err(|e| e.to_string())?
            .map_err(|e| format!("{name}: {e}"))?;
        Ok(Running { name, log, child })
    }

    pub fn name(&self) -> &str {
        self.name
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Why it is no longer running, with the end of its log.
    pub fn ended(&mut self) -> Option<String> {
        let status = self.child.try_wait().ok().flatten()?;
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let end = lines[lines.len().saturating_sub(8)..].join("\n");
        Some(format!("{} ended ({status}):\n{end}", self.name))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn on_path(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}
