//! `capture`: what `status` reads, as a file.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::status;
use crate::{
    cli::{Failure, Outcome, global::Global, terminal::Terminal},
    core::{capture::State, facts::Asked},
    io::capture_file,
};

/// Write what `status` reads as plain Kubernetes YAML; secrets are never in it
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Examples:\n  kubectl byocni capture -f cluster.yaml\n  kubectl byocni status --from cluster.yaml"
)]
pub struct Args {
    /// The file to write; - is standard output
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
}

/// Reads the cluster and writes the file.
pub async fn run(args: &Args, global: &Global, terminal: &Terminal) -> Result<Outcome, Failure> {
    let capture = status::read_live(&Asked::default(), global, terminal).await?;
    capture_file::save(&capture, &args.file)?;
    let unread = capture.states.iter().filter_map(|(source, state)| match state {
        State::Read | State::Absent => None,
        other => other.missing(*source),
    });
    let unread: Vec<String> = unread.collect();
    if !unread.is_empty() {
        terminal.say(&format!(
            "not in it, because it could not be read: {}",
            unread.join(", ")
        ));
    }
    if args.file != std::path::Path::new("-") {
        let file = args.file.display().to_string();
        let nodes = crate::core::words::count(capture.nodes.len(), "node");
        terminal.say(&format!(
            "wrote {file}: {nodes}; read it back with: kubectl byocni status --from {file}"
        ));
    }
    Ok(if unread.is_empty() {
        Outcome::Done
    } else {
        Outcome::Incomplete
    })
}
