#!/bin/sh
# Stands around one start of an instance and cleans up after it, also when nothing else of Styx lives: DIR RUN MODE ID.
dir=$1 run=$2 mode=$3 id=$4
# Two hosts may order the same start: one of them gets it.
mkdir "$run/claim" 2>/dev/null || exit 0
if [ "$mode" = namespace ]; then
  exec 3</proc
  user=
  [ "$(id -u)" = 0 ] || user='--user --map-current-user'
  # shellcheck disable=SC2086
  STYX_INSTANCE=$id unshare $user --pid --mount --propagation slave --fork --mount-proc /bin/sh "$dir/init" "$dir" "$run"
else
  # In the process group of this one, which is therefore spared below.
  STYX_INSTANCE=$id /bin/sh "$dir/init" "$dir" "$run"
  if [ -d /proc/self ]; then
    # One empty look proves nothing of processes that fork all the time.
    empty=0
    while [ "$empty" -lt 8 ]; do
      found=$(grep -lszxF -- "STYX_INSTANCE=$id" /proc/[0-9]*/environ)
      empty=$((empty + 1))
      [ -z "$found" ] || empty=0
      for file in $found; do
        pid=${file#/proc/}
        pid=${pid%/environ}
        group=$(sed -n 's/^.*) [A-Za-z] [0-9]* \([0-9]*\) .*/\1/p' "/proc/$pid/stat" 2>/dev/null)
        [ -n "$group" ] && [ "$group" -gt 1 ] && [ "$group" != $$ ] && kill -KILL "-$group" 2>/dev/null
        kill -KILL "$pid" 2>/dev/null
      done
    done
  else
    while :; do
      found=$(ps -axEww -o pid=,command= | awk -v mark="STYX_INSTANCE=$id" '{ for (i = 3; i <= NF; i++) if ($i == mark) { print $1; next } }')
      [ -n "$found" ] || break
      # shellcheck disable=SC2086
      kill -KILL $found 2>/dev/null
    done
  fi
fi
order=none
[ -r "$run/order" ] && read -r order <"$run/order"
# What was mounted there was mounted in a namespace that is gone. Were it not so, the machine's own files would be removed.
if [ "$order" = terminate ] && grep -qF " $dir/disk/" /proc/self/mountinfo 2>/dev/null; then
  order=none
fi
if [ "$order" = terminate ]; then
  chmod -R u+rwX "$dir/home" "$dir/tmp" "$dir/disk" 2>/dev/null
  case $(uname -s) in
  Darwin) rm -rfx "$dir/home" "$dir/tmp" "$dir/disk" ;;
  *) rm -rf --one-file-system "$dir/home" "$dir/tmp" "$dir/disk" ;;
  esac
fi
[ -d "$run" ] && printf '%s\n' "$order" >"$run/ended.tmp" && mv "$run/ended.tmp" "$run/ended"
exit 0
