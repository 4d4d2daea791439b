//! Which CNI the cluster has, by evidence: workloads, traces on nodes, addresses of pods.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::{
    NodeFacts, Ready,
    platform::ManagedSign,
    release::{self, ReleaseFacts},
};
use crate::core::{
    capture::{Capture, Event, Meta, PodState, Workload},
    cni::{self, Cni, Role, azure, flannel, image_version},
    text::Text,
    words,
};

/// One CNI that was found.
#[derive(Clone)]
pub struct Detected<'a> {
    /// Which.
    pub cni: &'static Cni,
    /// Its agent's DaemonSet; absent where the plugin has no workload.
    pub workload: Option<&'a Workload>,
    /// What says so.
    pub evidence: String,
    /// Why it stands beside another CNI only, where it does.
    pub beside: Option<String>,
}

/// Everything that was found.
#[derive(Default)]
pub struct Detection<'a> {
    /// The one that gives pods their addresses.
    pub main: Option<Detected<'a>>,
    /// Others that would do so too.
    pub rivals: Vec<Detected<'a>>,
    /// Policy engines, chained and meta plugins.
    pub companions: Vec<Detected<'a>>,
    /// Other DaemonSets of the main one's agents, such as those of Windows nodes.
    pub more_agents: Vec<&'a Workload>,
    /// Whether the main one has an agent for Windows nodes.
    pub windows_agent: bool,
    /// DaemonSets that look like a CNI and are not known by name, with the evidence.
    pub unknown: Vec<(&'a Workload, String)>,
    /// Deployments without which the main one does not work.
    pub operators: Vec<&'a Workload>,
    /// Its other workloads.
    pub helpers: Vec<&'a Workload>,
    /// A named CNI whose workload is gone and whose traces are there.
    pub leftovers: Vec<(&'static Cni, Vec<String>)>,
    /// What says that pods get no network though nodes are Ready, where no CNI can be named.
    pub sandboxes_fail: Option<String>,
    /// What says that a plugin without a workload is at work.
    pub without_workload: Option<String>,
    /// Signs that the platform runs the CNI.
    pub signs: Vec<ManagedSign>,
}

/// Finds the CNI.
pub fn of<'a>(
    capture: &'a Capture,
    nodes: &[NodeFacts<'a>],
    platform: &str,
    signs: &[ManagedSign],
) -> Detection<'a> {
    let mut found = Detection::default();
    let mut agents = vec![];
    for workload in &capture.daemon_sets {
        // A DaemonSet that no node is meant to run says nothing about the cluster (desired 0 everywhere).
        let known = cni::ALL
            .iter()
            .find_map(|cni| Some((*cni, cni.evidence(workload)?)));
        match known {
            Some((cni, evidence)) => {
                agents.push((cni, workload));
                found.add(capture, workload, cni, evidence);
            }
            None => found
                .unknown
                .extend(looks_like_cni(workload).map(|evidence| (workload, evidence))),
        }
    }
    found.settle_managed(signs);
    found.settle_rivals();
    if found.main.is_none() {
        found.main = embedded(nodes, platform);
        found.without_workload = found.main.as_ref().map(|m| m.evidence.clone());
    }
    if found.main.is_none() && found.unknown.is_empty() {
        found.without_any(capture, nodes, platform);
    }
    found.add_workloads(capture, &agents);
    found
}

impl<'a> Detection<'a> {
    fn add(&mut self, capture: &Capture, workload: &'a Workload, cni: &'static Cni, evidence: String) {
        let beside = (cni.beside_another)(capture, workload);
        let detected = Detected {
            cni,
            workload: Some(workload),
            evidence,
            beside,
        };
        if cni.role == Role::Companion || detected.beside.is_some() {
            self.companions.push(detected);
        } else if self.main.as_ref().is_some_and(|m| m.cni.id != cni.id) {
            self.rivals.push(detected);
        } else if self.main.is_none() {
            self.main = Some(detected);
        }
    }

