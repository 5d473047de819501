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
    try:
        _write(1, hello)
        _give(daemon, 0, 1)
    except OSError:
        # The client is gone; or the daemon died: the client sees the end and connects anew.
        return 0
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1):
        os.dup2(null, fd)
    os.dup2(daemon.fileno(), 9)
    os.execv('/bin/sh', ['/bin/sh', '-c', _WAITER, 'styx-channel'])


def _give(daemon, *descriptors):
    """From here on the daemon reads and writes these; see connection.py."""
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', descriptors))]
    daemon.sendmsg([b'{"id": 0, "op": "take"}\n'], rights)


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
            _end_silent()
        if not _wait_free(deadline):
            continue
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


def _is_locked():
    """Does a daemon hold its lock?"""
    try:
        held = os.open('daemon.lock', os.O_RDWR | os.O_CLOEXEC)
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


def _end_silent():
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
    if pid.isdigit() and _is_locked():
        paths.note('the daemon %s did not answer and was ended' % pid.decode())
        os.kill(int(pid), signal.SIGKILL)


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
