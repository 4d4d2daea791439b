//! `rollback`: back to a revision that was good, by the same plan, rollout and gate as an upgrade.

use std::{path::PathBuf, time::Duration};

use clap::{Args as ClapArgs, ValueHint};
use serde_json::{Map, Value};

use crate::{
    cli::{
        Failure, Outcome,
        changing::{self, DryRun, Output, of_plans, opened, tell_end},
        from_file::{self, Told, Ways},
        global::Global,
        replacing::{Hop, Pacing, Standing, agreed, carry_out, drawn, live, refused},
        signals::Signals,
        terminal::Terminal,
        watching::awaited,
    },
    core::{
        cni::Cni,
        code::Change,
        codes::upgrade::ROLLBACK_UNSAFE,
        facts::{Asked, Facts, release},
        finding::{Finding, Subject},
        plan::Request,
        revision::{Past, last_good, strategy_only},
    },
    io::{
        change::planning::{Origin, Planner, Replacing},
        charts::Charts,
        connection::parse_duration,
        helm::{Environment, Helm, HelmError},
    },
};

/// Go back to a revision that was good: plan, check, replace agents node by node, watch
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Examples:\n  kubectl byocni rollback --dry-run      (to the last revision that was good)\n  \
kubectl byocni rollback 3 --yes        (to this one; kubectl byocni history lists them)\n  \
kubectl byocni rollback 1 --version 1.19.6 --dry-run=client --from cluster.yaml --repo ./charts -f values.yaml\n\n\
Chart and values come from Helm's own record: the place that the chart once came from is not asked. It is never the \
revision before by rule, and never one that failed. CustomResourceDefinitions stay as they are."
)]
pub struct Args {
    /// The revision to go back to [default: the last one that was good]
    #[arg(value_name = "REVISION", value_parser = number)]
    revision: Option<i64>,
    #[command(flatten)]
    pacing: Pacing,
    /// Only show the plan; `server` also lets the API server try every object without keeping it
    #[arg(long, value_enum, value_name = "WHERE", num_args = 0..=1, require_equals = true, default_missing_value = "client")]
    dry_run: Option<DryRun>,
    /// Plan from a capture instead of a cluster (with --dry-run=client, REVISION and --version; may be repeated)
    #[arg(long, value_name = "FILE", requires_all = ["dry_run", "revision", "version"])]
    from: Vec<PathBuf>,
    /// With --from: the chart's version in that revision, as kubectl byocni history lists it
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
    /// With --from: where its chart is looked for, a URL, oci://…, or a folder of charts [default: the project's own repository]
    #[arg(long, value_name = "REPO", value_hint = ValueHint::DirPath, requires = "from")]
    repo: Option<String>,
    /// With --from: a file of the release's values (may be repeated)
    #[arg(short = 'f', long, value_name = "FILE", requires = "from")]
    values: Vec<PathBuf>,
    /// Do it without asking
    #[arg(short, long)]
    yes: bool,
    /// How long it may take [default: from the nodes, the waves and the agents' start-up time]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    timeout: Option<Duration>,
    /// Leave a failed rollback as it is
    #[arg(long)]
    no_rollback: bool,
    /// The format of the plan, and of the result
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

fn number(text: &str) -> Result<i64, String> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| format!("{text:?} is no revision: kubectl byocni history lists them by number"))
}

/// Plans, shows the plan, asks, goes back.
pub async fn run(args: &Args, global: &Global, terminal: &Terminal) -> Result<Outcome, Failure> {
    let signals = Signals::listen();
    let said =
        "left in the middle: kubectl byocni resume finishes the change, kubectl byocni abort takes it back";
    signals
        .unless_left(rolled_back(args, global, terminal, &signals), terminal, said)
        .await
}

