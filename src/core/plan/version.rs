//! Which version is installed: the newest stable one that suits the cluster, unless the user says.

use semver::{Prerelease, Version};
use serde_json::Value;

use crate::core::{
    chart::Offered,
    cni::{Cni, minor_of},
    code::Change,
    codes::values::{
        CNI_VERSION_OUT_OF_RANGE, KNOWN_BAD_VERSION, KUBERNETES_UNTESTED, VERSION_UNKNOWN, VERSION_UNSUITABLE,
    },
    facts::{Facts, NodeFacts},
    finding::{Finding, Subject},
    text::Text,
    words,
};

/// Kubernetes versions that a CNI's project names as tested with one of its minors.
#[derive(Debug)]
pub struct Tested {
    /// The CNI's minor.
    pub minor: (u64, u64),
    /// The oldest and the newest Kubernetes minor.
    pub kubernetes: ((u64, u64), (u64, u64)),
    /// Where that is written.
    pub source: &'static str,
    /// When it was read, as a date.
    pub read: &'static str,
}

/// Versions that do harm under a condition.
pub struct KnownBad {
    /// The first version.
    pub from: (u64, u64, u64),
    /// The first version that is good again.
    pub below: (u64, u64, u64),
    /// The changes that it concerns.
    pub changes: &'static [Change],
    /// The evidence that the condition holds, given the cluster and the values of the release; nothing where it does
    /// not, or where that cannot be told.
    pub applies: fn(&Facts<'_>, &Value) -> Option<String>,
    /// What happens.
    pub effect: &'static str,
    /// Where that is written.
    pub source: &'static str,
    /// When it was read, as a date.
    pub read: &'static str,
}

/// A version as charts write it, with or without a `v` before it.
pub fn parse(text: &str) -> Option<Version> {
    let text = text.trim();
    Version::parse(text.strip_prefix('v').unwrap_or(text)).ok()
}

/// The version to install among those that a source offers, and why.
///
/// # Errors
/// `version-unknown` where `wanted` is not offered or nothing known is, `version-unsuitable` where what there is does
/// not run on this cluster.
pub fn choose(
    offered: &[Offered],
    cni: &Cni,
    wanted: Option<&str>,
    facts: &Facts<'_>,
) -> Result<(Offered, String), Finding> {
    let mut all: Vec<(Version, &Offered)> = offered
        .iter()
        .filter_map(|o| Some((parse(&o.version)?, o)))
        .collect();
    all.sort_by(|a, b| b.0.cmp(&a.0));
    match wanted {
        Some(wanted) => asked_for(&all, cni, wanted, facts),
        None => newest(&all, cni, facts),
    }
}

fn asked_for(
    all: &[(Version, &Offered)],
    cni: &Cni,
    wanted: &str,
    facts: &Facts<'_>,
) -> Result<(Offered, String), Finding> {
    let text = wanted.trim();
    let text = text.strip_prefix('v').unwrap_or(text);
    let exact = Version::parse(text).ok();
    let minor = (text.split('.').count() == 2).then(|| minor_of(text)).flatten();
    let found = match (&exact, minor) {
        (Some(exact), _) => all.iter().find(|(v, _)| v == exact),
        (None, Some(minor)) => all
            .iter()
            .find(|(v, _)| (v.major, v.minor) == minor && v.pre.is_empty()),
        (None, None) => None,
    };
    let Some((version, offered)) = found else {
        return Err(unknown(all, cni, wanted));
    };
    if let Some(why) = unsuited(version, offered, cni, facts) {
        return Err(Finding::new(
            &VERSION_UNSUITABLE,
            why.subjects,
            format!("{} {} {}", cni.name, offered.version, why.words),
            "kubectl byocni explain version-unsuitable",
        ));
    }
    let reason = if exact.is_some() {
        "given with --version".to_string()
    } else {
        format!("the newest {text} that is offered; given with --version")
    };
    Ok(((*offered).clone(), reason))
}

/// The finding for a version that is not offered: the nearest one is named.
fn unknown(all: &[(Version, &Offered)], cni: &Cni, wanted: &str) -> Finding {
    let mut numbers = wanted
        .trim()
        .trim_start_matches('v')
        .split(['.', '-', '+'])
        .map(|n| n.parse::<u64>().ok());
    let mut next = || numbers.next().flatten();
    let (major, minor, patch) = (next(), next(), next());
    // Who asks for a release is not helped by what comes before one.
    let early = wanted.contains('-');
    let off = |v: &Version| {
        let patch = patch.map_or(u64::MAX - v.patch, |p| v.patch.abs_diff(p));
        (
            v.major.abs_diff(major.unwrap_or(v.major)),
            !early && !v.pre.is_empty(),
            minor.map_or(u64::MAX - v.minor, |m| v.minor.abs_diff(m)),
            patch,
        )
    };
    let nearest = major.and_then(|_| all.iter().min_by_key(|(v, _)| off(v)));
    let nearest = nearest
        .or_else(|| all.iter().find(|(v, _)| v.pre.is_empty()))
        .or(all.first());
    let shown = Text::new(wanted).line(40);
    let (words, fix) = match nearest {
        Some((_, near)) => (
            format!(
                "{} {shown} is not offered; the nearest is {}",
                cni.name, near.version
            ),
            format!("kubectl byocni install {} --version {}", cni.id, near.version),
        ),
        None => (
            format!(
                "{} {shown} is not offered: the source has no version of it",
                cni.name
            ),
            "name another source with --repo or --chart".to_string(),
        ),
    };
    Finding::new(&VERSION_UNKNOWN, vec![], words, fix)
}

fn newest(all: &[(Version, &Offered)], cni: &Cni, facts: &Facts<'_>) -> Result<(Offered, String), Finding> {
    let minors = cni
        .installing
        .map_or(((0, 0), (u64::MAX, u64::MAX)), |i| i.minors);
    let known: Vec<&(Version, &Offered)> = all
        .iter()
        .filter(|(v, _)| {
            v.pre.is_empty() && ((v.major, v.minor) >= minors.0 && (v.major, v.minor) <= minors.1)
        })
        .collect();
    let Some((newest_version, newest_offered)) = known.first() else {
        let there = all.first().map_or("none at all".to_string(), |(_, o)| {
            format!("the newest is {}", o.version)
        });
        return Err(Finding::new(
            &VERSION_UNKNOWN,
            vec![],
            format!(
                "the source offers no {} {}.{} to {}.{}, which are known how to install: {there}",
                cni.name, minors.0.0, minors.0.1, minors.1.0, minors.1.1
            ),
            "choose one yourself with --version, or name another source with --repo or --chart",
        ));
    };
    let suited = known.iter().find(|(v, o)| unsuited(v, o, cni, facts).is_none());
    match suited {
        Some((version, offered)) => {
            let cluster = match &facts.platform.kubernetes_version {
                Some(kubernetes) => format!("Kubernetes {}", Text::new(kubernetes).line(40)),
                None => "this cluster".to_string(),
            };
            let passed = (version < newest_version)
                .then(|| unsuited(newest_version, newest_offered, cni, facts))
                .flatten();
            let passed = passed.map(|why| format!("; {} {}", newest_offered.version, why.words));
            let reason = format!(
                "the newest stable version that suits {cluster}{}",
                passed.unwrap_or_default()
            );
            Ok(((**offered).clone(), reason))
        }
        None => {
            let why = unsuited(newest_version, newest_offered, cni, facts);
            let (subjects, words) = why.map_or((vec![], String::new()), |w| (w.subjects, w.words));
            Err(Finding::new(
                &VERSION_UNSUITABLE,
                subjects,
                format!(
                    "no version of {} that is offered suits this cluster: {} {words}",
                    cni.name, newest_offered.version
                ),
                "kubectl byocni explain version-unsuitable",
            ))
        }
    }
}

/// Why a version does not run here.
pub(super) struct Unsuited {
    /// The nodes that are in the way, where it is a matter of nodes.
    pub subjects: Vec<Subject>,
    /// As the rest of a sentence that begins with the version.
    pub words: String,
}

/// Why a version does not run here: its chart asks for other Kubernetes versions, or a kernel is too old.
pub(super) fn unsuited(
    version: &Version,
    offered: &Offered,
    cni: &Cni,
    facts: &Facts<'_>,
) -> Option<Unsuited> {
    let kubernetes = facts.platform.kubernetes_version.as_deref().and_then(parse);
    if let (Some(asked), Some(kubernetes)) = (&offered.kube_version, &kubernetes)
        && satisfies(asked, kubernetes) == Some(false)
    {
        return Some(Unsuited {
            subjects: vec![],
            words: format!(
                "asks for Kubernetes {}, this is {kubernetes}",
                Text::new(asked).line(60)
            ),
        });
    }
    let oldest = (cni.oldest_kernel)(Some((version.major, version.minor)))?;
    let old: Vec<&NodeFacts<'_>> = facts
        .nodes
        .iter()
        .filter(|n| n.linux && !n.is_virtual && n.kernel().is_some_and(|k| k < oldest))
        .collect();
    let worst = old.iter().min_by_key(|n| n.kernel())?;
    let (major, minor) = worst.kernel()?;
    Some(Unsuited {
        subjects: old.iter().map(|n| Subject::node(n.name)).collect(),
        words: format!(
            "needs a kernel of {}.{} or newer: {} has {major}.{minor}, {} in all",
            oldest.0,
            oldest.1,
            worst.name,
            words::count(old.len(), "older one")
        ),
    })
}

/// Whether a Kubernetes version satisfies a chart's `kubeVersion`, as Helm judges: `||` separates alternatives, a
/// version with a suffix (`1.34.4-gke.1`) satisfies only those whose own versions have one (`>= 1.21.0-0`). Nothing
/// where the constraint cannot be read: Helm will tell.
/// <https://github.com/Masterminds/semver#checking-version-constraints>
pub fn satisfies(constraint: &str, kubernetes: &Version) -> Option<bool> {
    let mut any = false;
    for alternative in constraint.split("||") {
        let mut all = true;
        for comparison in comparisons(alternative)? {
            all &= comparison.holds(kubernetes);
        }
        any |= all;
    }
    Some(any)
}

struct Comparison {
    operator: String,
    numbers: Vec<u64>,
    suffix: Prerelease,
}

impl Comparison {
    fn bound(&self, at: usize) -> u64 {
        self.numbers.get(at).copied().unwrap_or(0)
    }

