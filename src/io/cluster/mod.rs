//! The live cluster as a capture: what is read, in which order, and what is told when something cannot be.
//!
//! Everything that depends on nothing is asked for at once. What depends on the DaemonSets (the CNI's pods, its
//! operator, its ConfigMap, its release) follows as soon as those are there, while large lists still arrive.
#![expect(
    clippy::disallowed_methods,
    reason = "a capture is taken now, and its reads are timed"
)]

mod brief;
mod brought;
mod for_change;
pub(super) mod list;
pub(in crate::io) mod release;
pub mod rights;
mod table;

pub use brought::read_brought;
pub use for_change::{has_definition, read_for_change};
pub(super) use list::together;

use std::{
    collections::{BTreeSet, HashMap},
    sync::Mutex,
    time::Instant,
};

use jiff::Timestamp;

use crate::core::{
    capture::{
        Capture, Custom, Lease, NodeNames, Pod, PodRow, ReleaseRecord, Resource, Service, Source, State,
        Workload,
        file::{self, CONFIG_MAPS},
    },
    cni,
    facts::Asked,
    judge,
    text::Text,
};

use super::connection::{Connection, RequestError};

/// Called as each source arrives: its name, how many objects, since the beginning.
pub type Progress<'p> = &'p (dyn Fn(&str, usize, std::time::Duration) + Sync);

/// Why nothing could be read at all.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct ReadError {
    /// The first refusal.
    pub error: RequestError,
}

/// How many suspects are looked at a second time, one by one. When all of so many hold, the others hold too: a list
/// that caught pods on the move has a handful of them.
const SECOND_LOOKS: usize = 40;

/// Reads the cluster.
///
/// # Errors
/// Only where the server cannot be reached or does not know us: what else fails is in the capture, as a source that
/// is not known.
pub async fn read(
    connection: &Connection,
    asked: &Asked,
    progress: Progress<'_>,
) -> Result<Capture, ReadError> {
    // All of its reads at once are much for a stack, deep within a change.
    Box::pin(read_all(connection, asked, progress)).await
}

async fn read_all(
    connection: &Connection,
    asked: &Asked,
    progress: Progress<'_>,
) -> Result<Capture, ReadError> {
    let reader = Reader {
        connection,
        progress,
        begun: Instant::now(),
        gate: Mutex::new(None),
    };
    // Whole seconds, as Kubernetes writes its own times.
    let now = Timestamp::now();
    let mut capture = Capture::new(Timestamp::from_second(now.as_second()).unwrap_or(now));
    capture.own = true;
    capture.context = Some(Text::new(connection.context())).filter(|c| !c.is_empty());
    capture.server = Some(Text::new(connection.server()));
    let nodes = reader.list(
        "/api/v1/nodes",
        Source::Nodes,
        list::NODES_A_PAGE,
        crate::core::capture::Node::trimmed,
    );
    let services = reader.list(
        "/api/v1/services",
        Source::Services,
        list::SMALL_A_PAGE,
        |s: Service| s,
    );
    let (version, nodes, services, slices, ranges, crds, events, rows, custom, of_cni) = tokio::join!(
        reader.version(),
        nodes,
        services,
        reader.list(
            "/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices",
            Source::EndpointSlices,
            list::SMALL_A_PAGE,
            |s| s
        ),
        reader.list(
            "/apis/networking.k8s.io/v1/servicecidrs",
            Source::ServiceCidrs,
            list::SMALL_A_PAGE,
            |s| s
        ),
        reader.crds(),
        reader.events(),
        reader.pod_rows(),
        reader.custom(),
        reader.of_cni(),
    );
    (capture.server_version, capture.nodes, capture.services) = (
        reader
            .keep(&mut capture, Source::Version, version)
            .unwrap_or_default(),
        vec![],
        vec![],
    );
    capture.nodes = reader
        .keep(&mut capture, Source::Nodes, nodes)
        .unwrap_or_default();
    capture.services = reader
        .keep(&mut capture, Source::Services, services)
        .unwrap_or_default();
    capture.endpoint_slices = reader
        .keep(&mut capture, Source::EndpointSlices, slices)
        .unwrap_or_default();
    capture.service_cidrs = reader
        .keep(&mut capture, Source::ServiceCidrs, ranges)
        .unwrap_or_default();
    capture.crds = reader.keep(&mut capture, Source::Crds, crds).unwrap_or_default();
    capture.events = reader
        .keep(&mut capture, Source::Events, events)
        .unwrap_or_default();
    capture.pod_rows = reader.keep(&mut capture, Source::Pods, rows).unwrap_or_default();
    for (resource, objects) in custom {
        // Who may not read a kind that the server does not have is refused all the same: the definitions tell.
        let absent = capture.states.get(&Source::Crds) == Some(&State::Read)
            && !capture.crds.iter().any(|crd| crd.meta.name == *resource.name);
        let objects = match objects {
            Err(RequestError::Forbidden { .. }) if absent => Err(RequestError::NotFound),
            other => other,
        };
        let objects = reader
            .keep(&mut capture, Source::Custom(resource.name), objects)
            .unwrap_or_default();
        capture.custom.insert(resource.name, objects);
    }
    reader.keep_of_cni(&mut capture, of_cni);
    if let Some(error) = reader.nothing(&capture) {
        return Err(ReadError { error });
    }
    let lock = reader.lock(&capture);
    let lock = lock.await;
    if let Some(lease) = lock {
        capture.leases.push(lease);
        capture.states.insert(Source::Lock, State::Read);
    }
    reader.look_again(&mut capture, asked).await;
    Ok(capture)
}

