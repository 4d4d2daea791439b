#!/usr/bin/env bash
# Process 1 of a test node, in its own mount, network, PID and UTS namespaces (real_nodes.rs makes them): starts
# containerd and kubelet, no CNI. When it ends, everything on the node ends, and its mounts are gone.
#
# usage: node.sh NAME ADDRESS/BITS GATEWAY CLUSTER_DNS CGROUP PROGRAMS_DIR IMAGES_DIR NODE_DIR
# NODE_DIR holds `kubeconfig` and `ca.crt`; the node's logs are written there.
set -euo pipefail
name=$1 address=$2 gateway=$3 dns=$4 cgroup=$5 programs=$6 images=$7 dir=$8

hostname "$name"

# The interface arrives from outside after this script started.
for _ in $(seq 100); do
    ip link show eth0 > /dev/null 2>&1 && break
    sleep 0.1
done
ip link set lo up
ip address add "$address" dev eth0
ip link set eth0 up
ip route add default via "$gateway"
sysctl -qw net.ipv4.ip_forward=1
sysctl -qw net.bridge.bridge-nf-call-iptables=1 2> /dev/null || true

# The store as hard links: its files never change once written, only the indexes do, so those are copied.
# Takes no space and under a second, where importing Cilium's images takes a minute and 2 GB for each node.
(
    flock --shared 9
    cp -al "$images/containerd" "$dir/containerd" 2> /dev/null ||
        { rm -rf "$dir/containerd"; cp -a --reflink=auto "$images/containerd" "$dir/containerd"; }
    find "$dir/containerd" -maxdepth 2 -name '*.db' | while read -r index; do
        cp "$index" "$index.own"
        mv "$index.own" "$index"
    done
) 9< "$images/lock"

# What the node writes stays on the node: /run is new; /etc, /opt and /var are the machine's with changes in memory.
mount -t tmpfs run /run
mkdir /run/node /run/changes /run/lock /run/netns
mount --bind "$dir" /run/node
for folder in etc opt var; do
    mkdir -p "/run/changes/$folder/"{upper,work}
    mount -t overlay -o "lowerdir=/$folder,upperdir=/run/changes/$folder/upper,workdir=/run/changes/$folder/work" \
        node "/$folder"
done
# Nothing of a CNI that this machine itself may have.
mkdir -p /etc/cni/net.d /opt/cni/bin /var/lib/cni
for folder in /etc/cni/net.d /opt/cni/bin /var/lib/cni; do
    mount -t tmpfs cni "$folder"
done
for folder in /usr/lib/cni /usr/libexec/cni; do
    [ -x "$folder/loopback" ] || continue
    cp "$folder"/{loopback,bridge,host-local,portmap,bandwidth,firewall,tuning} /opt/cni/bin/
    break
done
mount -t bpf bpf /sys/fs/bpf
# No name resolves, so that pulling an image fails at once and asks nobody.
rm -f /etc/resolv.conf
echo 'nameserver 127.0.0.1' > /etc/resolv.conf
# CNIs mount into containers' namespaces and expect to be seen from there.
mount --make-rshared /

# kubelet keeps its pods below a cgroup of this node.
if [ -f /sys/fs/cgroup/cgroup.controllers ]; then
    for controller in $(cat /sys/fs/cgroup/cgroup.controllers); do
        echo "+$controller" > /sys/fs/cgroup/cgroup.subtree_control 2> /dev/null || true
    done
    mkdir -p "/sys/fs/cgroup/$cgroup"
    for controller in $(cat "/sys/fs/cgroup/$cgroup/cgroup.controllers"); do
        echo "+$controller" > "/sys/fs/cgroup/$cgroup/cgroup.subtree_control" 2> /dev/null || true
    done
else
    for hierarchy in /sys/fs/cgroup/*/; do
        [ -L "${hierarchy%/}" ] || mkdir -p "$hierarchy$cgroup"
    done
    for limit in cpuset.cpus cpuset.mems; do
        cat "/sys/fs/cgroup/cpuset/$limit" > "/sys/fs/cgroup/cpuset/$cgroup/$limit"
    done
fi

cat > /run/node/containerd.toml << 'EOF'
version = 2
root = "/run/node/containerd"
state = "/run/containerd"
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "registry.k8s.io/pause:3.10"
  disable_tcp_service = true
  restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "/opt/cni/bin"
  conf_dir = "/etc/cni/net.d"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
EOF
containerd --config /run/node/containerd.toml > /run/node/containerd.log 2>&1 &
for _ in $(seq 100); do
    [ -S /run/containerd/containerd.sock ] && break
    sleep 0.1
done

cat > /run/node/kubelet.yaml << EOF
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: /run/node/ca.crt}
authorization: {mode: Webhook}
address: ${address%/*}
cgroupDriver: cgroupfs
cgroupRoot: /$cgroup
failCgroupV1: false
failSwapOn: false
clusterDNS: [$dns]
clusterDomain: cluster.local
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
resolvConf: /etc/resolv.conf
# The machine's disk may be nearly full: that is not what is tested.
imageGCHighThresholdPercent: 100
evictionHard: {nodefs.available: "1%", imagefs.available: "1%", memory.available: "50Mi"}
localStorageCapacityIsolation: false
EOF
# It ends when containerd answers already but is not ready for it; a service manager would start it again too.
for _ in 1 2 3 4 5; do
    "$programs/kubelet" --config=/run/node/kubelet.yaml --kubeconfig=/run/node/kubeconfig \
        --root-dir=/run/node/kubelet --cert-dir=/run/node/pki --hostname-override="$name" \
        --node-ip="${address%/*}" --v=1 || sleep 1
done > /run/node/kubelet.log 2>&1 &

# A node without one of the two is none.
wait -n || true
echo "containerd or kubelet ended:" >&2
tail -n 5 /run/node/containerd.log /run/node/kubelet.log >&2
exit 1
