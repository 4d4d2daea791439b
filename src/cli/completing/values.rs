//! The values that an argument may have, as far as they can be told while it is typed.

use clap::{Arg, Parser};

use super::{Answer, Candidate, LIMIT, line::Line};
use crate::{
    cli::{global::Global, replacing::cni_of},
    core::{
        chart::Offered,
        cni::{self, Cni, Installing, minor_of},
        codes,
        facts::{Asked, Facts},
        plan::version,
        revision::{BROKEN, strategy_only},
    },
    io::{
        capture_file,
        charts::{ChartSource, Charts},
        connection::{self, Connection},
        lookup,
    },
};

/// How many revisions are looked into: who goes further back knows which one is meant.
const RECORDS: usize = 8;

/// What is known without asking anybody; nothing where somebody must be asked.
pub fn at_hand(line: &Line<'_>, arg: &Arg, typed: &str) -> Option<Answer> {
    Some(match arg.get_id().as_str() {
        "cni" => Answer::of(
            cni::ALL
                .iter()
                .filter(|cni| cni.installing.is_some())
                .map(|cni| Candidate::new(cni.id, cni.name))
                .collect(),
        ),
        "code" => Answer::of(
            codes::ALL
                .iter()
                .map(|code| {
                    // Numbers are for those who begin with one: beside the names they would only double the list.
                    let name = if typed.starts_with('B') {
                        code.id
                    } else {
                        code.slug
                    };
                    Candidate::new(name, code.title)
                })
                .collect(),
        ),
        "context" | "cluster" | "user" => of_kubeconfig(arg.get_id().as_str(), &flags(line)),
        "version" | "to" | "namespace" | "revision" => return None,
        _ => Answer::nothing(),
    })
}

/// What a cluster, or charts on disk, must be asked for.
pub async fn looked_up(line: &Line<'_>, arg: &Arg) -> Option<Answer> {
    match arg.get_id().as_str() {
        "namespace" => {
            let connection = Connection::unwatched(&flags(line)).await.ok()?;
            let names = lookup::namespaces(&connection).await.ok()?;
            let candidates = names.into_iter().map(|name| Candidate::new(name, ""));
            Some(Answer::of(candidates.collect()))
        }
        "revision" => revisions(line).await,
        "version" | "to" => versions(line).await,
        _ => None,
    }
}

/// The flags of the way to the cluster, as far as they are there.
fn flags(line: &Line<'_>) -> connection::Flags {
    /// Nothing else.
    #[derive(Parser)]
    #[command(disable_help_flag = true)]
    struct Way {
        #[command(flatten)]
        global: Global,
    }
    let given = line.given.iter().filter(|(arg, _)| arg.is_global_set());
    let words = given.filter_map(|(arg, value)| {
        let long = arg.get_long()?;
        Some(match value {
            Some(value) => format!("--{long}={value}"),
            None => format!("--{long}"),
        })
    });
    let way = Way::try_parse_from(std::iter::once(String::new()).chain(words));
    let mut flags = way.map(|way| way.global.connection()).unwrap_or_default();
    flags.request_timeout = Some(LIMIT);
    flags
}

fn of_kubeconfig(id: &str, flags: &connection::Flags) -> Answer {
    // The one that is being typed would not be found.
    let flags = connection::Flags {
        kubeconfig: flags.kubeconfig.clone(),
        ..connection::Flags::default()
    };
    let Ok(names) = connection::names(&flags) else {
        return Answer::nothing();
    };
    let plain = |names: Vec<String>| names.into_iter().map(|name| Candidate::new(name, "")).collect();
    Answer::of(match id {
        "context" => names
            .contexts
            .into_iter()
            .map(|(name, cluster)| {
                let current = names.current.as_ref() == Some(&name);
                let says = if current { "current, cluster " } else { "cluster " };
                Candidate::new(name, format!("{says}{cluster}"))
            })
            .collect(),
        "cluster" => plain(names.clusters),
        _ => plain(names.users),
    })
}

