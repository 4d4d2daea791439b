//! The values of a release: what this cluster needs, under what the user gave.

use ipnet::IpNet;
use serde_json::Value;

use super::Origin;
use crate::core::{chart::Chart, facts::Facts, finding::Finding};

/// What a CNI's `values` may look at.
pub struct Drafting<'a> {
    /// The cluster.
    pub facts: &'a Facts<'a>,
    /// The chart.
    pub chart: &'a Chart,
    /// The user's values, merged.
    pub user: &'a Value,
    /// The pools that were given or derived, checked already; empty where there is none.
    pub pools: &'a [IpNet],
    /// Where the pools come from, as a reason.
    pub pool_reason: &'a str,
    /// The namespace of the release.
    pub namespace: &'a str,
}

/// What a CNI needs in this cluster.
#[derive(Debug, Default)]
pub struct Needed {
    /// Key as `--set` writes it, value, whose it is, why; the user's own values win.
    pub values: Vec<(String, Value, Origin, String)>,
    /// The pools that it will hand out with the user's values over these.
    pub pools: Vec<IpNet>,
    /// Prefix length of the blocks cut from them, one a pool.
    pub masks: Vec<u8>,
    /// What these values forbid or warn of.
    pub findings: Vec<Finding>,
}
