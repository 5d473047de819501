"""How a process of a job is started: a small shell in a session of its own that outlives the agent."""
import os
import resource
import signal

import conda
import environment
import paths
import ray_environment
import reach

# Claims the process (the link holds pid, start time and boot, and only one can be made), runs it, records its exit code.
# `ln -s` is atomic and needs no free data block. Signals have handlers, not SIG_IGN, which a child would inherit.
_RUNNER = r'''
dir=$1 log=$2 boot=$3 workdir=$4 start=0
trap : TERM HUP INT QUIT USR1 USR2
if read -r line </proc/$$/stat; then line=${line##*) }; set -- $line; start=${20}; fi
ln -s "$$.$start.$boot" "$dir/claim" || exit 0
cd "$workdir" || cd
if command -v bash >/dev/null; then bash --rcfile "$dir/rc" -i "$dir/script" </dev/null >>"$log"
else echo 'styx: this machine has no bash' >>"$log"; (exit 127); fi
code=$?
ln -s "$code" "$dir/exit"
exit "$code"
'''

# Until here stderr is /dev/null: an interactive bash without a terminal complains about that first of all.
# It also ignores SIGTERM, so that a script would go on with its next command when one was ended by a cancel.
# `conda activate` works where conda is, also in scripts that the script calls (`set -a` exports the functions).
_RC = b'''exec 2>&1
[ -f %(bashrc)s ] && . %(bashrc)s
if type -P conda >/dev/null && ! declare -F conda >/dev/null; then
  STYX_CONDA=$(readlink -f "$(type -P conda)")
  STYX_CONDA=${STYX_CONDA%%/*/*}/etc/profile.d/conda.sh
  set -a; [ -f "$STYX_CONDA" ] && . "$STYX_CONDA"; set +a
  unset STYX_CONDA
fi
%(activate)sexport PYTHONUNBUFFERED=1
trap 'exit 143' TERM
unset HISTFILE
set +o history
set +H
cd %(workdir)s
%(env)scase $- in *x*) set +x; . %(secrets)s; set -x;; *) . %(secrets)s;; esac
\\command -p rm -f %(secrets)s
'''

_UV = b'case ":$PATH:" in *:%(uv)s:*) ;; *) PATH=$PATH:%(uv)s;; esac\n'
# An environment that the user's start file has activated is left as it is.
_ACTIVATE = b'''[ -n "${CONDA_PREFIX-}${VIRTUAL_ENV-}" ] || { [ -f %(path)s ] && . %(path)s; }
'''

#: Of the channel that the agent was started from; a job is no part of it.
_CHANNEL_ONLY = ('STYX_CHANNEL', 'STYX_AGENTS', 'SSH_CONNECTION', 'SSH_CLIENT', 'SSH_TTY', 'SSH_ORIGINAL_COMMAND')


def quote(data):
    return b"'" + data.replace(b"'", b"'\\''") + b"'"


def exports(env):
    lines = [b'export %s=%s\n' % (name.encode(), quote(value.encode('utf-8', 'surrogatepass'))) for name, value in env.items()]
    return b''.join(lines)


def rc(env, folder, with_conda, ray=None):
    """
    The start file of a job's shell: the user's own first, the task's variables after it, so that they win. The secrets are in a file
    of their own, which is gone before the script begins. `with_conda`: its base is activated, in place of ~/sky-user-env; `ray`, the
    address of the node's Ray: its environment is.
    """
    user = {b'path': os.path.join(environment.base(), 'bin', 'activate'), b'uv': environment.uv_folder()}
    user = {name: quote(os.fsencode(path)) for name, path in user.items()}
    if ray is not None:
        activate = ray_environment.start(quote)
    else:
        activate = conda.start(env, quote) if with_conda else _ACTIVATE % user
    return _RC % {
        b'activate': _UV % user + activate,
        b'bashrc': quote(os.fsencode(paths.HOME) + b'/.bashrc'),
        b'workdir': quote(os.fsencode(paths.WORKDIR)),
        b'env': exports(env) + (b'' if ray is None else ray_environment.variables(ray, quote)),
        b'secrets': quote(os.fsencode(os.path.join(folder, 'secrets'))),
    }


#: What SkyPilot sets, and the most that Linux lets anybody have by itself.
_OPEN_FILES = 1024 * 1024


def more_open_files():
    """Logins have 1,024 on most machines, which data loaders and Ray use up; they may have as many as the hard limit says."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def spawn(folder, log, boot, markers):
    """
    Starts a runner for a process whose folder is in place; answers the pid to wait for, and the one that it claims with. Any number may
    be started: one gets the claim.
    """
    env = {key: value for key, value in reach.current.environ.items() if os.fsdecode(key) not in _CHANNEL_ONLY}
    for marker in markers:
        key, _, value = marker.partition(b'=')
        env[key] = value
    pids = reach.current.fork()
    if pids[0]:
        return pids
    try:
        os.setsid()
        # The agent's own is 077; this is a login's, and start files may set another.
        os.umask(0o022)
        more_open_files()
        # Python ignores SIGPIPE, and whoever started us may have ignored more: a job begins with the defaults.
        for name in ('SIGPIPE', 'SIGXFSZ', 'SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM'):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        arguments = ['/bin/sh', '-c', _RUNNER, 'styx-run', folder, log, boot, paths.WORKDIR]
        os.execve('/bin/sh', arguments, env)
    finally:
        os._exit(70)
