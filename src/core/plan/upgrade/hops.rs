//! The way from one version to another: the newest patch of the minor first, then the newest patch of every minor that
//! lies between. Projects of CNIs test nothing further apart, in either direction
//! (<https://docs.cilium.io/en/stable/operations/upgrade/>).

use std::cmp::Ordering;

use semver::Version;

use super::{Goal, Hop};
use crate::core::{
    chart::Offered,
    cni::{Cni, minor_of},
    code::Code,
    codes::{
        upgrade::{DOWNGRADE_SKIPS_MINOR, PATCH_FIRST, UPGRADE_GOES_BACK, UPGRADE_SKIPS_MINOR},
        values::{CNI_VERSION_OUT_OF_RANGE, VERSION_UNKNOWN, VERSION_UNSUITABLE},
    },
    facts::Facts,
    finding::Finding,
    plan::version::{parse, unsuited},
    text::Text,
};

type Minor = (u64, u64);

/// The hops from `current` to the goal, each to the newest patch that suits the cluster; none where there is nothing
/// newer, or the goal is what is installed. Without a CNI that is known how to install, no minor has to be walked.
///
/// # Errors
/// `version-unknown` where a version or a minor on the way is not offered, `version-unsuitable` where it does not run
/// here or is a pre-release, `upgrade-skips-minor`, `downgrade-skips-minor`, `upgrade-goes-back`, and
/// `cni-version-out-of-range` where the goal is no version that is known.
pub fn hops(
    offered: &[Offered],
    cni: Option<&'static Cni>,
    current: &str,
    goal: &Goal,
    facts: &Facts<'_>,
) -> Result<Vec<Hop>, Finding> {
    let offers = Offers::of(offered, cni, facts);
    let Some(version) = parse(current) else {
        return Err(Finding::new(
            &VERSION_UNKNOWN,
            vec![],
            format!(
                "the release's chart version {} cannot be read as a version: nothing can be said of what comes after it",
                Text::new(current).line(60)
            ),
            "name the version with --version",
        ));
    };
    let here = Here {
        text: current.to_string(),
        version,
    };
    // What is installed need not be offered any more.
    if let Goal::To(wanted) | Goal::Exactly(wanted) = goal
        && parse(wanted).is_some_and(|wanted| same(&wanted, &here.version))
    {
        return Ok(vec![]);
    }
    match goal {
        Goal::NewestPatch => {
            offers.known(&here, minor(&here.version))?;
            Ok(offers.patch(&here, "the newest patch of").into_iter().collect())
        }
        Goal::To(wanted) => {
            let target = offers.wanted(wanted, &here)?;
            offers.towards(&here, &target)
        }
        Goal::Exactly(wanted) => {
            let target = offers.wanted(wanted, &here)?;
            // A minor's newest patch may be the one that is installed.
            if target.version.cmp_precedence(&here.version) != Ordering::Greater {
                return Ok(vec![]);
            }
            offers.in_one(&here, &target)?;
            Ok(vec![here.to(&target, "given with --version".into())])
        }
    }
}

/// The warning that the newest patch of the minor comes before a hop to another.
pub fn patch_first(
    offered: &[Offered],
    cni: Option<&'static Cni>,
    from: &str,
    to: &str,
    facts: &Facts<'_>,
) -> Option<Finding> {
    cni?.installing?;
    let (here, there) = (parse(from)?, parse(to)?);
    if minor(&here) >= minor(&there) {
        return None;
    }
    let offers = Offers::of(offered, cni, facts);
    let newest = offers.newest(minor(&here)).ok().flatten()?;
    (newest.version.cmp_precedence(&here) == Ordering::Greater).then(|| {
        Finding::new(
            &PATCH_FIRST,
            vec![],
            format!(
                "{} is not the newest {}.{}: take {} before {there}",
                here, here.major, here.minor, newest.version
            ),
            format!(
                "kubectl byocni upgrade --to {there}, which goes by way of {}",
                newest.version
            ),
        )
    })
}

fn minor(version: &Version) -> Minor {
    (version.major, version.minor)
}