    /// On AKS a Cilium that the platform runs is another product than the one of the same name.
    fn settle_managed(&mut self, signs: &[ManagedSign]) {
        if !signs.iter().any(|s| s.cilium) {
            return;
        }
        let evidence = signs
            .iter()
            .find(|s| s.cilium)
            .map(|s| s.evidence.clone())
            .unwrap_or_default();
        let all = self.main.take().into_iter().chain(self.rivals.drain(..));
        // azure-cns is a part of it.
        let (cilium, others): (Vec<_>, Vec<_>) = all
            .filter(|d| d.cni.id != "azure-cni")
            .partition(|d| d.cni.id == "cilium");
        self.rivals = others;
        self.main = Some(Detected {
            cni: &azure::AZURE_CILIUM,
            workload: cilium.first().and_then(|d| d.workload),
            evidence,
            beside: None,
        });
    }

    /// Among several the platform's own CNI is the main one: it is what must not be touched.
    fn settle_rivals(&mut self) {
        let platforms = self.rivals.iter().position(|d| d.cni.role == Role::Managed);
        match (self.main.take(), platforms) {
            (Some(main), Some(i)) if main.cni.role == Role::Primary => {
                self.main = Some(std::mem::replace(&mut self.rivals[i], main));
            }
            (main, _) => self.main = main,
        }
    }

