# Makes a machine ready for Styx; root runs it, as often as it likes: what is there is not made again.
#   $1  `gpus` when the machine has NVIDIA cards
#   $2  image of the container that jobs run in; empty: none
#   $3  public key whose logins land in that container
#   $4  program that takes them there (enter.sh)
# Standard input: Docker's configuration with the login of the image's registry, or nothing; kept in memory and nowhere else.
# Says one line at the end: `ok`, or a kind of error and why. All else goes to the log.
log=/var/log/styx/set-up.log
enter=/usr/local/lib/styx/enter
gpus=$1 image=$2 key=$3 program=$4
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
umask 022
registry=$(cat)
mkdir -p "${log%/*}" "${enter%/*}"
exec 3>&1 >>"$log" 2>&1 </dev/null
exec 9>/run/styx-set-up.lock
flock 9

say() { printf '%s %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$*"; }

# fail KIND MESSAGE…
fail() {
  say "failed ($*)"
  printf '%s\n' "$*" | tr '\n' ' ' >&3
  exit 1
}

# What is started keeps neither our lock nor the login that waits for this.
apart() { "$@" 3>&- 9>&-; }

# install COMMAND PACKAGE…: by the machine's own packages, when it has no such command.
install() {
  command -v "$1" >/dev/null && return
  say "installing $*"
  wanted=$1
  shift
  if command -v apt-get >/dev/null; then
    apart apt-get -q -o DPkg::Lock::Timeout=300 update
    apart apt-get -q -y -o DPkg::Lock::Timeout=300 install --no-install-recommends "$@"
  elif command -v dnf >/dev/null; then apart dnf -q -y install "$@"
  elif command -v yum >/dev/null; then apart yum -q -y install "$@"
  elif command -v zypper >/dev/null; then apart zypper -q -n install "$@"
  else fail invalid "the machine has no $wanted, and no package manager that is known here; use an image (image_id) that has it"
  fi
  command -v "$wanted" >/dev/null || fail transient "$wanted could not be installed on the machine: $(tail -n 1 "$log")"
}

drivers() {
  if ! command -v nvidia-smi >/dev/null && command -v ubuntu-drivers >/dev/null; then
    say 'installing drivers for the NVIDIA cards'
    apart ubuntu-drivers install --gpgpu
    modprobe nvidia
  fi
  command -v nvidia-smi >/dev/null ||
    fail invalid 'the machine has NVIDIA cards and no driver for them (nvidia-smi is missing); leave image_id away, or name an image that has it'
  said=$(nvidia-smi -L 2>&1) || fail invalid "the driver of the NVIDIA cards does not work: $said"
  say "$said"
}

docker_runs() {
  command -v docker >/dev/null || [ -e /etc/docker/daemon.json ] || {
    mkdir -p /etc/docker
    # Containers outlive an upgrade of Docker.
    echo '{"live-restore": true}' >/etc/docker/daemon.json
  }
  if command -v apt-get >/dev/null; then install docker docker.io; else install docker docker; fi
  docker info >/dev/null 2>&1 && return
  say 'starting Docker'
  if command -v systemctl >/dev/null; then apart systemctl enable --now docker; else apart service docker start; fi
  for _ in $(seq 120); do
    docker info >/dev/null 2>&1 && return
    sleep 0.5
  done
  fail transient "Docker does not start: $(docker info 2>&1 | tail -n 1)"
}

toolkit() {
  docker info --format '{{json .Runtimes}}' | grep -q nvidia && return
  command -v nvidia-ctk >/dev/null ||
    fail invalid 'the machine has no NVIDIA container toolkit, without which a container sees no cards; leave its own image_id away, or name one that has it'
  say 'letting Docker use the NVIDIA container toolkit'
  nvidia-ctk runtime configure --runtime=docker && apart systemctl restart docker
}

pull() {
  docker image inspect "$image" >/dev/null 2>&1 && return
  say "fetching the image $image"
  config=$(mktemp -d /run/styx-docker.XXXXXX)
  [ -z "$registry" ] || printf '%s' "$registry" >"$config/config.json"
  said=$(docker --config "$config" pull --quiet "$image" 2>&1)
  code=$?
  rm -rf "$config"
  say "$said"
  [ "$code" = 0 ] && return
  case $(printf '%s' "$said" | tr '[:upper:]' '[:lower:]') in
  *'manifest unknown'* | *'not found'* | *'does not exist'* | *denied* | *unauthorized* | *'invalid reference'* | *'no matching manifest'* | *'no basic auth'* | *'authentication required'*)
    fail invalid "the image $image cannot be fetched: $said" ;;
  *'no space left'*) fail invalid "there is no room for the image $image: give the machine a larger disk (disk_size). $said" ;;
  *) fail transient "the image $image cannot be fetched: $said" ;;
  esac
}

