//! The agents of a large cluster in brief: where the DaemonSet's own status says that every agent is updated, ready and
//! available, the server's table of its pods (250 bytes each) tells what their objects (16 KB and more each) would:
//! which node each is on, and that none has restarted lately. Anything out of the ordinary, and all are read in full.

use std::borrow::Cow;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{list, table};
use crate::{
    core::{
        capture::{
            Pod, Workload,
            object::Condition,
            pod::{ContainerState, ContainerStatus, PodIp, Running},
            workload::Container,
        },
        text::Text,
    },
    io::connection::{Connection, RequestError},
};

/// Fewer agents than these are read in full: that costs nothing there.
const LARGE: i64 = 100;

/// Rows a page, 250 bytes each.
const ROWS_A_PAGE: usize = 10_000;

/// A restart that is younger than this is told by the report, so it must be seen in full.
const RECENT: SignedDuration = SignedDuration::from_mins(15);

/// An installer writes the configuration and the DaemonSet in one breath, in an order of its own.
const ONE_BREATH: SignedDuration = SignedDuration::from_secs(5);

/// The agents' pods as far as the report needs them; nothing where they must be read in full.
///
/// `configured` is when the agents' configuration last changed. Agents of the newest template are younger than that
/// template, so where the template is not older than the configuration, none of them runs an older one.
pub async fn agents(
    connection: &Connection,
    workload: &Workload,
    path: &str,
    configured: Option<Timestamp>,
) -> Result<Option<Vec<Pod>>, RequestError> {
    let desired = workload.desired();
    let whole = [workload.updated(), workload.ready(), workload.available()]
        .iter()
        .all(|n| *n == desired);
    let (Some(configured), true) = (configured, desired >= LARGE && whole && workload.observed()) else {
        return Ok(None);
    };
    let Some(template) = template_time(connection, workload).await? else {
        return Ok(None);
    };
    if configured.duration_since(template) > ONE_BREATH {
        return Ok(None);
    }
    let mut pods: Vec<Pod> = vec![];
    let mut token = String::new();
    loop {
        let page = format!(
            "{}&includeObject=None",
            list::page_path(path, ROWS_A_PAGE, &token)
        );
        let body = connection.get(&page, table::TABLE).await?;
        let now = Timestamp::now();
        let wanted = ["name", "ready", "status", "restarts", "age", "ip", "node"];
        let mut plain = true;
        let table = table::each_row(&body, wanted, |row| match ordinary(&row, now, template) {
            Some(since) => pods.push(pod(workload, &row, since)),
            None => plain = false,
        })?;
        if !table || !plain {
            return Ok(None);
        }
        token = list::next_token(&body);
        if token.is_empty() {
            break;
        }
    }
    // One agent a node, no more and no fewer: else something is on the move.
    Ok((i64::try_from(pods.len()) == Ok(desired)).then_some(pods))
}

/// When somebody last changed what the DaemonSet wants; its controller's own writes go to the status.
async fn template_time(
    connection: &Connection,
    workload: &Workload,
) -> Result<Option<Timestamp>, RequestError> {
    // A list of one: the right to list is there already, the right to get is another.
    let name = super::escaped(&workload.meta.name);
    let path = format!(
        "/apis/apps/v1/namespaces/{}/daemonsets?fieldSelector=metadata.name%3D{name}",
        workload.meta.namespace
    );
    let body = connection.get(&path, list::JSON).await?;
    let found: Value =
        serde_json::from_slice(&body).map_err(|e| RequestError::NotTheApi { why: e.to_string() })?;
    let fields = found
        .pointer("/items/0/metadata/managedFields")
        .and_then(Value::as_array);
    let of_spec = fields
        .into_iter()
        .flatten()
        .filter(|field| field.get("subresource").is_none());
    Ok(of_spec
        .filter_map(|field| field.get("time")?.as_str()?.parse().ok())
        .max())
}