    /// No workload of a CNI and none that looks like one: a plugin without a workload, or what one left behind.
    fn without_any(&mut self, capture: &Capture, nodes: &[NodeFacts<'a>], platform: &str) {
        // Calico as a policy engine leaves Calico's marks.
        let beside: Vec<&str> = self.companions.iter().map(|c| c.cni.id).collect();
        let mut traces = leftovers(capture, nodes);
        traces.retain(|left| !beside.contains(&left.cni.id));
        // Custom resources stay for years after somebody tried a CNI; what stands on nodes was written by its agents.
        if !traces.iter().any(|left| left.on_nodes) {
            self.main = by_addresses(capture, nodes, platform);
            self.without_workload = self.main.as_ref().map(|m| m.evidence.clone());
            if self.main.is_some() || routed(nodes) {
                return;
            }
        }
        self.leftovers = traces.into_iter().map(|left| (left.cni, left.traces)).collect();
        if self.leftovers.is_empty() && nodes.iter().any(|n| n.linux && n.ready == Ready::Yes) {
            self.sandboxes_fail = sandboxes_fail(capture, nodes);
        }
    }

    /// Whether a CNI was here, is gone, and took the pods' network with it.
    pub fn lost(&self) -> bool {
        !self.leftovers.is_empty() || self.sandboxes_fail.is_some()
    }

    fn add_workloads(&mut self, capture: &'a Capture, agents: &[(&'static Cni, &'a Workload)]) {
        let Some(main) = &self.main else { return };
        let of_main = agents.iter().filter(|(cni, _)| cni.id == main.cni.id);
        self.more_agents = of_main
            .map(|(_, workload)| *workload)
            .filter(|w| main.workload.is_some_and(|m| !std::ptr::eq(m, *w)))
            .collect();
        // Their containers have names of their own (`felix`, `node`); the DaemonSet's name and its nodes tell them.
        let id = main.cni.id;
        let for_windows = |w: &Workload| {
            let os = w.spec.template.spec.node_selector.get("kubernetes.io/os");
            os.is_some_and(|os| *os == "windows") && w.meta.name.contains(id)
        };
        self.windows_agent = capture
            .daemon_sets
            .iter()
            .any(|w| w.desired() > 0 && for_windows(w));
        self.unknown.retain(|(w, _)| !for_windows(w));
        // Parts of a CNI that is known mount the same folders.
        let parts: Vec<&str> = self
            .main
            .iter()
            .chain(&self.rivals)
            .flat_map(|d| d.cni.companions.iter().copied())
            .collect();
        self.unknown
            .retain(|(w, _)| !parts.iter().any(|p| w.meta.name == *p));
        let named = |names: &[&str], w: &Workload| names.iter().any(|n| w.meta.name == **n);
        self.operators = capture
            .deployments
            .iter()
            .filter(|d| named(main.cni.operators, d))
            .collect();
        let companions = capture.daemon_sets.iter().chain(&capture.deployments);
        self.helpers = companions.filter(|w| named(main.cni.companions, w)).collect();
    }

    /// Metadata of everything that may name the release: the agent first, then what runs beside it.
    pub fn objects(&self, capture: &'a Capture) -> impl Iterator<Item = &'a Meta> {
        let agent = self.main.as_ref().and_then(|m| m.workload);
        let config = self.main.as_ref().and_then(|m| m.cni.config_map);
        let configs = capture
            .config_maps
            .iter()
            .filter(move |c| config.is_some_and(|name| c.meta.name == name));
        let workloads = agent
            .into_iter()
            .chain(self.operators.clone())
            .chain(self.helpers.clone());
        workloads.map(|w| &w.meta).chain(configs.map(|c| &c.meta))
    }

    /// What says that users brought the main CNI: a release, or images that are not the platform's.
    pub fn proof(&self, release: Option<&ReleaseFacts>) -> Option<String> {
        let main = self.main.as_ref()?;
        let workload = main.workload?;
        if main.cni.role == Role::Managed {
            return None;
        }
        if let Some(release) = release {
            return Some(format!(
                "{} is Helm release {}/{}",
                main.cni.name, release.release.namespace, release.release.name
            ));
        }
        let image = &main.cni.agent_container(workload)?.image;
        let platforms_own = image.starts_with("mcr.microsoft.com/") || image.contains(".gcr.io/gke-release");
        (!platforms_own).then(|| format!("{} runs {}", main.evidence, image.line(100)))
    }

    /// The version of the main CNI, by its agent's image.
    pub fn version(&self) -> Option<String> {
        let main = self.main.as_ref()?;
        image_version(&main.cni.agent_container(main.workload?)?.image)
    }

    /// Who manages the main CNI, in a word.
    pub fn managed_by(&self, capture: &'a Capture, release: Option<&ReleaseFacts>) -> String {
        let Some(main) = &self.main else {
            return String::new();
        };
        if main.cni.role == Role::Managed || !self.signs.is_empty() {
            return "platform".into();
        }
        let mut metas = self.objects(capture);
        if let Some((name, _)) = metas.find_map(release::reconciler) {
            return name.into();
        }
        if release.is_some() {
            return "helm".into();
        }
        match main.workload {
            None => "platform".into(),
            Some(_) if !self.operators.is_empty() && main.cni.id == "calico" => "operator".into(),
            Some(_) => "manifest".into(),
        }
    }
}

/// Who writes into the runtime's CNI folders is a CNI, or means to be one.
fn looks_like_cni(workload: &Workload) -> Option<String> {
    let named_like = |word: &str| workload.meta.name.contains(word);
    // Parts of known products and tools that only read or clean the folders.
    let known_part = [
        "cilium-node-init",
        "calico-windows",
        "kube-proxy",
        "node-problem-detector",
        "azure-",
    ];
    if known_part.iter().any(|p| workload.meta.name.starts_with(p)) || named_like("csi") {
        return None;
    }
    let folder = ["/etc/cni", "/opt/cni"]
        .into_iter()
        .find(|path| workload.mounts(path))?;
    Some(format!(
        "DaemonSet {}/{} mounts {folder} of the node (image {})",
        workload.meta.namespace,
        workload.meta.name,
        workload
            .spec
            .template
            .spec
            .containers
            .first()
            .map(|c| c.image.line(80))
            .unwrap_or_default()
    ))
}

/// k3s and rke2 carry Flannel in their own process: annotations on nodes and no workload.
fn embedded<'a>(nodes: &[NodeFacts<'a>], platform: &str) -> Option<Detected<'a>> {
    if !matches!(platform, "k3s" | "rke2") {
        return None;
    }
    let annotated = |n: &&NodeFacts<'_>| {
        n.node
            .meta
            .annotation("flannel.alpha.coreos.com/backend-type")
            .is_some()
    };
    let count = nodes.iter().filter(annotated).count();
    (count > 0).then(|| Detected {
        cni: &flannel::FLANNEL,
        workload: None,
        evidence: format!("{platform} runs Flannel in its own process (annotations on {count} nodes)"),
        beside: None,
    })
}

