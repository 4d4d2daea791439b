//! What to ask of a registry. It has no index: helm finds one version at a time there, so the questions that tell which
//! one is right are put in an order in which the first answers suffice.

use super::{upgrade::Goal, version::parse};
use crate::core::cni::{Cni, minor_of};

/// A question to which one version is the answer, or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sought {
    /// This very version, which may be a pre-release.
    Exactly(String),
    /// The newest stable patch of a minor.
    Minor(u64, u64),
    /// The newest stable version of all.
    Newest,
}

/// The questions of an install, or of a `--version` that stands alone. Without `wanted` the minors that are known, from
/// the newest on, until one suits the cluster; with it what is wanted, then what is nearest, to be named.
pub fn for_install(cni: &Cni, wanted: Option<&str>) -> Vec<Sought> {
    let known = known(Some(cni));
    let mut all = vec![];
    match wanted {
        None => all.extend(
            known
                .iter()
                .rev()
                .map(|(major, minor)| Sought::Minor(*major, *minor)),
        ),
        Some(wanted) => {
            all.extend(exactly(wanted));
            if let Some((major, minor)) = minor_of(wanted.trim()) {
                all.push(Sought::Minor(major, minor));
                let mut others: Vec<(u64, u64)> = known;
                others.retain(|other| *other != (major, minor));
                // The newer of two that are as near comes first.
                others.sort_by_key(|o| (o.0.abs_diff(major), o.1.abs_diff(minor), std::cmp::Reverse(*o)));
                all.extend(
                    others
                        .into_iter()
                        .map(|(major, minor)| Sought::Minor(major, minor)),
                );
            }
        }
    }
    all.push(Sought::Newest);
    all
}

/// The questions of an upgrade: the goal, the minor that runs, and every minor between that is known.
pub fn for_upgrade(cni: Option<&Cni>, current: &str, goal: &Goal) -> Vec<Sought> {
    let here = minor_of(current);
    let mut all = vec![];
    let there = match goal {
        Goal::NewestPatch => here,
        Goal::To(wanted) | Goal::Exactly(wanted) => {
            all.extend(exactly(wanted));
            minor_of(wanted.trim())
        }
    };
    // What nobody knows how to install has no minors to walk: it goes where it is told, or to the newest.
    if cni.and_then(|cni| cni.installing).is_none() {
        all.push(Sought::Newest);
        return all;
    }
    let mut minors: Vec<(u64, u64)> = there.into_iter().chain(here).collect();
    if let (Some(here), Some(there)) = (here, there) {
        let between = |minor: &(u64, u64)| *minor > here && *minor < there;
        minors.extend(known(cni).into_iter().rev().filter(between));
    }
    minors.dedup();
    all.extend(
        minors
            .into_iter()
            .map(|(major, minor)| Sought::Minor(major, minor)),
    );
    all
}

/// A version that is named in full.
fn exactly(wanted: &str) -> Option<Sought> {
    let wanted = wanted.trim();
    parse(wanted).map(|_| Sought::Exactly(wanted.to_string()))
}

/// The minors that are known how to install, the oldest first.
fn known(cni: Option<&Cni>) -> Vec<(u64, u64)> {
    let Some(installing) = cni.and_then(|cni| cni.installing) else {
        return vec![];
    };
    let ((major, oldest), (_, newest)) = installing.minors;
    (oldest..=newest).map(|minor| (major, minor)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::cni::cilium::CILIUM;

    fn shown(all: Vec<Sought>) -> String {
        let word = |one: &Sought| match one {
            Sought::Exactly(version) => format!("={version}"),
            Sought::Minor(major, minor) => format!("{major}.{minor}"),
            Sought::Newest => "newest".into(),
        };
        all.iter().map(word).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn an_install_asks_for_what_suits_first_and_for_what_is_near_next() {
        for (wanted, asked) in [
            (None, "1.20 1.19 1.18 1.17 1.16 newest"),
            (Some("1.18"), "1.18 1.19 1.17 1.20 1.16 newest"),
            (Some("v1.19.99"), "=v1.19.99 1.19 1.20 1.18 1.17 1.16 newest"),
            (
                Some("1.21.0-rc.1"),
                "=1.21.0-rc.1 1.21 1.20 1.19 1.18 1.17 1.16 newest",
            ),
            (Some("rubbish"), "newest"),
        ] {
            assert_eq!(shown(for_install(&CILIUM, wanted)), asked, "{wanted:?}");
        }
    }

    #[test]
    fn an_upgrade_asks_for_every_minor_on_its_way() {
        let to = |wanted: &str| Goal::To(wanted.into());
        for (goal, asked) in [
            (Goal::NewestPatch, "1.17"),
            (to("1.18"), "1.18 1.17"),
            (to("1.20"), "1.20 1.17 1.19 1.18"),
            (to("1.19.6"), "=1.19.6 1.19 1.17 1.18"),
            // However far it is, only what is known is asked for.
            (to("1.999999"), "1.999999 1.17 1.20 1.19 1.18"),
            (Goal::Exactly("1.18.0".into()), "=1.18.0 1.18 1.17"),
            (to("1.16"), "1.16 1.17"),
        ] {
            assert_eq!(
                shown(for_upgrade(Some(&CILIUM), "1.17.3", &goal)),
                asked,
                "{goal:?}"
            );
        }
        let own = |goal: &Goal| shown(for_upgrade(None, "0.3.1", goal));
        assert_eq!(own(&Goal::NewestPatch), "newest");
        assert_eq!(own(&Goal::Exactly("0.4.0".into())), "=0.4.0 newest");
    }
}
