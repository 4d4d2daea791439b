//! `completion`: the scripts of the shells, and what kubectl needs to complete our command line.

use std::path::{Path, PathBuf};

use clap::{Args as ClapArgs, Subcommand, ValueHint};

use crate::{
    cli::{Failure, Outcome, completing::scripts::Shell, terminal::Terminal},
    io::completer::{self, Placed},
};

/// Complete commands, flags and values with TAB
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Examples:\n  kubectl byocni completion install            (for kubectl byocni <TAB>)\n  \
kubectl-byocni completion bash > kubectl-byocni.bash\n\n\
kubectl byocni <TAB> is kubectl's to complete: it asks the executable kubectl_complete-byocni, which `install` puts on the \
PATH. The scripts are for the plugin called by its own name, kubectl-byocni."
)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Make kubectl byocni <TAB> work: put kubectl_complete-byocni on the PATH
    #[command(
        after_help = "Examples:\n  kubectl byocni completion install\n  kubectl byocni completion install --dir bin\n\n\
It is a link to the plugin, beside it where that folder is on the PATH and can be written, else in the first folder of the \
PATH that can, those of your home before others; it stays good when the plugin is upgraded. kubectl must have its own completion (kubectl completion --help)."
    )]
    Install(Install),
    /// Print the script for bash
    #[command(
        after_help = "Examples:\n  source <(kubectl-byocni completion bash)\n  kubectl-byocni completion bash > kubectl-byocni.bash"
    )]
    Bash,
    /// Print the script for zsh
    #[command(
        after_help = "Examples:\n  source <(kubectl-byocni completion zsh)\n  kubectl-byocni completion zsh > _kubectl-byocni    (in a folder of $fpath)"
    )]
    Zsh,
    /// Print the script for fish
    #[command(
        after_help = "Examples:\n  kubectl-byocni completion fish | source\n  kubectl-byocni completion fish > ~/.config/fish/completions/kubectl-byocni.fish"
    )]
    Fish,
    /// Print the script for PowerShell
    #[command(
        after_help = "Examples:\n  kubectl-byocni completion powershell | Out-String | Invoke-Expression"
    )]
    Powershell,
}

#[derive(Debug, ClapArgs)]
struct Install {
    /// The folder to put it in
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    dir: Option<PathBuf>,
}

/// Prints a script, or puts the executable in its place; `called` is the name that we were run by.
pub fn run(args: &Args, called: &Path, terminal: &Terminal) -> Result<Outcome, Failure> {
    let shell = match &args.what {
        What::Install(install) => return placed(install.dir.as_deref(), called, terminal),
        What::Bash => Shell::Bash,
        What::Zsh => Shell::Zsh,
        What::Fish => Shell::Fish,
        What::Powershell => Shell::Powershell,
    };
    terminal.print(shell.script())?;
    Ok(Outcome::Done)
}

fn placed(folder: Option<&Path>, called: &Path, terminal: &Terminal) -> Result<Outcome, Failure> {
    let Placed {
        path,
        plugin,
        before,
        on_path,
    } = completer::place(called, folder).map_err(|error| Failure {
        message: error.to_string(),
        hint: Some(error.hint()),
        outcome: Outcome::Failed,
    })?;
    let (path, plugin) = (path.display(), plugin.display());
    let done = match before {
        true => "is there already, for",
        false => "is now there, for",
    };
    terminal.print(&format!("{path} {done} {plugin}\n"))?;
    if on_path {
        terminal.say(
            "kubectl byocni <TAB> works where kubectl's own completion does: source <(kubectl completion bash), or zsh",
        );
    } else {
        terminal.say(
            "its folder is not on the PATH, so kubectl does not find it there: add the folder to the PATH",
        );
    }
    Ok(Outcome::Done)
}