/// A plugin of AKS that leaves no workload shows in the addresses of pods.
fn by_addresses<'a>(capture: &Capture, nodes: &[NodeFacts<'a>], platform: &str) -> Option<Detected<'a>> {
    let ready = nodes.iter().filter(|n| n.linux && n.ready == Ready::Yes).count();
    if platform != "aks" || ready == 0 {
        return None;
    }
    let with_cidr = nodes.iter().filter(|n| !n.pod_cidrs.is_empty()).count();
    if with_cidr == nodes.len() {
        return Some(Detected {
            cni: &azure::KUBENET,
            workload: None,
            evidence: format!("{ready} Ready nodes with spec.podCIDR and no CNI workload: kubenet"),
            beside: None,
        });
    }
    let network = super::cidr::hulls(nodes.iter().flat_map(|n| n.internal_ips.iter().copied()));
    let host: BTreeMap<&str, &NodeFacts<'_>> = nodes.iter().map(|n| (n.name, n)).collect();
    let inside = capture
        .pod_rows
        .iter()
        .filter(|row| row.state == PodState::Running)
        .find(|row| {
            let own = host
                .get(&*row.node)
                .is_some_and(|n| row.ips().any(|ip| n.internal_ips.contains(&ip)));
            // The nodes' own subnet is not known; the /16 around a node is near enough to tell it from an overlay.
            !own && row.ips().any(|ip| network.iter().any(|net| near(*net, ip)))
        })?;
    Some(Detected {
        cni: &azure::AZURE_CNI_PLAIN,
        workload: None,
        evidence: format!(
            "pods have addresses of the nodes' own network ({}) and no CNI workload is there",
            inside.name
        ),
        beside: None,
    })
}

fn near(net: ipnet::IpNet, ip: std::net::IpAddr) -> bool {
    let wide = ipnet::IpNet::new(net.network(), net.prefix_len().min(16)).map(|n| n.trunc());
    wide.is_ok_and(|n| n.contains(&ip))
}

/// Routes of the cloud are the pods' network: no agent is needed on any node.
fn routed(nodes: &[NodeFacts<'_>]) -> bool {
    let by_route = |n: &NodeFacts<'_>| {
        n.network_unavailable()
            .is_some_and(|c| c.reason == "RouteCreated")
    };
    nodes.iter().any(|n| n.linux) && nodes.iter().filter(|n| n.linux && !n.is_virtual).all(by_route)
}

/// How long a sandbox may take, and how old an event may be to speak of now.
const SANDBOX: SignedDuration = SignedDuration::from_mins(2);
const RECENT: SignedDuration = SignedDuration::from_mins(10);

