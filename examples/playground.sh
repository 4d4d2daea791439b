#!/usr/bin/env bash
# A throw-away cluster without a CNI, and a shell in which `kubectl byocni` looks at it. It goes with the shell.
#
#   examples/playground.sh [real|kind|played] [-- COMMAND…]
#
#   real    two nodes on this machine, kubelet and containerd, on which pods really run: Linux, as root
#   kind    two nodes in containers: Docker and kind
#   played  a real API server whose three nodes only say that they run pods: nothing but its programs is needed
#
# Unless one is named: the first of them that this machine can run. With a COMMAND that is run instead of a shell, and
# its exit code is this one's. What the clusters of the first and the last kind are made of is built from Go modules at
# the first time (tests/clusters/build.sh), which takes minutes.
set -euo pipefail
sources=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

die() {
    echo "error: $*" >&2
    exit 1
}

has() {
    local program
    for program in "$@"; do
        command -v "$program" >/dev/null || return 1
    done
}

kind_of_cluster=
case ${1:-} in
    real | kind | played)
        kind_of_cluster=$1
        shift
        ;;
    "" | --) ;;
    -h | --help)
        sed -n '2,/^set/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
        exit 0
        ;;
    *) die "there is no playground '$1': real, kind or played" ;;
esac
[ "${1:-}" != -- ] || shift

export PATH=$PATH:/usr/sbin:/sbin
if [ -z "$kind_of_cluster" ]; then
    if [ "$(uname -s)" = Linux ] && [ "$(id -u)" = 0 ] && has containerd runc iptables debootstrap setpriv; then
        kind_of_cluster=real
    elif has docker kind && docker info >/dev/null 2>&1; then
        kind_of_cluster=kind
    else
        kind_of_cluster=played
    fi
fi

# BYOCNI_BUILT names the folder of what is built already; a test has it.
built=${BYOCNI_BUILT:-}
if [ -z "$built" ]; then
    parts=(--bin kubectl-byocni)
    [ "$kind_of_cluster" = kind ] || parts+=(--example cluster)
    (cd "$sources" && cargo build --locked "${parts[@]}")
    built=${CARGO_TARGET_DIR:-$sources/target}/debug
    built=$(cd "$built" && pwd)
fi

folder=$(mktemp -d)
cluster=
# Backwards through what has been made.
leave() {
    local code=$?
    trap - EXIT
    echo "taking the cluster away" >&2
    if [ "$kind_of_cluster" = kind ]; then
        [ -z "$cluster" ] || kind delete cluster --name "$cluster" --kubeconfig "$folder/kubeconfig" || true
    elif [ -n "$cluster" ]; then
        # The end of its input ends the cluster; so does the end of this shell, even if it is killed.
        exec 9>&-
        wait "$cluster" 2>/dev/null || true
    fi
    rm -rf "$folder"
    exit "$code"
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

begin_kind() {
    has docker kind || die "'kind' needs docker and kind (https://kind.sigs.k8s.io); 'played' needs neither"
    cluster=byocni-playground-$$
    kind create cluster --name "$cluster" --kubeconfig "$folder/kubeconfig" --config - >&2 <<-'END'
		kind: Cluster
		apiVersion: kind.x-k8s.io/v1alpha4
		networking:
		  disableDefaultCNI: true
		nodes:
		- role: control-plane
		- role: worker
	END
    kubeconfig=$folder/kubeconfig
}

# begin_ours TIER PROGRAMS ARGUMENT…: the clusters that the tests are run on.
begin_ours() {
    local tier=$1 programs=$2 line
    shift 2
    if [ -z "${KUBEBUILDER_ASSETS:-}" ] && [ ! -x "$programs_folder/$programs" ]; then
        "$sources/tests/clusters/build.sh" "$programs_folder" "$tier"
    fi
    mkfifo "$folder/input" "$folder/output"
    # Out of reach of Ctrl-C, which is for the commands in the shell.
    local apart=env
    ! has setsid || apart=setsid
    $apart "$built/examples/cluster" "$@" <"$folder/input" >"$folder/output" 2>"$folder/log" &
    cluster=$!
    exec 9>"$folder/input"
    # The path of its kubeconfig is its only line, once it is up; the end of its output says that it failed.
    IFS= read -r line <"$folder/output" || {
        cat "$folder/log" >&2
        die "the cluster did not start"
    }
    kubeconfig=$line
}

# Where the tests look too (tests/clusters/programs.rs).
programs_folder=${BYOCNI_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kubectl-byocni}/bin
echo "starting a cluster without a CNI: $kind_of_cluster" >&2
case $kind_of_cluster in
    kind) begin_kind ;;
    real)
        [ "$(id -u)" = 0 ] || die "the playground 'real' makes network namespaces and needs root; 'played' does not"
        begin_ours real-nodes kubelet real-nodes
        grep '^values that' "$folder/log" >&2 || true
        ;;
    played) begin_ours control-plane kube-apiserver control-plane ;;
esac

mkdir "$folder/bin"
ln -s "$built/kubectl-byocni" "$folder/bin/kubectl-byocni"
# Behind the user's own: kubectl is built where there was none.
export PATH=$folder/bin:$PATH:$programs_folder KUBECONFIG=$kubeconfig
if ! has helm && [ -z "${HELM_BIN:-}" ] && [ -x "$programs_folder/helm4/helm" ]; then
    export HELM_BIN=$programs_folder/helm4/helm
fi

# Nothing that is started there holds the cluster's input open.
code=0
if [ $# -gt 0 ]; then
    "$@" 9>&- || code=$?
    exit "$code"
fi
cat >&2 <<'END'

A cluster without a CNI. Begin with
  kubectl byocni status
  kubectl byocni install cilium --dry-run
and leave with exit: the cluster goes too.

END
cat >"$folder/rc" <<'END'
[ ! -f ~/.bashrc ] || . ~/.bashrc
PS1="(byocni) ${PS1:-\$ }"
END
bash --rcfile "$folder/rc" -i 9>&- || code=$?
exit "$code"