fn same(a: &Version, b: &Version) -> bool {
    a.cmp_precedence(b) == Ordering::Equal
}

fn shown(minor: Minor) -> String {
    format!("{}.{}", minor.0, minor.1)
}

/// How many minors lie between two versions; nothing between majors.
fn apart(a: Minor, b: Minor) -> Option<u64> {
    (a.0 == b.0).then(|| a.1.abs_diff(b.1))
}

/// Where a hop begins.
struct Here {
    text: String,
    version: Version,
}

impl Here {
    fn to(&self, target: &Target<'_>, why: String) -> Hop {
        Hop {
            from: self.text.clone(),
            to: target.offered.version.clone(),
            why,
        }
    }
}

/// Where a hop ends.
#[derive(Clone)]
struct Target<'a> {
    version: Version,
    offered: &'a Offered,
    /// Named in full, not as the newest of a minor.
    in_full: bool,
}

impl Target<'_> {
    fn as_here(&self) -> Here {
        Here {
            text: self.offered.version.clone(),
            version: self.version.clone(),
        }
    }
}

/// What a source offers, newest first.
struct Offers<'a> {
    all: Vec<Target<'a>>,
    cni: Option<&'static Cni>,
    facts: &'a Facts<'a>,
}

impl<'a> Offers<'a> {
    fn of(offered: &'a [Offered], cni: Option<&'static Cni>, facts: &'a Facts<'a>) -> Self {
        let mut all: Vec<Target<'a>> = offered
            .iter()
            .filter_map(|offered| {
                Some(Target {
                    version: parse(&offered.version)?,
                    offered,
                    in_full: false,
                })
            })
            .collect();
        all.sort_by(|a, b| b.version.cmp(&a.version));
        Offers { all, cni, facts }
    }