/// What says that new pods get no network: the kubelet's words, or pods that wait for their sandbox while nothing that
/// was made since then has an address.
fn sandboxes_fail(capture: &Capture, nodes: &[NodeFacts<'_>]) -> Option<String> {
    let age = |time: Option<Timestamp>| time.map(|t| capture.taken_at.duration_since(t));
    let of_network = |e: &&Event| {
        let network = e.message.contains("network for sandbox") || e.message.contains("plugin type=");
        e.reason == "FailedCreatePodSandBox" && network && age(e.time()).is_some_and(|a| a < RECENT)
    };
    let events: Vec<&Event> = capture.events.iter().filter(of_network).collect();
    if let Some(event) = events.iter().max_by_key(|e| e.time()) {
        let said = event.message.find("plugin type=").unwrap_or(0);
        let said = Text::new(&event.message[said..]).line(160);
        return Some(format!(
            "the kubelet says of {}: {said}",
            event.involved_object.name.line(80)
        ));
    }
    let host_ips: Vec<_> = nodes.iter().flat_map(|n| &n.internal_ips).collect();
    let addressed = capture
        .pod_rows
        .iter()
        .filter(|row| row.state == PodState::Running && !row.ips().any(|ip| host_ips.contains(&&ip)));
    let newest = addressed.filter_map(|row| row.created).max();
    let stuck = capture.pod_rows.iter().filter(|row| {
        let waits = row.state == PodState::Starting && age(row.created).is_some_and(|a| a > SANDBOX);
        waits && row.created > newest
    });
    let stuck: Vec<&str> = stuck.map(|row| &*row.name).collect();
    (!stuck.is_empty()).then(|| {
        format!(
            "no pod got an address since {} {} made",
            words::names(&stuck),
            words::verb(stuck.len(), "was", "were")
        )
    })
}

/// What a CNI left behind.
struct Leftover {
    cni: &'static Cni,
    traces: Vec<String>,
    on_nodes: bool,
}

/// Traces of named CNIs on Ready nodes where no CNI has a workload.
fn leftovers(capture: &Capture, nodes: &[NodeFacts<'_>]) -> Vec<Leftover> {
    let ready: Vec<_> = nodes
        .iter()
        .filter(|n| n.linux && !n.is_virtual && n.ready == Ready::Yes)
        .collect();
    if ready.is_empty() {
        return vec![];
    }
    let traces = |cni: &'static Cni| {
        let mut traces = vec![];
        let says_up = |n: &&&NodeFacts<'_>| {
            let reason = n
                .network_unavailable()
                .filter(|c| c.status == "False")
                .map(|c| c.reason.as_str());
            cni.up_reason.is_some() && reason == cni.up_reason
        };
        let up = ready.iter().filter(says_up).count();
        if let Some(reason) = cni.up_reason.filter(|_| up > 0) {
            traces.push(format!("NetworkUnavailable=False/{reason} on {up} Ready nodes"));
        }
        for prefix in cni.node_annotations {
            let with = |n: &&&NodeFacts<'_>| n.node.meta.annotations.0.keys().any(|k| k.starts_with(prefix));
            let count = ready.iter().filter(with).count();
            if count > 0 {
                traces.push(format!("annotations {prefix}… on {count} Ready nodes"));
            }
        }
        let on_nodes = !traces.is_empty();
        let objects: usize = cni.resources.iter().map(|r| capture.custom(r).len()).sum();
        let crds = capture
            .crds
            .iter()
            .filter(|c| cni.groups.iter().any(|g| c.meta.name.ends_with(&format!(".{g}"))));
        let crds = crds.count();
        if objects > 0 {
            let kinds: Vec<_> = cni
                .resources
                .iter()
                .filter(|r| !capture.custom(r).is_empty())
                .map(|r| r.kind)
                .collect();
            traces.push(format!(
                "{} of {}",
                words::count(objects, "object"),
                kinds.join(", ")
            ));
        }
        if crds > 0 {
            traces.push(format!(
                "{} of {}",
                words::count(crds, "CustomResourceDefinition"),
                cni.groups.join(", ")
            ));
        }
        Leftover {
            cni,
            traces,
            on_nodes,
        }
    };
    // Canal's marks are Flannel's and Calico's.
    let primary = cni::ALL
        .iter()
        .filter(|c| c.role == Role::Primary && c.id != "canal");
    primary
        .map(|cni| traces(cni))
        .filter(|left| !left.traces.is_empty())
        .collect()
}
