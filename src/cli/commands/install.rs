//! `install`: brings a CNI to a cluster that has none. Plans, shows the plan, asks, and lets `io::change` carry it out.
#![expect(clippy::disallowed_methods, reason = "a change has a beginning")]

use std::{path::PathBuf, slice, time::Duration};

use clap::{Args as ClapArgs, ValueHint};
use ipnet::IpNet;

use crate::{
    cli::{
        Failure, Outcome,
        changing::{self, DryRun, Output, confirmed, luggage, of_plans, opened, progressive, tell_end},
        global::Global,
        signals::Signals,
        terminal::Terminal,
        watching::{Watcher, awaited},
    },
    core::{
        capture::Capture,
        cni::{self, Cni},
        code::Change,
        facts::{Asked, cidr},
        plan::{Request, assemble},
        text::Text,
        words,
    },
    io::{
        capture_file,
        change::{
            self, Job,
            planning::{Live, Origin, Planned, Planner, expected},
            trial::Extent,
        },
        charts::{ChartSource, Charts, ManifestSource},
        connection::parse_duration,
        helm::{Environment, Helm, Target},
    },
    render::{self, outcome},
};

/// Bring a CNI to a cluster that has none: plan, check, install, and watch until the network works
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Examples:\n  kubectl byocni install cilium --dry-run\n  kubectl byocni install cilium --version 1.19 --pod-cidr 10.244.0.0/16\n  \
kubectl byocni install flannel --yes --timeout 10m\n  kubectl byocni install cilium --repo ./charts -f values.yaml\n  \
kubectl byocni install --chart oci://registry.example/charts/my-cni -n my-cni\n  \
kubectl byocni install --manifest https://registry.example/my-cni.yaml\n  \
kubectl byocni install cilium --dry-run=client --from cluster.yaml --chart cilium-1.19.6.tgz -o json\n\n\
Exit codes:\n  0  installed, or nothing to do\n  1  could not do it: the API, helm, a file\n  2  wrong usage\n  \
3  installed, but for nodes that were broken before\n  4  refused; nothing was changed\n  5  something needed could not be read\n  \
6  failed and taken back: the cluster is as it was\n  7  failed and not recovered\n  130  interrupted"
)]
pub struct Args {
    /// The CNI: cilium, calico or flannel; left out with --manifest, and with --chart for any other
    #[arg(value_name = "CNI")]
    cni: Option<String>,
    /// The version: 1.19.6, or 1.19 for its newest patch [default: the newest that suits the cluster]
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
    /// The network that pods get their addresses from (one a family) [default: what the cluster says, if it is sound]
    #[arg(long, value_name = "CIDR", value_parser = network, value_delimiter = ',')]
    pod_cidr: Vec<IpNet>,
    /// A network that pods must not touch, such as a peered one (may be repeated)
    #[arg(long, value_name = "CIDR", value_parser = network, value_delimiter = ',')]
    reserved_cidr: Vec<IpNet>,
    /// A file of values for the chart (may be repeated)
    #[arg(short = 'f', long, value_name = "FILE")]
    values: Vec<PathBuf>,
    /// A value for the chart: key=value (may be repeated)
    #[arg(long, value_name = "KEY=VALUE", allow_hyphen_values = true)]
    set: Vec<String>,
    /// The same, always taken as text
    #[arg(long, value_name = "KEY=VALUE", allow_hyphen_values = true)]
    set_string: Vec<String>,
    /// The same, as JSON: key=JSON
    #[arg(long, value_name = "KEY=JSON", allow_hyphen_values = true)]
    set_json: Vec<String>,
    /// The chart itself: a folder, a .tgz, a URL or oci://…, with @sha256:… if it is pinned
    #[arg(long, value_name = "CHART", value_hint = ValueHint::AnyPath, conflicts_with = "manifest")]
    chart: Option<String>,
    /// A manifest in place of a chart: a file or a URL, with @sha256:… if it is pinned
    #[arg(long, value_name = "FILE|URL", value_hint = ValueHint::FilePath, conflicts_with_all = ["cni", "repo", "version"])]
    manifest: Option<String>,
    /// Where the chart is looked for: a URL, oci://…, or a folder of charts [default: the project's own repository]
    #[arg(long, value_name = "REPO", value_hint = ValueHint::DirPath, conflicts_with = "chart")]
    repo: Option<String>,
    /// Only show the plan; `server` also lets the API server try every object without keeping it
    #[arg(long, value_enum, value_name = "WHERE", num_args = 0..=1, require_equals = true, default_missing_value = "client")]
    dry_run: Option<DryRun>,
    /// Plan from a capture instead of a cluster (with --dry-run=client; may be repeated)
    #[arg(long, value_name = "FILE", requires = "dry_run")]
    from: Vec<PathBuf>,
    /// Do it without asking
    #[arg(short, long)]
    yes: bool,
    /// How long the network may take to come up [default: from the nodes and the agents' start-up time]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    timeout: Option<Duration>,
    /// Leave a failed install as it is
    #[arg(long)]
    no_rollback: bool,
    /// Take over objects of the same CNI that were applied by hand or by another release
    #[arg(long)]
    take_ownership: bool,
    /// Believe that the platform leaves the CNI to you where that cannot be told
    #[arg(long)]
    assume_byocni: bool,
    /// The format of the plan, and of the result
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

fn network(text: &str) -> Result<IpNet, String> {
    cidr::parse(text).ok_or_else(|| format!("{text:?} is not a CIDR such as 10.244.0.0/16"))
}

/// Plans, shows, asks, does.
pub async fn run(args: &Args, global: &Global, terminal: &Terminal) -> Result<Outcome, Failure> {
    let signals = Signals::listen();
    let said =
        "left in the middle: kubectl byocni resume finishes the change, kubectl byocni abort takes it back";
    signals
        .unless_left(installed(args, global, terminal, &signals), terminal, said)
        .await
}

async fn installed(
    args: &Args,
    global: &Global,
    terminal: &Terminal,
    signals: &Signals,
) -> Result<Outcome, Failure> {
    let (request, origin) = (request(args, global)?, origin(args)?);
    let asked = Asked {
        reserved: args.reserved_cidr.clone(),
    };
    let helm = Helm::find(&Environment::read()).await;
    let charts = Charts::new(helm.as_ref().ok())?;
    let planner = Planner {
        helm: helm.as_ref(),
        charts: &charts,
        request: &request,
        origin: &origin,
        version: args.version.as_deref(),
        asked: &asked,
        replacing: None,
        live: None,
    };
    if !args.from.is_empty() {
        if args.dry_run == Some(DryRun::Server) {
            return Err(Failure::usage(
                "--from is a file: there is no server to ask",
                "kubectl byocni install CNI --dry-run=client --from FILE",
            ));
        }
        let capture = capture_file::load(&args.from)?;
        let planned = planner.plan(&capture).await;
        terminal.print(&render::plan(
            &planned.plan,
            &terminal.style,
            args.output.format(),
        ))?;
        return Ok(of_plans(slice::from_ref(&planned.plan), args.output, terminal));
    }
    let Some(opened) = opened(global, &asked, terminal, signals).await? else {
        return Ok(Outcome::Interrupted);
    };
    let capture = &opened.capture;
    let live = Live {
        connection: &opened.connection,
        target: opened.target.as_ref(),
        tries: match args.dry_run {
            Some(DryRun::Server) => Extent::Everything,
            _ => Extent::Roles,
        },
    };
    let planner = Planner {
        live: Some(live),
        ..planner
    };
    let planned = tokio::select! {
        planned = awaited(terminal, "planning …", planner.plan(capture)) => planned,
        () = signals.asked(1) => { terminal.settle(); return Ok(Outcome::Interrupted) }
    };
    terminal.settle();
    let drawn = render::plan(&planned.plan, &terminal.style, args.output.format());
    let outcome = of_plans(slice::from_ref(&planned.plan), args.output, terminal);
    if args.dry_run.is_some() || outcome != Outcome::Done || planned.plan.nothing_to_do {
        terminal.print(&drawn)?;
        return Ok(outcome);
    }
    if args.output.is_text() {
        terminal.print(&drawn)?;
    }
    let question = format!(
        "{} on {} ({} nodes)?",
        assemble::title(&planned.plan),
        planned.plan.context.as_deref().unwrap_or("this cluster"),
        planned.plan.nodes.0
    );
    if !confirmed(args.yes, &question, terminal, signals).await? {
        terminal.say("nothing was changed");
        return Ok(Outcome::Refused);
    }
    let helm = changing::helm(&helm)?;
    let target = opened.target()?;
    carry_out(
        args, &request, &planner, &planned, capture, helm, target, terminal, signals,
    )
    .await
}

#[expect(
    clippy::too_many_arguments,
    reason = "everything that was found on the way here"
)]
async fn carry_out(
    args: &Args,
    request: &Request,
    planner: &Planner<'_>,
    planned: &Planned,
    capture: &Capture,
    helm: &Helm,
    target: &Target,
    terminal: &Terminal,
    signals: &Signals,
) -> Result<Outcome, Failure> {
    let (Some(live), Some(chart), Some(rendered)) = (planner.live, &planned.chart, &planned.rendered) else {
        return Err(Failure::new("there is no chart to install"));
    };
    let operation = planned.operation(capture, planner.asked, request, jiff::Timestamp::now());
    let expected = expected(&operation, request.cni, rendered, planned.plan.gate.settle);
    let head = format!("{} {}", progressive(request.change), name(planned));
    let watcher = Watcher::new(terminal, head, planned.plan.gate.timeout);
    let tell = |event: &crate::core::change::Event| watcher.see(event);
    let target = Target {
        namespace: operation.namespace.clone(),
        ..target.clone()
    };
    let job = Job {
        connection: live.connection,
        helm,
        target: &target,
        luggage: luggage(
            &operation,
            chart,
            &planned.crd_charts,
            &planned.draft.values,
            &request.user_values,
        ),
        operation,
        chart: &chart.path,
        definitions: &planned.definitions,
        expected,
        former: None,
        asked: planner.asked,
        stop: signals.stop(),
        tell: &tell,
    };
    let changed = changed(&job, planned);
    let still = async || planner.moved(planned).await;
    let ended = watcher.during(change::begin(job, still)).await;
    watcher.end();
    tell_end(&changed, &ended?, args.output, terminal)
}

