#!/bin/sh
# The first process of a node, in namespaces of its own: what the node sees as "the machine" is arranged here, so that
# nothing of the real one is written to. Then it becomes the pause program, which reaps what the node's programs leave.
#
# From the environment: NODE its name, STATE its folder, ADDRESSES of the node in its own network, NEXT_HOP a neighbour
# that is not there, HIERARCHIES of cgroup v1 as the kernel names them, PAUSE the program.
set -eu

own() { # own FOLDER HIDDEN: what is written to HIDDEN goes to a folder of the node
    mkdir -p "$STATE/$1" "$2"
    mount --bind "$STATE/$1" "$2"
}

pretend() { # pretend SYSCTL VALUE: the kubelet insists on values of the whole machine, and does not get them
    mkdir -p "$STATE/sysctls"
    file="$STATE/sysctls/$(echo "$1" | tr / _)"
    echo "$2" > "$file"
    mount --bind "$file" "/proc/sys/$1"
}

hostname "$NODE"
mount -t proc proc /proc
mount -t sysfs sysfs /sys

# Mounted afresh, the hierarchies begin at the node's own cgroup.
mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
for hierarchy in $HIERARCHIES; do
    case $hierarchy in
        name=*) options="none,$hierarchy" ;;
        *) options="$hierarchy" ;;
    esac
    folder="/sys/fs/cgroup/${hierarchy#name=}"
    mkdir "$folder"
    mount -t cgroup -o "$options" cgroup "$folder"
    case $hierarchy in
        *,*) for name in $(echo "$hierarchy" | tr , ' '); do ln -s "$hierarchy" "/sys/fs/cgroup/$name"; done ;;
    esac
done

mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=755 tmpfs /var/lib
own kubelet /var/lib/kubelet
mount --make-rshared /var/lib/kubelet
own log/pods /var/log

pretend vm/overcommit_memory 1
pretend vm/panic_on_oom 0
pretend kernel/panic 10
pretend kernel/panic_on_oops 1
pretend kernel/keys/root_maxkeys 1000000
pretend kernel/keys/root_maxbytes 25000000

# The kernel may have no dummy device: the node's addresses are on one end of a pair.
ip link set lo up
ip link add node0 type veth peer name node0-peer
ip link set node0-peer up
ip link set node0 up
for address in $ADDRESSES; do ip address add "$address" dev node0; done
ip route add default via "$NEXT_HOP" dev node0
echo 1 > /proc/sys/net/ipv4/ip_forward

touch "$STATE/arranged"
exec "$PAUSE"
