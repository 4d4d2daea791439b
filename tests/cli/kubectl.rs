//! As a plugin of the real kubectl, where one is installed.

use std::{env, path::PathBuf};

use super::{programs::required_or_skip, run::byocni};

fn on_path(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?)
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}

/// The real kubectl, where one is installed.
pub fn required() -> Option<PathBuf> {
    let found = on_path("kubectl").ok_or_else(|| "there is no kubectl on the PATH".to_string());
    required_or_skip("kubectl", found)
}

#[cfg(unix)]
#[test]
fn help_is_in_kubectls_words() {
    let Some(kubectl) = required() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let link = folder.path().join("kubectl-byocni");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_kubectl-byocni"), link).expect("a link");
    let path = folder.path().display().to_string();

    let ended = byocni("byocni status --help").env("PATH", &path).end_as(&kubectl);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(
        ended.stdout.contains("Usage: kubectl byocni status"),
        "{}",
        ended.stdout
    );

    // Exit codes come through, and so do flags after the plugin's name.
    let ended = byocni("byocni status --from fresh-byocni.yaml --color never").example("fresh-byocni.yaml");
    assert_eq!(ended.env("PATH", &path).end_as(&kubectl).code, Some(3));
    let ended = byocni("byocni explain nothing-like-it")
        .env("PATH", &path)
        .end_as(&kubectl);
    assert_eq!(ended.code, Some(2));
    assert!(
        ended.stderr.contains("kubectl byocni explain"),
        "{}",
        ended.stderr
    );
}
