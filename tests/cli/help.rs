//! Help, and command lines that are wrong.

use super::run::{byocni, shot};

#[test]
fn help() {
    shot!("help_short", byocni("-h").end());
    shot!("help_long", byocni("--help").end());
    shot!("help_none", byocni("").end());
    shot!("help_status", byocni("status -h").end());
    shot!("help_capture", byocni("capture --help").end());
    shot!("help_explain", byocni("explain --help").end());
}

#[test]
fn wrong_command_lines() {
    shot!("wrong_flag", byocni("status --form x.yaml").end());
    shot!("wrong_verb", byocni("stauts").end());
    shot!("wrong_format", byocni("status -o jsn").end());
    shot!("wrong_together", byocni("status --watch --from x.yaml").end());
    shot!("wrong_wait_from", byocni("status --wait --from x.yaml").end());
    shot!("wrong_watch_json", byocni("status --watch -o json").end());
    shot!("wrong_time", byocni("status --request-timeout soon").end());
    shot!("wrong_selector", byocni("status -l").arg("a in (").end());
}

#[test]
fn help_of_upgrades() {
    shot!("help_upgrade", byocni("upgrade --help").end());
    shot!("help_rollback", byocni("rollback --help").end());
    shot!("help_history", byocni("history --help").end());
    shot!(
        "wrong_upgrade_twice",
        byocni("upgrade --to 1.20 --version 1.20.0").end()
    );
    shot!("wrong_upgrade_parallel", byocni("upgrade --max-parallel 0").end());
    shot!("wrong_rollback_revision", byocni("rollback last").end());
}

#[test]
fn version() {
    let ended = byocni("version --client").end();
    let expected = format!(
        "kubectl-byocni  v{}\nhelm            none that can be used: helm was not found: there is none on the PATH\n",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(
        (ended.code, &*ended.stdout, &*ended.stderr),
        (Some(0), &*expected, "")
    );
    let ended = byocni("--version").end();
    assert_eq!(ended.code, Some(0));
    assert!(
        ended.stdout.contains(env!("CARGO_PKG_VERSION")),
        "{}",
        ended.stdout
    );
    let ended = byocni("version --client -o json").end();
    assert!(ended.stdout.starts_with('{'), "{}", ended.stdout);
}
