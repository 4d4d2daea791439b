//! Completion in real shells, each at a terminal of its own where it is what a person would type into.
#![cfg(target_os = "linux")]

use std::{
    env,
    io::{Read, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    time::{Duration, Instant},
};

use super::{kubectl::required, programs::required_or_skip};

/// For a shell to start, and for an answer to a TAB; generous, because the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);

const PROMPT: &str = "READY> ";

fn on_path(program: &str) -> Result<PathBuf, String> {
    env::split_paths(&env::var_os("PATH").unwrap_or_default())
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
        .ok_or_else(|| format!("no {program} on the PATH"))
}

/// A home with the plugin in `bin`, a kubeconfig and a file to complete.
fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().expect("a folder");
    let make = |name: &str, text: &str| {
        let path = home.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    };
    make(
        ".kube/config",
        "apiVersion: v1\nkind: Config\ncurrent-context: prod\n\
         contexts: [{name: prod, context: {cluster: c, user: u}}, {name: \"arn:aws:eks/blue\", context: {cluster: c, user: u}}]\n\
         clusters: [{name: c, cluster: {server: \"http://127.0.0.1:1\"}}]\nusers: [{name: u, user: {token: t}}]\n",
    );
    make("captured.yaml", "");
    make("bin/kept", "");
    let link = |name: &str| {
        let link = home.path().join("bin").join(name);
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_kubectl-byocni"), link).expect("a link");
    };
    link("kubectl-byocni");
    link("kubectl_complete-byocni");
    home
}

fn environment(command: &mut Command, home: &Path) {
    let kubectl = required_or_skip("kubectl", on_path("kubectl"));
    let folders = ["/usr/bin", "/bin"].map(PathBuf::from);
    let kubectl = kubectl.and_then(|path| path.parent().map(Path::to_path_buf));
    let path =
        env::join_paths(std::iter::once(home.join("bin")).chain(folders).chain(kubectl)).expect("a PATH");
    command
        .env_clear()
        .current_dir(home)
        .envs([("HOME", home.as_os_str()), ("PATH", path.as_os_str())])
        .envs([
            ("TERM", "dumb"),
            ("LANG", "C.UTF-8"),
            ("PS1", PROMPT),
            ("COLUMNS", "200"),
        ]);
}

/// A shell at a terminal.
struct Typed {
    shell: Child,
    keys: ChildStdin,
    screen: Receiver<Vec<u8>>,
    seen: String,
    _home: tempfile::TempDir,
}

impl Typed {
    fn start(shell: &str) -> Self {
        let home = home();
        let mut command = Command::new("script");
        command.args(["--quiet", "--flush", "--command", shell, "/dev/null"]);
        environment(&mut command, home.path());
        // The shell is the session's that `script` makes, and ends with its terminal.
        let mut shell = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("script, of bsdutils");
        let keys = shell.stdin.take().expect("piped");
        let mut output = shell.stdout.take().expect("piped");
        let (sender, screen) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut buffer) {
                if sender.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Typed {
            shell,
            keys,
            screen,
            seen: String::new(),
            _home: home,
        }
    }

    /// Types, and waits until this has been shown since.
    #[track_caller]
    fn types(&mut self, keys: &str, shown: &str) {
        self.seen.clear();
        self.keys
            .write_all(keys.as_bytes())
            .expect("a shell that listens");
        self.keys.flush().expect("a shell that listens");
        let begun = Instant::now();
        while !plain(&self.seen).contains(shown) {
            let left = PATIENCE.saturating_sub(begun.elapsed());
            let Ok(bytes) = self.screen.recv_timeout(left) else {
                panic!("{keys:?} does not show {shown:?} but {:?}", plain(&self.seen));
            };
            self.seen += &String::from_utf8_lossy(&bytes);
        }
    }

    /// Types the beginning of a command line, and TAB; leaves the line.
    #[track_caller]
    fn completes(&mut self, typed: &str, shown: &str) {
        self.types(&format!("{typed}\t"), shown);
        self.leaves();
    }

    /// Takes the line away: an interrupt could meet the shell at work.
    #[track_caller]
    fn leaves(&mut self) {
        self.types("\u{5}\u{15}\n", PROMPT);
    }
}

impl Drop for Typed {
    fn drop(&mut self) {
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

/// What is on the screen without what moves the cursor; several spaces are one.
fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' => {
                if rest.next_if_eq(&'[').is_some() {
                    while rest.next().is_some_and(|c| !c.is_ascii_alphabetic()) {}
                }
            }
            '\r' | '\n' | ' ' if out.ends_with(' ') => {}
            '\r' | '\n' => out.push(' '),
            '\u{7}' => {}
            c => out.push(c),
        }
    }
    out
}