/// What follows from the DaemonSets.
struct OfCni {
    daemon_sets: Result<Vec<Workload>, RequestError>,
    deployments: Result<Vec<Workload>, RequestError>,
    pods: Result<Vec<Pod>, RequestError>,
    config_maps: Result<Vec<crate::core::capture::ConfigMap>, RequestError>,
    releases: Result<Vec<ReleaseRecord>, RequestError>,
}

/// One reading of one cluster.
struct Reader<'r> {
    connection: &'r Connection,
    progress: Progress<'r>,
    begun: Instant,
    /// The first error that says that nobody will get through.
    gate: Mutex<Option<RequestError>>,
}

impl Reader<'_> {
    fn tell(&self, what: &str, count: usize) {
        (self.progress)(what, count, self.begun.elapsed());
    }

    /// Keeps what was read and notes what became of the source.
    fn keep<T>(&self, capture: &mut Capture, source: Source, read: Result<T, RequestError>) -> Option<T> {
        let (state, value) = match read {
            Ok(value) => (State::Read, Some(value)),
            Err(error) => (state_of(source, &error), None),
        };
        // A source that is read in parts is as well known as its worst part.
        let worse = capture
            .states
            .get(&source)
            .is_some_and(|s| !matches!(s, State::Read));
        if !worse || state != State::Read {
            capture.states.insert(source, state);
        }
        value
    }

    /// The reason why nothing could be read, if nothing could.
    fn nothing(&self, capture: &Capture) -> Option<RequestError> {
        // Releases are asked for where a CNI's objects say that there are some: without those they say nothing.
        let answered = |source: &Source, state: &State| {
            *source != Source::Releases
                && matches!(state, State::Read | State::Absent | State::Forbidden { .. })
        };
        let any = capture
            .states
            .iter()
            .any(|(source, state)| answered(source, state));
        if any { None } else { self.gate.lock().ok()?.take() }
    }

    /// Every error passes here: the first is what is told when nothing could be read.
    fn noted(&self, error: RequestError) -> RequestError {
        if let Ok(mut gate) = self.gate.lock()
            && gate.is_none()
            && !matches!(error, RequestError::Forbidden { .. } | RequestError::NotFound)
        {
            *gate = Some(error.clone());
        }
        error
    }

    async fn version(&self) -> Result<Option<Text>, RequestError> {
        let body = self
            .connection
            .get("/version", list::JSON)
            .await
            .map_err(|e| self.noted(e))?;
        // k8s-openapi's type, for this one is the API server's own and not a list of thousands.
        let info: k8s_openapi::apimachinery::pkg::version::Info =
            serde_json::from_slice(&body).map_err(|e| RequestError::NotTheApi { why: e.to_string() })?;
        Ok(Some(Text::new(&info.git_version)))
    }

    async fn crds(&self) -> Result<Vec<crate::core::capture::Crd>, RequestError> {
        let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        let of_cnis = cni::ALL.iter().flat_map(|c| c.groups).copied();
        let groups: BTreeSet<&str> = of_cnis.chain(cni::resources().iter().map(|r| r.group)).collect();
        let all: Vec<crate::core::capture::Crd> = self
            .pages(path, Source::Crds, list::SMALL_A_PAGE, list::METADATA, |crd| crd)
            .await?;
        let ours = |name: &str| groups.iter().any(|g| name.ends_with(&format!(".{g}")));
        Ok(all.into_iter().filter(|crd| ours(&crd.meta.name)).collect())
    }

    /// Only events that say something about the network: sandboxes that fail, nodes that AKS repairs or upgrades.
    async fn events(&self) -> Result<Vec<crate::core::capture::Event>, RequestError> {
        let by = |selector: &str| format!("/api/v1/events?fieldSelector={selector}&limit=100");
        let (sandboxes, repairs, upgrades) = (
            by("reason%3DFailedCreatePodSandBox"),
            by("source%3Daks-auto-repair"),
            by("source%3Dupgrader"),
        );
        let (sandboxes, repairs, upgrades) = tokio::join!(
            list::page::<crate::core::capture::Event>(self.connection, &sandboxes, list::JSON),
            list::page(self.connection, &repairs, list::JSON),
            list::page(self.connection, &upgrades, list::JSON),
        );
        let mut events = sandboxes.map_err(|e| self.noted(e))?;
        events.extend(repairs?);
        events.extend(upgrades?);
        self.tell("events", events.len());
        Ok(events)
    }

    async fn pod_rows(&self) -> Result<Vec<PodRow>, RequestError> {
        let rows = table::pod_rows(self.connection)
            .await
            .map_err(|e| self.noted(e))?;
        self.tell("pods", rows.len());
        Ok(rows)
    }

    /// The CNIs' own kinds. Those that the server does not have are absent, which is cheap to find out.
    async fn custom(&self) -> Vec<(&'static Resource, Result<Vec<Custom>, RequestError>)> {
        let reads = cni::resources().into_iter().map(|resource| async move {
            let mut outcome = Err(RequestError::NotFound);
            for version in resource.versions {
                let path = format!("/apis/{}/{version}/{}", resource.group, resource.plural);
                outcome = list::from_cache(self.connection, &path, move |c: Custom| c.trimmed(resource))
                    .await
                    .map_err(|e| self.noted(e));
                if let Ok(objects) = &outcome {
                    self.tell(resource.name, objects.len());
                }
                if !matches!(outcome, Err(RequestError::NotFound)) {
                    break;
                }
            }
            (resource, outcome)
        });
        list::together(reads).await
    }

    /// DaemonSets, and what follows from them.
    async fn of_cni(&self) -> OfCni {
        let daemon_sets = self
            .list(
                "/apis/apps/v1/daemonsets",
                Source::DaemonSets,
                list::SMALL_A_PAGE,
                Workload::trimmed,
            )
            .await;
        let known = daemon_sets.as_deref().unwrap_or_default();
        let agents: Vec<(&Workload, &cni::Cni)> = known
            .iter()
            .filter_map(|w| Some((w, *cni::ALL.iter().find(|c| c.evidence(w).is_some())?)))
            .collect();
        let namespaces: BTreeSet<&str> = agents.iter().map(|(w, _)| w.meta.namespace.as_str()).collect();
        let (deployments, (agent_pods, config_maps), dns_pods) = tokio::join!(
            self.deployments(&namespaces),
            async {
                let config_maps = self.config_maps(&namespaces, &agents).await;
                let pods = self
                    .agents(&agents, config_maps.as_deref().unwrap_or_default())
                    .await;
                (pods, config_maps)
            },
            self.pods_labelled("kube-system", "k8s-app%3Dkube-dns"),
        );
        let named = |w: &&Workload| {
            agents
                .iter()
                .any(|(_, c)| c.operators.contains(&w.meta.name.as_str()))
        };
        let operators: Vec<&Workload> = deployments.iter().flatten().filter(named).collect();
        let all: Vec<&Workload> = agents
            .iter()
            .map(|(w, _)| *w)
            .chain(operators.iter().copied())
            .collect();
        let (operator_pods, releases) =
            tokio::join!(self.pods_of(operators.clone()), self.releases(&all, &namespaces));
        let mut pods = agent_pods;
        for more in [operator_pods, dns_pods] {
            match (&mut pods, more) {
                (Ok(pods), Ok(more)) => pods.extend(more),
                (Ok(_), Err(error)) => pods = Err(error),
                (Err(_), _) => {}
            }
        }
        OfCni {
            deployments,
            pods,
            config_maps,
            releases,
            daemon_sets,
        }
    }

    fn keep_of_cni(&self, capture: &mut Capture, read: OfCni) {
        capture.daemon_sets = self
            .keep(capture, Source::DaemonSets, read.daemon_sets)
            .unwrap_or_default();
        capture.deployments = self
            .keep(capture, Source::Deployments, read.deployments)
            .unwrap_or_default();
        capture.pods = self.keep(capture, Source::CniPods, read.pods).unwrap_or_default();
        capture.config_maps = self
            .keep(capture, Source::ConfigMaps, read.config_maps)
            .unwrap_or_default();
        capture.releases = self
            .keep(capture, Source::Releases, read.releases)
            .unwrap_or_default();
        // What was read in full knows more than its row: namespace, identity, both addresses.
        replace_rows(capture);
    }

    /// Deployments of the namespaces where a CNI or cluster DNS lives, not those of every team.
    async fn deployments(&self, namespaces: &BTreeSet<&str>) -> Result<Vec<Workload>, RequestError> {
        let mut wanted: BTreeSet<&str> = ["kube-system", "tigera-operator", "calico-system"].into();
        wanted.extend(namespaces);
        let reads = wanted.into_iter().map(|namespace| async move {
            let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments");
            self.pages(
                &path,
                Source::Deployments,
                list::SMALL_A_PAGE,
                list::JSON,
                Workload::trimmed,
            )
            .await
        });
        all_of(list::together(reads).await)
    }

    /// The agents' pods: in brief where many of them are plainly well, else in full.
    async fn agents(
        &self,
        agents: &[(&Workload, &cni::Cni)],
        config_maps: &[crate::core::capture::ConfigMap],
    ) -> Result<Vec<Pod>, RequestError> {
        let reads = agents.iter().map(|(workload, cni)| async move {
            let own = config_maps.iter().find(|c| {
                cni.config_map.is_some_and(|name| c.meta.name == name)
                    && c.meta.namespace == workload.meta.namespace
            });
            let configured = own.and_then(|c| c.meta.managed_fields.iter().filter_map(|f| f.time).max());
            let path = pods_path(&workload.meta.namespace, &selector_of(workload));
            match brief::agents(self.connection, workload, &path, configured).await {
                Ok(Some(pods)) => {
                    self.tell("agents in brief", pods.len());
                    Ok(pods)
                }
                // Also where the table was refused or cut short: the pods themselves have the last word.
                _ => self.pods_of(vec![*workload]).await,
            }
        });
        all_of(list::together(reads).await)
    }

    async fn pods_of(&self, workloads: Vec<&Workload>) -> Result<Vec<Pod>, RequestError> {
        let reads = workloads.into_iter().map(|workload| async move {
            self.pods_labelled(&workload.meta.namespace, &selector_of(workload))
                .await
        });
        all_of(list::together(reads).await)
    }

    async fn pods_labelled(&self, namespace: &str, selector: &str) -> Result<Vec<Pod>, RequestError> {
        let path = pods_path(namespace, selector);
        self.pages(
            &path,
            Source::CniPods,
            list::PODS_A_PAGE,
            list::JSON,
            Pod::trimmed,
        )
        .await
    }

    /// By name: a reader then needs no right to all ConfigMaps of a namespace.
    async fn config_maps(
        &self,
        namespaces: &BTreeSet<&str>,
        agents: &[(&Workload, &cni::Cni)],
    ) -> Result<Vec<crate::core::capture::ConfigMap>, RequestError> {
        let always = ["kube-proxy", "kubeadm-config", file::JOURNAL];
        let mut wanted: BTreeSet<(&str, &str)> = always.map(|name| ("kube-system", name)).into();
        if agents.is_empty() {
            wanted.extend(CONFIG_MAPS.iter().map(|name| ("kube-system", *name)));
        }
        for namespace in namespaces.iter().copied() {
            wanted.extend(
                agents
                    .iter()
                    .filter_map(|(_, cni)| Some((namespace, cni.config_map?))),
            );
        }
        let reads = wanted.into_iter().map(|(namespace, name)| async move {
            let path = format!("/api/v1/namespaces/{namespace}/configmaps/{name}");
            match self.connection.get(&path, list::JSON).await {
                Ok(body) => {
                    let value = serde_json::from_slice(&body).map_err(|e| e.to_string());
                    let map = value
                        .and_then(file::config_map)
                        .map_err(|why| RequestError::NotTheApi { why })?;
                    Ok(vec![map])
                }
                Err(RequestError::NotFound) => Ok(vec![]),
                Err(error) => Err(self.noted(error)),
            }
        });
        all_of(list::together(reads).await)
    }

    /// Helm's records of the namespaces that the CNI's objects name, else of its own.
    async fn releases(
        &self,
        objects: &[&Workload],
        namespaces: &BTreeSet<&str>,
    ) -> Result<Vec<ReleaseRecord>, RequestError> {
        let annotation =
            |key: &str| -> BTreeSet<&str> { objects.iter().filter_map(|w| w.meta.annotation(key)).collect() };
        let named = annotation("meta.helm.sh/release-namespace");
        let names = annotation("meta.helm.sh/release-name");
        let wanted = if named.is_empty() {
            namespaces.clone()
        } else {
            named
        };
        if wanted.is_empty() {
            return Ok(vec![]);
        }
        let reads = wanted
            .into_iter()
            .map(|namespace| release::records(self.connection, namespace));
        let mut records = all_of(list::together(reads).await)?;
        records.retain(|r| names.is_empty() || r.meta.label("name").is_some_and(|n| names.contains(n)));
        release::decode_newest(self.connection, &mut records).await;
        self.tell("release records", records.len());
        Ok(records)
    }

    async fn list<T: list::Slim>(
        &self,
        path: &str,
        source: Source,
        a_page: usize,
        trim: fn(T) -> T,
    ) -> Result<Vec<T>, RequestError> {
        self.pages(path, source, a_page, list::JSON, trim).await
    }

    async fn pages<T: list::Slim>(
        &self,
        path: &str,
        source: Source,
        a_page: usize,
        accept: &'static str,
        trim: impl Fn(T) -> T + Clone + Send + 'static,
    ) -> Result<Vec<T>, RequestError> {
        let items = list::all(self.connection, path, a_page, accept, trim)
            .await
            .map_err(|e| self.noted(e))?;
        self.tell(source.resource(), items.len());
        Ok(items)
    }

    /// Who holds the lock of changes, where the journal says that one is under way. Without the right to read it, it is
    /// told that the change is under way or was interrupted.
    async fn lock(&self, capture: &Capture) -> Option<Lease> {
        let journal = capture.config_map("kube-system", file::JOURNAL)?;
        journal.get("operation")?;
        let path = format!(
            "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/{}",
            file::JOURNAL
        );
        let body = self.connection.get(&path, list::JSON).await;
        match body {
            Ok(body) => serde_json::from_slice(&body).ok(),
            // Nobody holds it: an empty one says so.
            Err(RequestError::NotFound) => Some(Lease::default()),
            Err(_) => None,
        }
    }

    /// Looks at suspects a second time, in full. Their rows become what the second look says.
    async fn look_again(&self, capture: &mut Capture, asked: &Asked) {
        let mut names: Vec<String> = judge::suspects(capture, asked)
            .into_iter()
            .map(|row| row.name.to_string())
            .collect();
        names.sort();
        names.dedup();
        names.truncate(SECOND_LOOKS);
        if names.is_empty() {
            return;
        }
        let reads = names.iter().map(|name| async move {
            let path = format!("/api/v1/pods?fieldSelector=metadata.name%3D{}", escaped(name));
            (name, list::page::<Pod>(self.connection, &path, list::JSON).await)
        });
        for (name, read) in list::together(reads).await {
            let Ok(pods) = read else { continue };
            let pods: Vec<Pod> = pods.into_iter().map(Pod::trimmed).collect();
            // Gone since, or another of the same name: the row falls with it.
            capture.pod_rows.retain(|row| *row.name != **name);
            capture.pods.retain(|pod| pod.meta.name != **name);
            let mut names = NodeNames::default();
            capture
                .pod_rows
                .extend(pods.iter().filter_map(|pod| PodRow::of(pod, &mut names)));
            capture.pods.extend(pods);
        }
    }
}

