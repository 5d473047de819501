"""
SSH sessions of people on this machine, as processes show them. A session is a process with SSH_CONNECTION in its environment that is

- the leader of a session with a terminal (a shell that somebody sits at), or
- a child of something without SSH_CONNECTION, that is of the SSH server (a command without a terminal: an editor's remote end).

Not counted: our own channels (STYX_CHANNEL), jobs (STYX_AGENT), shells inside tmux or screen and what was left behind by a
closed session, which belong to process 1 then, and what runs in containers (another PID namespace, or another STYX_INSTANCE,
which is a machine of the local cloud where the kernel gives no namespaces). A connection that only forwards ports runs nothing and is not seen.
"""
import os

import procfs
import reach

_OURS = (b'STYX_CHANNEL', b'STYX_AGENT', b'TMUX', b'STY')
#: A process may change by exec soon after it began, so that it is looked at again, this many times.
_LOOKS = 3


class Sessions:
    def __init__(self):
        self.known = {}  # pid -> [looks, is a session]

    def count(self):
        pids = procfs.pids()
        known = {}
        for pid in pids:
            entry = self.known.get(pid, [0, False])
            if entry[0] < _LOOKS:
                entry = [entry[0] + 1, _is_session(pid)]
            known[pid] = entry
        self.known = known
        # Those that count are few; each is looked at every time, since its connection may have gone.
        return sum(1 for pid, entry in known.items() if entry[1] and _is_session(pid))


def _is_session(pid):
    variables = dict(entry.partition(b'=')[::2] for entry in procfs.environ(pid))
    if b'SSH_CONNECTION' not in variables or any(name in variables for name in _OURS):
        return False
    instance = reach.current.environ.get(b'STYX_INSTANCE')
    if variables.get(b'STYX_INSTANCE') != instance or _namespace(pid) != _namespace(reach.current.witness):
        return False
    stat = procfs.stat(pid)
    if stat is None or stat[0] in (b'Z', b'X'):
        return False
    _, parent, session, tty, _ = stat
    if tty and session == pid:
        return True
    if parent == 1:
        return False
    return parent == 0 or not any(entry.startswith(b'SSH_CONNECTION=') for entry in procfs.environ(parent))


def _namespace(pid):
    try:
        return os.readlink('%s/%s/ns/pid' % (reach.current.proc, pid))
    except OSError:
        return None
