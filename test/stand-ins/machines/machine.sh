#!/bin/sh
# machine.sh CGROUP…: one run of a machine, from its first process to its last. Everything in it ends with this process.
# Environment: HERE (this folder), OUTER (network namespace of the world), and what boot.sh says.
set -e
for group; do echo $$ >"$group/cgroup.procs"; done
exec unshare --net --mount --pid --uts --ipc --cgroup --fork --kill-child --propagation private sh "$HERE/boot.sh"