fn name(planned: &Planned) -> String {
    let version = planned.plan.chart.app_version.trim_start_matches('v');
    format!("{} {version}", planned.plan.cni).trim().to_string()
}

fn changed(job: &Job<'_>, planned: &Planned) -> outcome::Changed {
    outcome::Changed {
        change: job.operation.change,
        cni: planned.plan.cni.clone(),
        version: planned.plan.chart.app_version.clone(),
        release: format!("{}/{}", job.operation.namespace, job.operation.release),
        from: None,
    }
}

/// What was asked for, as far as the command line goes.
fn request(args: &Args, global: &Global) -> Result<Request, Failure> {
    let user_values = changing::user_values(&args.values, &args.set_json, &args.set, &args.set_string)?;
    let cni = args.cni.as_deref().map(known).transpose()?;
    Ok(Request {
        change: Change::Install,
        cni,
        pod_cidrs: args.pod_cidr.clone(),
        user_values,
        namespace: global.namespace.clone(),
        timeout: args.timeout,
        take_ownership: args.take_ownership,
        assume_byocni: args.assume_byocni,
        no_rollback: args.no_rollback,
    })
}

fn usage(error: &impl std::fmt::Display, hint: Option<String>) -> Failure {
    Failure {
        message: error.to_string(),
        hint,
        outcome: Outcome::Usage,
    }
}

