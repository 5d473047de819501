#!/bin/sh
# image.sh DIR: what machines have above this machine's own files, as an image of Ubuntu has it: the login user `ubuntu`, who may do
# all by sudo, an SSH server that takes keys only, and programs that power off the machine and not what is under it.
set -e
umask 022
image=$1
mkdir -p "$image/etc/ssh" "$image/etc/sudoers.d" "$image/usr/sbin" "$image/usr/bin"

for file in passwd group shadow gshadow; do
  [ -e "/etc/$file" ] || continue
  # A user of this machine with the same number would be the same user there.
  awk -F: '$1 != "ubuntu" && $3 != 1000 || FILENAME ~ /shadow/ && $1 != "ubuntu"' "/etc/$file" >"$image/etc/$file"
done
echo 'ubuntu:x:1000:1000:Ubuntu:/home/ubuntu:/bin/bash' >>"$image/etc/passwd"
echo 'ubuntu:x:1000:' >>"$image/etc/group"
echo 'ubuntu:*:19000:0:99999:7:::' >>"$image/etc/shadow"
chmod 640 "$image/etc/shadow"
[ ! -e "$image/etc/gshadow" ] || chmod 640 "$image/etc/gshadow"

echo 'ubuntu ALL=(ALL) NOPASSWD:ALL' >"$image/etc/sudoers.d/90-cloud-init-users"
chmod 440 "$image/etc/sudoers.d/90-cloud-init-users"
# Limits that cannot be set in here are not worth a word on every call.
echo 'Set disable_coredump false' >"$image/etc/sudo.conf"

cat >"$image/etc/ssh/sshd_config" <<'CONFIG'
Port 22
HostKey /etc/ssh/ssh_host_ed25519_key
UsePAM no
PasswordAuthentication no
PermitRootLogin no
UseDNS no
PidFile none
AcceptEnv LANG LC_*
Subsystem sftp internal-sftp
CONFIG

cat >"$image/usr/sbin/shutdown" <<'PROGRAM'
#!/bin/sh
# Powers off this machine at once.
[ "$(id -u)" = 0 ] || { echo "${0##*/}: must be root" >&2; exit 1; }
for word; do
  case $word in
  -h | -P | -H | --poweroff | --halt | --no-wall | now | +0) ;;
  *) echo "${0##*/}: this machine knows no \"$word\"" >&2; exit 2 ;;
  esac
done
kill -TERM 1
PROGRAM
cp "$image/usr/sbin/shutdown" "$image/usr/sbin/poweroff"
cp "$image/usr/sbin/shutdown" "$image/usr/sbin/halt"
cat >"$image/usr/bin/systemctl" <<'PROGRAM'
#!/bin/sh
case $*  in
poweroff | halt | 'poweroff --no-wall') exec /usr/sbin/poweroff ;;
'enable --now docker')
  # Starts at every boot from now on.
  : >/etc/docker/enabled
  exec "$0" start docker
  ;;
'restart docker')
  # Its last act is to remove that.
  [ ! -e /run/docker.pid ] || kill "$(cat /run/docker.pid)"
  while [ -e /run/docker.pid ]; do sleep 0.05; done
  exec "$0" start docker
  ;;
'start docker')
  [ ! -e /run/docker.pid ] || exit 0
  cd /
  setsid /usr/sbin/dockerd </dev/null >>/var/log/dockerd.log 2>&1 &
  ;;
*) echo "systemctl: this machine knows poweroff, halt and docker only, not \"$*\"" >&2; exit 1 ;;
esac
PROGRAM
# A disk of memory can hold layers as files alone; the network is the machine's; and registries of tests have no certificates.
mkdir -p "$image/etc/docker"
cat >"$image/etc/docker/daemon.json" <<'CONFIG'
{
  "storage-driver": "vfs",
  "bridge": "none",
  "iptables": false,
  "ip6tables": false,
  "exec-opts": ["native.cgroupdriver=cgroupfs"],
  "insecure-registries": ["198.18.0.0/16"]
}
CONFIG
chmod 755 "$image/usr/sbin/shutdown" "$image/usr/sbin/poweroff" "$image/usr/sbin/halt" "$image/usr/bin/systemctl"
