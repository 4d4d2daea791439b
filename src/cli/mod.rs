//! The command line: one file a verb, thin; flags that every verb has; the exit codes.
#![expect(clippy::disallowed_methods, reason = "the command line is read here, once")]

mod changing;
mod commands;
mod completing;
mod exit;
mod from_file;
mod global;
mod interrupted;
mod replacing;
mod signals;
mod terminal;
mod usage;
mod watching;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

pub use completing::scripts;
pub use exit::{Failure, Outcome};
use global::Global;
use terminal::Terminal;

/// Inspect the CNI of a cluster that comes without one.
#[derive(Debug, Parser)]
#[command(
    name = "kubectl-byocni",
    version,
    about = "The network of a cluster without a built-in CNI: what it is doing and why, and a CNI for it",
    long_about = "Looks at a cluster that comes without a CNI (above all AKS created with --network-plugin none), says \
                  in one page what its network's state is, why, and what to do next; and installs, upgrades and rolls \
                  back the CNI in place, behind gates of its own. Looking reads API objects only: no exec, no logs, no pods started.\n\nMicrosoft does not support CNI problems on BYOCNI clusters; `explain` says \
                  what to collect for the CNI's own community.",
    after_help = "Examples:\n  kubectl byocni status                      (what its state is, and why)\n  \
                  kubectl byocni explain cni-missing         (what a finding means)\n  \
                  kubectl byocni install cilium --dry-run    (what an install would do)\n  \
                  kubectl byocni completion install          (complete with TAB)\n\nExit codes:\n  0    healthy, or done\n  1    could not do it: the API, a file\n  2    wrong usage\n  \
                  3    the cluster is unhealthy\n  4    refused; nothing was changed\n  5    something needed could not be read\n  \
                  6    the change failed and was taken back\n  7    the change failed and was not recovered\n  130  interrupted",
    subcommand_required = true,
    arg_required_else_help = true
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
    /// The name that we were run by.
    #[arg(skip)]
    called: PathBuf,
}

/// In the order in which help lists them: what is done to a cluster, as it comes in its life; then what helps with that.
#[derive(Debug, Subcommand)]
enum Verb {
    Status(commands::status::Args),
    Install(Box<commands::install::Args>),
    Upgrade(Box<commands::upgrade::Args>),
    Rollback(commands::rollback::Args),
    History(commands::history::Args),
    Resume(Box<commands::resume::Args>),
    Abort(commands::abort::Args),
    Explain(commands::explain::Args),
    Capture(commands::capture::Args),
    Completion(commands::completion::Args),
    Version(commands::version::Args),
}

impl Verb {
    /// Whether it may change the cluster.
    fn changes(&self) -> bool {
        matches!(
            self,
            Verb::Install(_) | Verb::Upgrade(_) | Verb::Rollback(_) | Verb::Resume(_) | Verb::Abort(_)
        )
    }
}

/// Runs the command line that the process was given.
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    if let Some((words, described)) = completing::asked(&arguments) {
        return completing::answer(&words, described);
    }
    let matches = match command(&arguments).try_get_matches_from(&arguments) {
        Ok(matches) => matches,
        Err(error) => return usage(error, &arguments),
    };
    let mut cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => return usage(error.format(&mut command(&arguments)), &arguments),
    };
    cli.called = arguments.first().map(PathBuf::from).unwrap_or_default();
    let terminal = Terminal::new(cli.global.color);
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // Pages are parsed there: more threads would each keep memory of their own.
        .max_blocking_threads(2)
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            terminal.failure(&Failure::new(format!("cannot start: {error}")));
            return Outcome::Failed.into();
        }
    };
    let outcome = runtime.block_on(async {
        if cli.verb.changes() {
            // It stops at a safe point (cli/signals.rs).
            return run(&cli, &terminal).await;
        }
        tokio::select! {
            outcome = run(&cli, &terminal) => outcome,
            // Nothing is written by these commands: leaving at once leaves nothing behind.
            _ = interrupted() => Ok(Outcome::Interrupted),
        }
    });
    // Answers that are still on their way are of no more use.
    runtime.shutdown_background();
    match outcome {
        Ok(outcome) => outcome.into(),
        Err(failure) => {
            terminal.failure(&failure);
            failure.outcome.into()
        }
    }
}

async fn run(cli: &Cli, terminal: &Terminal) -> Result<Outcome, Failure> {
    match &cli.verb {
        Verb::Status(args) => commands::status::run(args, &cli.global, terminal).await,
        Verb::Capture(args) => commands::capture::run(args, &cli.global, terminal).await,
        Verb::Explain(args) => commands::explain::run(args, terminal),
        Verb::Version(args) => commands::version::run(args, &cli.global, terminal).await,
        Verb::Install(args) => commands::install::run(args, &cli.global, terminal).await,
        Verb::Upgrade(args) => commands::upgrade::run(args, &cli.global, terminal).await,
        Verb::Rollback(args) => commands::rollback::run(args, &cli.global, terminal).await,
        Verb::History(args) => commands::history::run(args, &cli.global, terminal).await,
        Verb::Resume(args) => commands::resume::run(args, &cli.global, terminal).await,
        Verb::Abort(args) => commands::abort::run(args, &cli.global, terminal).await,
        Verb::Completion(args) => commands::completion::run(args, &cli.called, terminal),
    }
}

/// The command line's grammar, named as its user called it: through kubectl there is no dash.
fn command(arguments: &[OsString]) -> clap::Command {
    let called = arguments.first().map(Path::new).and_then(Path::file_stem);
    let through_kubectl = called.is_some_and(|stem| stem.to_string_lossy().starts_with("kubectl-"));
    if through_kubectl {
        grammar()
    } else {
        Cli::command()
    }
}

/// The whole grammar of the command line, in kubectl's words: what help, completion and pages are made of.
pub fn grammar() -> clap::Command {
    Cli::command().name("kubectl byocni").bin_name("kubectl byocni")
}

/// Help and version go to standard output and are no failure; clap writes both, coloured as the terminal allows.
fn usage(error: clap::Error, arguments: &[OsString]) -> ExitCode {
    let error = usage::advised(error, arguments);
    let _ = error.print();
    if error.use_stderr() {
        Outcome::Usage.into()
    } else {
        Outcome::Done.into()
    }
}

#[cfg(unix)]
async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
        }
        Err(_) => {
            let _ = tokio::signal::ctrl_c().await;
        }
    }
}

#[cfg(not(unix))]
async fn interrupted() {
    let _ = tokio::signal::ctrl_c().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_is_sound() {
        Cli::command().debug_assert();
    }
}