/// The earliest that an ordinary agent of a template can have started; nothing where something about it must be looked
/// at.
fn ordinary(row: &[Cow<'_, str>; 7], now: Timestamp, template: Timestamp) -> Option<Timestamp> {
    let [_, ready, status, restarts, age, ip, node] = row;
    let (up, of) = ready.split_once('/')?;
    if up != of || status != "Running" || ip.is_empty() || node.is_empty() || node == "<none>" {
        return None;
    }
    // "3 (5m12s ago)", or "0".
    let (count, ago) = restarts.split_once(' ').unwrap_or((restarts, ""));
    if count.parse::<u32>().ok()? > 0 {
        let (least, _) = span(ago.strip_prefix('(')?.strip_suffix(" ago)")?)?;
        if least < RECENT {
            return None;
        }
    }
    let (least, most) = span(age)?;
    // Older than its template, it belongs to one that was left and taken up again.
    let latest = now.checked_sub(least).ok()?;
    (latest >= template).then_some(now.checked_sub(most).ok()?.max(template))
}

/// What kubectl's printer makes of a span of time, as the least and the most that it can have been: it leaves out what
/// is below the smallest unit that it shows (`2d4h`, `5m12s`, `40d`).
fn span(text: &str) -> Option<(SignedDuration, SignedDuration)> {
    let (mut least, mut unit, mut digits) = (0i64, 0i64, String::new());
    for c in text.chars() {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        unit = match c {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            'y' => 31_536_000,
            _ => return None,
        };
        least = least.checked_add(digits.parse::<i64>().ok()?.checked_mul(unit)?)?;
        digits.clear();
    }
    let whole = unit > 0 && digits.is_empty();
    whole.then(|| {
        (
            SignedDuration::from_secs(least),
            SignedDuration::from_secs(least.saturating_add(unit)),
        )
    })
}

/// The pod that the DaemonSet's template and the row describe together.
fn pod(workload: &Workload, row: &[Cow<'_, str>; 7], since: Timestamp) -> Pod {
    let [name, _, _, _, _, ip, node] = row;
    let mut pod = Pod::default();
    pod.meta.name = Text::new(name);
    pod.meta.namespace = workload.meta.namespace.clone();
    pod.meta.labels = workload.spec.selector.match_labels.clone();
    pod.meta.creation_timestamp = Some(since);
    pod.spec.node_name = Text::new(node);
    pod.status.phase = Text::new("Running");
    pod.status.pod_ip = Text::new(ip);
    pod.status.pod_ips = vec![PodIp {
        ip: pod.status.pod_ip.clone(),
    }];
    pod.spec.host_network = true;
    pod.status.conditions = vec![Condition {
        kind: Text::new("Ready"),
        status: Text::new("True"),
        ..Condition::default()
    }];
    for container in &workload.spec.template.spec.containers {
        let (name, image) = (container.name.clone(), container.image.clone());
        pod.spec.containers.push(Container {
            name: name.clone(),
            image: image.clone(),
            ..Container::default()
        });
        let state = ContainerState {
            running: Some(Running {
                started_at: Some(since),
            }),
            ..ContainerState::default()
        };
        pod.status.container_statuses.push(ContainerStatus {
            name,
            image,
            ready: true,
            state,
            ..ContainerStatus::default()
        });
    }
    pod
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(text: &str) -> Option<(i64, i64)> {
        span(text).map(|(least, most)| (least.as_secs(), most.as_secs()))
    }

    #[test]
    fn spans_are_read_as_the_printer_writes_them() {
        assert_eq!(seconds("45s"), Some((45, 46)));
        assert_eq!(seconds("5m12s"), Some((312, 313)));
        assert_eq!(seconds("2d4h"), Some((187_200, 190_800)));
        assert_eq!(seconds("40d"), Some((3_456_000, 3_542_400)));
        for bad in ["", "<unknown>", "5", "m", "5m3"] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_the_ordinary_is_told_in_brief() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().expect("a time");
        let template: Timestamp = "2026-11-21T08:00:00Z".parse().expect("a time");
        let told = |row: [&str; 7]| ordinary(&row.map(Cow::Borrowed), now, template).is_some();
        assert!(told(["a", "1/1", "Running", "0", "2h", "10.0.0.4", "n"]));
        assert!(told([
            "a",
            "1/1",
            "Running",
            "2 (40m ago)",
            "1h",
            "10.0.0.4",
            "n"
        ]));
        for row in [
            ["a", "0/1", "Running", "0", "1h", "10.0.0.4", "n"],
            ["a", "1/1", "Terminating", "0", "1h", "10.0.0.4", "n"],
            ["a", "1/1", "Running", "2 (9m ago)", "1h", "10.0.0.4", "n"],
            ["a", "1/1", "Running", "2", "1h", "10.0.0.4", "n"],
            ["a", "1/1", "Running", "0", "1h", "10.0.0.4", "<none>"],
            // Older than the template.
            ["a", "1/1", "Running", "0", "4h1m", "10.0.0.4", "n"],
            ["a", "1/1", "Running", "0", "2d", "10.0.0.4", "n"],
        ] {
            assert!(!told(row), "{row:?}");
        }
    }
}
