#!/usr/bin/env bash
# Builds the programs of the test clusters from Go modules, by name and version, into one folder.
#
#   tests/clusters/build.sh [BIN] [control-plane|real-nodes]
#
# BIN is ${BYOCNI_TEST_CACHE:-$HOME/.cache/kubectl-byocni}/bin unless named: outside the repository, so that it
# survives. `control-plane` (the default) builds etcd, the Kubernetes servers, both helms and a tool on helm's library;
# `real-nodes` also what runs on nodes, two versions of Cilium, and krew. Beside each program stands NAME.version: one
# that is there in the right version is left alone, another version is replaced.
#
# Needs go 1.26, for `real-nodes` gcc too. From nothing on two processors: about 6 minutes, 20 with `real-nodes`.
set -euo pipefail

KUBERNETES=v1.34.4
ETCD=v3.6.4
HELM3=v3.20.2
HELM4=v4.3.1
COREDNS=v1.12.4
FLANNEL=v0.28.4
# What upgrades start from. The module proxy has nothing older than 0.28.4, so it is that source under this name.
FLANNEL_BEFORE=v0.28.3
# The CNI plugin "flannel" was part of containernetworking/plugins until 1.0.
FLANNEL_PLUGIN=v0.9.1
KREW=v0.5.0

bin=${1:-${BYOCNI_TEST_CACHE:-$HOME/.cache/kubectl-byocni}/bin}
tier=${2:-control-plane}
case $tier in control-plane | real-nodes) ;; *)
    echo "usage: $0 [BIN] [control-plane|real-nodes]" >&2
    exit 2
    ;;
esac
mkdir -p "$bin"
bin=$(cd "$bin" && pwd)
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
modules=$(mktemp -d)
trap 'rm -rf "$modules"' EXIT
export GOFLAGS=-mod=mod GOWORK=off CGO_ENABLED=0

# built PROGRAM VERSION: whether it is there already.
built() { [ -x "$bin/$1" ] && [ "$(cat "$bin/$1.version" 2>/dev/null)" = "$2" ]; }

# compile PROGRAM VERSION LDFLAGS PACKAGE [FLAG…]: in the current module. A build that fails leaves nothing behind.
compile() {
    local program=$1 version=$2 ldflags=$3 package=$4
    shift 4
    echo "building $program $version" >&2
    mkdir -p "$(dirname "$bin/$program")"
    rm -f "$bin/$program.version"
    go build "$@" -ldflags="-s -w $ldflags" -o "$bin/$program.new" "$package"
    mv "$bin/$program.new" "$bin/$program"
    echo "$version" >"$bin/$program.version"
}

# module NAME: an empty module to build in.
module() {
    mkdir -p "$modules/$1"
    cd "$modules/$1"
    [ -f go.mod ] || go mod init "byocni.test/$1" 2>/dev/null
}

