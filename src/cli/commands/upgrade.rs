//! `upgrade`: another version, or other values, of the CNI that is there: hop by hop, node by node, behind gates.

use std::{path::PathBuf, time::Duration};

use clap::{Args as ClapArgs, ValueHint};
use serde_json::{Map, Value};

use crate::{
    cli::{
        Failure, Outcome,
        changing::{self, DryRun, Opened, Output, of_plans, opened, tell_end},
        from_file::{self, Told, Ways},
        global::Global,
        replacing::{Hop, Named, Pacing, Standing, agreed, carry_out, drawn, live, looked_again, refused},
        signals::Signals,
        terminal::Terminal,
        watching::awaited,
    },
    core::{
        capture::Capture,
        change::Ended,
        chart::Offered,
        cni::Cni,
        code::Change,
        facts::{Asked, Facts},
        finding::Finding,
        plan::{
            Plan, Request, sought,
            upgrade::{self, Goal},
        },
        revision::Recorded,
    },
    io::{
        change::planning::{Live, Origin, Planned, Planner, Replacing},
        charts::{ChartSource, Charts, ManifestSource, is_wrapped},
        connection::parse_duration,
        helm::{Environment, Helm, HelmError},
        recorded::Kept,
    },
};

/// Bring the CNI to another version or other values: plan, check, replace agents node by node, watch, and go back if it fails
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Examples:\n  kubectl byocni upgrade --dry-run                 (to the newest patch of the minor that runs)\n  \
kubectl byocni upgrade --to 1.20                 (over every minor on the way)\n  \
kubectl byocni upgrade --version 1.19.6 --yes    (one hop)\n  \
kubectl byocni upgrade -f values.yaml            (other values, the same version)\n  \
kubectl byocni upgrade --to 1.20 --pause         (stop once the canaries are well)\n  \
kubectl byocni upgrade --to 1.20 --dry-run=client --from cluster.yaml --repo ./charts -f values.yaml -o markdown\n\n\
Exit codes:\n  0  upgraded, or nothing to do\n  1  could not do it: the API, helm, a file\n  2  wrong usage\n  \
3  upgraded, but for nodes that were broken before\n  4  refused; nothing was changed\n  5  something needed could not be read\n  \
6  failed and taken back: the revision before runs again\n  7  failed and not recovered\n  130  interrupted"
)]
pub struct Args {
    /// Where to go, over the newest patch of every minor on the way: 1.20, or 1.20.3
    #[arg(long, value_name = "VERSION", conflicts_with = "version")]
    to: Option<String>,
    /// This version, in one hop
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
    /// A file of values, over those of the release (may be repeated)
    #[arg(short = 'f', long, value_name = "FILE")]
    values: Vec<PathBuf>,
    /// A value, over those of the release: key=value; key=null takes one away (may be repeated)
    #[arg(long, value_name = "KEY=VALUE", allow_hyphen_values = true)]
    set: Vec<String>,
    /// The same, always taken as text
    #[arg(long, value_name = "KEY=VALUE", allow_hyphen_values = true)]
    set_string: Vec<String>,
    /// The same, as JSON: key=JSON
    #[arg(long, value_name = "KEY=JSON", allow_hyphen_values = true)]
    set_json: Vec<String>,
    /// The chart itself: a folder, a .tgz, a URL or oci://…, with @sha256:… if it is pinned
    #[arg(long, value_name = "CHART", value_hint = ValueHint::AnyPath, conflicts_with = "to")]
    chart: Option<String>,
    /// Where the chart is looked for: a URL, oci://…, or a folder of charts [default: the project's own repository]
    #[arg(long, value_name = "REPO", value_hint = ValueHint::DirPath, conflicts_with = "chart")]
    repo: Option<String>,
    /// The manifest in its new form, where the CNI was installed from one: a file or a URL
    #[arg(long, value_name = "FILE|URL", value_hint = ValueHint::FilePath, conflicts_with_all = ["to", "version", "chart", "repo", "values", "set", "set_string", "set_json", "from"])]
    manifest: Option<String>,
    #[command(flatten)]
    pacing: Pacing,
    /// Only show the plan; `server` also lets the API server try every object without keeping it
    #[arg(long, value_enum, value_name = "WHERE", num_args = 0..=1, require_equals = true, default_missing_value = "client")]
    dry_run: Option<DryRun>,
    /// Plan from a capture instead of a cluster, with -f for the release's values (with --dry-run=client; may be repeated)
    #[arg(long, value_name = "FILE", requires = "dry_run")]
    from: Vec<PathBuf>,
    /// Do it without asking
    #[arg(short, long)]
    yes: bool,
    /// How long each hop may take [default: from the nodes, the waves and the agents' start-up time]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    timeout: Option<Duration>,
    /// Leave a failed upgrade as it is
    #[arg(long)]
    no_rollback: bool,
    /// Believe that the platform leaves the CNI to you where that cannot be told
    #[arg(long)]
    assume_byocni: bool,
    /// The format of the plan, and of the result
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// Plans every hop, shows the plan, asks, and goes hop by hop.
pub async fn run(args: &Args, global: &Global, terminal: &Terminal) -> Result<Outcome, Failure> {
    let signals = Signals::listen();
    let said =
        "left in the middle: kubectl byocni resume finishes the change, kubectl byocni abort takes it back";
    signals
        .unless_left(upgraded(args, global, terminal, &signals), terminal, said)
        .await
}

async fn upgraded(
    args: &Args,
    global: &Global,
    terminal: &Terminal,
    signals: &Signals,
) -> Result<Outcome, Failure> {
    let user_values = changing::user_values(&args.values, &args.set_json, &args.set, &args.set_string)?;
    let asked = Asked::default();
    let helm = Helm::find(&Environment::read()).await;
    let charts = Charts::new(helm.as_ref().ok())?;
    let means = Means {
        args,
        helm: &helm,
        charts: &charts,
        asked: &asked,
        request: Request {
            change: Change::Upgrade,
            cni: None,
            pod_cidrs: vec![],
            user_values,
            namespace: global.namespace.clone(),
            timeout: args.timeout,
            take_ownership: false,
            assume_byocni: args.assume_byocni,
            no_rollback: args.no_rollback,
        },
    };
    if !args.from.is_empty() {
        let capture = from_file::opened(&args.from, args.dry_run, "upgrade")?;
        let planned = means.offline(&capture).await?;
        if args.values.is_empty() && planned.is_ok() {
            terminal.say(from_file::NO_VALUES);
        }
        return shown_only(planned, args.output, terminal);
    }
    let program = changing::helm(&helm)?;
    let Some(opened) = opened(global, &asked, terminal, signals).await? else {
        return Ok(Outcome::Interrupted);
    };
    let planned = tokio::select! {
        planned = awaited(terminal, "planning …", means.planned(&opened, program)) => planned,
        () = signals.asked(1) => { terminal.settle(); return Ok(Outcome::Interrupted) }
    };
    terminal.settle();
    let (standing, walk, plans) = match planned? {
        Ok(planned) => planned,
        Err(finding) => return refused(Change::Upgrade, finding, args.output, terminal),
    };
    let pages: Vec<Plan> = plans.iter().map(|planned| planned.plan.clone()).collect();
    let outcome = of_plans(&pages, args.output, terminal);
    if args.dry_run.is_some() || outcome != Outcome::Done || pages.iter().all(|plan| plan.nothing_to_do) {
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
    means
        .go(opened, standing, &walk, &plans, program, terminal, signals)
        .await
}

/// Prints plans that nothing is done with.
fn shown_only(
    planned: Result<Vec<Planned>, Finding>,
    output: Output,
    terminal: &Terminal,
) -> Result<Outcome, Failure> {
    let plans = match planned {
        Ok(plans) => plans,
        Err(finding) => return refused(Change::Upgrade, finding, output, terminal),
    };
    let pages: Vec<Plan> = plans.into_iter().map(|planned| planned.plan).collect();
    terminal.print(&drawn(&pages, output, terminal))?;
    Ok(of_plans(&pages, output, terminal))
}

/// The hops, each with where its chart comes from.
struct Walk {
    cni: Option<&'static Cni>,
    hops: Vec<(upgrade::Hop, Origin)>,
    /// What the chart's source offers.
    offered: Vec<Offered>,
}

/// What plans are made with.
struct Means<'m> {
    args: &'m Args,
    helm: &'m Result<Helm, HelmError>,
    charts: &'m Charts<'m>,
    asked: &'m Asked,
    /// The CNI is filled in once it is known.
    request: Request,
}

impl Means<'_> {
    fn request(&self, cni: Option<&'static Cni>) -> Request {
        Request {
            cni,
            ..self.request.clone()
        }
    }

