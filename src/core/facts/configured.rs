//! When the agents' configuration was written, and since when agents that started have read what it says: after a change
//! that was taken back it is written anew and says what it said before.

use jiff::Timestamp;

use super::Facts;
use crate::core::{
    capture::{Capture, Meta},
    cni::Cni,
    journal,
};

/// The ConfigMap that agents read at their start.
pub struct Configured<'c> {
    /// Its metadata.
    pub meta: &'c Meta,
    /// When it was last written; none where the API server keeps no field times.
    pub written: Option<Timestamp>,
    /// By which field manager.
    pub by: String,
    /// Agents that started since then have read what it says; never later than `written`.
    pub since: Option<Timestamp>,
}

impl<'c> Configured<'c> {
    /// That of this CNI, whose agents are in this namespace.
    pub fn of(capture: &'c Capture, cni: &Cni, namespace: &str) -> Option<Configured<'c>> {
        let map = capture.config_map(namespace, cni.config_map?)?;
        let times = map.meta.managed_fields.iter();
        let newest = times.filter_map(|f| Some((f.time?, f.manager.line(40)))).max();
        let written = newest.as_ref().map(|(time, _)| *time);
        let restored = written.and_then(|written| restored(capture, written));
        Some(Configured {
            meta: &map.meta,
            written,
            by: newest.map(|(_, by)| by).unwrap_or_default(),
            since: restored.or(written),
        })
    }
}

impl Facts<'_> {
    /// The configuration of the agents that run here.
    pub fn configured(&self) -> Option<Configured<'_>> {
        let main = self.detection.main.as_ref()?;
        Configured::of(self.capture, main.cni, &main.workload?.meta.namespace)
    }
}

/// Where what was written then is what a change that was taken back has left: since when it says the same.
fn restored(capture: &Capture, written: Timestamp) -> Option<Timestamp> {
    let records = journal::records(capture);
    let all = records.values().filter_map(|record| record.restored);
    all.filter(|restored| restored.written == written)
        .map(|restored| restored.since)
        .min()
}