fn direct(shell: &mut Typed) {
    shell.completes("kubectl-byocni stat", "kubectl-byocni status ");
    shell.completes("kubectl-byocni status --summ", "status --summary ");
    shell.completes("kubectl-byocni status -o mark", "-o markdown ");
    shell.completes("kubectl-byocni status --output=mark", "--output=markdown ");
    shell.completes("kubectl-byocni install flan", "install flannel ");
    shell.completes("kubectl-byocni explain cni-mis", "explain cni-missing ");
    shell.completes(
        "kubectl-byocni status --context arn:a",
        "--context arn:aws:eks/blue ",
    );
    shell.completes(
        "kubectl-byocni status --context=arn:a",
        "--context=arn:aws:eks/blue ",
    );
    shell.completes("kubectl-byocni status --from capt", "--from captured.yaml ");
    shell.completes("kubectl-byocni install --repo bi", "--repo bin/");
    // Where the cursor is in the middle of the line.
    shell.types("kubectl-byocni stat -o json", "-o json");
    shell.types(&"\u{2}".repeat(8), "");
    shell.types("\t", "us");
    shell.leaves();
}

#[test]
fn bash() {
    let Some(_) = required_or_skip("bash", on_path("bash")) else {
        return;
    };
    let mut shell = Typed::start("bash --norc --noprofile -i");
    shell.types(
        "source <(kubectl-byocni completion bash); echo so''urced\n",
        "sourced",
    );
    direct(&mut shell);
    // Several are listed with what they are.
    shell.types(
        "kubectl-byocni completion \t\t",
        "install (Make kubectl byocni <TAB> work)",
    );
    shell.leaves();
    shell.types("kubectl-byocni install cilium --dry-run=\t\t", "client server");
    shell.types("s\t", "erver ");
    shell.leaves();

    let Some(_) = required() else { return };
    let completion = Path::new("/usr/share/bash-completion/bash_completion");
    let there = completion
        .is_file()
        .then_some(())
        .ok_or_else(|| "no package bash-completion".to_string());
    let Some(()) = required_or_skip("bash", there) else {
        return;
    };
    shell.types(
        "source /usr/share/bash-completion/bash_completion; source <(kubectl completion bash); echo so''urced\n",
        "sourced",
    );
    through_kubectl(&mut shell);
}

#[test]
fn zsh() {
    let Some(_) = required_or_skip("zsh", on_path("zsh")) else {
        return;
    };
    let mut shell = Typed::start("zsh -f -i");
    shell.types(
        "unsetopt prompt_sp; autoload -U compinit; compinit -u -D; source <(kubectl-byocni completion zsh); echo so''urced\n",
        "sourced",
    );
    direct(&mut shell);
    shell.types(
        "kubectl-byocni completion \t",
        "install -- Make kubectl byocni <TAB> work",
    );
    shell.leaves();
    let Some(_) = required() else { return };
    shell.types("source <(kubectl completion zsh); echo so''urced\n", "sourced");
    through_kubectl(&mut shell);
}

/// As a package installs it: a file of its name in a folder where zsh looks for functions.
#[test]
fn zsh_by_the_name_of_the_file() {
    let Some(_) = required_or_skip("zsh", on_path("zsh")) else {
        return;
    };
    let mut shell = Typed::start("zsh -f -i");
    shell.types(
        "unsetopt prompt_sp; mkdir functions; kubectl-byocni completion zsh > functions/_kubectl-byocni; \
         fpath=($PWD/functions $fpath); autoload -U compinit; compinit -u -D; echo rea''dy\n",
        "ready",
    );
    // At the first call the file is run as the function that it defines.
    shell.completes("kubectl-byocni hist", "kubectl-byocni history ");
    shell.completes("kubectl-byocni stat", "kubectl-byocni status ");
}

fn through_kubectl(shell: &mut Typed) {
    shell.completes("kubectl byocni stat", "kubectl byocni status ");
    shell.completes("kubectl byocni status --summ", "status --summary ");
    shell.completes("kubectl byocni explain cni-mis", "explain cni-missing ");
    shell.completes("kubectl byocni install cilium --dry-run=s", "--dry-run=server ");
    shell.completes(
        "kubectl byocni status --context arn:a",
        "--context arn:aws:eks/blue ",
    );
    shell.completes("kubectl byocni status --from capt", "--from captured.yaml ");
}

#[test]
fn fish() {
    let Some(fish) = required_or_skip("fish", on_path("fish")) else {
        return;
    };
    let home = home();
    let offered = |line: &str| {
        let mut command = Command::new(&fish);
        environment(&mut command, home.path());
        let script = "kubectl-byocni completion fish | source; complete -C $argv[1]";
        let output = command
            .args(["--no-config", "-c", script, line])
            .stdin(Stdio::null())
            .output()
            .expect("fish");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert_eq!(
        offered("kubectl-byocni stat"),
        "status\tShow the state of the cluster's network on one page\n"
    );
    assert_eq!(
        offered("kubectl-byocni status --summ"),
        "--summary\tOne line only, for prompts and CI\n"
    );
    assert_eq!(
        offered("kubectl-byocni status --output=mark"),
        "--output=markdown\n"
    );
    assert_eq!(
        offered("kubectl-byocni install "),
        "cilium\tCilium\ncalico\tCalico\nflannel\tFlannel\n"
    );
    assert_eq!(
        offered("kubectl-byocni status --context=arn:a"),
        "--context=arn:aws:eks/blue\tcluster c\n"
    );
    assert!(offered("kubectl-byocni status --from capt").starts_with("captured.yaml"));
    assert!(offered("kubectl-byocni install --repo bi").starts_with("bin/"));
    assert_eq!(offered("kubectl-byocni status --timeout "), "");
}
