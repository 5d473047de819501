"""
One process that is the agent of all instances of a local cloud: a daemon for each, as on any machine, but no Python for each. It lives outside
of the instances. `main.py shared` runs from ROOT/agents/VERSION, which is beside ROOT/instances and has, besides the agent's code,

    socket       takes {"instance", "environ", "anew"} from `serve` on an instance, a line of JSON, and answers {} or {"error"}
    instances/   what it was asked to serve, a file each: the next process goes on with all of them
    lock         names it and is held by it
    beat         is touched by it every second: one that does not is ended by the host

Whatever is called for an instance is called after `Tenant.enter`, which makes that instance what the modules paths, reach and masking are about.
"""
import fcntl
import json
import os
import resource
import socket
import time

import masking
import namespaces
import paths
import procfs
import reach
import runner
from daemon import Daemon, hold
from loop import Loop, Part

# Others import these when they need them; this process may outlive the files of its version.
for _name in ('calendar', 'conda', 'shutil', 'traceback'):
    __import__(_name)

#: Seconds without anybody to serve, after which this process ends.
_IDLE = 180
#: Faults of an instance's daemon in a row, a second more apart each time, after which it is not begun anew.
_FAULTS = 60
#: Descriptors that are kept free for each instance; one without clients needs five, and three for each client.
_DESCRIPTORS = 16
_MAX_LINE = 4 * 1024 * 1024


class Busy(Exception):
    """The instance needs a daemon of its own."""


class Tenant:
    """The daemon of one instance. `over(fault)` is called once, when it has ended by itself. @raises OSError, Busy"""

    def __init__(self, loop, directory, environ, over):
        self.over = over
        self.closed = False
        self.places = paths.below(os.path.join(directory, 'home'))
        self.secrets = set()
        self.lock = self.daemon = None
        self.part = Part(loop, self._around)
        self.machine = _machine(directory, environ)
        self.enter()
        try:
            self.lock = hold(b'shared')
            if self.lock is None:
                raise Busy('another daemon serves it')
            self.daemon = Daemon(self.part, shared=True)
            self.daemon.begin()
            self.part.on_readable(self.machine.handle, self._gone)
        except BaseException:
            self._close()
            raise
        finally:
            os.chdir('/')

    def enter(self):
        paths.enter(self.places)
        reach.enter(self.machine)
        masking.enter(self.secrets)

    def _around(self, call, *arguments):
        if self.closed:
            return
        self.enter()
        fault = False
        try:
            call(*arguments)
        except Exception:
            # What was looked at may have ended in the middle of the look.
            fault = not self.machine.ended()
            if fault:
                import traceback

                paths.note(traceback.format_exc())
            self.part.stopped = True
        if self.part.stopped:
            self._close()
            self.over(fault)

    def look(self, end):
        """An instance that has ended may be back before its end was heard of. `end`: it is to have another daemon in any case."""
        if end or self.machine.ended():
            self._around(self._gone)

    def _gone(self):
        self.part.stopped = True

    def _close(self):
        self.closed = True
        self.part.close()
        if self.daemon:
            self.daemon.close()
        if self.lock is not None:
            os.close(self.lock)
        self.machine.close()


def _machine(directory, environ):
    boot = _text(os.path.join(directory, 'boot'))
    # Its number outside, and boot and start time of it; see init.sh of the local cloud.
    pid, start = _text(os.path.join(directory, 'run-' + boot, 'init')).split()[:2]
    environ = {os.fsencode(name): os.fsencode(value) for name, value in environ.items()}
    return namespaces.Namespaces(int(pid), start.rpartition('-')[2], environ)


def _text(path):
    with open(path) as file:
        return file.read().strip()


