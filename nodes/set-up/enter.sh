#!/bin/bash
# Takes a login into the container `styx`, as the command that sshd runs for our key. The processes of that container are the machine's
# own, so that signals, exit codes and terminals are those of any login. What Styx does on the machine itself says so (STYX_MACHINE).
if [ "$1" != --inside ]; then
  case ${SSH_ORIGINAL_COMMAND-} in
  "exec env STYX_CHANNEL=1 sh -c 'env STYX_MACHINE=1 "*) exec /bin/sh -c "$SSH_ORIGINAL_COMMAND" ;;
  # Counts as nobody's session.
  'exec env STYX_CHANNEL=1 '*) export STYX_CHANNEL=1 ;;
  esac
  exec sudo -n "$0" --inside "${SSH_ORIGINAL_COMMAND-}"
fi
running() {
  pid=$(docker inspect --type container --format '{{.State.Pid}}' styx 2>/dev/null)
  [ "${pid:-0}" != 0 ] && [ -e "/proc/$pid/environ" ]
}
for _ in {1..60}; do
  running && break
  # The machine has just booted, or somebody has stopped it.
  docker start styx >/dev/null 2>&1 || sleep 0.5
done
running || { echo 'styx: the container of this machine does not run' >&2; exit 255; }

# What ends the container ends this too.
while IFS=: read -r _ group path; do
  case $group in
  '') folder=/sys/fs/cgroup/unified; [ -d $folder ] || folder=/sys/fs/cgroup ;;
  name=*) folder=/sys/fs/cgroup/${group#name=} ;;
  *) folder=/sys/fs/cgroup/$group ;;
  esac
  echo $$ >"$folder$path/cgroup.procs"
done <"/proc/$pid/cgroup" 2>/dev/null

variables=()
while IFS= read -r -d '' one; do variables+=("$one"); done <"/proc/$pid/environ"
variables+=(HOME=/root USER=root LOGNAME=root SHELL=/bin/bash STYX_MACHINE_ROOT=/proc/1/root)
[ -z "${TERM-}" ] || variables+=("TERM=$TERM")
enter=(nsenter --target "$pid" --mount -- env -i "${variables[@]}" bash -c)
# shellcheck disable=SC2016
if [ -n "$2" ]; then exec "${enter[@]}" 'cd; exec bash -c "$1"' bash "$2"; else exec "${enter[@]}" 'cd; exec bash'; fi