    fn given(&self) -> bool {
        let values = self.request.user_values.as_object();
        values.is_some_and(|values| !values.is_empty())
    }

    /// The release as it stands, the hops, and a plan of each.
    async fn planned(
        &self,
        opened: &Opened,
        program: &Helm,
    ) -> Result<Result<(Standing, Walk, Vec<Planned>), Finding>, Failure> {
        let namespace = self.request.namespace.as_deref();
        let standing = Standing::read(opened, program, self.charts, namespace, self.asked).await?;
        let standing = match standing {
            Ok(standing) => standing,
            Err(finding) => return Ok(Err(finding)),
        };
        let walk = match self.walk(&standing.kept, standing.cni, &opened.capture).await? {
            Ok(walk) => walk,
            Err(finding) => return Ok(Err(finding)),
        };
        let everything = self.args.dry_run == Some(DryRun::Server);
        let named = Named {
            release: &standing.release,
            namespace: &standing.namespace,
            first: standing.first(),
        };
        let plans = self
            .plans(
                &walk,
                &standing.kept.recorded,
                &named,
                &opened.capture,
                Some(live(opened, everything)),
            )
            .await;
        Ok(Ok((standing, walk, plans)))
    }

    /// Finds the hops; a finding where there is no way.
    async fn walk(
        &self,
        kept: &Kept,
        cni: Option<&'static Cni>,
        capture: &Capture,
    ) -> Result<Result<Walk, Finding>, Failure> {
        let args = self.args;
        if let Some(named) = &args.manifest {
            return self.manifest(named, kept, cni).await.map(Ok);
        }
        let facts = Facts::of(capture, self.asked);
        let current = &kept.recorded.chart.version;
        let goal = match (&args.to, &args.version) {
            (Some(to), _) => Goal::To(to.clone()),
            (None, Some(version)) => Goal::Exactly(version.clone()),
            (None, None) => Goal::NewestPatch,
        };
        // Other values alone are for the very chart that is there.
        let alone = self.given() && goal == Goal::NewestPatch && args.repo.is_none();
        let source = match (&args.chart, cni.and_then(|c| c.installing)) {
            (Some(chart), _) => Some(ChartSource::chart(chart)?),
            (None, _) if alone => None,
            (None, Some(installing)) => Some(ChartSource::of(installing, args.repo.as_deref())?),
            (None, None) => {
                return Err(match is_wrapped(current) {
                    true => Failure::usage(
                        "this CNI was installed from a manifest, which has no versions to choose from",
                        "kubectl byocni upgrade --manifest FILE|URL, with the manifest in its new form",
                    ),
                    false => Failure::usage(
                        "where the chart of this CNI comes from is not known",
                        "kubectl byocni upgrade --chart PATH|URL|oci://…",
                    ),
                });
            }
        };
        let (mut hops, mut offered) = (vec![], vec![]);
        if let Some(source) = source {
            let questions = sought::for_upgrade(cni, current, &goal);
            offered = self.charts.sought(&source, &questions, |_| false).await?;
            let one = !source.has_versions() || cni.and_then(|c| c.installing).is_none();
            // A chart that is named is where to go.
            let goal = match offered.as_slice() {
                [only] if one && args.chart.is_some() && args.version.is_none() => {
                    Goal::Exactly(only.version.clone())
                }
                _ => goal,
            };
            match upgrade::hops(&offered, cni, current, &goal, &facts) {
                Ok(found) => hops.extend(found.into_iter().map(|hop| (hop, Origin::Chart(source.clone())))),
                Err(finding) => return Ok(Err(finding)),
            }
        }
        if hops.is_empty() {
            let why = if self.given() {
                "other values"
            } else {
                "there is nothing newer"
            };
            let hop = upgrade::Hop {
                from: current.clone(),
                to: current.clone(),
                why: why.into(),
            };
            hops.push((hop, Origin::Recorded(Box::new(kept.chart.clone()))));
        }
        Ok(Ok(Walk { cni, hops, offered }))
    }

