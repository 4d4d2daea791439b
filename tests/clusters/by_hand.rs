//! Brings a test cluster up for a developer: `cargo run --example cluster -- --help`.
//!
//! It runs until Ctrl-C, or until its standard input ends where that is not a terminal.

#![allow(clippy::print_stdout, clippy::print_stderr)]

#[path = "mod.rs"]
mod clusters;

use std::time::Instant;

use clap::Parser;
use clusters::{
    ControlPlane, Options, RealNodes, RealNodesOptions, aks, benchmark, fill, kubeadm, real_nodes,
};

/// Brings a test cluster up and prints its kubeconfig's path.
#[derive(Parser)]
#[command(name = "cluster")]
struct Arguments {
    #[command(subcommand)]
    tier: Tier,
}

#[derive(clap::Subcommand)]
enum Tier {
    /// A real control plane; its nodes are played.
    ControlPlane {
        /// What the cluster contains.
        #[arg(long, value_enum, default_value = "aks")]
        profile: Profile,
        #[arg(long, default_value_t = 3)]
        nodes: usize,
        /// Fill it for the benchmark instead: NODES PODS, in 500 namespaces.
        #[arg(long, num_args = 2, value_names = ["NODES", "PODS"])]
        fill: Option<Vec<usize>>,
        /// Then time `status` beside kubectl, print the table and end. Build everything with --release.
        #[arg(long, requires = "fill")]
        benchmark: bool,
        /// A manifest to apply.
        #[arg(long, value_name = "FILE")]
        apply: Vec<std::path::PathBuf>,
    },
    /// Time `status` beside kubectl on a cluster that is there already. Build everything with --release.
    Benchmark {
        /// Its kubeconfig.
        #[arg(long, value_name = "FILE")]
        kubeconfig: std::path::PathBuf,
    },
    /// Real nodes (containerd, kubelet) without a CNI, with kube-proxy and CoreDNS. Needs root.
    RealNodes {
        #[arg(long, default_value_t = 2)]
        nodes: u8,
        /// Give nodes a podCIDR, as kubeadm does and AKS does not.
        #[arg(long)]
        node_cidrs: bool,
        /// CNIs whose images the nodes have.
        #[arg(long, value_name = "NAME", default_values = ["flannel", "cilium-v1.19.6", "cilium-v1.20.0"])]
        image: Vec<String>,
    },
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Profile {
    Aks,
    Kubeadm,
}

fn main() -> Result<(), String> {
    match Arguments::parse().tier {
        Tier::ControlPlane {
            fill: Some(sizes),
            benchmark,
            apply,
            ..
        } => {
            let begin = Instant::now();
            let mut plane = ControlPlane::start(Options::for_fill())?;
            eprintln!("control plane up in {:.1} s", begin.elapsed().as_secs_f64());
            let (nodes, pods) = (sizes[0], sizes[1]);
            let begin = Instant::now();
            plane.ask(|client| fill::fill(client, nodes, pods, 500))?;
            let seconds = begin.elapsed().as_secs_f64();
            eprintln!(
                "{nodes} nodes, {pods} pods in {seconds:.0} s: {:.0} pods/s",
                pods as f64 / seconds
            );
            plane.restart_api_server()?;
            if benchmark {
                // What it read at its start is garbage by then.
                std::thread::sleep(std::time::Duration::from_secs(30));
                benchmark::print(plane.kubeconfig(), &format!("{nodes} nodes, {pods} pods"))?;
                return benchmark::print_start();
            }
            present(&plane, &apply)
        }
        Tier::ControlPlane {
            profile,
            nodes,
            apply,
            ..
        } => {
            let begin = Instant::now();
            let options = match profile {
                Profile::Aks => aks::options(),
                Profile::Kubeadm => kubeadm::options(),
            };
            let plane = ControlPlane::start(options)?;
            let up = begin.elapsed().as_secs_f64();
            let _kubelet = match profile {
                Profile::Aks => aks::start(&plane, nodes),
                Profile::Kubeadm => kubeadm::start(&plane, nodes),
            };
            let all = begin.elapsed().as_secs_f64();
            eprintln!("control plane up in {up:.1} s, {nodes} nodes registered at {all:.1} s");
            present(&plane, &apply)
        }
        Tier::Benchmark { kubeconfig } => {
            benchmark::print(&kubeconfig, &kubeconfig.display().to_string())?;
            benchmark::print_start()
        }
        Tier::RealNodes {
            nodes,
            node_cidrs,
            image,
        } => {
            let begin = Instant::now();
            let images: Vec<&str> = image.iter().map(String::as_str).collect();
            let options = RealNodesOptions {
                nodes,
                node_cidrs,
                images: &images,
                ..Default::default()
            };
            let cluster = RealNodes::start(options)?;
            let seconds = begin.elapsed().as_secs_f64();
            eprintln!(
                "{nodes} nodes up in {seconds:.1} s; their logs: {}",
                cluster.dir().display()
            );
            eprintln!("values that Cilium needs on them: {}", real_nodes::CILIUM_VALUES);
            present(cluster.plane(), &[])
        }
    }
}

fn present(plane: &ControlPlane, manifests: &[std::path::PathBuf]) -> Result<(), String> {
    for path in manifests {
        let yaml = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        plane.apply(&yaml);
    }
    println!("{}", plane.kubeconfig().display());
    eprintln!(
        "export KUBECONFIG={}   (Ctrl-C ends the cluster)",
        plane.kubeconfig().display()
    );
    wait_for_end()
}

fn wait_for_end() -> Result<(), String> {
    use std::io::IsTerminal as _;
    let (sender, ended) = std::sync::mpsc::channel::<()>();
    if !std::io::stdin().is_terminal() {
        let sender = sender.clone();
        std::thread::spawn(move || {
            // Thrown away as it comes: `< /dev/zero` would fill memory.
            let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            let _ = sender.send(());
        });
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| e.to_string())?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            use tokio::signal::unix::{SignalKind, signal};
            let mut terminated = signal(SignalKind::terminate()).ok();
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = async { match &mut terminated { Some(signal) => signal.recv().await, None => std::future::pending().await } } => {}
            }
        });
        let _ = sender.send(());
    });
    ended.recv().map_err(|e| e.to_string())
}
