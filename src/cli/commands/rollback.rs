//! `rollback`: back to a revision that was good, by the same plan, rollout and gate as an upgrade.

use std::time::Duration;

use clap::Args as ClapArgs;
use serde_json::{Map, Value};

use crate::{
    cli::{
        Failure, Outcome,
        changing::{self, DryRun, Output, of_plans, opened, tell_end},
        global::Global,
        replacing::{Hop, Pacing, Standing, agreed, carry_out, drawn, live, refused},
        signals::Signals,
        terminal::Terminal,
        watching::awaited,
    },
    core::{
        code::Change,
        codes::upgrade::ROLLBACK_UNSAFE,
        facts::{Asked, Facts},
        finding::{Finding, Subject},
        plan::Request,
        revision::{Past, last_good},
    },
    io::{
        change::planning::{Origin, Planner, Replacing},
        charts::Charts,
        connection::parse_duration,
        helm::{Environment, Helm},
    },
};

/// Go back to a revision that was good: plan, check, replace agents node by node, watch
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Examples:\n  kubectl byocni rollback --dry-run      (to the last revision that was good)\n  \
kubectl byocni rollback 3 --yes        (to this one; kubectl byocni history lists them)\n\n\
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
    let asked = Asked::default();
    let helm = Helm::find(&Environment::read()).await;
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
    let request = Request {
        change: Change::Rollback,
        cni: standing.cni,
        pod_cidrs: vec![],
        user_values: Value::Object(Map::new()),
        namespace: global.namespace.clone(),
        timeout: args.timeout,
        take_ownership: false,
        // It is needed most when things are broken: what could be told before the installation is told then.
        assume_byocni: true,
        no_rollback: args.no_rollback,
    };
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
    let refuse = |message: String, fix: &str| {
        let subject = Subject::namespaced("Release", &standing.namespace, &standing.release);
        Finding::new(&ROLLBACK_UNSAFE, vec![subject], message, fix)
    };
    let history = "kubectl byocni history";
    match asked {
        None => last_good(&all, &standing.record.health).ok_or_else(|| {
            refuse(
                "no earlier revision is known to have been good: there is nothing to go back to".into(),
                history,
            )
        }),
        Some(asked) => {
            let Some(past) = all.iter().find(|past| past.revision == asked) else {
                return Err(refuse(
                    format!("there is no revision {asked} (any more)"),
                    history,
                ));
            };
            let why = match past.status.as_str() {
                _ if crate::core::revision::strategy_only(&past.description) => {
                    "only held agents still while they were replaced"
                }
                "deployed" | "superseded" => return Ok(asked),
                _ => "never was deployed",
            };
            Err(refuse(
                format!(
                    "revision {asked} ({}) {why}: there is nothing good to go back to",
                    past.status
                ),
                history,
            ))
        }
    }
}
