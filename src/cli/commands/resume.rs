//! `resume`: finishes a change that was interrupted or that failed half-way, from its journal, on any machine.

use std::{path::PathBuf, time::Duration};

use clap::{Args as ClapArgs, ValueHint};

use crate::{
    cli::{
        Failure, Outcome,
        changing::{self, Output, confirmed, progressive, tell_end},
        global::Global,
        interrupted::Interrupted,
        signals::Signals,
        terminal::Terminal,
        watching::{Watcher, awaited},
    },
    core::{
        change::{Event, where_it_stands},
        cni::Cni,
        facts::{Asked, Facts},
        plan::{sought, version},
    },
    io::{
        change::{self, Former, Job, planning::expected},
        charts::{ChartSource, Charts},
        cluster,
        connection::parse_duration,
        helm::{Environment, Helm},
    },
    render::outcome,
};

/// Finish a change that was interrupted, or that failed and stayed
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Examples:\n  kubectl byocni resume\n  kubectl byocni resume --version 1.19.6        (with another version than the one that failed)\n  \
kubectl byocni resume --set extraArgs=null    (with other values than those that failed)\n\n\
The journal (ConfigMap kubectl-byocni in kube-system) and the Secret beside it hold all that is needed: it works from any machine."
)]
pub struct Args {
    /// Go on with this version of the chart instead
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
    /// Go on with this chart instead: a folder, a .tgz, a URL or oci://…
    #[arg(long, value_name = "CHART", value_hint = ValueHint::AnyPath)]
    chart: Option<String>,
    /// Where --version is looked for: a URL, oci://…, or a folder of charts
    #[arg(long, value_name = "REPO", value_hint = ValueHint::DirPath, conflicts_with = "chart")]
    repo: Option<String>,
    /// A file of values for the chart, over those of the change (may be repeated)
    #[arg(short = 'f', long, value_name = "FILE")]
    values: Vec<PathBuf>,
    /// A value for the chart, over those of the change: key=value; key=null takes one away (may be repeated)
    #[arg(long, value_name = "KEY=VALUE", allow_hyphen_values = true)]
    set: Vec<String>,
    /// The same, always taken as text
    #[arg(long, value_name = "KEY=VALUE", allow_hyphen_values = true)]
    set_string: Vec<String>,
    /// The same, as JSON: key=JSON
    #[arg(long, value_name = "KEY=JSON", allow_hyphen_values = true)]
    set_json: Vec<String>,
    /// How long the network may take to come up [default: as planned]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    timeout: Option<Duration>,
    /// Do it without asking
    #[arg(short, long)]
    yes: bool,
    /// The format of the result
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// Reads the journal, shows where it stands, asks, goes on.
pub async fn run(args: &Args, global: &Global, terminal: &Terminal) -> Result<Outcome, Failure> {
    let signals = Signals::listen();
    let said = "left in the middle: kubectl byocni resume goes on, kubectl byocni abort takes it back";
    signals
        .unless_left(resumed(args, global, terminal, &signals), terminal, said)
        .await
}

async fn resumed(
    args: &Args,
    global: &Global,
    terminal: &Terminal,
    signals: &Signals,
) -> Result<Outcome, Failure> {
    let over = changing::user_values(&args.values, &args.set_json, &args.set, &args.set_string)?;
    let other_values = over.as_object().is_some_and(|values| !values.is_empty());
    let read = awaited(terminal, "reading the journal …", Interrupted::read(global)).await;
    terminal.settle();
    let Some(mut found) = read? else {
        terminal.say("no change was interrupted here: there is nothing to resume");
        return Ok(Outcome::Done);
    };
    terminal.say(&where_it_stands(&found.operation));
    let helm = Helm::find(&Environment::read()).await;
    let helm = changing::helm(&helm)?;
    let charts = Charts::new(Some(helm))?;
    let asked = Asked::default();
    let source = match (&args.chart, &args.version, found.cni.and_then(|c| c.installing)) {
        (Some(chart), _, _) => Some(ChartSource::chart(chart)?),
        (None, Some(_), Some(installing)) => Some(ChartSource::of(installing, args.repo.as_deref())?),
        (None, Some(_), None) => {
            return Err(Failure::usage(
                "--version alone does not say where the chart is",
                "kubectl byocni resume --chart PATH|URL|oci://…",
            ));
        }
        (None, None, _) => None,
    };
    let parts = match source {
        Some(_) if found.luggage.is_none() => {
            return Err(Failure {
                message: "the change cannot be gone on with: the Secret kubectl-byocni in kube-system is gone, and with it \
                          the user's values"
                    .into(),
                hint: Some("kubectl byocni abort takes it back; then install anew".into()),
                outcome: Outcome::Refused,
            });
        }
        Some(source) => {
            let version = match (&args.version, found.cni) {
                (Some(wanted), Some(cni)) => {
                    Some(offered(&charts, &source, cni, wanted, &found, &asked).await?)
                }
                (wanted, _) => wanted.clone(),
            };
            let chart = charts.fetch(&source, version.as_deref()).await?;
            let crd_charts = match found.cni.and_then(|cni| cni.installing) {
                Some(installing) => {
                    charts
                        .definitions(installing, &source, &chart.chart.version)
                        .await?
                }
                None => None,
            };
            let crd_charts: Vec<_> = crd_charts.into_iter().collect();
            found.parts_with(helm, chart, &crd_charts, &over, &asked).await?
        }
        None if other_values => {
            let (chart, crd_charts, _) = found.kept(&charts)?;
            found.parts_with(helm, chart, &crd_charts, &over, &asked).await?
        }
        None => found.parts(helm, &charts).await?,
    };
    if let Some(timeout) = args.timeout {
        found.operation.gate_seconds = timeout.as_secs();
    }
    let version = parts.chart.chart.app_version.trim_start_matches('v').to_string();
    let name = format!("{} {version}", found.name());
    if !confirmed(
        args.yes,
        &format!("Go on with {name} on {}?", found.connection.context()),
        terminal,
        signals,
    )
    .await?
    {
        terminal.say("nothing was changed");
        return Ok(Outcome::Refused);
    }
    let changed = outcome::Changed {
        change: found.operation.change,
        cni: found.name(),
        version,
        release: format!("{}/{}", found.operation.namespace, found.operation.release),
        from: found.before(),
    };
    let head = format!("{} {name}", progressive(found.operation.change));
    let watcher = Watcher::new(terminal, head, Duration::from_secs(found.operation.gate_seconds));
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
        expected: expected(&found.operation, found.cni, &parts.rendered, found.settle()),
        operation: found.operation.clone(),
        chart: &parts.chart.path,
        definitions: &parts.definitions,
        luggage: parts.luggage.clone(),
        former,
        asked: &asked,
        stop: signals.stop(),
        tell: &tell,
    };
    let ended = watcher.during(change::resume(job, &found.stood)).await;
    watcher.end();
    tell_end(&changed, &ended?, args.output, terminal)
}

/// The version that `--version` means, as for `install`: `1.19` is its newest patch that suits the cluster.
async fn offered(
    charts: &Charts<'_>,
    source: &ChartSource,
    cni: &Cni,
    wanted: &str,
    found: &Interrupted,
    asked: &Asked,
) -> Result<String, Failure> {
    let questions = sought::for_install(cni, Some(wanted));
    let offered = charts.sought(source, &questions, |_| true).await?;
    let capture = cluster::read(&found.connection, asked, &|_, _, _| {}).await?;
    let facts = Facts::of(&capture, asked);
    let (offered, _) = version::choose(&offered, cni, Some(wanted), &facts).map_err(|finding| Failure {
        message: format!("{}: {}", finding.code.slug, finding.message),
        hint: Some(finding.fix.to_string()),
        outcome: Outcome::Refused,
    })?;
    Ok(offered.version)
}
