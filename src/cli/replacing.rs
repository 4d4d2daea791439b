//! What `upgrade` and `rollback` share: the release that stands, plans of one hop or several, and carrying them out.
#![expect(clippy::disallowed_methods, reason = "a change has a beginning")]

use std::time::Duration;

use clap::Args as ClapArgs;

use super::{
    Failure, Outcome,
    changing::{Opened, Output, confirmed, luggage, progressive, tell_end},
    signals::Signals,
    terminal::Terminal,
    watching::Watcher,
};
use crate::{
    core::{
        capture::{Capture, Source},
        change::{Ended, Event},
        cni::Cni,
        codes::release::RELEASE_MISSING,
        facts::{Asked, Facts},
        finding::{Finding, Subject},
        journal::{self, Pace, Record},
        plan::{Plan, Request, assemble},
        revision::{Recorded, Revision, strategy_only},
        rollout,
    },
    io::{
        change::{
            self, Former, Job, journal as book,
            planning::{Live, Planned, Planner, expected},
            records,
            trial::Extent,
        },
        charts::Charts,
        connection::{Connection, parse_duration},
        helm::{Helm, Target},
        recorded::{self, Kept},
    },
    render::{self, outcome},
};

/// How agents are replaced, node by node.
#[derive(Debug, ClapArgs)]
pub struct Pacing {
    /// Nodes of each pool that are replaced first, one after the other
    #[arg(long, value_name = "N", default_value_t = 1)]
    canary: usize,
    /// Agents that are down at once, at most [default: 2 % of the nodes, at least 1, at most 10]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    max_parallel: Option<usize>,
    /// How long a canary must be well before the next node
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "60s")]
    soak: Duration,
    /// How long everything must hold in the end
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "30s")]
    settle: Duration,
    /// Stop once the canaries are well, to look at them; `resume` goes on
    #[arg(long)]
    pause: bool,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err(format!("{text:?} is no number of agents: at least 1")),
        Ok(number) => Ok(number),
    }
}

impl Pacing {
    /// For a cluster of so many nodes.
    pub fn pace(&self, nodes: usize) -> Pace {
        Pace {
            canaries: self.canary,
            max_parallel: self
                .max_parallel
                .unwrap_or_else(|| rollout::default_max_parallel(nodes)),
            soak_seconds: self.soak.as_secs(),
            limit_seconds: 0,
            pause: self.pause,
        }
    }

    /// How long everything must hold in the end.
    pub fn settle(&self) -> Duration {
        self.settle
    }
}

/// A release by its names.
pub struct Named<'n> {
    /// Its name.
    pub release: &'n str,
    /// Its namespace.
    pub namespace: &'n str,
    /// The version that was installed first, where it is known.
    pub first: Option<&'n str>,
}

/// The release of the CNI as it stands in a live cluster.
pub struct Standing {
    /// The CNI, where it is one that is known how to upgrade.
    pub cni: Option<&'static Cni>,
    /// The release's name.
    pub release: String,
    /// The release's namespace.
    pub namespace: String,
    /// Its revisions, oldest first.
    pub revisions: Vec<Revision>,
    /// What our journal knows of it.
    pub record: Record,
    /// The revision to start from: the newest that was deployed.
    pub kept: Kept,
}

impl Standing {
    /// Reads it.
    ///
    /// # Errors
    /// A finding where there is no release, or none that can be used; a failure where it cannot be read.
    pub async fn read(
        opened: &Opened,
        helm: &Helm,
        charts: &Charts<'_>,
        namespace: Option<&str>,
        asked: &Asked,
    ) -> Result<Result<Standing, Finding>, Failure> {
        let facts = Facts::of(&opened.capture, asked);
        let Some(found) = named(&facts, namespace) else {
            return Ok(Err(no_release(&facts)?));
        };
        let target = Target {
            namespace: found.1.clone(),
            ..opened.target()?.clone()
        };
        let revisions = helm.release(&target, &found.0, None).history().await;
        let revisions = revisions.map_err(|e| Failure {
            message: e.to_string(),
            hint: e.hint(),
            outcome: Outcome::Failed,
        })?;
        if let Some(finding) = records::passed_over(&facts, &found.1, &found.0, &revisions) {
            return Ok(Err(finding));
        }
        let deployed = revisions.iter().rev().find(|r| r.status == "deployed");
        let Some(from) = deployed.or(revisions.last()) else {
            return Ok(Err(no_record(&facts, &found)));
        };
        let book = book::read(&opened.connection)
            .await
            .map_err(change::ChangeError::from)?;
        let key = format!("{}/{}", found.1, found.0);
        let mut kept = read(&opened.connection, charts, &found, from.revision).await?;
        if strategy_only(&kept.recorded.description) {
            let own = revisions
                .iter()
                .rev()
                .find(|r| r.revision < from.revision && !strategy_only(&r.description));
            let before = match own {
                Some(own) => Some(read(&opened.connection, charts, &found, own.revision).await?),
                None => None,
            };
            let before = before.as_ref().map(|b| &b.recorded.values);
            kept.recorded.values = change::at_ease(&kept.recorded.values, before, cni_of(&facts));
        }
        Ok(Ok(Standing {
            cni: cni_of(&facts),
            release: found.0,
            namespace: found.1,
            revisions,
            record: book.journal.records.get(&key).cloned().unwrap_or_default(),
            kept,
        }))
    }