    fn version(&self) -> Version {
        let mut version = Version::new(self.bound(0), self.bound(1), self.bound(2));
        version.pre = self.suffix.clone();
        version
    }

    /// The first version behind all those that begin with the first `kept` numbers.
    fn behind(&self, kept: usize) -> Version {
        match kept {
            0 => Version::new(u64::MAX, 0, 0),
            1 => Version::new(self.bound(0) + 1, 0, 0),
            2 => Version::new(self.bound(0), self.bound(1) + 1, 0),
            _ => Version::new(self.bound(0), self.bound(1), self.bound(2) + 1),
        }
    }

    fn holds(&self, version: &Version) -> bool {
        if !version.pre.is_empty() && self.suffix.is_empty() {
            return false;
        }
        let own = self.version();
        let given = self.numbers.len();
        // `1.34` means all of 1.34.
        let within = |behind: Version| *version >= own && *version < behind;
        match self.operator.as_str() {
            "" | "=" => within(self.behind(given)),
            "!=" => !within(self.behind(given)),
            ">" if given < 3 => *version >= self.behind(given),
            ">" => *version > own,
            ">=" => *version >= own,
            "<" => *version < own,
            "<=" if given < 3 => *version < self.behind(given),
            "<=" => *version <= own,
            "~" => within(self.behind(given.min(2))),
            // ^0.2 is 0.2.x, as for every number before the first that is not 0.
            _ => {
                let first = self
                    .numbers
                    .iter()
                    .position(|n| *n > 0)
                    .unwrap_or(given.saturating_sub(1));
                within(self.behind(first + 1))
            }
        }
    }
}

/// The comparisons of one alternative, all of which must hold; nothing where one cannot be read.
fn comparisons(text: &str) -> Option<Vec<Comparison>> {
    // `1.2 - 1.4` is a range.
    if let Some((from, to)) = text.split_once(" - ") {
        let mut both = comparisons(&format!(">={}", from.trim()))?;
        both.extend(comparisons(&format!("<={}", to.trim()))?);
        return Some(both);
    }
    let mut found = vec![];
    let mut rest = text.trim_start_matches([' ', ',']);
    while !rest.is_empty() {
        let end = rest.find(|c: char| !"<>=!~^".contains(c)).unwrap_or(rest.len());
        let (operator, behind) = rest.split_at(end);
        let behind = behind.trim_start();
        let end = behind.find([' ', ',']).unwrap_or(behind.len());
        let (version, behind) = behind.split_at(end);
        found.push(comparison(operator, version)?);
        rest = behind.trim_start_matches([' ', ',']);
    }
    Some(found)
}

fn comparison(operator: &str, version: &str) -> Option<Comparison> {
    let operator = match operator {
        "=<" => "<=",
        "=>" => ">=",
        "~>" => "~",
        known @ ("" | "=" | "!=" | ">" | ">=" | "<" | "<=" | "~" | "^") => known,
        _ => return None,
    };
    let version = version.trim_start_matches('v');
    let version = version.split('+').next()?;
    let (core, suffix) = version.split_once('-').unwrap_or((version, ""));
    let mut numbers = vec![];
    for word in core.split('.') {
        if matches!(word, "x" | "X" | "*") {
            break;
        }
        numbers.push(word.parse().ok()?);
    }
    (numbers.len() <= 3).then_some(())?;
    Some(Comparison {
        operator: operator.to_string(),
        numbers,
        suffix: Prerelease::new(suffix).ok()?,
    })
}

/// What is to be said of a version on this cluster, with these values: outside what is known, outside what was
/// tested, or known to do harm. `values` are those of the release over the chart's own.
pub fn judge(version: &str, cni: &Cni, change: Change, facts: &Facts<'_>, values: &Value) -> Vec<Finding> {
    let (Some(installing), Some(version)) = (cni.installing, parse(version)) else {
        return vec![];
    };
    let mut findings = vec![];
    let minor = (version.major, version.minor);
    let (oldest, newest) = installing.minors;
    if minor < oldest || minor > newest {
        findings.push(Finding::new(
            &CNI_VERSION_OUT_OF_RANGE,
            vec![],
            format!(
                "{} {version} is {} than what is known here ({}.{} to {}.{}): its values and its behaviour may differ from what this plan assumes",
                cni.name,
                if minor < oldest { "older" } else { "newer" },
                oldest.0, oldest.1, newest.0, newest.1
            ),
            "kubectl byocni explain cni-version-out-of-range",
        ));
    }
    let kubernetes = facts.platform.kubernetes_version.as_deref().and_then(parse);
    let tested = installing.tested.iter().find(|t| t.minor == minor);
    if let (Some(kubernetes), Some(tested)) = (kubernetes, tested) {
        let (from, to) = tested.kubernetes;
        let here = (kubernetes.major, kubernetes.minor);
        if here < from || here > to {
            findings.push(Finding::new(
                &KUBERNETES_UNTESTED,
                vec![],
                format!(
                    "{} {}.{} was tested with Kubernetes {}.{} to {}.{}, this is {}.{} ({}, read {})",
                    cni.name,
                    minor.0,
                    minor.1,
                    from.0,
                    from.1,
                    to.0,
                    to.1,
                    here.0,
                    here.1,
                    tested.source,
                    tested.read
                ),
                "kubectl byocni explain kubernetes-untested",
            ));
        }
    }
    let at = (version.major, version.minor, version.patch);
    for row in installing.known_bad {
        let concerned = row.changes.contains(&change) && at >= row.from && at < row.below;
        let evidence = concerned.then(|| (row.applies)(facts, values)).flatten();
        findings.extend(evidence.map(|evidence| {
            Finding::new(
                &KNOWN_BAD_VERSION,
                vec![],
                format!(
                    "{} {version}: {evidence}; {} ({})",
                    cni.name, row.effect, row.source
                ),
                match change {
                    Change::Install => format!(
                        "kubectl byocni install {} --version {}.{}.{} or newer",
                        cni.id, row.below.0, row.below.1, row.below.2
                    ),
                    _ => format!(
                        "kubectl byocni upgrade --to {}.{}.{} or newer",
                        row.below.0, row.below.1, row.below.2
                    ),
                },
            )
        }));
    }
    findings
}
