#!/bin/sh
# Ends the instance that it is run in, never the machine under it: stop | terminate.
dir=${0%/*}
case ${1-} in
stop | terminate) ;;
*)
  echo 'usage: power-off stop|terminate' >&2
  exit 2
  ;;
esac
read -r id <"$dir/identity" && read -r boot <"$dir/boot" && run=$dir/run-$boot && {
  read -r pid start
  read -r namespace
} <"$run/init" || {
  echo 'power-off: the instance does not run' >&2
  exit 1
}
outside() {
  echo "power-off: this is not instance $id; nothing was done" >&2
  exit 1
}
if [ -n "$namespace" ]; then
  [ "$(readlink /proc/self/ns/pid)" = "$namespace" ] || outside
  pid=1
else
  [ "${STYX_INSTANCE-}" = "$id" ] || outside
  if [ -r "/proc/$pid/environ" ]; then
    grep -qzxF -- "STYX_INSTANCE=$id" "/proc/$pid/environ" || outside
  else
    # shellcheck disable=SC2046
    [ "$(printf '%s-' $(ps -o lstart= -p "$pid"))" = "$start-" ] || outside
  fi
fi
printf '%s\n' "$1" >"$run/order.$$" && mv -f "$run/order.$$" "$run/order" && kill -TERM "$pid"
