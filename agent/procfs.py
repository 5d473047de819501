"""Processes as the kernel shows them. Without /proc (macOS) only existence is known."""
import os

import reach

HAS_PROC = os.path.exists('/proc/self/stat')


def stat(pid, proc=None):
    """(state, parent, session, tty, start time) of a process, or None when there is none. `proc`: where it is seen."""
    try:
        with open('%s/%d/stat' % (proc or reach.current.proc, pid), 'rb') as file:
            fields = file.read().rpartition(b')')[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return (fields[0], int(fields[1]), int(fields[3]), int(fields[4]), fields[19].decode())


def environ(pid):
    """The environment that a process was started with, as raw entries; empty when it may not be read."""
    try:
        with open('%s/%d/environ' % (reach.current.proc, pid), 'rb') as file:
            return file.read().split(b'\0')
    except OSError:
        return []


def pids():
    return [int(name) for name in os.listdir(reach.current.proc) if name.isdigit()] if HAS_PROC else []


def boot_id():
    """Changes when the machine starts anew, or the container that is one."""
    if not HAS_PROC:
        return 'boot'
    with open('/proc/sys/kernel/random/boot_id') as file:
        boot = file.read().strip()
    init = stat(1)
    return '%s:%s' % (boot, init[4] if init else '0')


def alive(pid, start):
    """Is this pid still the process that started then? A zombie is not."""
    if HAS_PROC:
        now = stat(pid)
        return now is not None and now[0] not in (b'Z', b'X') and now[4] == start
    try:
        os.kill(pid, 0)
        return True
    except ProcessLookupError:
        return False
    except PermissionError:
        return True


def tree(markers, sessions):
    """
    Pids of everything that belongs to a job: processes with all `markers` in their environment, of one of its sessions
    ({session id: start time of its leader}), or descending from such.
    """
    table = {}
    for pid in pids():
        entry = stat(pid)
        if entry is not None and entry[0] not in (b'Z', b'X'):
            table[pid] = entry
    found = set()
    for pid, entry in table.items():
        leader = table.get(entry[2])
        start = sessions.get(entry[2])
        # A session number is free again once its last process ended, so a leader that started at another time is foreign.
        if start is not None and (leader is None or leader[4] == start) and int(entry[4]) >= int(start):
            found.add(pid)
            continue
        entries = environ(pid)
        if all(marker in entries for marker in markers):
            found.add(pid)
    grown = True
    while grown:
        children = {pid for pid, entry in table.items() if entry[1] in found and pid not in found}
        found |= children
        grown = bool(children)
    return {pid for pid in found if not reach.current.is_agent(pid)}


def parents_first(pids):
    """The pids in an order in which none comes before its parent."""
    parents = {}
    for pid in pids:
        entry = stat(pid)
        if entry is not None:
            parents[pid] = entry[1]

    def depth(pid):
        steps = 0
        # Bounded, since a pid may be somebody else's by now.
        while pid in parents and steps <= len(parents):
            pid = parents[pid]
            steps += 1
        return steps

    return sorted(parents, key=depth)