    /// From one form of a manifest to another: its version follows from its text.
    async fn manifest(&self, named: &str, kept: &Kept, cni: Option<&'static Cni>) -> Result<Walk, Failure> {
        let standing = &kept.recorded.chart;
        if !is_wrapped(&standing.version) {
            return Err(Failure::usage(
                format!(
                    "the release is of the chart {} {}, not of a manifest",
                    standing.name, standing.version
                ),
                "kubectl byocni upgrade --dry-run, without --manifest",
            ));
        }
        let source = ManifestSource::find(named)?;
        let text = self.charts.manifest(&source).await?;
        let hop = upgrade::Hop {
            from: standing.version.clone(),
            to: self
                .charts
                .wrap_manifest(&standing.name, &source.shown(), &text)?
                .chart
                .version,
            why: "the manifest as it is now".into(),
        };
        let origin = Origin::Manifest {
            name: standing.name.clone(),
            source,
        };
        Ok(Walk {
            cni,
            hops: vec![(hop, origin)],
            offered: vec![],
        })
    }

    /// A plan of each hop, each from what the one before would leave.
    async fn plans(
        &self,
        walk: &Walk,
        from: &Recorded,
        named: &Named<'_>,
        capture: &Capture,
        live: Option<Live<'_>>,
    ) -> Vec<Planned> {
        let mut plans: Vec<Planned> = vec![];
        let mut from = from.clone();
        for at in 0..walk.hops.len() {
            let planned = self.hop(walk, at, &from, named, capture, live).await;
            if let (Some(chart), Some(rendered)) = (&planned.chart, &planned.rendered) {
                from = Recorded {
                    revision: from.revision + 1,
                    chart: chart.chart.clone(),
                    values: planned.draft.values.clone(),
                    manifest: rendered.clone(),
                    ..from
                };
            }
            let ends = planned.plan.blocked() || planned.rendered.is_none();
            plans.push(planned);
            // What comes after it rests on it.
            if ends {
                break;
            }
        }
        plans
    }