/// The pods of a namespace that a selector selects; both are escaped already.
/// The pods of a workload, in full.
///
/// # Errors
/// What the request brought.
pub async fn pods_of(connection: &Connection, workload: &Workload) -> Result<Vec<Pod>, RequestError> {
    let path = pods_path(&workload.meta.namespace, &selector_of(workload));
    list::all(connection, &path, list::PODS_A_PAGE, list::JSON, Pod::trimmed).await
}

fn pods_path(namespace: &str, selector: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/pods?labelSelector={selector}")
}

/// A workload's selector as a part of a query.
fn selector_of(workload: &Workload) -> String {
    let labels = &workload.spec.selector.match_labels;
    let pairs: Vec<String> = labels
        .iter()
        .map(|(k, v)| format!("{}%3D{}", escaped(k), escaped(v)))
        .collect();
    pairs.join("%2C")
}

/// Puts the rows of pods that were read in full in the place of those from the table.
fn replace_rows(capture: &mut Capture) {
    let mut names = NodeNames::default();
    let full = capture.pods.iter().filter_map(|pod| PodRow::of(pod, &mut names));
    let full: HashMap<Box<str>, PodRow> = full.map(|row| (row.name.clone(), row)).collect();
    for row in &mut capture.pod_rows {
        if let Some(better) = full.get(&row.name).filter(|better| better.node == row.node) {
            *row = better.clone();
        }
    }
}

/// One outcome of several: all of them, or the first error.
fn all_of<T>(parts: Vec<Result<Vec<T>, RequestError>>) -> Result<Vec<T>, RequestError> {
    let mut all = vec![];
    for part in parts {
        all.extend(part?);
    }
    Ok(all)
}

/// What an error makes of a source.
fn state_of(source: Source, error: &RequestError) -> State {
    match error {
        RequestError::NotFound => State::Absent,
        RequestError::Forbidden { .. } => State::Forbidden {
            right: format!("{} {}", source.verb(), source.resource()),
        },
        other => State::Failed {
            why: Text::new(&other.to_string()).line(200),
        },
    }
}

/// A label or a name as a part of a query. Kubernetes allows letters, digits and `-_./` in them.
pub(super) fn escaped(text: &str) -> String {
    text.bytes()
        .map(|b| match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(b).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}
