#!/bin/sh
# First process of an instance: DIR RUN. Reaps what its children leave; its end is the instance's end.
dir=$1 run=$2
namespace=
boot=
[ -r /proc/sys/kernel/random/boot_id ] && read -r boot </proc/sys/kernel/random/boot_id
if [ -e /proc/self/fd/3/self/stat ]; then
  # Descriptor 3 is /proc of the machine outside: there this process has its outer number.
  read -r stat </proc/self/fd/3/self/stat
  exec 3<&-
  namespace=$(readlink /proc/self/ns/pid)
elif [ -n "$boot" ]; then
  read -r stat </proc/$$/stat
fi
if [ -n "$boot" ]; then
  # shellcheck disable=SC2086
  set -- $stat
  pid=$1 start=${boot%"${boot#????????}"}-${22}
else
  # shellcheck disable=SC2046
  set -- $(ps -o lstart= -p $$)
  pid=$$ start=$1-$2-$3-$4-$5
fi
trap 'exit 0' TERM
printf '%s %s\n%s\n' "$pid" "$start" "$namespace" >"$run/init.tmp" && mv "$run/init.tmp" "$run/init" || exit 1
while [ -d "$dir" ]; do
  sleep 30 &
  wait $!
done
