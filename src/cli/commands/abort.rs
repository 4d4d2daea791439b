//! `abort`: takes an interrupted change back.

use std::path::Path;

use clap::Args as ClapArgs;

use crate::{
    cli::{
        Failure, Outcome,
        changing::{self, Output, confirmed, tell_end},
        global::Global,
        interrupted::Interrupted,
        signals::Signals,
        terminal::Terminal,
        watching::{Watcher, awaited},
    },
    core::{
        change::{Event, where_it_stands},
        facts::Asked,
    },
    io::{
        change::{self, Former, Job, planning::expected},
        charts::Charts,
        helm::{Environment, Helm},
    },
    render::outcome,
};

/// Take a change back that was interrupted, or that failed and stayed
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Examples:\n  kubectl byocni abort\n  kubectl byocni abort --uninstall --yes\n\n\
Once an agent has run, its files stay on the nodes (/etc/cni/net.d, /opt/cni/bin, links, routes): without its DaemonSet \
nodes then count as Ready and give no pod a network, until another CNI takes over or the node is reimaged. \
That is why --uninstall must be said."
)]
pub struct Args {
    /// Remove the release also where agents have run
    #[arg(long)]
    uninstall: bool,
    /// Do it without asking
    #[arg(short, long)]
    yes: bool,
    /// The format of the result
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// Reads the journal, shows where it stands, asks, takes it back.
pub async fn run(args: &Args, global: &Global, terminal: &Terminal) -> Result<Outcome, Failure> {
    let signals = Signals::listen();
    let said = "left in the middle: kubectl byocni abort tries again";
    signals
        .unless_left(aborted(args, global, terminal, &signals), terminal, said)
        .await
}

async fn aborted(
    args: &Args,
    global: &Global,
    terminal: &Terminal,
    signals: &Signals,
) -> Result<Outcome, Failure> {
    let read = awaited(terminal, "reading the journal …", Interrupted::read(global)).await;
    terminal.settle();
    let Some(found) = read? else {
        terminal.say("no change was interrupted here: there is nothing to abort");
        return Ok(Outcome::Done);
    };
    terminal.say(&where_it_stands(&found.operation));
    let helm = Helm::find(&Environment::read()).await;
    let helm = changing::helm(&helm)?;
    let charts = Charts::new(Some(helm))?;
    // Without its chart a change can be taken back all the same: helm's record says what it made.
    let parts = found.parts(helm, &charts).await.ok();
    let rendered = parts.as_ref().map(|p| p.rendered.as_slice()).unwrap_or_default();
    let definitions = parts
        .as_ref()
        .map(|p| p.definitions.as_slice())
        .unwrap_or_default();
    let question = format!(
        "Take {} {} away from {}?",
        found.name(),
        found.operation.chart.version,
        found.connection.context()
    );
    if !confirmed(args.yes, &question, terminal, signals).await? {
        terminal.say("nothing was changed");
        return Ok(Outcome::Refused);
    }
    let changed = outcome::Changed {
        change: found.operation.change,
        cni: found.name(),
        version: found.operation.chart.version.clone(),
        release: format!("{}/{}", found.operation.namespace, found.operation.release),
        from: found.before(),
    };
    let asked = Asked::default();
    let watcher = Watcher::new(terminal, String::new(), std::time::Duration::ZERO);
    let tell = |event: &Event| watcher.see(event);
    let kept = found.former(&charts).await;
    let former = kept.as_ref().map(|kept| Former {
        chart: &kept.chart.path,
        version: &kept.recorded.chart.version,
        values: &kept.recorded.values,
        expected: expected(
            &found.operation,
            found.cni,
            &kept.recorded.manifest,
            found.settle(),
        ),
    });
    let job = Job {
        connection: &found.connection,
        helm,
        target: &found.target,
        expected: expected(&found.operation, found.cni, rendered, found.settle()),
        operation: found.operation.clone(),
        chart: parts.as_ref().map_or(Path::new(""), |p| &p.chart.path),
        definitions,
        luggage: found.luggage.clone().unwrap_or_default(),
        former,
        asked: &asked,
        stop: signals.stop(),
        tell: &tell,
    };
    let ended = watcher.during(change::abort(job, args.uninstall)).await;
    watcher.end();
    let outcome = tell_end(&changed, &ended?, args.output, terminal)?;
    // What was asked for has been done: the change is gone.
    Ok(if outcome == Outcome::RolledBack {
        Outcome::Done
    } else {
        outcome
    })
}
