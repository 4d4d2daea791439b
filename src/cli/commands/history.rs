//! `history`: the revisions of the CNI's release, with the health that was recorded at the time.

use clap::{Args as ClapArgs, ValueEnum};

use crate::{
    cli::{
        Failure, Outcome,
        changing::{self, opened},
        global::Global,
        replacing::Standing,
        signals::Signals,
        terminal::Terminal,
    },
    core::{
        facts::Asked,
        history::{History, Row, changed},
        revision::{Recorded, strategy_only},
    },
    io::{
        charts::Charts,
        helm::{Environment, Helm},
        recorded,
    },
    render::{self, Format},
};

/// List the revisions of the CNI's release: what changed, by whom, and the health recorded at the time
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Examples:\n  kubectl byocni history\n  kubectl byocni history -o wide    (with revisions that only switched the update strategy)\n  \
kubectl byocni history -o json"
)]
pub struct Args {
    /// The format
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people.
    #[default]
    Table,
    /// The same with every column and every revision.
    Wide,
    /// For programs.
    Json,
    /// The same as YAML.
    Yaml,
}

/// Reads helm's records and our journal, and prints them.
pub async fn run(args: &Args, global: &Global, terminal: &Terminal) -> Result<Outcome, Failure> {
    let asked = Asked::default();
    let signals = Signals::listen();
    let helm = Helm::find(&Environment::read()).await;
    let program = changing::helm(&helm)?;
    let charts = Charts::new(Some(program))?;
    let Some(opened) = opened(global, &asked, terminal, &signals).await? else {
        return Ok(Outcome::Interrupted);
    };
    terminal.fleeting("reading revisions …");
    let standing = Standing::read(&opened, program, &charts, global.namespace.as_deref(), &asked).await;
    let standing = match standing? {
        Ok(standing) => standing,
        Err(finding) => {
            terminal.settle();
            return Err(Failure {
                message: finding.message,
                hint: Some(finding.fix),
                outcome: Outcome::Failed,
            });
        }
    };
    let (release, namespace) = (&standing.release, &standing.namespace);
    let mut rows = vec![];
    // The newest that counts: what only held agents still is no step of its own.
    let mut before: Option<Recorded> = None;
    for revision in &standing.revisions {
        terminal.fleeting(&format!("reading revision {} …", revision.revision));
        // One that is damaged is listed all the same.
        let read = recorded::read(&opened.connection, &charts, namespace, release, revision.revision).await;
        let recorded = read.ok().map(|kept| kept.recorded);
        let hidden = strategy_only(&revision.description);
        let changed = recorded.as_ref().map_or_else(
            || "its record cannot be read".to_string(),
            |after| changed(before.as_ref(), after),
        );
        rows.push(Row {
            revision: revision.revision,
            when: revision.updated,
            chart: revision.chart.clone(),
            version: revision.version.clone(),
            app_version: revision.app_version.clone(),
            status: revision.status.clone(),
            health: standing.record.health.get(&revision.revision).cloned(),
            changed,
            by: standing.record.by.get(&revision.revision).cloned(),
            hidden,
        });
        if !hidden && recorded.is_some() {
            before = recorded;
        }
    }
    terminal.settle();
    let history = History {
        release: release.clone(),
        namespace: namespace.clone(),
        cni: standing.cni.map_or_else(
            || standing.kept.recorded.chart.name.clone(),
            |cni| cni.name.to_string(),
        ),
        rows,
    };
    let format = match args.output {
        Output::Table => Format::Table,
        Output::Wide => Format::Wide,
        Output::Json => Format::Json,
        Output::Yaml => Format::Yaml,
    };
    terminal.print(&render::history(&history, &terminal.style, format))?;
    Ok(Outcome::Done)
}
