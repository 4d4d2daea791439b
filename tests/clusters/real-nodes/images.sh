#!/usr/bin/env bash
# Makes container images from the programs that ../build.sh built, under the names that charts use, and keeps
# them unpacked in a containerd store that nodes link to (see node.sh). Made once; again when a program is newer.
#
# usage: images.sh PROGRAMS_DIR IMAGES_DIR NAME...
#        NAME: pause agnhost coredns kube-proxy traffic flannel flannel-v0.28.3 cilium-v1.19.6 cilium-v1.20.0
# Needs: root, containerd, python3, busybox-static, iptables, ipset, conntrack, gcc; for cilium debootstrap and
# the CNI plugins of containernetworking-plugins.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
programs=$(cd "$1" && pwd)
mkdir -p "$2"
images=$(cd "$2" && pwd)
shift 2

# One at a time: other test runs wait here until the images are there.
exec 9> "$images/lock"
flock 9
# Of a run that was killed.
rm -rf "$images"/work.*

stamps=$images/stamps
store=$images/containerd
mkdir -p "$stamps" "$store"
work=$(mktemp -d "$images/work.XXXXXX")
containerd_pid=
finish() {
    if [ -n "$containerd_pid" ]; then
        kill "$containerd_pid" 2> /dev/null || true
        wait "$containerd_pid" 2> /dev/null || true
    fi
    rm -rf "$work"
}
trap finish EXIT

# The programs that an image is made of; it is made again when one of them is newer.
sources() {
    case $1 in
        pause | traffic) echo "$here/$1.c" ;;
        flannel-v*) echo "$programs/flannel/${1#flannel-}/flanneld" "$programs/flannel-cni" ;;
        flannel) echo "$programs/flanneld" "$programs/flannel-cni" ;;
        cilium-*) echo "$programs/cilium/${1#cilium-}"/cilium-{agent,cni,operator-generic} ;;
        *) echo "$programs/$1" ;;
    esac
}

current() {
    local source
    [ -f "$stamps/$1" ] || return 1
    for source in $(sources "$1") "$here/images.sh" "$here/pack.py"; do
        [ "$source" -nt "$stamps/$1" ] && return 1
    done
    return 0
}

# containerd without CRI, only to take images in. In a mount namespace of its own because it mounts layers.
start_containerd() {
    [ -z "$containerd_pid" ] || return 0
    cat > "$work/containerd.toml" <<EOF
version = 2
root = "$store"
state = "$work/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "$work/containerd.sock"
[ttrpc]
  address = "$work/containerd.ttrpc"
EOF
    setpriv --pdeathsig KILL unshare --mount containerd --config "$work/containerd.toml" 9>&- \
        > "$images/containerd.log" 2>&1 &
    containerd_pid=$!
    local _
    for _ in $(seq 100); do
        [ -S "$work/containerd.sock" ] && return 0
        sleep 0.1
    done
    echo "containerd did not start: $images/containerd.log" >&2
    return 1
}

# take REFERENCE [OPTION]... LAYER_DIR...
take() {
    start_containerd
    python3 "$here/pack.py" "$work/image.tar" "$@"
    ctr --address "$work/containerd.sock" --namespace k8s.io images import --all-platforms "$work/image.tar" > "$work/import.log" 2>&1 ||
        { cat "$work/import.log" >&2; return 1; }
    rm "$work/image.tar"
}

# A root file system with busybox in folder $1.
busybox_root() {
    local applet
    mkdir -p "$1"/{bin,sbin,usr/bin,usr/sbin,usr/lib,opt/bin,etc,run,tmp}
    cp "$(command -v busybox)" "$1/bin/busybox"
    for applet in sh cat cp mv rm ls ln mkdir echo grep sleep true test ip ping nslookup; do
        ln -s busybox "$1/bin/$applet"
    done
    echo 'root:x:0:0:root:/:/bin/sh' > "$1/etc/passwd"
    echo 'root:x:0:' > "$1/etc/group"
    echo 'hosts: files dns' > "$1/etc/nsswitch.conf"
}

# Copies what the programs and libraries $2.. need from this machine's libraries into root $1.
libraries_of() {
    local root=$1 library
    shift
    # ldd fails for a static program.
    { ldd "$@" 2> /dev/null || true; } | grep -o ' /[^ ]*\|^\s/[^ ]*' | tr -d ' \t' | grep -v ':$' | sort -u |
        while read -r library; do
            mkdir -p "$root$(dirname "$library")"
            cp -Ln "$library" "$root$library"
        done
}