    /// The version that was installed first: from our journal, else of the first revision while helm still has it.
    pub fn first(&self) -> Option<&str> {
        let oldest = self.revisions.first().filter(|r| r.revision == 1);
        self.record
            .first_installed
            .as_deref()
            .or(oldest.map(|r| r.version.as_str()))
    }

    /// A revision of it.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub async fn revision(
        &self,
        connection: &Connection,
        charts: &Charts<'_>,
        revision: i64,
    ) -> Result<Kept, Failure> {
        let found = (self.release.clone(), self.namespace.clone());
        read(connection, charts, &found, revision).await
    }
}

async fn read(
    connection: &Connection,
    charts: &Charts<'_>,
    (release, namespace): &(String, String),
    revision: i64,
) -> Result<Kept, Failure> {
    recorded::read(connection, charts, namespace, release, revision)
        .await
        .map_err(|error| Failure {
            message: error.to_string(),
            hint: error.hint(),
            outcome: Outcome::Failed,
        })
}

/// The CNI of the cluster, where it is one that is known how to upgrade.
pub fn cni_of(facts: &Facts<'_>) -> Option<&'static Cni> {
    let cni = facts.detection.main.as_ref().map(|main| main.cni);
    cni.filter(|cni| cni.installing.is_some())
}

/// The release's name and namespace: that of the CNI that was found, else the only one that we installed.
fn named(facts: &Facts<'_>, namespace: Option<&str>) -> Option<(String, String)> {
    let right = |own: &str| namespace.is_none_or(|n| n == own);
    if let Some(found) = &facts.release {
        let release = &found.release;
        return right(&release.namespace).then(|| (release.name.clone(), release.namespace.clone()));
    }
    if facts.detection.main.is_some() {
        return None;
    }
    // What came from a manifest, or from a chart of the user's own, is known by no mark but our record.
    let records = journal::records(facts.capture);
    let mut ours = records
        .keys()
        .filter_map(|key| key.split_once('/'))
        .filter(|(own, _)| right(own));
    let (namespace, name) = ours.next()?;
    ours.next()
        .is_none()
        .then(|| (name.to_string(), namespace.to_string()))
}

/// What is told where the CNI's objects name a release that helm knows nothing of.
fn no_record(facts: &Facts<'_>, (release, namespace): &(String, String)) -> Finding {
    let (name, id) = cni_of(facts).map_or(("the CNI", "--chart PATH"), |cni| (cni.name, cni.id));
    Finding::new(
        &RELEASE_MISSING,
        vec![Subject::namespaced("Release", namespace, release)],
        format!(
            "the objects of {name} name the release {namespace}/{release}, and helm has no record of it any more: there is \
             nothing to upgrade or to roll back"
        ),
        format!("kubectl byocni install {id} --take-ownership --dry-run"),
    )
}

/// What is told where the CNI belongs to no release.
///
/// # Errors
/// Where that is not known: what a CNI and its release are found by was not read.
pub fn no_release(facts: &Facts<'_>) -> Result<Finding, Failure> {
    let missing: Vec<String> = [Source::DaemonSets, Source::Deployments]
        .into_iter()
        .filter_map(|source| facts.capture.state(source).missing(source))
        .collect();
    if !missing.is_empty() {
        return Err(Failure {
            message: format!(
                "cannot tell which CNI is here, nor its release, for want of {}",
                missing.join(", ")
            ),
            hint: Some("kubectl byocni status shows everything that could not be read".into()),
            outcome: Outcome::Incomplete,
        });
    }
    let (message, fix) = match facts.detection.main.as_ref().map(|main| main.cni) {
        Some(cni) => (
            format!(
                "{} runs here without a Helm release: there is nothing to upgrade or to roll back",
                cni.name
            ),
            format!("kubectl byocni install {} --take-ownership --dry-run", cni.id),
        ),
        None => (
            "there is no CNI here: there is nothing to upgrade or to roll back".to_string(),
            "kubectl byocni install cilium --dry-run".to_string(),
        ),
    };
    Ok(Finding::new(
        &RELEASE_MISSING,
        vec![Subject::cluster()],
        message,
        fix,
    ))
}

/// Says that nothing was done and why, in the asked format.
///
/// # Errors
/// Where standard output cannot be written.
pub fn refused(
    change: crate::core::code::Change,
    finding: Finding,
    output: Output,
    terminal: &Terminal,
) -> Result<Outcome, Failure> {
    let changed = outcome::Changed {
        change,
        cni: String::new(),
        version: String::new(),
        release: String::new(),
        from: None,
    };
    tell_end(&changed, &Ended::Refused(finding), output, terminal)
}

/// Draws one plan, or several as one document.
pub fn drawn(plans: &[Plan], output: Output, terminal: &Terminal) -> String {
    match plans {
        [plan] => render::plan(plan, &terminal.style, output.format()),
        several => render::plans(several, &terminal.style, output.format()),
    }
}

/// Asks once for everything that is planned.
///
/// # Errors
/// Where nobody can be asked.
pub async fn agreed(
    yes: bool,
    plans: &[Plan],
    terminal: &Terminal,
    signals: &Signals,
) -> Result<bool, Failure> {
    let (Some(first), Some(last)) = (plans.first(), plans.last()) else {
        return Ok(false);
    };
    let hops = match plans.len() {
        1 => String::new(),
        n => format!(", in {n} hops"),
    };
    let question = format!(
        "{}{hops} on {} ({} nodes)?",
        assemble::title(last),
        first.context.as_deref().unwrap_or("this cluster"),
        first.nodes.0
    );
    confirmed(yes, &question, terminal, signals).await
}

/// Live, as a planner wants it.
///
/// # Errors
/// Never where helm was found.
pub fn live<'o>(opened: &'o Opened, everything: bool) -> Live<'o> {
    Live {
        connection: &opened.connection,
        target: opened.target.as_ref(),
        tries: if everything {
            Extent::Everything
        } else {
            Extent::Roles
        },
    }
}

