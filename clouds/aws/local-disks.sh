# Gives a machine the use of its own disks (instance store). Root runs it at every boot, before anybody may log in.
# A blank disk gets a file system; all that have one of ours are mounted at /mnt/local-disks/0, 1, …, each where it was before a reboot.
# A disk with anything else on it is left alone.
log=/var/log/styx/set-up.log
at=/mnt/local-disks
umask 022
export LC_ALL=C
mkdir -p "${log%/*}"
exec >>"$log" 2>&1 </dev/null

say() { printf '%s %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$*"; }

# What blkid cannot name may still be somebody's.
is_blank() {
  blkid -p "$1" >/dev/null
  [ $? = 2 ] && [ "$(head -c 1048576 "$1" | tr -d '\0' | wc -c)" = 0 ]
}

# The number in the label of a disk that has been here before.
number_of() { blkid -p -o value -s LABEL "$1" | sed -n 's/^styx-local-\([0-9]\{1,4\}\)$/\1/p'; }

# mount_at DISK NUMBER: all may write there, as in /tmp.
mount_at() {
  mkdir -p "$at/$2"
  mountpoint -q "$at/$2" && return
  if said=$(mount -o noatime "$1" "$at/$2" 2>&1); then
    chmod 1777 "$at/$2"
    say "mounted $1 at $at/$2"
  else
    say "cannot mount $1 at $at/$2: $said"
  fi
}

# format DISK NUMBER
format() {
  said=$(mkfs.ext4 -q -m 0 -E nodiscard -L "styx-local-$2" "$1" 2>&1) && return
  say "cannot make a file system on $1: $said"
  return 1
}

! command -v udevadm >/dev/null || udevadm settle --timeout=30
disks=$(for link in /dev/disk/by-id/nvme-Amazon_EC2_NVMe_Instance_Storage_*; do
  case $link in *-part[0-9]*) ;; *) [ ! -b "$link" ] || readlink -f "$link" ;; esac
done | sort -uV)
[ -n "$disks" ] || exit 0
if [ -d /opt/dlami ]; then
  # AWS's Deep Learning images make one volume of all of them.
  mkdir -p "$at"
  ln -sfn /opt/dlami/nvme "$at/0"
  say "the image mounts its disks at /opt/dlami/nvme"
  exit 0
fi
taken=' '
for disk in $disks; do
  number=$(number_of "$disk")
  [ -n "$number" ] || continue
  taken="$taken$number "
  mount_at "$disk" "$number"
done
next=0
for disk in $disks; do
  [ -z "$(number_of "$disk")" ] || continue
  if ! is_blank "$disk"; then
    say "$disk is left as it is: it is not blank"
    continue
  fi
  while case $taken in *" $next "*) true ;; *) false ;; esac; do next=$((next + 1)); done
  format "$disk" "$next" && mount_at "$disk" "$next"
  next=$((next + 1))
done
