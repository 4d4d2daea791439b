//! The real charts, where `BYOCNI_TEST_CHARTS` names a folder of them: their own keys are known, ordinary values raise
//! no alarm, and what is said to be gone is gone.

use kubectl_byocni::core::{
    chart::Chart,
    cni::{Cni, calico::CALICO, cilium::CILIUM, flannel::FLANNEL},
    plan::{keys::unknown, tree, version::parse},
};
use serde_json::json;

use crate::{Cluster, archives::charts};

fn cni_of(chart: &Chart) -> Option<&'static Cni> {
    [&CILIUM, &CALICO, &FLANNEL]
        .into_iter()
        .find(|c| c.installing.is_some_and(|i| i.chart == chart.name))
}

#[test]
fn a_charts_own_defaults_raise_no_alarm() {
    for chart in charts() {
        let Some(cni) = cni_of(&chart) else { continue };
        let keys = &cni.installing.expect("installing").keys;
        assert_eq!(
            unknown(&chart.values, &chart, keys),
            Vec::<String>::new(),
            "{} {}",
            chart.name,
            chart.version
        );
        let typo = json!({"thisIsNoKey": {"at": "all"}});
        assert_eq!(
            unknown(&typo, &chart, keys),
            ["thisIsNoKey.at"],
            "{} {}",
            chart.name,
            chart.version
        );
    }
}

/// What users set: from Cilium's guides for Hubble, encryption, ingress, monitoring, resources.
const ORDINARY: &[&str] = &[
    "hubble.enabled=true,hubble.relay.enabled=true,hubble.ui.enabled=true,hubble.ui.ingress.hosts={a.example}",
    "hubble.metrics.enabled={dns,drop,tcp,flow,icmp},hubble.metrics.serviceMonitor.enabled=true",
    "hubble.relay.resources.requests.cpu=10m,hubble.ui.backend.resources.limits.memory=64Mi",
    "hubble.tls.auto.method=cronJob,hubble.tls.auto.certValidityDuration=365",
    "prometheus.enabled=true,prometheus.port=9962,prometheus.serviceMonitor.enabled=true,prometheus.serviceMonitor.labels.release=x",
    "operator.prometheus.enabled=true,operator.prometheus.serviceMonitor.interval=30s,envoy.prometheus.enabled=true",
    "bpf.masquerade=true,bpf.lbMapMax=65536,bpf.policyMapMax=16384,bpf.ctTcpMax=524288,bpf.tproxy=true",
    "encryption.enabled=true,encryption.type=wireguard,encryption.nodeEncryption=false",
    "resources.requests.cpu=100m,resources.limits.memory=1Gi,operator.resources.requests.cpu=10m",
    r"nodeSelector.kubernetes\.io/os=linux,operator.nodeSelector.pool=system,operator.nodeSelector.kubernetes\.io/os=linux",
    "tolerations[0].operator=Exists,affinity.nodeAffinity=null,podAnnotations.a=b,podLabels.c=d",
    "image.repository=mirror.example/cilium,image.pullPolicy=Always,image.useDigest=false,operator.image.suffix=-x,imagePullSecrets[0].name=pull",
    "ingressController.enabled=true,ingressController.default=true,gatewayAPI.enabled=true,envoyConfig.enabled=true",
    "loadBalancer.algorithm=maglev,loadBalancer.mode=snat,loadBalancer.acceleration=disabled,maglev.tableSize=16381",
    "socketLB.hostNamespaceOnly=true,socketLB.enabled=true,localRedirectPolicy=true,sctp.enabled=true",
    "bandwidthManager.enabled=true,bandwidthManager.bbr=true,egressGateway.enabled=true,hostFirewall.enabled=true",
    "cni.exclusive=false,cni.chainingMode=none,cni.confPath=/etc/cni/net.d,cni.binPath=/opt/cni/bin,cni.install=true",
    "MTU=1400,devices=eth0,debug.enabled=true,debug.verbose=flow,logSystemLoad=false,policyEnforcementMode=default",
    "rollOutCiliumPods=true,operator.rollOutPods=true,envoy.rollOutPods=true,updateStrategy.type=OnDelete,updateStrategy.rollingUpdate=null",
    "extraArgs={--x},extraEnv[0].name=A,extraConfig.some-flag=true,extraVolumes[0].name=v,extraVolumeMounts[0].name=v",
    "clustermesh.useAPIServer=true,clustermesh.apiserver.replicas=2,clustermesh.apiserver.service.type=LoadBalancer,clustermesh.apiserver.service.annotations.x=y",
    "ipMasqAgent.enabled=true,ipMasqAgent.config.nonMasqueradeCIDRs={10.0.0.0/8},ipv4NativeRoutingCIDR=10.0.0.0/8,enableIPv4Masquerade=true",
    "k8sClientRateLimit.qps=20,k8sClientRateLimit.burst=30,identityAllocationMode=crd,endpointRoutes.enabled=true",
    "livenessProbe.failureThreshold=10,readinessProbe.periodSeconds=30,startupProbe.failureThreshold=300,terminationGracePeriodSeconds=1",
    "securityContext.privileged=true,securityContext.capabilities.ciliumAgent={NET_ADMIN},podSecurityContext.appArmorProfile.type=Unconfined",
    "priorityClassName=system-node-critical,operator.priorityClassName=x,serviceAccounts.cilium.create=true,serviceAccounts.cilium.annotations.a=b",
    "dnsProxy.minTtl=60,dnsProxy.enableTransparentMode=true,l7Proxy=true,wellKnownIdentities.enabled=false,nodePort.range=30000\\,32767",
    "aksbyocni.enabled=true,nodeinit.enabled=true,azure.enabled=false,eni.enabled=false,gke.enabled=false,cluster.id=1,upgradeCompatibility=1.16",
    "authentication.mutual.spire.enabled=false,sysdump.x=null,dashboards.enabled=true,dashboards.annotations.f=g",
    "pprof.enabled=true,autoDirectNodeRoutes=false,kubeProxyReplacementHealthzBindAddr=0.0.0.0:10256,externalTrafficPolicy=null",
    "l2announcements.enabled=true,bgpControlPlane.enabled=true,nat46x64Gateway.enabled=false,pmtuDiscovery.enabled=true,tunnelPort=8473,hubble.export.static.enabled=true",
    "monitor.enabled=true,monitor.eventTypes.drop=true,nodePort.directRoutingDevice=eth0,preflight.enabled=false,nodeinit.bootstrapFile=/x",
];

