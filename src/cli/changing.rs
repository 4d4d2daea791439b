//! What the verbs that change a cluster share: formats, what goes into the Secret, how they end.

use std::{path::PathBuf, time::Duration};

use clap::ValueEnum;
use serde_json::Value;

use super::{Failure, Outcome, global::Global, signals::Signals, terminal::Terminal};
use crate::{
    core::{
        capture::Capture,
        change::Ended,
        code::Change,
        facts::Asked,
        journal::Operation,
        plan::{Plan, set},
    },
    io::{
        change::journal::Luggage,
        charts::{Fetched, read_values},
        cluster,
        connection::Connection,
        helm::{Helm, HelmError, Target},
    },
    render::{Format, outcome},
};

/// The formats of a plan and of a result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    #[default]
    Table,
    /// The same with every object.
    Wide,
    /// For programs.
    Json,
    /// The same as YAML.
    Yaml,
    /// For a pull request.
    Markdown,
    /// What would be created, as `kind/name`.
    Name,
}

impl Output {
    /// The renderer's name for it.
    pub fn format(self) -> Format {
        match self {
            Output::Table => Format::Table,
            Output::Wide => Format::Wide,
            Output::Json => Format::Json,
            Output::Yaml => Format::Yaml,
            Output::Markdown => Format::Markdown,
            Output::Name => Format::Name,
        }
    }

    /// Whether it is read by people, who want the plan before the result; for a program it would be a second document.
    pub fn is_text(self) -> bool {
        matches!(self, Output::Table | Output::Wide | Output::Markdown)
    }
}

/// Where a plan is tried that is not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DryRun {
    Client,
    Server,
}

/// What plans alone say as an exit code. Names of what would be touched are missing where nothing could be rendered: then
/// nothing printed is not the same as nothing to do.
pub fn of_plans(plans: &[Plan], output: Output, terminal: &Terminal) -> Outcome {
    let nameless = |plan: &Plan| plan.creates.is_none() && plan.diff.is_none() && !plan.nothing_to_do;
    if plans.iter().any(Plan::blocked) {
        return Outcome::Refused;
    }
    if plans.iter().any(|plan| !plan.incomplete.is_empty()) {
        return Outcome::Incomplete;
    }
    if output == Output::Name && plans.iter().any(nameless) {
        terminal
            .say("what it would touch is not known, for the chart could not be rendered: -o table says why");
        return Outcome::Incomplete;
    }
    Outcome::Done
}

/// The values of files and flags.
///
/// # Errors
/// Where a file or a flag cannot be read.
pub fn user_values(
    files: &[PathBuf],
    set_json: &[String],
    set: &[String],
    set_string: &[String],
) -> Result<Value, Failure> {
    let files = read_values(files).map_err(|e| Failure {
        message: e.to_string(),
        hint: e.hint(),
        outcome: Outcome::Usage,
    })?;
    set::merge(&files, set_json, set, set_string).map_err(|e| {
        Failure::usage(
            e.to_string(),
            "as helm's: --set a.b=c, --set 'list={a,b}', --set-json 'a={\"b\":1}'",
        )
    })
}

/// A live cluster, read for a change.
pub struct Opened {
    /// The cluster.
    pub connection: Connection,
    /// The same for helm, but for the namespace; why not, where helm cannot be sent there.
    pub target: Result<Target, HelmError>,
    /// What it says.
    pub capture: Capture,
}

impl Opened {
    /// The cluster for helm.
    ///
    /// # Errors
    /// Why helm cannot be sent there.
    pub fn target(&self) -> Result<&Target, Failure> {
        self.target.as_ref().map_err(|error| Failure {
            message: error.to_string(),
            hint: error.hint(),
            outcome: Outcome::Refused,
        })
    }
}

