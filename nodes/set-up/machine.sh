# Makes a machine ready for Styx; root runs it, as often as it likes: what is there is not made again.
#   $1  `gpus` when the machine has NVIDIA cards
#   $2  image of the container that jobs run in; empty: none
#   $3  public key whose logins land in that container
#   $4  program that takes them there (enter.sh)
# Standard input: Docker's configuration with the login of the image's registry, or nothing; kept in memory and nowhere else.
# Says one line at the end: `ok`, or a kind of error and why. All else goes to the log.
log=/var/log/styx/set-up.log
enter=/usr/local/lib/styx/enter
# Of NVIDIA's container toolkit: https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/install-guide.html
nvidia_repository=https://nvidia.github.io/libnvidia-container
gpus=$1 image=$2 key=$3 program=$4 is_fresh=
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

# What the package manager said since line $1 of the log.
said_since() { tail -n "+$(($1 + 1))" "$log"; }

# A package manager that was killed leaves packages half installed, and dpkg then takes no others. One that is at work is waited for.
mend() {
  command -v dpkg >/dev/null || return 0
  for _ in $(seq 300); do
    [ -n "$(dpkg --audit; ls -A /var/lib/dpkg/updates)" ] || return 0
    said=$(apart dpkg --force-confold --configure -a 2>&1) && break
    case $said in *lock*) sleep 1 ;; *) break ;; esac
  done
  say "mending packages that were left half installed: $said"
  apart apt-get -q -y -o DPkg::Lock::Timeout=300 -f install
}

# What repositories of apt offer: asked once, and again when one was added. An old list does where none is to be had.
refresh() {
  [ -z "$is_fresh" ] || return 0
  apart apt-get -q -o DPkg::Lock::Timeout=300 -o APT::Update::Error-Mode=any update && is_fresh=yes
}

# get COMMAND PACKAGE…: by the machine's own packages, when it has no such command. Where that fails: the kind of error in $kind, and $why.
get() {
  command -v "$1" >/dev/null && return
  say "installing $*"
  wanted=$1 kind=transient
  shift
  from=$(wc -l <"$log")
  if command -v apt-get >/dev/null; then
    # Of a repository that cannot be reached nobody knows what it has.
    refresh && kind=invalid
    apart apt-get -q -y -o DPkg::Lock::Timeout=300 install --no-install-recommends "$@"
  elif command -v dnf >/dev/null; then apart dnf -q -y install "$@"
  elif command -v yum >/dev/null; then apart yum -q -y install "$@"
  elif command -v zypper >/dev/null; then apart zypper -q -n install "$@"
  else
    kind=invalid why="the machine has no $wanted, and no package manager that is known here; use an image (image_id) that has it"
    return 1
  fi
  command -v "$wanted" >/dev/null && return
  why="$wanted could not be installed on the machine: $(said_since "$from" | tail -n 1)"
  case $(said_since "$from") in *'Unable to locate package'* | *'no installation candidate'*) ;; *) kind=transient ;; esac
  return 1
}

install() { get "$@" || fail "$kind" "$why"; }

# What ubuntu-drivers takes for machines that compute has no nvidia-smi: that is in the utilities of the same branch.
get_driver() {
  if command -v apt-get >/dev/null; then
    get ubuntu-drivers ubuntu-drivers-common || return
    say 'installing drivers for the NVIDIA cards'
    apart ubuntu-drivers install --gpgpu
    branch=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' 'nvidia-compute-utils-*' |
      sed -n 's/^installed nvidia-compute-utils-//p' | sort -V | tail -n 1)
    [ -z "$branch" ] || get nvidia-smi "nvidia-utils-$branch" || return
    modprobe nvidia
  fi
  kind=invalid why='no driver is known for this image'
  command -v nvidia-smi >/dev/null
}

drivers() {
  command -v nvidia-smi >/dev/null || get_driver || fail "$kind" \
    "the machine has NVIDIA cards and no driver for them (nvidia-smi is missing): $why; leave the machine's own image_id away, or name an image that has it"
  said=$(nvidia-smi -L 2>&1) || fail invalid "the driver of the NVIDIA cards does not work: $said"
  say "$said"
}

docker_answers() {
  for _ in $(seq 120); do
    docker info >/dev/null 2>&1 && return
    sleep 0.5
  done
  fail transient "Docker does not start: $(docker info 2>&1 | tail -n 1)"
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
  docker_answers
}

# fetch URL FILE: whole or not there.
fetch() {
  mkdir -p "${2%/*}"
  said=$(python3 -c 'import sys, urllib.request
with urllib.request.urlopen(sys.argv[1], timeout=30) as answer: open(sys.argv[2], "wb").write(answer.read())' "$1" "$2.new" 2>&1) ||
    fail transient "the NVIDIA container toolkit cannot be had: $1: $(printf '%s' "$said" | tail -n 1)"
  mv "$2.new" "$2"
}

# The repository that NVIDIA's documentation names, where the machine's own have no toolkit.
toolkit_repository() {
  if command -v apt-get >/dev/null; then
    refresh
    [ -z "$(apt-cache --no-all-versions show nvidia-container-toolkit 2>/dev/null)" ] || return 0
    say "adding $nvidia_repository"
    key_file=/etc/apt/keyrings/nvidia-container-toolkit.asc
    fetch "$nvidia_repository/gpgkey" $key_file
    echo "deb [signed-by=$key_file] $nvidia_repository/stable/deb/\$(ARCH) /" >/etc/apt/sources.list.d/nvidia-container-toolkit.list
    is_fresh=
  elif command -v dnf >/dev/null || command -v yum >/dev/null; then
    say "adding $nvidia_repository"
    fetch "$nvidia_repository/stable/rpm/nvidia-container-toolkit.repo" /etc/yum.repos.d/nvidia-container-toolkit.repo
  fi
}

toolkit() {
  docker info --format '{{json .Runtimes}}' | grep -q nvidia && return
  command -v nvidia-ctk >/dev/null || toolkit_repository
  install nvidia-ctk nvidia-container-toolkit
  say 'letting Docker use the NVIDIA container toolkit'
  nvidia-ctk runtime configure --runtime=docker || fail invalid "Docker cannot use the NVIDIA container toolkit: $(tail -n 1 "$log")"
  if command -v systemctl >/dev/null; then apart systemctl restart docker; else apart service docker restart; fi
  docker_answers
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

# What is mounted below it later is seen in the container as well, where the machine's own mounts can be followed.
shared_mounts() { case $(findmnt -n -o PROPAGATION -T "$1") in *shared*) echo :rslave ;; esac }

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
    for place in /mnt/local-disks /opt/dlami/nvme; do
      [ ! -d $place ] || set -- "$@" --volume "$place:$place$(shared_mounts $place)"
    done
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
mend
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
