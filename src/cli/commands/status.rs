//! `status`: one page on the state of the cluster's network.
#![expect(clippy::disallowed_methods, reason = "--wait measures its own time")]

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use clap::{Args as ClapArgs, ValueEnum};
use ipnet::IpNet;

use crate::{
    cli::{Failure, Outcome, global::Global, terminal::Terminal},
    core::{
        capture::{Capture, Node},
        code::Severity,
        facts::{Asked, cidr},
        judge,
        report::{Report, Verdict},
        selector::Selector,
    },
    io::{
        capture_file, cluster,
        connection::{Connection, parse_duration},
    },
    render::{self, Format},
};

/// Show the state of the cluster's network on one page: what is wrong, why, and what to do next
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Examples:\n  kubectl byocni status\n  kubectl byocni status --context prod -o wide\n  \
kubectl byocni status --wait --timeout 10m\n  kubectl byocni status --from cluster.yaml -o json\n  \
kubectl get nodes,pods,daemonsets,deployments,services,endpointslices,configmaps -A -o yaml | kubectl byocni status --from -\n\n\
Exit codes:\n  0  healthy\n  1  the cluster or the file could not be read\n  2  wrong usage\n  3  unhealthy (see --fail-on)\n  \
5  something needed could not be read: the verdict is incomplete"
)]
pub struct Args {
    /// The format
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
    /// Read a capture, or any list of kubectl's, instead of a cluster; - is standard input (may be repeated)
    #[arg(long, value_name = "FILE")]
    from: Vec<PathBuf>,
    /// One line only, for prompts and CI
    #[arg(long, conflicts_with = "output")]
    summary: bool,
    /// Look again until interrupted: redrawn in place on a terminal, else one line a change
    #[arg(short, long, conflicts_with_all = ["from", "wait"])]
    watch: bool,
    /// Wait until the cluster is healthy, or --timeout is over
    #[arg(long, conflicts_with = "from")]
    wait: bool,
    /// How long --wait waits: 90s, 10m
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "5m")]
    timeout: Duration,
    /// What counts as unhealthy for the exit code
    #[arg(long, value_enum, default_value_t, value_name = "SEVERITY")]
    fail_on: FailOn,
    /// Show only nodes with these labels; findings see all nodes
    #[arg(short = 'l', long, value_name = "LABELS", value_parser = Selector::parse)]
    selector: Option<Selector>,
    /// A network that pod pools and service ranges must not touch (may be repeated)
    #[arg(long, value_name = "CIDR", value_parser = network, value_delimiter = ',')]
    reserved_cidr: Vec<IpNet>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Output {
    #[default]
    Table,
    Wide,
    Json,
    Yaml,
    Markdown,
    Name,
}