    fn name(&self) -> &'static str {
        self.cni.map_or("the chart", |c| c.name)
    }

    fn stable(&self, wanted: Minor) -> impl Iterator<Item = &Target<'a>> {
        let own = move |t: &&Target<'a>| t.version.pre.is_empty() && minor(&t.version) == wanted;
        self.all.iter().filter(own)
    }

    /// Why a version does not run here.
    fn unfit(&self, target: &Target<'_>) -> Option<Finding> {
        let why = unsuited(&target.version, target.offered, self.cni?, self.facts)?;
        Some(Finding::new(
            &VERSION_UNSUITABLE,
            why.subjects,
            format!("{} {} {}", self.name(), target.version, why.words),
            "kubectl byocni explain version-unsuitable",
        ))
    }

    /// The newest stable patch of a minor that suits the cluster; nothing where none is offered.
    ///
    /// # Errors
    /// `version-unsuitable` where some are offered and none suits.
    fn newest(&self, wanted: Minor) -> Result<Option<&Target<'a>>, Finding> {
        match self.stable(wanted).find(|t| self.unfit(t).is_none()) {
            Some(found) => Ok(Some(found)),
            None => match self.stable(wanted).next().and_then(|t| self.unfit(t)) {
                Some(finding) => Err(finding),
                None => Ok(None),
            },
        }
    }

    /// The hop to the newest patch of the same minor, where there is a newer one.
    fn patch(&self, here: &Here, why: &str) -> Option<Hop> {
        // That no patch suits is no reason against the one that runs.
        let newest = self.newest(minor(&here.version)).ok().flatten()?;
        (newest.version.cmp_precedence(&here.version) == Ordering::Greater)
            .then(|| here.to(newest, format!("{why} {}", shown(minor(&newest.version)))))
    }

    /// The version that is meant by a word of the user's.
    fn wanted(&self, wanted: &str, here: &Here) -> Result<Target<'a>, Finding> {
        let text = wanted.trim();
        let text = text.strip_prefix('v').unwrap_or(text);
        let exact = parse(text);
        let of_minor = (text.split('.').count() == 2).then(|| minor_of(text)).flatten();
        let meant = exact.as_ref().map(minor).or(of_minor);
        let Some(meant) = meant else {
            return Err(self.unknown(wanted));
        };
        if let Some(exact) = exact.as_ref().filter(|e| !e.pre.is_empty()) {
            return Err(Finding::new(
                &VERSION_UNSUITABLE,
                vec![],
                format!(
                    "{} {exact} is a pre-release: upgrades go to stable versions",
                    self.name()
                ),
                format!("kubectl byocni upgrade --to {}", shown(meant)),
            ));
        }
        // What is behind is told as such, whether it is offered or not.
        match &exact {
            Some(exact) => self.not_back(here, exact)?,
            None if meant < minor(&here.version) => {
                self.not_back(here, &Version::new(meant.0, meant.1, 0))?;
            }
            None => {}
        }
        self.known(here, meant)?;
        let found = match &exact {
            Some(exact) => {
                let found = self.all.iter().find(|t| same(&t.version, exact));
                if let Some(finding) = found.and_then(|t| self.unfit(t)) {
                    return Err(finding);
                }
                found
            }
            None => self.newest(meant)?,
        };
        let mut target = found.cloned().ok_or_else(|| self.unknown(wanted))?;
        target.in_full = exact.is_some();
        Ok(target)
    }

    /// A version that is not offered: the nearest one that comes after what is asked for, else the newest, is named.
    fn unknown(&self, wanted: &str) -> Finding {
        let asked = minor_of(wanted.trim());
        let stable = || self.all.iter().filter(|t| t.version.pre.is_empty());
        let near = asked.and_then(|asked| {
            stable().min_by_key(|t| {
                let own = minor(&t.version);
                (own.0.abs_diff(asked.0), own.1.abs_diff(asked.1))
            })
        });
        let shown = Text::new(wanted).line(40);
        match near.or_else(|| stable().next()) {
            Some(near) => Finding::new(
                &VERSION_UNKNOWN,
                vec![],
                format!(
                    "{} {shown} is not offered; the nearest is {}",
                    self.name(),
                    near.version
                ),
                format!("kubectl byocni upgrade --to {}", near.version),
            ),
            None => Finding::new(
                &VERSION_UNKNOWN,
                vec![],
                format!(
                    "{} {shown} is not offered: the source has no stable version of it",
                    self.name()
                ),
                "name another source with --repo or --chart",
            ),
        }
    }

    /// An upgrade does not go back.
    fn not_back(&self, here: &Here, there: &Version) -> Result<(), Finding> {
        if there.cmp_precedence(&here.version) != Ordering::Less {
            return Ok(());
        }
        let far = self.walks() && apart(minor(there), minor(&here.version)).is_none_or(|n| n > 1);
        let (code, words): (&'static Code, _) = if far {
            (
                &DOWNGRADE_SKIPS_MINOR,
                format!(
                    "{} {there} is more than one minor behind {}, which is installed",
                    self.name(),
                    here.version
                ),
            )
        } else {
            (
                &UPGRADE_GOES_BACK,
                format!(
                    "{} {there} is behind {}, which is installed",
                    self.name(),
                    here.version
                ),
            )
        };
        Err(Finding::new(
            code,
            vec![],
            words,
            "kubectl byocni history, then kubectl byocni rollback REVISION",
        ))
    }

    /// Whether minors have to be walked.
    fn walks(&self) -> bool {
        self.cni.is_some_and(|c| c.installing.is_some())
    }

    /// Only versions that are known are gone to; from an older one to the nearest that is known.
    fn known(&self, here: &Here, there: Minor) -> Result<(), Finding> {
        let Some(installing) = self.cni.and_then(|c| c.installing) else {
            return Ok(());
        };
        let (oldest, newest) = installing.minors;
        let range = format!("{} to {}", shown(oldest), shown(newest));
        let from = minor(&here.version);
        let finding =
            |words: String, fix: String| Finding::new(&CNI_VERSION_OUT_OF_RANGE, vec![], words, fix);
        if there > newest {
            return Err(finding(
                format!(
                    "{} {} is newer than what is known here ({range})",
                    self.name(),
                    shown(there)
                ),
                "take a newer release of this plugin: kubectl byocni version".into(),
            ));
        }
        let (nearest, next) = (shown(oldest), apart(from, oldest) == Some(1));
        if from < oldest && !(next && there == oldest) {
            let fix = if next {
                format!("kubectl byocni upgrade --to {nearest}")
            } else {
                format!("upgrade with helm, one minor after the other, until {nearest} is the next one")
            };
            return Err(finding(
                format!(
                    "{} {} is older than what is known here ({range}): from there an upgrade goes to {nearest} alone, and only if that is the next minor",
                    self.name(),
                    here.version
                ),
                fix,
            ));
        }
        Ok(())
    }

    /// One hop is no more than one minor.
    fn in_one(&self, here: &Here, target: &Target<'a>) -> Result<(), Finding> {
        let (from, to) = (minor(&here.version), minor(&target.version));
        if !self.walks() || apart(from, to).is_some_and(|n| n <= 1) {
            return Ok(());
        }
        let path: Vec<String> = match self.towards(here, target) {
            Ok(hops) => hops
                .iter()
                .map(|h| h.to.trim_start_matches('v').to_string())
                .collect(),
            // A minor on the way is not offered: the way is told all the same.
            Err(_) if from.0 == to.0 => (from.1 + 1..=to.1).map(|m| shown((from.0, m))).collect(),
            Err(_) => vec![target.version.to_string()],
        };
        Err(Finding::new(
            &UPGRADE_SKIPS_MINOR,
            vec![],
            format!(
                "{} {} to {} in one hop skips a minor; the path is {}",
                self.name(),
                here.version,
                target.version,
                path.join(", then ")
            ),
            format!("kubectl byocni upgrade --to {}", target.version),
        ))
    }

    /// Every hop to a version.
    fn towards(&self, here: &Here, target: &Target<'a>) -> Result<Vec<Hop>, Finding> {
        let (from, to) = (minor(&here.version), minor(&target.version));
        let asked = |target: &Target<'_>| {
            if target.in_full {
                "asked for with --to".to_string()
            } else {
                format!("the newest patch of {}, asked for with --to", shown(to))
            }
        };
        if from == to || !self.walks() {
            // The minor may have no newer patch than the one that is installed.
            let newer = target.version.cmp_precedence(&here.version) == Ordering::Greater;
            return Ok(newer
                .then(|| here.to(target, asked(target)))
                .into_iter()
                .collect());
        }
        if from.0 != to.0 {
            return Err(Finding::new(
                &UPGRADE_SKIPS_MINOR,
                vec![],
                format!(
                    "{} {} to {} is another major version: which minors lie between is not known",
                    self.name(),
                    here.version,
                    target.version
                ),
                "kubectl byocni explain upgrade-skips-minor",
            ));
        }
        let mut hops = vec![];
        let mut at = Here {
            text: here.text.clone(),
            version: here.version.clone(),
        };
        let oldest = self.cni.and_then(|c| c.installing).map(|i| i.minors.0);
        // Of a minor that is not known, the patch is not planned either.
        if oldest.is_none_or(|oldest| from >= oldest)
            && let Some(hop) = self.patch(&at, "the newest patch of")
        {
            at.text = hop.to.clone();
            hops.push(Hop {
                why: format!("{}, before another minor", hop.why),
                ..hop
            });
        }
        for between in from.1 + 1..to.1 {
            let next = (from.0, between);
            let Some(newest) = self.newest(next)? else {
                return Err(Finding::new(
                    &VERSION_UNKNOWN,
                    vec![],
                    format!(
                        "the source offers no stable {} {}, which lies on the way from {} to {}",
                        self.name(),
                        shown(next),
                        here.version,
                        target.version
                    ),
                    "name another source with --repo",
                ));
            };
            hops.push(at.to(
                newest,
                format!("the newest patch of {}, on the way to {}", shown(next), shown(to)),
            ));
            at = newest.as_here();
        }
        hops.push(at.to(target, asked(target)));
        Ok(hops)
    }
}