# iptables, ipset and conntrack of this machine into root $1.
iptables_into() {
    local root=$1 extensions name
    cp -L "$(command -v xtables-nft-multi)" "$(command -v ipset)" "$(command -v conntrack)" "$root/usr/sbin/"
    for name in iptables iptables-save iptables-restore ip6tables ip6tables-save ip6tables-restore; do
        ln -s xtables-nft-multi "$root/usr/sbin/$name"
        ln -s ../usr/sbin/xtables-nft-multi "$root/sbin/$name"
    done
    extensions=$(dirname "$(find /usr/lib /usr/lib64 -name libxt_statistic.so 2> /dev/null | head -n 1)")
    mkdir -p "$root$extensions"
    cp -L "$extensions"/*.so "$root$extensions/"
    # The extensions have needs of their own: libxt_statistic wants libm, and without it kube-proxy
    # programs no service that has more than one endpoint.
    libraries_of "$root" "$root"/usr/sbin/{xtables-nft-multi,ipset,conntrack} "$extensions"/*.so
}

# A small Debian of this machine's release with what Cilium's agent runs: it compiles its eBPF programs at start.
debian() {
    local root=$images/debian release mirror clang name
    if [ ! -e "$root/.complete" ]; then
        rm -rf "$root"
        release=$(. /etc/os-release && echo "$VERSION_CODENAME")
        # From where this machine's own packages come.
        mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' |
            awk -v release="$release" '$2 == release && !/security/ { print $1; exit }')
        debootstrap --variant=minbase \
            --include=bash,iptables,iproute2,ipset,kmod,clang-19,llvm-19,ca-certificates,bpftool,libelf1 \
            "$release" "$root" "${mirror:?no Debian mirror in the configuration of apt}" > "$images/debootstrap.log" 2>&1 ||
            { tail -n 5 "$images/debootstrap.log" >&2; return 1; }
        rm -rf "$root"/usr/share/{doc,man,locale,info} "$root"/var/cache/* "$root"/var/lib/apt/lists/* "$root/dev"
        mkdir "$root/dev"
        clang=/usr/lib/llvm-19/bin
        for name in clang llc llvm-objcopy llvm-strip; do
            ln -sf "$clang/$name" "$root/usr/local/bin/$name"
        done
        touch "$root/.complete"
    fi
    echo "$root"
}

pause_image() {
    mkdir "$work/pause"
    gcc -static -Os -o "$work/pause/pause" "$here/pause.c"
    take registry.k8s.io/pause:3.10 --entrypoint /pause "$work/pause"
}

traffic_image() {
    mkdir "$work/traffic"
    gcc -static -Os -o "$work/traffic/traffic" "$here/traffic.c"
    take byocni.test/traffic:1 --entrypoint /traffic "$work/traffic"
}

agnhost_image() {
    busybox_root "$work/agnhost"
    cp "$programs/agnhost" "$work/agnhost/agnhost"
    take registry.k8s.io/e2e-test-images/agnhost:2.53 --entrypoint /agnhost --cmd pause "$work/agnhost"
}

coredns_image() {
    mkdir -p "$work/coredns/tmp"
    cp "$programs/coredns" "$work/coredns/coredns"
    take registry.k8s.io/coredns/coredns:v1.12.4 --entrypoint /coredns "$work/coredns"
}

kube_proxy_image() {
    busybox_root "$work/kube-proxy"
    iptables_into "$work/kube-proxy"
    cp "$programs/kube-proxy" "$work/kube-proxy/usr/sbin/"
    take registry.k8s.io/kube-proxy:v1.34.4 --entrypoint /usr/sbin/kube-proxy "$work/kube-proxy"
}

# flannel_image VERSION FLANNELD
flannel_image() {
    rm -rf "$work/flannel" "$work/flannel-cni"
    busybox_root "$work/flannel"
    iptables_into "$work/flannel"
    cp "$2" "$work/flannel/opt/bin/"
    take "ghcr.io/flannel-io/flannel:$1" --entrypoint /opt/bin/flanneld "$work/flannel"
    busybox_root "$work/flannel-cni"
    cp "$programs/flannel-cni" "$work/flannel-cni/flannel"
    take ghcr.io/flannel-io/flannel-cni-plugin:v1.9.1-flannel1 "$work/flannel-cni"
}

cilium_image() {
    local version=$1 built=$programs/cilium/$1 agent=$work/cilium-agent operator=$work/cilium-operator module base
    module=$(cat "$built/module-dir")
    base=$(debian)
    rm -rf "$agent" "$operator"
    mkdir -p "$agent"/{usr/bin,opt/cni/bin,cni,var/lib/cilium} "$operator"/{usr/bin,etc,tmp}
    cp "$built"/cilium-{agent,dbg,health,mount,sysctlfix} "$agent/usr/bin/"
    ln -s cilium-dbg "$agent/usr/bin/cilium"
    cp "$built/cilium-cni" "$agent/opt/cni/bin/"
    cp "$(loopback_plugin)" "$agent/cni/loopback"
    cp "$module/images/cilium/init-container.sh" "$module"/plugins/cilium-cni/{install-plugin,cni-uninstall}.sh "$agent/"
    cp -r "$module/bpf" "$agent/var/lib/cilium/bpf"
    # Files of the module cache are read-only.
    chmod -R u+w "$agent"
    chmod +x "$agent"/*.sh
    rm -rf "$agent/var/lib/cilium/bpf/tests"
    take "quay.io/cilium/cilium:$version" "$base" "$agent"
    cp "$built/cilium-operator-generic" "$operator/usr/bin/"
    take "quay.io/cilium/operator-generic:$version" --entrypoint /usr/bin/cilium-operator-generic "$operator"
}

loopback_plugin() {
    local folder
    for folder in /usr/lib/cni /opt/cni/bin /usr/libexec/cni; do
        [ -x "$folder/loopback" ] && { echo "$folder/loopback"; return 0; }
    done
    echo "no CNI plugin 'loopback' on this machine (containernetworking-plugins)" >&2
    return 1
}

for name in "$@"; do
    current "$name" && continue
    for source in $(sources "$name"); do
        [ -e "$source" ] || { echo "no $source: build it with tests/clusters/build.sh" >&2; exit 1; }
    done
    case $name in
        pause | agnhost | coredns | traffic) "${name}_image" ;;
        flannel) flannel_image v0.28.4 "$programs/flanneld" ;;
        flannel-v*) flannel_image "${name#flannel-}" "$programs/flannel/${name#flannel-}/flanneld" ;;
        kube-proxy) kube_proxy_image ;;
        cilium-*) cilium_image "${name#cilium-}" ;;
        *) echo "unknown image: $name" >&2; exit 2 ;;
    esac
    touch "$stamps/$name"
done