# The container does nothing by itself: what runs in it comes by enter.sh, and has the machine's processes, network and memory around it.
container() {
  has=$(docker inspect --type container --format '{{.Config.Image}}' styx 2>/dev/null)
  [ -z "$has" ] || [ "$has" = "$image" ] || fail invalid "the machine has a container of $has, and $image is asked for"
  if [ -z "$has" ]; then
    pull
    say "making the container of $image"
    set --
    [ "$gpus" != gpus ] || set -- "$@" --gpus all
    [ ! -e /dev/fuse ] || set -- "$@" --device /dev/fuse
    docker create --name styx --restart unless-stopped --user 0 --network host --pid host --ipc host --uts host --cgroupns host \
      --volume /var/log/styx:/var/log/styx:ro "$@" --entrypoint /bin/sh "$image" \
      -c 'trap "exit 0" TERM; while :; do sleep 3600 & wait $!; done' ||
      fail invalid "no container can be made of the image $image: $(tail -n 1 "$log")"
  fi
  docker start styx >/dev/null || fail invalid "the container of $image does not start: $(tail -n 1 "$log")"
}

# In the container: what the agent and jobs need. Exit code 3 when it cannot be had.
lacking='
ready() {
  command -v bash >/dev/null || return 1
  for name in python3 python3.13 python3.12 python3.11 python3.10 python3.9 python3.8; do
    "$name" -c "import sys; sys.exit(sys.version_info < (3, 8))" >/dev/null 2>&1 && return
  done
  return 1
}
ready && exit
echo "installing python3 and bash in the container"
if command -v apt-get >/dev/null; then apt-get -q update && apt-get -q -y install --no-install-recommends bash python3
elif command -v apk >/dev/null; then apk add -q bash python3
elif command -v dnf >/dev/null; then dnf -q -y install bash python3
elif command -v microdnf >/dev/null; then microdnf -y install bash python3
elif command -v yum >/dev/null; then yum -q -y install bash python3
elif command -v zypper >/dev/null; then zypper -q -n install bash python3
fi
ready || exit 3
'

inside() {
  docker exec --user 0 --env DEBIAN_FRONTEND=noninteractive styx /bin/sh -c "$lacking" ||
    fail invalid "the image $image has no bash or no python3 of version 3.8 or later, and neither could be installed in its container; use one that has both"
}

# Logins by our key land in the container from now on.
door() {
  printf '%s' "$program" >"$enter.new"
  chmod 755 "$enter.new"
  mv "$enter.new" "$enter"
  keys=$(getent passwd "${SUDO_USER:-root}" | cut -d: -f6)/.ssh/authorized_keys
  KEY=$key awk -v enter="$enter" '
    index($0, ENVIRON["KEY"]) == 1 { print "command=\"" enter "\" " $0; next }
    { print }' "$keys" >"$keys.new"
  chown --reference="$keys" "$keys.new"
  chmod --reference="$keys" "$keys.new"
  mv "$keys.new" "$keys"
}

say "setting up${image:+ for $image}"
install python3 python3
[ "$gpus" != gpus ] || drivers
if [ -n "$image" ]; then
  docker_runs
  [ "$gpus" != gpus ] || toolkit
  container
  inside
  door
fi
say 'ready'
echo ok >&3
