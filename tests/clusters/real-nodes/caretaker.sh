#!/usr/bin/env bash
# Outlives the test: when the test ends, in whatever way, its end of the pipe that is our standard input closes.
# By then the kernel has killed the nodes (setpriv --pdeathsig) and with them their mounts, network namespaces and
# links; what is left is cgroups and files.
#
# usage: caretaker.sh CGROUP_PREFIX CLUSTER_DIR < PIPE
set -u
prefix=$1 dir=$2
cat > /dev/null

# Processes that were just killed may still hold a cgroup for a moment.
for _ in $(seq 150); do
    left=$(find /sys/fs/cgroup -maxdepth 2 -type d -name "$prefix*" 2> /dev/null)
    [ -z "$left" ] && break
    echo "$left" | while read -r cgroup; do
        find "$cgroup" -depth -type d -exec rmdir {} + 2> /dev/null
    done
    sleep 0.2
done
if [ -z "${BYOCNI_TEST_KEEP:-}" ]; then
    rm -rf "$dir"
fi
