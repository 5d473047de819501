#!/bin/sh
# Boots a machine in the namespaces that it was started in, and becomes its first process. Environment:
#   OUTER VETH BRIDGE        network namespace of the world, the name of this machine's cable there, and what it is plugged into
#   PRIVATE PUBLIC NAME ID   addresses (PUBLIC may be empty), host name, id of the instance
#   DISK                     what outlives this run: upper/ work/ root/ home/
#   BOOT_SECONDS SSH         how long it takes, and `answers`, `never` or `other-key`
#   SHARED                   directory of this machine that is /opt/shared there (may be empty)
#   OWN_DISKS                names of disks that are blank at each boot (may be empty)
#   IMAGE                    what root runs once, before anybody may log in: how its image differs from others (may be empty)
# Its exit is 64 when it was powered off from inside.
set -e
# That of the run before goes with its network, some moments after its last process.
nsenter --net="$OUTER" ip link delete "$VETH" 2>/dev/null || true
ip link add eth0 type veth peer name "$VETH" netns "$OUTER"
nsenter --net="$OUTER" ip link set "$VETH" master "$BRIDGE" up
ip -batch - <<COMMANDS
link set lo up
addr add $PRIVATE/16 dev eth0
${PUBLIC:+addr add $PUBLIC/16 dev eth0}
link set eth0 up
route add 169.254.169.254 dev eth0 src ${PUBLIC:-$PRIVATE}
COMMANDS

root=$DISK/merged
mkdir -p "$root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$DISK/upper,workdir=$DISK/work" "$root"
hostname "$NAME"
echo "$NAME" >"$root/etc/hostname"
printf '127.0.0.1 localhost\n%s %s\n' "$PRIVATE" "$NAME" >"$root/etc/hosts"
# Its own files of users. What else this machine has at its root is no part of an image of Ubuntu.
mount --bind "$DISK/root" "$root/root"
mount --bind "$DISK/home" "$root/home"
for name in "$root"/* "$root"/.[!.]*; do
  case ${name##*/} in
  bin | boot | dev | etc | home | lib | lib[0-9]* | libx32 | media | mnt | opt | proc | root | run | sbin | srv | sys | tmp | usr | var) ;;
  *) [ ! -d "$name" ] || [ -L "$name" ] || mount -t tmpfs -o ro,mode=700 none "$name" ;;
  esac
done
mount -t tmpfs -o mode=1777 none "$root/tmp"
mount -t tmpfs -o mode=755 none "$root/run"
mkdir -p "$root/run/sshd"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
# Groups of its own, below those that limit it, as far as there are version 1's.
if [ ! -e /sys/fs/cgroup/cgroup.controllers ] && mount -t tmpfs -o mode=755 none "$root/sys/fs/cgroup"; then
  for group in /sys/fs/cgroup/*/cgroup.procs; do
    name=$(basename "$(dirname "$group")") type=cgroup
    case $name in unified) type=cgroup2 options= ;; systemd) options=none,name=systemd ;; *) options=$name ;; esac
    mkdir "$root/sys/fs/cgroup/$name"
    mount -t $type ${options:+-o "$options"} cgroup "$root/sys/fs/cgroup/$name" || rmdir "$root/sys/fs/cgroup/$name"
  done
fi
mount -t tmpfs -o mode=755 none "$root/dev"
for name in null zero full random urandom tty fuse; do
  [ -e "/dev/$name" ] || continue
  touch "$root/dev/$name"
  mount --bind "/dev/$name" "$root/dev/$name"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
mount -t tmpfs -o mode=1777 none "$root/dev/shm"
mkdir -p "$root/dev/disk/by-id"
for name in $OWN_DISKS; do
  file=$(mktemp "$DISK/own.XXXXXX")
  truncate -s 64M "$file"
  loop=$(losetup --find --show "$file")
  rm "$file"
  touch "$root$loop"
  mount --bind "$loop" "$root$loop"
  ln -s "$loop" "$root/dev/disk/by-id/$name"
  # It is there for as long as somebody has it open, which is a process of this machine.
  exec 3<"$loop"
  sleep infinity <&3 &
  exec 3<&-
  losetup --detach "$loop"
done
if [ -n "$SHARED" ]; then
  mkdir -p "$root/opt/shared"
  mount --bind "$SHARED" "$root/opt/shared"
  mount -o remount,bind,ro "$root/opt/shared"
fi

cd "$root"
mkdir -p .outside
pivot_root . .outside
cd /
umount -l /.outside
rmdir /.outside

# What cloud-init does, before anybody may log in.
cloud=/var/lib/cloud
mkdir -p $cloud/data
echo "$ID" >$cloud/data/instance-id
first=
if [ ! -e $cloud/instance/sem/first-boot ]; then
  first=yes
  [ -z "$IMAGE" ] || env -u IMAGE sh -e -c "$IMAGE"
fi
[ ! -e $cloud/instance/every-boot ] || sh $cloud/instance/every-boot
if [ "$first" = yes ]; then
  sh -e $cloud/instance/first-boot
  mkdir -p $cloud/instance/sem
  : >$cloud/instance/sem/first-boot
fi
[ -e /etc/ssh/ssh_host_ed25519_key ] || ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
if [ "$SSH" = other-key ]; then
  rm -f /etc/ssh/ssh_host_ed25519_key*
  ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
fi
ssh=$SSH boot_seconds=$BOOT_SECONDS
# 64 is nobody's exit but of what was powered off from inside.
trap 'exit 64' TERM
sleep "$boot_seconds" &
wait $! || :
clean='env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
# shellcheck disable=SC2086
[ "$ssh" = never ] || $clean /usr/sbin/sshd -D -e &
# shellcheck disable=SC2086
[ ! -e /etc/docker/enabled ] || $clean systemctl start docker
# shellcheck disable=SC2086
[ -z "$first" ] || [ ! -e $cloud/instance/commands ] || $clean HOME=/root sh $cloud/instance/commands &
echo 'booted'
# Also takes leave of those whose parents are gone.
while :; do
  sleep 5 &
  wait $! || :
done
