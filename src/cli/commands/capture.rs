//! `capture`: what `status` and plans read, as a file.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::status::{self, Reading};
use crate::{
    cli::{Failure, Outcome, global::Global, terminal::Terminal},
    core::{capture::Source, facts::Asked},
    io::capture_file,
};

/// Write what `status` and plans read as plain Kubernetes YAML; secrets are never in it
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Examples:\n  kubectl byocni capture -f cluster.yaml\n  kubectl byocni status --from cluster.yaml\n  \
kubectl byocni install cilium --dry-run=client --from cluster.yaml"
)]
pub struct Args {
    /// The file to write; - is standard output
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
}

/// Reads the cluster and writes the file.
pub async fn run(args: &Args, global: &Global, terminal: &Terminal) -> Result<Outcome, Failure> {
    let capture = status::read_live(&Asked::default(), Reading::Change, global, terminal).await?;
    capture_file::save(&capture, &args.file)?;
    let missing = |for_change: bool| -> Vec<String> {
        let sources = capture.states.iter();
        let sources = sources.filter(|(source, _)| Source::FOR_CHANGE.contains(source) == for_change);
        sources
            .filter_map(|(source, state)| state.missing(*source))
            .collect()
    };
    let (unread, unplanned) = (missing(false), missing(true));
    if !unread.is_empty() {
        terminal.say(&format!(
            "not in it, because it could not be read: {}",
            unread.join(", ")
        ));
    }
    // `status` does without, so the capture is whole all the same.
    if !unplanned.is_empty() {
        terminal.say(&format!(
            "also not in it, so that plans from it skip what rests on these: {}",
            unplanned.join(", ")
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
