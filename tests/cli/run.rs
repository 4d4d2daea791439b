//! One run of the binary.

use std::{
    fs,
    io::{Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Longer than any command here takes; one that hangs is ended and fails its test.
const PATIENCE: Duration = Duration::from_secs(60);

/// A home folder of its own, and the command line to be run there.
pub struct Run {
    /// The folder that is home and working directory.
    home: tempfile::TempDir,
    variables: Vec<(String, String)>,
    arguments: Vec<String>,
    stdin: Vec<u8>,
    stdout: Option<Stdio>,
    interrupted: Option<Duration>,
}

/// How it ended.
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    asked: String,
    home: String,
    /// Its home and what it left there.
    folder: tempfile::TempDir,
}

/// `kubectl-byocni` with these arguments, written as in a shell without quotes.
pub fn byocni(arguments: &str) -> Run {
    Run {
        home: tempfile::tempdir().expect("a temporary folder"),
        variables: vec![("LANG".into(), "C.UTF-8".into()), ("COLUMNS".into(), "80".into())],
        arguments: arguments.split_whitespace().map(str::to_string).collect(),
        stdin: vec![],
        stdout: None,
        interrupted: None,
    }
}

/// A capture of a real cluster, by the name of its file.
pub fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)
}

impl Run {
    /// Its home and working directory.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// With one more argument, which may hold spaces.
    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// With more arguments, written as in a shell without quotes.
    pub fn arg_words(self, words: &str) -> Self {
        words.split_whitespace().fold(self, |run, word| run.arg(word))
    }

    /// With `name` in its environment; HOME only where it is set here to nothing.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.into(), value.into()));
        self
    }

    /// With a file in its home.
    pub fn file(self, name: &str, text: impl AsRef<[u8]>) -> Self {
        let path = self.home.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
        self
    }

    /// With one of the examples in its home, under the same name.
    pub fn example(self, name: &str) -> Self {
        let text = fs::read(example(name)).expect("an example");
        self.file(name, text)
    }

    /// With a shell script in its home that can be run.
    #[cfg(unix)]
    pub fn script(self, name: &str, text: &str) -> Self {
        use std::os::unix::fs::PermissionsExt;
        let run = self.file(name, format!("#!/bin/sh\n{text}"));
        let path = run.home.path().join(name);
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("a script");
        run
    }

    /// With this kubeconfig in its place.
    pub fn kubeconfig(self, text: &str) -> Self {
        self.file(".kube/config", text)
    }

    /// With something on standard input.
    pub fn stdin(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.stdin = text.into();
        self
    }

    /// With its standard output elsewhere.
    pub fn stdout(mut self, to: impl Into<Stdio>) -> Self {
        self.stdout = Some(to.into());
        self
    }

    /// With Ctrl-C after some time.
    #[cfg(unix)]
    pub fn interrupted(mut self, after: Duration) -> Self {
        self.interrupted = Some(after);
        self
    }

    /// Runs it to its end.
    pub fn end(self) -> Ended {
        self.end_as(Path::new(env!("CARGO_BIN_EXE_kubectl-byocni")))
    }

    /// Runs another program with these arguments to its end.
    pub fn end_as(mut self, program: &Path) -> Ended {
        let mut command = Command::new(program);
        command
            .args(&self.arguments)
            .current_dir(self.home.path())
            .env_clear();
        command.env("HOME", self.home.path());
        for (name, value) in &self.variables {
            match (name.as_str(), value.as_str()) {
                ("HOME", "") => command.env_remove("HOME"),
                _ => command.env(name, value),
            };
        }
        command.stdin(Stdio::piped()).stderr(Stdio::piped());
        command.stdout(self.stdout.take().unwrap_or_else(Stdio::piped));
        let mut child = command.spawn().expect("the binary runs");
        // Handed over while it runs; a command that does not read it closes it.
        let (mut stdin, text) = (
            child.stdin.take().expect("piped"),
            std::mem::take(&mut self.stdin),
        );
        std::thread::spawn(move || stdin.write_all(&text));
        let stdout = child.stdout.take().map(all_of);
        let stderr = child.stderr.take().map(all_of);
        if let Some(after) = self.interrupted {
            std::thread::sleep(after);
            let pid = child.id().to_string();
            assert!(
                Command::new("kill")
                    .args(["-INT", &pid])
                    .status()
                    .is_ok_and(|kill| kill.success())
            );
        }
        let code = ended_in_time(&mut child, &self.arguments);
        let text = |reader: Option<std::thread::JoinHandle<Vec<u8>>>| {
            let bytes = reader.map(|r| r.join().expect("read")).unwrap_or_default();
            String::from_utf8(bytes).expect("output is UTF-8")
        };
        Ended {
            code,
            stdout: text(stdout),
            stderr: text(stderr),
            asked: self.arguments.join(" "),
            home: self.home.path().display().to_string(),
            folder: self.home,
        }
    }
}

fn all_of(mut reader: impl Read + Send + 'static) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = vec![];
        reader.read_to_end(&mut bytes).expect("a pipe");
        bytes
    })
}

fn ended_in_time(child: &mut Child, arguments: &[String]) -> Option<i32> {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("a child") {
            return status.code();
        }
        if begun.elapsed() > PATIENCE {
            child.kill().expect("a child");
            child.wait().expect("a child");
            panic!("{arguments:?} does not end");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

impl Ended {
    /// What is in a file of its home; nothing where there is none.
    pub fn left(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.folder.path().join(name)).ok()
    }

    /// The folder that was its home.
    pub fn home(&self) -> &str {
        &self.home
    }

    /// Everything that it said.
    pub fn said(&self) -> String {
        format!("exit {:?}\n{}\n{}", self.code, self.stdout, self.stderr)
    }

    /// All of it as text that is the same on every machine.
    pub fn shown(&self) -> String {
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        let code = self.code.map_or("by a signal".into(), |code| code.to_string());
        let mut text = format!("$ kubectl-byocni {}\nexit: {code}\n", self.asked);
        for (name, part) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !part.is_empty() {
                text += &format!("--- {name}\n{part}");
            }
        }
        without_ports(&text.replace(&self.home, "[HOME]"))
    }
}

/// Ports are chosen by the system.
fn without_ports(text: &str) -> String {
    let mut parts = text.split("127.0.0.1:");
    let mut out = parts.next().unwrap_or_default().to_string();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
        let number = &part[..part.len() - rest.len()];
        out += if number == "1" {
            "127.0.0.1:1"
        } else {
            "127.0.0.1:[PORT]"
        };
        out += rest;
    }
    out
}

/// Compares with the snapshot of this name.
macro_rules! shot {
    ($name:expr, $ended:expr) => {{
        let mut settings = insta::Settings::clone_current();
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        let shown = $ended.shown();
        settings.bind(|| insta::assert_snapshot!($name, shown));
    }};
}
pub(crate) use shot;