/// The CNI of this name, if it is one that is known how to install.
fn known(name: &str) -> Result<&'static Cni, Failure> {
    let wanted = name.trim().to_ascii_lowercase();
    let installable = || cni::ALL.iter().copied().filter(|c| c.installing.is_some());
    if let Some(cni) = installable().find(|c| c.id == wanted) {
        return Ok(cni);
    }
    let all: Vec<&str> = installable().map(|c| c.id).collect();
    if let Some(cni) = cni::ALL.iter().find(|c| c.id == wanted) {
        return Err(Failure::usage(
            format!("{} is known, but not how to install it", cni.name),
            "give its chart or manifest, without its name: kubectl byocni install --chart PATH|URL|oci://…",
        ));
    }
    let near = words::nearest(&wanted, &all);
    let hint = match near {
        Some(near) => format!("did you mean {near}? kubectl byocni install {near}"),
        None => format!("one of {}; any other with --chart or --manifest", all.join(", ")),
    };
    Err(Failure::usage(
        format!("there is no CNI {:?} here", Text::new(name).line(40)),
        hint,
    ))
}

/// Where the chart comes from.
fn origin(args: &Args) -> Result<Origin, Failure> {
    if let Some(named) = &args.manifest {
        let source = ManifestSource::find(named).map_err(|e| usage(&e, e.hint()))?;
        return Ok(Origin::Manifest {
            name: source.name(),
            source,
        });
    }
    let source = match (
        &args.chart,
        args.cni
            .as_deref()
            .map(known)
            .transpose()?
            .and_then(|c| c.installing),
    ) {
        (Some(chart), _) => ChartSource::chart(chart),
        (None, Some(installing)) => ChartSource::of(installing, args.repo.as_deref()),
        (None, None) => {
            return Err(Failure::usage(
                "no CNI, chart or manifest is named",
                "kubectl byocni install cilium --dry-run shows what an install would do",
            ));
        }
    };
    source.map(Origin::Chart).map_err(|e| usage(&e, e.hint()))
}