async fn rolled_back(
    args: &Args,
    global: &Global,
    terminal: &Terminal,
    signals: &Signals,
) -> Result<Outcome, Failure> {
    if args.version.is_some() && args.from.is_empty() {
        return Err(Failure::usage(
            "a revision is named by its number, and its record says its version: --version is for --from alone",
            "kubectl byocni history, then kubectl byocni rollback REVISION",
        ));
    }
    let asked = Asked::default();
    let helm = Helm::find(&Environment::read()).await;
    if let (Some(number), Some(version), false) = (args.revision, &args.version, args.from.is_empty()) {
        return offline(args, global, terminal, &helm, (number, version)).await;
    }
    let program = changing::helm(&helm)?;
    let charts = Charts::new(Some(program))?;
    let Some(opened) = opened(global, &asked, terminal, signals).await? else {
        return Ok(Outcome::Interrupted);
    };
    let no = |finding: Finding| refused(Change::Rollback, finding, args.output, terminal);
    terminal.fleeting("planning …");
    let standing = Standing::read(&opened, program, &charts, global.namespace.as_deref(), &asked).await;
    terminal.settle();
    let standing = match standing? {
        Ok(standing) => standing,
        Err(finding) => return no(finding),
    };
    let revision = match target(args.revision, &standing) {
        Ok(revision) => revision,
        Err(finding) => return no(finding),
    };
    let to = standing.revision(&opened.connection, &charts, revision).await?;
    let request = request(args, global, standing.cni);
    let nodes = Facts::of(&opened.capture, &asked).served_nodes().count();
    let replacing = Replacing {
        from: &standing.kept.recorded,
        to: Some(&to.recorded),
        release: &standing.release,
        namespace: &standing.namespace,
        first: standing.first(),
        pace: args.pacing.pace(nodes),
        settle: args.pacing.settle(),
        hop: (1, 1),
        offered: &[],
        then: None,
    };
    let origin = Origin::Recorded(Box::new(to.chart.clone()));
    let planner = Planner {
        helm: helm.as_ref(),
        charts: &charts,
        request: &request,
        origin: &origin,
        version: None,
        asked: &asked,
        replacing: Some(&replacing),
        live: Some(live(&opened, args.dry_run == Some(DryRun::Server))),
    };
    let planned = tokio::select! {
        planned = awaited(terminal, "planning …", planner.plan(&opened.capture)) => planned,
        () = signals.asked(1) => { terminal.settle(); return Ok(Outcome::Interrupted) }
    };
    terminal.settle();
    let pages = [planned.plan.clone()];
    let outcome = of_plans(&pages, args.output, terminal);
    if args.dry_run.is_some() || outcome != Outcome::Done || planned.plan.nothing_to_do {
        terminal.print(&drawn(&pages, args.output, terminal))?;
        return Ok(outcome);
    }
    if args.output.is_text() {
        terminal.print(&drawn(&pages, args.output, terminal))?;
    }
    if !agreed(args.yes, &pages, terminal, signals).await? {
        terminal.say("nothing was changed");
        return Ok(Outcome::Refused);
    }
    let hop = Hop {
        planner: &planner,
        planned: &planned,
        request: &request,
        capture: &opened.capture,
        former: &standing.kept,
    };
    let (changed, ended) = carry_out(&hop, &opened, program, terminal, signals).await?;
    tell_end(&changed, &ended, args.output, terminal)
}

fn request(args: &Args, global: &Global, cni: Option<&'static Cni>) -> Request {
    Request {
        change: Change::Rollback,
        cni,
        pod_cidrs: vec![],
        user_values: Value::Object(Map::new()),
        namespace: global.namespace.clone(),
        timeout: args.timeout,
        take_ownership: false,
        // It is needed most when things are broken: what could be told before the installation is told then.
        assume_byocni: true,
        no_rollback: args.no_rollback,
    }
}

