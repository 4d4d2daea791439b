//! Times `status` beside kubectl on a filled control plane, all in one run, and prints a table: wall time and peak
//! memory as medians, and what each is beside the others. Every command runs once before anything counts, then in
//! turn, so that a machine that slows down slows all of them down.

// It is a command: its table goes to standard output.
#![allow(clippy::print_stdout)]

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

/// Rounds that count.
const ROUNDS: usize = 5;

/// One command and what it took.
struct Timed {
    name: &'static str,
    program: PathBuf,
    arguments: Vec<&'static str>,
    seconds: Vec<f64>,
    kilobytes: Vec<f64>,
}

/// Prints the table for the cluster behind `kubeconfig`. The plugin is the one built beside this program: build both
/// with `--release`.
pub fn print(kubeconfig: &Path, title: &str) -> Result<(), String> {
    let plugin = plugin()?;
    let command = |name, program: &Path, arguments: &[&'static str]| Timed {
        name,
        program: program.to_path_buf(),
        arguments: arguments.to_vec(),
        seconds: vec![],
        kilobytes: vec![],
    };
    let kubectl = Path::new("kubectl");
    let mut all = [
        command("kubectl byocni status", &plugin, &["status"]),
        command("kubectl get nodes", kubectl, &["get", "nodes"]),
        command(
            "kubectl get nodes -o json",
            kubectl,
            &["get", "nodes", "-o", "json"],
        ),
        command("kubectl get pods -A", kubectl, &["get", "pods", "-A"]),
    ];
    // The listing of all pods comes last: it takes ten gigabytes, and on a small machine the server starves beside it.
    let (light, heavy) = all.split_at_mut(3);
    println!("\n{title}; medians of {ROUNDS}");
    println!("| command | wall, s | min–max | peak memory, MB | wall / status | memory / status |");
    println!("|---|---|---|---|---|---|");
    in_turn(light, kubeconfig)?;
    let status = (median(&light[0].seconds), median(&light[0].kilobytes));
    light.iter().for_each(|timed| row(timed, status));
    in_turn(heavy, kubeconfig)?;
    heavy.iter().for_each(|timed| row(timed, status));
    Ok(())
}

/// Runs these commands in turn; the first round warms caches up and does not count.
fn in_turn(all: &mut [Timed], kubeconfig: &Path) -> Result<(), String> {
    for round in 0..=ROUNDS {
        for timed in all.iter_mut() {
            let (seconds, kilobytes) = run(timed, kubeconfig)?;
            eprintln!(
                "round {round}: {} {seconds:.2} s, {:.0} MB",
                timed.name,
                kilobytes / 1024.0
            );
            if round > 0 {
                timed.seconds.push(seconds);
                timed.kilobytes.push(kilobytes);
            }
        }
    }
    Ok(())
}

/// Prints one row; `status` is what the plugin took.
fn row(timed: &Timed, status: (f64, f64)) {
    let (wall, memory) = (median(&timed.seconds), median(&timed.kilobytes));
    let (least, most) = timed
        .seconds
        .iter()
        .fold((f64::MAX, 0.0_f64), |(a, b), s| (a.min(*s), b.max(*s)));
    println!(
        "| `{}` | {wall:.2} | {least:.2}–{most:.2} | {:.0} | {:.1} | {:.1} |",
        timed.name,
        memory / 1024.0,
        wall / status.0,
        memory / status.1
    );
}

/// Prints the binary's size and how long it takes to start.
pub fn print_start() -> Result<(), String> {
    let plugin = plugin()?;
    let size = std::fs::metadata(&plugin).map_err(|e| e.to_string())?.len();
    println!("\nbinary: {:.1} MB", size as f64 / 1e6);
    for arguments in [&["--version"][..], &["explain", "cni-missing"]] {
        let mut times = vec![];
        for _ in 0..21 {
            let begin = Instant::now();
            let status = Command::new(&plugin)
                .args(arguments)
                .stdout(Stdio::null())
                .status();
            status.map_err(|e| e.to_string())?;
            times.push(begin.elapsed().as_secs_f64() * 1000.0);
        }
        println!(
            "`{}`: {:.1} ms (median of 21)",
            arguments.join(" "),
            median(&times)
        );
    }
    Ok(())
}

fn plugin() -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(|e| e.to_string())?;
    let beside = own
        .parent()
        .and_then(Path::parent)
        .map(|folder| folder.join("kubectl-byocni"));
    beside
        .filter(|p| p.is_file())
        .ok_or_else(|| "the plugin is not built: cargo build --release".to_string())
}

/// Runs a command under GNU time, which reads the kernel's own account of the process.
fn run(timed: &Timed, kubeconfig: &Path) -> Result<(f64, f64), String> {
    let account = tempfile::NamedTempFile::new().map_err(|e| e.to_string())?;
    let status = Command::new("/usr/bin/time")
        .args(["--quiet", "-f", "%e %M", "-o"])
        .arg(account.path())
        .arg(&timed.program)
        .args(&timed.arguments)
        .env("KUBECONFIG", kubeconfig)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .map_err(|e| format!("GNU time (Debian's package `time`) is needed: {e}"))?;
    // A status that could not read everything would be quick and worth nothing.
    if !status.success() {
        return Err(format!("{} ended with {status}", timed.name));
    }
    let text = std::fs::read_to_string(account.path()).map_err(|e| e.to_string())?;
    let numbers: Vec<f64> = text.split_whitespace().filter_map(|n| n.parse().ok()).collect();
    match numbers[..] {
        [seconds, kilobytes] => Ok((seconds, kilobytes)),
        _ => Err(format!("{}: {status}, {text}", timed.name)),
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}