#[test]
fn what_users_set_is_known_to_every_cilium_chart() {
    let mut wrong = vec![];
    for chart in charts().iter().filter(|c| c.name == "cilium") {
        let keys = &CILIUM.installing.expect("installing").keys;
        for sets in ORDINARY {
            let user =
                kubectl_byocni::core::plan::set::merge(&[], &[], &[sets.to_string()], &[]).expect(sets);
            let unknown = unknown(&user, chart, keys);
            if !unknown.is_empty() {
                wrong.push(format!("{}: {}", chart.version, unknown.join(", ")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_said_to_be_gone_is_gone_and_was_there() {
    for chart in charts() {
        let Some(cni) = cni_of(&chart) else { continue };
        let installing = cni.installing.expect("installing");
        let version = parse(&chart.version).expect("a version");
        for row in installing.keys.removed {
            let there = tree::at(&chart.values, row.key).is_some();
            let gone = (version.major, version.minor) >= row.since;
            // It went within 1.19.
            let late = row.key == "l2podAnnouncements.interface" && chart.version == "1.19.4";
            assert!(
                late || !(gone && there),
                "{} {}: {} is there",
                chart.name,
                chart.version,
                row.key
            );
            let first = installing.minors.0;
            if !gone && row.since > (first.0, first.1 + 1) {
                // ciliumEndpointSlice.sliceMode and loadBalancer.experimental came and went.
                let brief = ["ciliumEndpointSlice.sliceMode", "loadBalancer.experimental"].contains(&row.key);
                assert!(
                    there || brief,
                    "{} {}: {} is not there",
                    chart.name,
                    chart.version,
                    row.key
                );
            }
        }
    }
}

/// Every chart: the draft of an ordinary cluster is possible, and every key that is planned is one of the chart's.
#[test]
fn every_chart_can_be_planned() {
    for chart in charts() {
        let Some(cni) = cni_of(&chart) else { continue };
        let cluster = if cni.id == "flannel" {
            Cluster::kubeadm()
        } else {
            Cluster::fresh()
        };
        let planned = cluster.draft(cni, &chart, &[], &[]);
        assert!(
            planned.blocking().is_empty(),
            "{} {}: {}",
            chart.name,
            chart.version,
            planned.page()
        );
        let keys = &cni.installing.expect("installing").keys;
        assert_eq!(
            unknown(&planned.0.values, &chart, keys),
            Vec::<String>::new(),
            "{} {}",
            chart.name,
            chart.version
        );
    }
}