impl From<Output> for Format {
    fn from(output: Output) -> Format {
        match output {
            Output::Table => Format::Table,
            Output::Wide => Format::Wide,
            Output::Json => Format::Json,
            Output::Yaml => Format::Yaml,
            Output::Markdown => Format::Markdown,
            Output::Name => Format::Name,
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum FailOn {
    #[default]
    Error,
    Warning,
    Never,
}

fn network(text: &str) -> Result<IpNet, String> {
    cidr::parse(text).ok_or_else(|| format!("{text:?} is not a CIDR such as 10.1.0.0/16"))
}

/// How often --watch and --wait look.
const INTERVAL: Duration = Duration::from_secs(2);

/// Reads, judges, shows.
pub async fn run(args: &Args, global: &Global, terminal: &Terminal) -> Result<Outcome, Failure> {
    let asked = Asked {
        reserved: args.reserved_cidr.clone(),
    };
    if args.watch {
        return watch(args, &asked, global, terminal).await;
    }
    let report = if args.wait {
        wait(args, &asked, global, terminal).await?
    } else {
        let capture = match args.from.is_empty() {
            false => capture_file::load(&args.from)?,
            true => read_live(&asked, Reading::Status, global, terminal).await?,
        };
        judged(args, &asked, &capture)
    };
    terminal.print(&drawn(args, &report, terminal))?;
    Ok(outcome(args, &report))
}

fn judged(args: &Args, asked: &Asked, capture: &Capture) -> Report {
    let shown = |node: &Node| {
        args.selector
            .as_ref()
            .is_none_or(|s| s.selects(&node.meta.labels))
    };
    judge::report(capture, asked, &shown)
}

fn drawn(args: &Args, report: &Report, terminal: &Terminal) -> String {
    if args.summary {
        return render::summary(report, &terminal.style) + "\n";
    }
    render::render(report, &terminal.style, args.output.into())
}

/// Any error counts before anything that could not be read.
fn outcome(args: &Args, report: &Report) -> Outcome {
    let (errors, warnings) = (report.count(Severity::Error), report.count(Severity::Warning));
    match args.fail_on {
        FailOn::Never => Outcome::Done,
        _ if errors > 0 => Outcome::Unhealthy,
        FailOn::Warning if warnings > 0 => Outcome::Unhealthy,
        _ if report.incomplete() => Outcome::Incomplete,
        _ => Outcome::Done,
    }
}

/// How much is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// What the report takes.
    Status,
    /// And what a plan takes besides.
    Change,
}

/// Reads the cluster, saying on a terminal what is on its way.
pub async fn read_live(
    asked: &Asked,
    reading: Reading,
    global: &Global,
    terminal: &Terminal,
) -> Result<Capture, Failure> {
    terminal.fleeting("connecting …");
    let connection = match Connection::open(&global.connection()).await {
        Ok(connection) => connection,
        Err(error) => {
            terminal.settle();
            return Err(error.into());
        }
    };
    let capture = read_with(&connection, asked, reading, global, terminal).await;
    terminal.settle();
    capture
}

async fn read_with(
    connection: &Connection,
    asked: &Asked,
    reading: Reading,
    global: &Global,
    terminal: &Terminal,
) -> Result<Capture, Failure> {
    let verbose = global.verbose > 0;
    let progress = |what: &str, count: usize, after: Duration| {
        if verbose {
            terminal.say(&format!("{:>6} ms  {count} {what}", after.as_millis()));
        } else {
            terminal.fleeting(&format!("reading … {count} {what}"));
        }
    };
    terminal.fleeting("reading …");
    Ok(match reading {
        Reading::Status => cluster::read(connection, asked, &progress).await?,
        Reading::Change => cluster::read_for_change(connection, asked, &progress).await?,
    })
}

/// Looks until the verdict is healthy or the time is over; the last look is what is shown.
async fn wait(args: &Args, asked: &Asked, global: &Global, terminal: &Terminal) -> Result<Report, Failure> {
    let connection = Connection::open(&global.connection()).await?;
    let begun = Instant::now();
    let mut last: Option<Report> = None;
    loop {
        let report = judged(
            args,
            asked,
            &read_with(&connection, asked, Reading::Status, global, terminal).await?,
        );
        terminal.settle();
        let lines = match &last {
            Some(before) => render::changes(before, &report, &terminal.style),
            None => vec![render::summary(&report, &terminal.style)],
        };
        lines.iter().for_each(|line| terminal.say(line));
        let over = begun.elapsed() + INTERVAL > args.timeout;
        if report.verdict == Verdict::Healthy || over {
            if over && report.verdict != Verdict::Healthy {
                terminal.say(&format!("not healthy after {}s", begun.elapsed().as_secs()));
            }
            return Ok(report);
        }
        last = Some(report);
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Looks for ever. A look that fails is said and does not end it: clusters that are watched are ill.
async fn watch(args: &Args, asked: &Asked, global: &Global, terminal: &Terminal) -> Result<Outcome, Failure> {
    if !matches!(args.output, Output::Table | Output::Wide) {
        return Err(Failure::usage(
            "--watch shows tables only",
            "for a program: kubectl byocni status -o json, again and again",
        ));
    }
    let connection = Connection::open(&global.connection()).await?;
    let mut last: Option<Report> = None;
    let mut failed = false;
    loop {
        let read = cluster::read(&connection, asked, &|_, _, _| {}).await;
        match (read, &last) {
            (Err(error), None) => return Err(error.into()),
            (Err(error), Some(_)) => {
                if !failed {
                    terminal.say(&format!("cannot read the cluster now: {error}"));
                }
                failed = true;
            }
            (Ok(capture), before) => {
                let report = judged(args, asked, &capture);
                match before {
                    _ if terminal.live => {
                        terminal.redraw(&drawn(args, &report, terminal), before.is_none() || failed)?
                    }
                    None => terminal.print(&drawn(args, &report, terminal))?,
                    Some(before) => {
                        for line in render::changes(before, &report, &terminal.style) {
                            terminal.print(&format!("{} {line}\n", report.taken_at.strftime("%H:%M:%S")))?;
                        }
                    }
                }
                failed = false;
                last = Some(report);
            }
        }
        tokio::time::sleep(INTERVAL).await;
    }
}