/// Those that can be gone back to, newest first.
async fn revisions(line: &Line<'_>) -> Option<Answer> {
    let connection = Connection::unwatched(&flags(line)).await.ok()?;
    let (capture, journal) = tokio::join!(lookup::cni(&connection), lookup::health(&connection));
    let asked = Asked::default();
    let facts = Facts::of(&capture, &asked);
    let release = facts.release.as_ref()?;
    let health = journal
        .get(&format!("{}/{}", release.release.namespace, release.release.name))
        .cloned()
        .unwrap_or_default();
    let newest = release.revisions.last()?.number;
    let good = release.revisions.iter().rev().filter(|revision| {
        let once =
            revision.status == "superseded" || (revision.status == "deployed" && revision.number != newest);
        once && health.get(&revision.number).is_none_or(|word| word != BROKEN)
    });
    let good: Vec<_> = good.collect();
    let numbers: Vec<i64> = good
        .iter()
        .take(RECORDS)
        .map(|revision| revision.number)
        .collect();
    let told = lookup::told(
        &connection,
        &release.release.namespace,
        &release.release.name,
        &numbers,
    )
    .await;
    let candidates = good.into_iter().filter_map(|revision| {
        let told = told.get(&revision.number);
        if told.is_some_and(|told| strategy_only(&told.description)) {
            return None;
        }
        let when = revision
            .created
            .map(|at| at.strftime("%Y-%m-%d %H:%M UTC").to_string());
        let words = [
            told.map(|told| told.version.clone()),
            Some(revision.status.clone()),
            health.get(&revision.number).cloned(),
            when,
        ];
        let words: Vec<String> = words.into_iter().flatten().collect();
        Some(Candidate::new(revision.number.to_string(), words.join(", ")))
    });
    Some(Answer::in_order(candidates.collect()))
}

/// Of charts on disk their versions; of a repository that would have to be asked the minors that are known, which are
/// as good: each stands for its newest patch.
async fn versions(line: &Line<'_>) -> Option<Answer> {
    let (installing, runs) = match line.value("cni") {
        Some(id) => (known(id)?, None),
        None if line.name == "install" => return None,
        None => running(line).await?,
    };
    let source = match (line.value("chart"), line.value("repo")) {
        (Some(chart), _) => Some(ChartSource::chart(chart).ok()?),
        (None, Some(repo)) => Some(ChartSource::of(installing, Some(repo)).ok()?),
        (None, None) => None,
    };
    let newer = |version: &str| match (&runs, version::parse(version)) {
        (Some(runs), Some(version)) => version > *runs,
        _ => true,
    };
    let mut candidates: Vec<Candidate> = vec![];
    if let Some(source) = source.filter(|source| !source.needs_helm()) {
        let charts = Charts::new(None).ok()?;
        let offered: Vec<Offered> = charts.offered(&source).await.ok()?;
        candidates.extend(
            offered
                .iter()
                .filter(|offered| newer(&offered.version))
                .map(|offered| {
                    let says = match offered.app_version == offered.version {
                        true => String::new(),
                        false => format!("installs {}", offered.app_version),
                    };
                    Candidate::new(&offered.version, says)
                }),
        );
    } else {
        let ((major, oldest), (_, newest)) = installing.minors;
        let runs = runs.as_ref().map(|runs| (runs.major, runs.minor));
        let minors = (oldest..=newest).rev().map(|minor| (major, minor));
        let ahead = minors.filter(|minor| runs.is_none_or(|runs| *minor >= runs));
        candidates.extend(
            ahead.map(|(major, minor)| Candidate::new(format!("{major}.{minor}"), "its newest patch")),
        );
    }
    Some(Answer::in_order(candidates))
}

fn known(id: &str) -> Option<&'static Installing> {
    let found: Option<&&Cni> = cni::ALL.iter().find(|cni| cni.id == id);
    found?.installing
}

/// How the CNI of the cluster, or of the file in its place, is installed, and the version that runs.
async fn running(line: &Line<'_>) -> Option<(&'static Installing, Option<semver::Version>)> {
    let files: Vec<std::path::PathBuf> = line
        .values("from")
        .filter(|file| *file != "-")
        .map(Into::into)
        .collect();
    let capture = match files.is_empty() {
        true => lookup::cni(&Connection::unwatched(&flags(line)).await.ok()?).await,
        false => capture_file::load(&files).ok()?,
    };
    let asked = Asked::default();
    let facts = Facts::of(&capture, &asked);
    let installing = cni_of(&facts)?.installing?;
    let runs = facts.detection.version();
    // A patch is told from the image; one that is none of ours says nothing.
    let runs = runs.filter(|runs| minor_of(runs).is_some());
    Some((installing, runs.and_then(|runs| version::parse(&runs))))
}
