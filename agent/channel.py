"""`agent serve`: stdin and stdout of an SSH channel, given to the daemon, which is started or replaced when need be."""
import array
import fcntl
import json
import os
import select
import signal
import socket
import sys
import time

import paths

_PATIENCE = 20
#: Of a process whose channel goes on without it: whoever set STYX_AGENTS keeps it open until the daemon has closed it.
_HANDED_OVER = 113

# Restarts a daemon that died without a word, so that leases hold even then. It costs less than a megabyte.
_KEEPER = r'''
read -r word <&9 && exit 0
exec 9<&-
n=0
while [ -d "$1" ] && [ "$n" -lt 60 ]; do
  n=$((n + 1)); sleep "$n"
  "$2" -I -S "$3" daemon </dev/null >/dev/null 2>&1 && exit 0
done
'''

# What is left of `serve`: the channel lasts as long as it, and it as long as the daemon's connection. A twentieth of Python's memory.
_WAITER = 'read -r word <&9; exit 0'


def serve(any_version):
    try:
        paths.prepare()
        daemon, hello = _daemon(any_version)
    except (OSError, RuntimeError) as error:
        _say({'styx': 'refused', 'kind': 'unreachable', 'message': 'the agent cannot run: %s' % error})
        return 1
    alone = 'STYX_AGENTS' in os.environ and json.loads(hello.decode()).get('shared') is True
    try:
        _write(1, hello)
        _give(daemon, alone, 0, 1)
    except OSError:
        # The client is gone; or the daemon died: the client sees the end and connects anew.
        return 0
    if alone:
        return _HANDED_OVER
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1):
        os.dup2(null, fd)
    os.dup2(daemon.fileno(), 9)
    os.execv('/bin/sh', ['/bin/sh', '-c', _WAITER, 'styx-channel'])


def _give(daemon, alone, *descriptors):
    """From here on the daemon reads and writes these; see connection.py."""
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', descriptors))]
    daemon.sendmsg([json.dumps({'id': 0, 'op': 'take', 'alone': alone}).encode() + b'\n'], rights)


def _daemon(any_version):
    """A connection to a daemon of our version, or to whichever serves already, and its first line."""
    deadline = time.monotonic() + _PATIENCE
    lock = os.open('start.lock', os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    locked = False
    while time.monotonic() < deadline:
        found = _connect()
        if found and _suits(json.loads(found[1].decode()), any_version):
            os.close(lock)
            return found
        if not locked:
            # Two that want to start or replace it come one after the other; the second looks again.
            locked = _lock(lock, deadline)
            continue
        if found:
            found[0].sendall(b'{"id": 0, "op": "replace"}\n')
            _read_line(found[0], 5)
            found[0].close()
        elif _is_locked():
            _end_silent(deadline)
        if not _wait_free(deadline):
            continue
        if not _share(min(deadline, time.monotonic() + 10)):
            _start()
    raise RuntimeError('no daemon answered within %d s; see ~/.styx-agent/agent.log' % _PATIENCE)


def _suits(hello, any_version):
    # Those of older versions take no descriptors.
    return hello.get('takes') is True and (any_version or hello.get('version') == paths.VERSION)


def _connect():
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        client.connect(paths.SOCKET)
        return client, _read_line(client, 5)
    except (OSError, EOFError):
        client.close()
        return None


def _read_line(client, seconds):
    client.settimeout(seconds)
    line = b''
    while not line.endswith(b'\n'):
        data = client.recv(1)
        if not data:
            raise EOFError
        line += data
    client.settimeout(None)
    return line


def _lock(lock, deadline):
    while time.monotonic() < deadline:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except OSError:
            time.sleep(0.02)
    return False


def _is_locked(name='daemon.lock'):
    """Does a daemon hold its lock?"""
    try:
        held = os.open(name, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return False
    except OSError:
        return True
    finally:
        os.close(held)


def _wait_free(deadline):
    until = min(deadline, time.monotonic() + 5)
    while time.monotonic() < until:
        if not _is_locked():
            return True
        time.sleep(0.01)
    return False


def _end_silent(deadline):
    """A daemon that holds the lock and does not answer for ten seconds is stuck. Ending it loses nothing."""
    for _ in range(50):
        time.sleep(0.2)
        if not _is_locked():
            return
        found = _connect()
        if found:
            found[0].close()
            return
    pid = (paths.read_or_none('daemon.lock') or b'').strip()
    if pid == b'shared':
        _share(deadline, anew=True)
    if pid.isdigit() and _is_locked():
        paths.note('the daemon %s did not answer and was ended' % pid.decode())
        os.kill(int(pid), signal.SIGKILL)


def _share(deadline, anew=False):
    """
    Where the machine is an instance of a local cloud: asks for a daemon in the process that its instances share (shared.py), which begins
    before it answers. False when there is none of this version, or it cannot: the instance has a daemon of its own then. `anew`: in place
    of the one that is there.
    """
    folder, instance = os.environ.get('STYX_AGENTS'), os.environ.get('STYX_INSTANCE')
    if not folder or not instance:
        return False
    request = json.dumps({'instance': instance, 'environ': dict(os.environ), 'anew': anew}).encode() + b'\n'
    why = 'there is none of this version'
    try:
        os.chdir(os.path.join(folder, paths.VERSION))
        # One that was killed is back soon, as long as its keeper lives.
        while time.monotonic() < deadline:
            answer = _ask(request)
            if answer is not None and 'error' not in answer:
                return True
            why = 'it does not answer' if answer is None else answer['error']
            if answer is not None or not _is_locked('keeper.lock'):
                break
            time.sleep(0.05)
    except OSError:
        pass
    finally:
        os.chdir(paths.BASE)
    paths.note('an agent of its own, since the one of all instances does not serve this one: %s' % why)
    return False


def _ask(request):
    """A line to the socket here, and the answer; None without one."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        try:
            client.connect('socket')
            client.sendall(request)
            return json.loads(_read_line(client, 5).decode())
        except (OSError, EOFError, ValueError):
            return None


def _start():
    """Forks keeper and daemon; comes back when the daemon listens, or is not going to."""
    ready, told = os.pipe()
    if os.fork() == 0:
        try:
            os.setsid()
            null = os.open(os.devnull, os.O_RDWR)
            for fd in (0, 1, 2):
                os.dup2(null, fd)
            alive, last_word = os.pipe()
            if os.fork() == 0:
                os.setsid()
                for fd in range(3, 64):
                    if fd not in (told, last_word):
                        _close(fd)
                _become_daemon(told, last_word)
            os.dup2(alive, 9)
            main = os.path.join(paths.CODE, 'main.py')
            os.execv('/bin/sh', ['/bin/sh', '-c', _KEEPER, 'styx-keep', paths.BASE, sys.executable, main])
        finally:
            os._exit(70)
    os.close(told)
    select.select([ready], [], [], 10)
    os.close(ready)


def _become_daemon(told, last_word):
    import daemon

    signal.signal(signal.SIGPIPE, signal.SIG_IGN)

    def ready():
        os.write(told, b'!')
        os.close(told)

    try:
        if daemon.run(ready) == 0:
            os.write(last_word, b'done\n')
    finally:
        os._exit(0)


def _close(fd):
    try:
        os.close(fd)
    except OSError:
        pass


def _say(message):
    _write(1, json.dumps(message).encode() + b'\n')


def _write(fd, data):
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