/// Reads the cluster; nothing where the user leaves meanwhile. Nothing is written before a plan stands: leaving leaves
/// nothing behind.
///
/// # Errors
/// Where the cluster cannot be reached or read.
pub async fn opened(
    global: &Global,
    asked: &Asked,
    terminal: &Terminal,
    signals: &Signals,
) -> Result<Option<Opened>, Failure> {
    let reading = async {
        terminal.fleeting("connecting …");
        let flags = global.connection();
        let connection = Connection::open(&flags).await?;
        let target = Target::of(&flags, Some(connection.context()), "");
        terminal.fleeting("reading the cluster …");
        let progress = |what: &str, count: usize, after: Duration| {
            if global.verbose > 0 {
                terminal.say(&format!("{:>6} ms  {count} {what}", after.as_millis()));
            } else {
                terminal.fleeting(&format!("reading … {count} {what}"));
            }
        };
        let capture = cluster::read_for_change(&connection, asked, &progress).await?;
        Ok::<_, Failure>(Opened {
            connection,
            target,
            capture,
        })
    };
    let read = tokio::select! {
        read = reading => read.map(Some),
        () = signals.asked(1) => Ok(None),
    };
    terminal.settle();
    read
}

/// The archive of the chart in the Secret.
pub const CHART: &str = "chart.tgz";

/// What the Secret keeps.
pub fn luggage(
    operation: &Operation,
    chart: &Fetched,
    crd_charts: &[Fetched],
    values: &Value,
    user_values: &Value,
) -> Luggage {
    let definitions = crd_charts
        .iter()
        .enumerate()
        .map(|(at, fetched)| (format!("crds-{at}.tgz"), fetched.archive.clone()));
    Luggage {
        archives: definitions
            .chain([(CHART.to_string(), chart.archive.clone())])
            .collect(),
        values: values.clone(),
        user_values: user_values.clone(),
        operation: operation.id.clone(),
    }
}

/// The verb of a live view's head.
pub fn progressive(change: Change) -> &'static str {
    match change {
        Change::Install => "installing",
        Change::Upgrade => "upgrading to",
        Change::Rollback => "rolling back to",
    }
}

/// Asks for a yes, unless it was given. Without a terminal nobody can be asked, and nothing is done.
///
/// # Errors
/// Where nobody can be asked.
pub async fn confirmed(
    yes: bool,
    question: &str,
    terminal: &Terminal,
    signals: &Signals,
) -> Result<bool, Failure> {
    if yes {
        return Ok(true);
    }
    if !terminal.asks() {
        return Err(Failure {
            message: "nobody can be asked: standard input is no terminal; nothing was changed".into(),
            hint: Some("the same command with --yes does it without asking".into()),
            outcome: Outcome::Refused,
        });
    }
    tokio::select! {
        answer = terminal.confirm(question) => Ok(answer),
        () = signals.asked(1) => Err(Failure {
            message: "interrupted: nothing was changed".into(),
            hint: None,
            outcome: Outcome::Interrupted,
        }),
    }
}

/// Helm, for commands that cannot do without.
///
/// # Errors
/// Why there is none; nothing was changed then.
pub fn helm(helm: &Result<Helm, HelmError>) -> Result<&Helm, Failure> {
    helm.as_ref().map_err(|error| Failure {
        message: error.to_string(),
        hint: error.hint(),
        outcome: Outcome::Refused,
    })
}

/// Prints how it ended, and says it as an exit code.
///
/// # Errors
/// Where standard output cannot be written.
pub fn tell_end(
    changed: &outcome::Changed,
    ended: &Ended,
    output: Output,
    terminal: &Terminal,
) -> Result<Outcome, Failure> {
    let text = match output {
        Output::Json => outcome::json(changed, ended),
        Output::Yaml => outcome::yaml(changed, ended),
        Output::Table | Output::Wide | Output::Markdown | Output::Name => {
            outcome::lines(changed, ended, &terminal.style).join("\n") + "\n"
        }
    };
    terminal.print(&text)?;
    Ok(match ended {
        Ended::Done { broken_before, .. } if !broken_before.is_empty() => Outcome::Unhealthy,
        Ended::Done { .. } => Outcome::Done,
        Ended::Refused(_) => Outcome::Refused,
        Ended::Stopped { .. } => Outcome::Interrupted,
        Ended::Back { left, .. } if left.is_empty() => Outcome::RolledBack,
        // The canaries are as they were asked for; nothing is wrong.
        Ended::AtCanary { .. } => Outcome::Done,
        Ended::Back { .. } | Ended::Stays { .. } | Ended::Paused { .. } | Ended::Lost { .. } => {
            Outcome::NotRecovered
        }
    })
}