class Shared:
    def __init__(self, loop):
        self.loop = loop
        self.instances = os.path.join(os.path.dirname(os.path.dirname(paths.CODE)), 'instances')
        self.known = os.path.join(paths.CODE, 'instances')
        self.tenants = {}
        self.faults = {}
        self.busy_at = time.monotonic()
        self.inode = os.stat(paths.CODE).st_ino

    def begin(self):
        self._beat()
        os.makedirs(self.known, 0o700, exist_ok=True)
        os.chdir(paths.CODE)
        paths.remove('socket')
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind('socket')
        os.chmod('socket', 0o600)
        # Who comes meanwhile waits until those of before are served again.
        self.listener.listen(1024)
        self.listener.setblocking(False)
        for name in sorted(os.listdir(self.known)):
            self._beat()
            self._resume(name)
        self.loop.on_readable(self.listener, self._accept)
        self.loop.every(1, self._tick)

    def _beat(self):
        try:
            with open(os.path.join(paths.CODE, 'beat'), 'ab') as file:
                os.utime(file.fileno())
        except OSError:
            # A full disk is no reason to end.
            pass

    def _tick(self):
        now = time.monotonic()
        if self.tenants:
            self.busy_at = now
        try:
            is_there = os.stat(paths.CODE).st_ino == self.inode
        except OSError:
            is_there = False
        if not is_there or now - self.busy_at > _IDLE:
            self.loop.stopped = True
        else:
            self._beat()

    def _accept(self):
        try:
            client, _ = self.listener.accept()
        except OSError:
            return
        client.setblocking(False)
        line = bytearray()

        def read():
            try:
                data = client.recv(262144)
            except BlockingIOError:
                return
            except OSError:
                data = b''
            line.extend(data)
            if data and not line.endswith(b'\n') and len(line) < _MAX_LINE:
                return
            self.loop.forget(client)
            with client:
                answer = self._asked(bytes(line))
                try:
                    client.sendall(json.dumps(answer).encode() + b'\n')
                except OSError:
                    pass

        self.loop.on_readable(client, read)

    def _asked(self, line):
        try:
            message = json.loads(line.decode())
            name, environ = message['instance'], message['environ']
            if not paths.is_name(name):
                raise ValueError('no name of an instance: %r' % name)
            if name in self.tenants:
                self.tenants[name].look(message.get('anew') is True)
            if name not in self.tenants:
                self.faults.pop(name, None)
                paths.write_whole(os.path.join(self.known, name), json.dumps(environ).encode(), lasting=False)
                self._serve(name, environ)
            return {}
        except Exception as error:
            return {'error': '%s: %s' % (type(error).__name__, error)}

    def _serve(self, name, environ):
        """@raises whatever keeps it from being served; what was known of it is forgotten then"""
        try:
            if (len(self.tenants) + 4) * _DESCRIPTORS > resource.getrlimit(resource.RLIMIT_NOFILE)[0]:
                raise Busy('this process may not have more open files')
            self.tenants[name] = Tenant(self.loop, os.path.join(self.instances, name), environ, lambda fault: self._over(name, fault))
        except BaseException:
            paths.remove(os.path.join(self.known, name))
            raise

    def _resume(self, name):
        stored = paths.read_or_none(os.path.join(self.known, name))
        if stored is None or name in self.tenants:
            return
        try:
            self._serve(name, json.loads(stored.decode()))
        except Exception:
            # It has ended, or will be asked for by the next client.
            pass

    def _over(self, name, fault):
        del self.tenants[name]
        self.faults[name] = self.faults.get(name, 0) + 1
        if fault and self.faults[name] < _FAULTS:
            self.loop.after(self.faults[name], lambda: self._resume(name))
        else:
            self.faults.pop(name)
            paths.remove(os.path.join(self.known, name))


def run():
    """Until there is nobody to serve for a while; at once when another such process serves already, or namespaces cannot be entered here."""
    if not namespaces.can():
        return 0
    os.umask(0o077)
    # Of whoever started this: its lock is not for the processes of jobs.
    for fd in range(3, 64):
        try:
            os.set_inheritable(fd, False)
        except OSError:
            pass
    lock = os.open(os.path.join(paths.CODE, 'lock'), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return 0
    start = procfs.boot_id()[:8] + '-' + procfs.stat(os.getpid())[4]
    os.pwrite(lock, ('%d %s' % (os.getpid(), start)).ljust(63).encode() + b'\n', 0)
    runner.more_open_files()
    loop = Loop()
    Shared(loop).begin()
    loop.run()
    paths.remove(os.path.join(paths.CODE, 'socket'))
    return 0
