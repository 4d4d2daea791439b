//! Pods with addresses of their own.

use std::{collections::HashMap, net::IpAddr};

use super::NodeFacts;
use crate::core::capture::{Capture, PodRow, PodState};

/// The pods that are judged by their addresses.
#[derive(Debug, Default)]
pub struct PodFacts<'a> {
    /// Running pods whose address is not their node's. Those of a node that was taken away stay for a minute or two:
    /// nobody runs them any more, and which of them were hostNetwork can no longer be told, so they are left out.
    pub addressed: Vec<&'a PodRow>,
    /// How many of them each node has.
    pub per_node: HashMap<&'a str, usize>,
    /// Pods that have a node and no sandbox.
    pub starting: Vec<&'a PodRow>,
}

impl<'a> PodFacts<'a> {
    /// Sorts the rows. hostNetwork pods are those whose address is their node's.
    pub fn of(capture: &'a Capture, nodes: &[NodeFacts<'a>]) -> Self {
        let mut host_ips: HashMap<&str, &[IpAddr]> = HashMap::new();
        for node in nodes {
            host_ips.insert(node.name, &node.internal_ips);
        }
        let mut facts = PodFacts::default();
        for row in &capture.pod_rows {
            match row.state {
                PodState::Starting => facts.starting.push(row),
                PodState::Running => {
                    let ips = host_ips.get(&*row.node);
                    let gone = ips.is_none() && !nodes.is_empty();
                    let of_node = ips.is_some_and(|ips| row.ips().any(|ip| ips.contains(&ip)));
                    if !gone && !of_node {
                        facts.addressed.push(row);
                        *facts.per_node.entry(&*row.node).or_default() += 1;
                    }
                }
                PodState::Unscheduled | PodState::Terminating => {}
            }
        }
        facts
    }

    /// Addresses that more than one pod has, with those pods.
    pub fn duplicates(&self) -> Vec<(IpAddr, Vec<&'a PodRow>)> {
        let mut by_ip: Vec<(IpAddr, &'a PodRow)> = self
            .addressed
            .iter()
            .flat_map(|row| row.ips().map(|ip| (ip, *row)))
            .collect();
        by_ip.sort_by(|(a, x), (b, y)| (a, &x.name, &x.namespace).cmp(&(b, &y.name, &y.namespace)));
        by_ip
            .chunk_by(|(a, _), (b, _)| a == b)
            .filter(|group| group.len() > 1)
            .map(|group| (group[0].0, group.iter().map(|(_, row)| *row).collect()))
            .collect()
    }
}