/// Plans against a capture, which holds neither chart nor values of a revision: what it is of is the user's word.
async fn offline(
    args: &Args,
    global: &Global,
    terminal: &Terminal,
    helm: &Result<Helm, HelmError>,
    revision: (i64, &str),
) -> Result<Outcome, Failure> {
    let asked = Asked::default();
    let capture = from_file::opened(&args.from, args.dry_run, "rollback REVISION --version VERSION")?;
    let values = changing::user_values(&args.values, &[], &[], &[])?;
    let charts = Charts::new(helm.as_ref().ok())?;
    let facts = Facts::of(&capture, &asked);
    let ways = Ways {
        charts: &charts,
        helm: helm.as_ref().ok(),
        chart: None,
        repo: args.repo.as_deref(),
    };
    let told = match Told::of(&facts, &ways, &values).await? {
        Ok(told) => told,
        Err(finding) => return refused(Change::Rollback, finding, args.output, terminal),
    };
    // A capture of ours lists revisions, without what they were of; other files know none.
    let known: Vec<Past> = facts
        .release
        .iter()
        .flat_map(|r| &r.revisions)
        .map(past)
        .collect();
    if !known.is_empty()
        && let Err(finding) = named(revision.0, &known, (&told.namespace, &told.release))
    {
        return refused(Change::Rollback, finding, args.output, terminal);
    }
    let to = told.revision(&facts, &ways, revision).await?;
    let request = request(args, global, Some(told.cni));
    let replacing = Replacing {
        from: &told.kept.recorded,
        to: Some(&to.recorded),
        release: &told.release,
        namespace: &told.namespace,
        first: None,
        pace: args.pacing.pace(facts.served_nodes().count()),
        settle: args.pacing.settle(),
        hop: (1, 1),
        offered: &[],
        then: None,
    };
    let planner = Planner {
        helm: helm.as_ref(),
        charts: &charts,
        request: &request,
        origin: &Origin::Recorded(Box::new(to.chart.clone())),
        version: None,
        asked: &asked,
        replacing: Some(&replacing),
        live: None,
    };
    let pages = [planner.plan(&capture).await.plan];
    if args.values.is_empty() {
        terminal.say(from_file::NO_VALUES);
    }
    terminal.print(&drawn(&pages, args.output, terminal))?;
    Ok(of_plans(&pages, args.output, terminal))
}

fn past(revision: &release::Revision) -> Past {
    Past {
        revision: revision.number,
        status: revision.status.clone(),
        // It stands in the record itself, which no capture holds.
        description: String::new(),
    }
}

/// The revision to go back to; a finding where there is none.
fn target(asked: Option<i64>, standing: &Standing) -> Result<i64, Finding> {
    let all: Vec<Past> = standing
        .revisions
        .iter()
        .map(|r| Past {
            revision: r.revision,
            status: r.status.clone(),
            description: r.description.clone(),
        })
        .collect();
    let release = (standing.namespace.as_str(), standing.release.as_str());
    match asked {
        None => last_good(&all, &standing.record.health).ok_or_else(|| {
            no_target(
                release,
                "no earlier revision is known to have been good: there is nothing to go back to".into(),
            )
        }),
        Some(asked) => named(asked, &all, release),
    }
}

/// A revision that was named, if it was ever good.
fn named(asked: i64, all: &[Past], release: (&str, &str)) -> Result<i64, Finding> {
    let Some(past) = all.iter().find(|past| past.revision == asked) else {
        return Err(no_target(
            release,
            format!("there is no revision {asked} (any more)"),
        ));
    };
    let why = match past.status.as_str() {
        _ if strategy_only(&past.description) => "only held agents still while they were replaced",
        "deployed" | "superseded" => return Ok(asked),
        _ => "never was deployed",
    };
    Err(no_target(
        release,
        format!(
            "revision {asked} ({}) {why}: there is nothing good to go back to",
            past.status
        ),
    ))
}

fn no_target((namespace, release): (&str, &str), message: String) -> Finding {
    let subject = Subject::namespaced("Release", namespace, release);
    Finding::new(&ROLLBACK_UNSAFE, vec![subject], message, "kubectl byocni history")
}