    /// Plans one hop.
    async fn hop(
        &self,
        walk: &Walk,
        at: usize,
        from: &Recorded,
        named: &Named<'_>,
        capture: &Capture,
        live: Option<Live<'_>>,
    ) -> Planned {
        let request = self.request(walk.cni);
        let replacing = self.replacing(walk, at, from, named, capture);
        let planner = self.planner(walk, at, &request, &replacing, live);
        planner.plan(capture).await
    }

    fn replacing<'r>(
        &'r self,
        walk: &'r Walk,
        at: usize,
        from: &'r Recorded,
        named: &Named<'r>,
        capture: &Capture,
    ) -> Replacing<'r> {
        let nodes = Facts::of(capture, self.asked).served_nodes().count();
        Replacing {
            from,
            to: None,
            release: named.release,
            namespace: named.namespace,
            first: named.first,
            pace: self.args.pacing.pace(nodes),
            settle: self.args.pacing.settle(),
            hop: (at + 1, walk.hops.len()),
            offered: &walk.offered,
            then: self.args.to.as_deref().filter(|_| at + 1 < walk.hops.len()),
        }
    }

    fn planner<'r>(
        &'r self,
        walk: &'r Walk,
        at: usize,
        request: &'r Request,
        replacing: &'r Replacing<'r>,
        live: Option<Live<'r>>,
    ) -> Planner<'r> {
        let (hop, origin) = &walk.hops[at];
        Planner {
            helm: self.helm.as_ref(),
            charts: self.charts,
            request,
            origin,
            version: Some(&hop.to),
            asked: self.asked,
            replacing: Some(replacing),
            live,
        }
    }

    /// Goes hop by hop. Each is planned once more from the cluster as it then stands, and must come out as it was agreed
    /// to.
    #[expect(
        clippy::too_many_arguments,
        reason = "everything that was found on the way here"
    )]
    async fn go(
        &self,
        mut opened: Opened,
        mut standing: Standing,
        walk: &Walk,
        agreed: &[Planned],
        program: &Helm,
        terminal: &Terminal,
        signals: &Signals,
    ) -> Result<Outcome, Failure> {
        let output = self.args.output;
        let mut outcome = Outcome::Done;
        for (at, planned) in agreed.iter().enumerate() {
            let last = at + 1 == agreed.len();
            if at > 0 {
                looked_again(&mut opened, self.asked).await?;
                let namespace = self.request.namespace.as_deref();
                let again = Standing::read(&opened, program, self.charts, namespace, self.asked).await?;
                match again {
                    Ok(again) => standing = again,
                    Err(finding) => return refused(Change::Upgrade, finding, output, terminal),
                }
            }
            let named = Named {
                release: &standing.release,
                namespace: &standing.namespace,
                first: standing.first(),
            };
            let request = self.request(walk.cni);
            let replacing = self.replacing(walk, at, &standing.kept.recorded, &named, &opened.capture);
            let planner = self.planner(walk, at, &request, &replacing, Some(live(&opened, false)));
            let again;
            let planned = if at == 0 {
                planned
            } else {
                again = planner.plan(&opened.capture).await;
                let same = again.draft.values == planned.draft.values
                    && again.plan.chart.digest == planned.plan.chart.digest;
                if of_plans(std::slice::from_ref(&again.plan), self.args.output, terminal) != Outcome::Done
                    || !same
                {
                    terminal.print(&drawn(std::slice::from_ref(&again.plan), output, terminal))?;
                    terminal.say(&format!(
                        "stopped between two hops, at {}: the next one is not what was agreed to; plan again",
                        walk.hops[at].0.from
                    ));
                    return Ok(Outcome::Refused);
                }
                &again
            };
            if planned.plan.nothing_to_do {
                continue;
            }
            let hop = Hop {
                planner: &planner,
                planned,
                request: &request,
                capture: &opened.capture,
                former: &standing.kept,
            };
            let (changed, ended) = carry_out(&hop, &opened, program, terminal, signals).await?;
            let done = matches!(ended, Ended::Done { .. });
            // A program gets one result: of the hop that decided.
            if last || !done || output.is_text() {
                outcome = tell_end(&changed, &ended, output, terminal)?;
            }
            if !done {
                if let (false, Some(goal)) = (last, &self.args.to) {
                    terminal.say(&format!(
                        "the hops behind this one were not begun; afterwards: kubectl byocni upgrade --to {goal}"
                    ));
                }
                return Ok(outcome);
            }
        }
        Ok(outcome)
    }

    /// Plans against a capture: the chart that stands is taken from the same source as the target, the release's values
    /// are the user's.
    async fn offline(&self, capture: &Capture) -> Result<Result<Vec<Planned>, Finding>, Failure> {
        let facts = Facts::of(capture, self.asked);
        let ways = Ways {
            charts: self.charts,
            helm: self.helm.as_ref().ok(),
            chart: self.args.chart.as_deref(),
            repo: self.args.repo.as_deref(),
        };
        let told = match Told::of(&facts, &ways, &self.request.user_values).await? {
            Ok(told) => told,
            Err(finding) => return Ok(Err(finding)),
        };
        // The values are those that stand: nothing of them is new.
        let means = Means {
            request: Request {
                user_values: Value::Object(Map::new()),
                ..self.request.clone()
            },
            args: self.args,
            helm: self.helm,
            charts: self.charts,
            asked: self.asked,
        };
        let walk = match means.walk(&told.kept, Some(told.cni), capture).await? {
            Ok(walk) => walk,
            Err(finding) => return Ok(Err(finding)),
        };
        let named = Named {
            release: &told.release,
            namespace: &told.namespace,
            first: None,
        };
        Ok(Ok(means
            .plans(&walk, &told.kept.recorded, &named, capture, None)
            .await))
    }
}