# source_of MODULE@VERSION: the folder that it is downloaded to.
source_of() { go mod download -json "$1" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p'; }

# kubernetes PROGRAM [PACKAGE]: its own go.mod replaces the staging modules by folders; outside its repository they
# are the published modules of the same release.
kubernetes() {
    local program=$1 package=k8s.io/kubernetes/${2:-cmd/$1} minor=${KUBERNETES#v1.}
    built "$program" "$KUBERNETES" && return
    module kubernetes
    if ! grep -q k8s.io/kubernetes go.mod; then
        local source
        source=$(source_of "k8s.io/kubernetes@$KUBERNETES")
        {
            echo "require k8s.io/kubernetes $KUBERNETES"
            sed -n "s#^\t\(k8s.io/[^ ]*\) => ./staging/.*#replace \1 => \1 v0.$minor#p" "$source/go.mod"
        } >>go.mod
    fi
    # With its version: without, go takes the newest release, which the replacements do not fit.
    go get -tool "$package@$KUBERNETES"
    # A server that does not know its version calls itself v0.0.0-master, and clients refuse to talk to it.
    local name=k8s.io/component-base/version
    compile "$program" "$KUBERNETES" \
        "-X $name.gitVersion=$KUBERNETES -X $name.gitMajor=1 -X $name.gitMinor=${minor%%.*}" "$package"
}

etcd() {
    built etcd "$ETCD" && return
    module etcd
    go get -tool "go.etcd.io/etcd/server/v3@$ETCD"
    compile etcd "$ETCD" "" go.etcd.io/etcd/server/v3
}

# helm renders for the Kubernetes version that it believes to be built against.
helm() {
    local major=$1 version=$2
    built "helm$major/helm" "$version" && return
    module "helm$major"
    go get -tool "helm.sh/helm/v$major/cmd/helm@$version"
    local package=helm.sh/helm/v$major flags="-X helm.sh/helm/v$major/internal/version.version=$version"
    if [ "$major" = 3 ]; then
        flags+=" -X $package/pkg/lint/rules.k8sVersionMajor=1 -X $package/pkg/chartutil.k8sVersionMajor=1"
        flags+=" -X $package/pkg/chartutil.k8sVersionMinor=35"
    fi
    compile "helm$major/helm" "$version" "$flags" "$package/cmd/helm"
}

# Helm as a library, for releases that no helm program made. Rebuilt when its source changes.
helm_library() {
    local version
    version=$HELM4-$(sha256sum "$here/helm-library/main.go" | cut -c1-12)
    built helm-library "$version" && return
    module helm-library
    cp "$here/helm-library/main.go" .
    go get "helm.sh/helm/v4@$HELM4"
    compile helm-library "$version" "" .
}

# `go install` takes the module's own requirements, replacements and all.
coredns() {
    built coredns "$COREDNS" && return
    cd "$modules"
    echo "building coredns $COREDNS" >&2
    GOBIN=$bin go install -ldflags="-s -w" "github.com/coredns/coredns@$COREDNS"
    echo "$COREDNS" >"$bin/coredns.version"
}

flannel() {
    if ! built flannel-cni "$FLANNEL_PLUGIN"; then
        module flannel-cni
        local package=github.com/containernetworking/plugins/plugins/meta/flannel
        go get -tool "$package@$FLANNEL_PLUGIN"
        compile flannel-cni "$FLANNEL_PLUGIN" "" "$package"
    fi
    flanneld flanneld "$FLANNEL"
    flanneld "flannel/$FLANNEL_BEFORE/flanneld" "$FLANNEL_BEFORE"
}

# flanneld PROGRAM VERSION
flanneld() {
    built "$1" "$2" && return
    local package=github.com/flannel-io/flannel
    module flanneld
    # The version of tencentcloud's "common" that its go.mod names is not in the module proxy; a newer one is.
    go get -tool "$package@$FLANNEL" github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/common@v1.3.103
    # C, for its udp backend; static, because its image has no libc.
    CGO_ENABLED=1 compile "$1" "$2" "-X $package/pkg/version.Version=$2 -extldflags \"-static\"" "$package"
}

# krew, as the plugin of kubectl that it is, and what its index checks manifests with. Its list of versions is not in the
# module proxy, which only asking for a package by version would need.
krew() {
    built kubectl-krew "$KREW" && return
    module krew
    printf 'require sigs.k8s.io/krew %s\n' "$KREW" >>go.mod
    compile validate-krew-manifest "$KREW" "" sigs.k8s.io/krew/cmd/validate-krew-manifest
    # Last: it being there says that both are.
    compile kubectl-krew "$KREW" "" sigs.k8s.io/krew/cmd/krew
}

# cilium VERSION [REPLACEMENT…]: agent, plugin, tools and operator, into BIN/cilium/VERSION. Its requirements are
# its own; a replacement stands for a version that the module proxy lacks.
cilium() {
    local version=$1 package=github.com/cilium/cilium folder=cilium/$1
    shift
    built "$folder/cilium-operator-generic" "$version" && return
    local source
    source=$(source_of "$package@$version")
    module "cilium-$version"
    {
        echo "module byocni.test/cilium"
        sed -n '/^go /p; /^toolchain /p' "$source/go.mod"
        echo "require $package $version"
        # Single lines and blocks alike.
        sed -n '/^replace [^(]/p; s/^\t\(.* => .*\)/replace \1/p' "$source/go.mod"
    } >go.mod
    install -m 644 "$source/go.sum" go.sum
    local replacement
    for replacement in "$@"; do go mod edit -replace "$replacement"; done
    mkdir -p "$bin/$folder"
    # Its images hold files of the module too (eBPF sources).
    echo "$source" >"$bin/$folder/module-dir"
    local flags="-X $package/pkg/version.ciliumVersion=${version#v}" pair
    for pair in agent=daemon cni=plugins/cilium-cni dbg=cilium-dbg health=cilium-health mount=tools/mount \
        sysctlfix=tools/sysctlfix; do
        built "$folder/cilium-${pair%%=*}" "$version" ||
            compile "$folder/cilium-${pair%%=*}" "$version" "$flags" "$package/${pair#*=}"
    done
    # Last: it being there says that all of them are.
    compile "$folder/cilium-operator-generic" "$version" "$flags" "$package/operator" -tags ipam_provider_operator
}

etcd
kubernetes kube-apiserver
kubernetes kube-controller-manager
kubernetes kube-scheduler
helm 3 "$HELM3"
helm 4 "$HELM4"
helm_library
if [ "$tier" = real-nodes ]; then
    kubernetes kubelet
    kubernetes kube-proxy
    # The tests find it on the PATH, which .ci/run lets end here.
    command -v kubectl >/dev/null || kubernetes kubectl
    krew
    kubernetes agnhost test/images/agnhost
    coredns
    flannel
    cilium v1.19.6
    cilium v1.20.0 github.com/osrg/gobgp/v4=github.com/osrg/gobgp/v4@v4.7.0 \
        sigs.k8s.io/mcs-api/controllers=sigs.k8s.io/mcs-api/controllers@v0.0.0-20260403094305-4b9911b73f14
fi
echo "$tier: all programs are in $bin" >&2
