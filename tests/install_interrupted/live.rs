//! What a terminal shows of a change: a clock that goes on between the looks, what is waited for, and no flicker.

use std::{
    collections::BTreeSet,
    process::{Command, Stdio},
};

use rustix::process::Signal;

use crate::{
    clusters::required_or_skip,
    stage::{LONG, Stage},
};

/// Runs the plugin to its end in a terminal of 100 columns, and returns all that it wrote there. `None` where no terminal
/// can be played.
fn in_a_terminal(stage: &Stage, arguments: &str) -> Option<String> {
    let played = Command::new("script").arg("--version").output();
    required_or_skip(
        "terminal",
        played.map_err(|e| format!("script (util-linux): {e}")),
    )?;
    let line = format!("{} {arguments}", env!("CARGO_BIN_EXE_kubectl-byocni"));
    let plugin = stage.command(stage.proxy.kubeconfig(), &[]);
    let mut script = Command::new("script");
    script.args(["-qec", line.as_str(), "/dev/null"]).env_clear();
    script.envs(plugin.get_envs().filter_map(|(name, value)| Some((name, value?))));
    script.envs([
        ("TERM", "xterm-256color"),
        ("SHELL", "/bin/sh"),
        ("COLUMNS", "100"),
    ]);
    let output = script.stdin(Stdio::null()).output().expect("script starts");
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Without colours.
fn plain(shown: &str) -> String {
    let mut plain = String::new();
    for (at, piece) in shown.split("\u{1b}[").enumerate() {
        let colour = piece
            .split_once('m')
            .filter(|(code, _)| at > 0 && code.chars().all(|c| c.is_ascii_digit() || c == ';'));
        match colour {
            Some((_, text)) => plain.push_str(text),
            None if at > 0 => plain.extend(["\u{1b}[", piece]),
            None => plain.push_str(piece),
        }
    }
    plain
}

/// The clocks, in seconds, of all drawings of a line that holds this text: `…  1m5s, at most 48s more` is 65. What is
/// drawn anew is cleared to its end.
fn clocks(shown: &str, of: &str) -> BTreeSet<u64> {
    let clock = |line: &str| -> Option<u64> {
        let before = line.rsplit_once(", ")?.0;
        let time = before.rsplit(' ').next()?.strip_suffix('s')?;
        match time.split_once('m') {
            Some((minutes, seconds)) => {
                Some(minutes.parse::<u64>().ok()? * 60 + seconds.parse::<u64>().ok()?)
            }
            None => time.parse().ok(),
        }
    };
    let lines = shown.split("\u{1b}[K").filter(|line| line.contains(of));
    lines.filter_map(clock).collect()
}

/// A run that was killed left its lease behind: the next one says that it waits for it, second by second, and then shows
/// the gate, second by second too, though it looks only every other second.
#[test]
fn the_clock_goes_on_in_a_terminal() {
    let Some(stage) = Stage::set(3) else { return };
    stage.hold_agents();
    let mut run = stage.install("cilium", &[]);
    run.says("gate: ");
    run.signal(Signal::KILL);
    let _ = run.end(LONG);
    stage.free_agents();
    let Some(shown) = in_a_terminal(&stage, "resume --yes --color=always") else {
        return;
    };
    let shown = plain(&shown);
    assert!(shown.contains("DONE"), "{shown}");
    let waited = clocks(&shown, "still holds the lock");
    assert!(waited.len() >= 8, "of 15 s: {waited:?}\n{shown}");
    let gate = clocks(&shown, "installing Cilium");
    let longest = gate.last().copied().unwrap_or(0);
    // It settles for 30 s; a clock of looks alone would show every other second of them at best.
    let few = gate.len() as u64 * 3 < longest * 2;
    assert!(longest >= 30 && !few, "{gate:?}\n{shown}");
    // Nothing is cleared as a whole before it is drawn again: that would flicker.
    let block = shown.split("gate: ").nth(1).unwrap_or_default();
    assert!(
        !block.contains("\u{1b}[2J") && block.contains("\u{1b}[K"),
        "{shown}"
    );
    // The step that waited stays, with the time that it took.
    let mut steps = shown
        .lines()
        .filter(|line| line.contains("lock: take the lock over"));
    let step = steps.next_back().unwrap_or_default();
    assert!(
        step.trim_end().ends_with('s') && !step.contains("\u{1b}[K"),
        "{step}\n{shown}"
    );
}