/// What one hop is carried out with.
pub struct Hop<'h> {
    /// Made the plan.
    pub planner: &'h Planner<'h>,
    /// The plan.
    pub planned: &'h Planned,
    /// What was asked for.
    pub request: &'h Request,
    /// The capture that it was planned from.
    pub capture: &'h Capture,
    /// Where it goes back to.
    pub former: &'h Kept,
}

/// Carries one hop out.
///
/// # Errors
/// Where it could not be begun or gone on with.
pub async fn carry_out(
    hop: &Hop<'_>,
    opened: &Opened,
    helm: &Helm,
    terminal: &Terminal,
    signals: &Signals,
) -> Result<(outcome::Changed, Ended), Failure> {
    let (planned, request) = (hop.planned, hop.request);
    let (Some(chart), Some(rendered)) = (&planned.chart, &planned.rendered) else {
        return Err(Failure::new("there is no chart to go to"));
    };
    let now = jiff::Timestamp::now();
    let operation = planned.operation(hop.capture, hop.planner.asked, request, now);
    let settle = planned.plan.gate.settle;
    let former = &hop.former.recorded;
    let back = expected(&operation, request.cni, &former.manifest, settle);
    let expected = expected(&operation, request.cni, rendered, settle);
    let version = chart.chart.app_version.trim_start_matches('v').to_string();
    let changed = outcome::Changed {
        change: request.change,
        cni: planned.plan.cni.clone(),
        version: version.clone(),
        release: format!("{}/{}", operation.namespace, operation.release),
        from: Some(before(former)),
    };
    let head = format!("{} {} {version}", progressive(request.change), planned.plan.cni);
    let watcher = Watcher::new(terminal, head, planned.plan.gate.timeout);
    let tell = |event: &Event| watcher.see(event);
    let target = Target {
        namespace: operation.namespace.clone(),
        ..opened.target()?.clone()
    };
    let job = Job {
        connection: &opened.connection,
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
        former: Some(Former {
            chart: &hop.former.chart.path,
            version: &former.chart.version,
            values: &former.values,
            expected: back,
        }),
        asked: hop.planner.asked,
        stop: signals.stop(),
        tell: &tell,
    };
    let still = async || hop.planner.moved(planned).await;
    let ended = watcher.during(change::begin(job, still)).await;
    watcher.end();
    Ok((changed, ended?))
}

/// A revision in a few words: `1.19.6, revision 3`.
pub fn before(recorded: &Recorded) -> String {
    let version = recorded.chart.app_version.trim_start_matches('v');
    format!("{version}, revision {}", recorded.revision)
}

/// What `changing::opened` found, asked for again between hops.
///
/// # Errors
/// Where the cluster cannot be read.
pub async fn looked_again(opened: &mut Opened, asked: &Asked) -> Result<(), Failure> {
    opened.capture = crate::io::cluster::read_for_change(&opened.connection, asked, &|_, _, _| {}).await?;
    Ok(())
}
