"""The daemon: one a node, serving every client and all jobs."""
import errno
import fcntl
import os
import socket
import sys

import masking
import paths
import request
from connection import Connection
from errors import Refused, invalid
from events import Events
from jobs import Jobs
from lease import Leases
from loop import Loop
from notices import Notices
from progress import EVERY as PROGRESS_EVERY
from sessions import Sessions
from stats import Stats
from streams import EventStream, LogStream

#: Seconds between looks at sessions.
_SESSIONS_EVERY = 5


class Daemon:
    """`shared`: its process is not one of the machine's own, and serves others as well (shared.py)."""

    def __init__(self, loop, shared=False):
        self.loop = loop
        self.shared = shared
        self.identity = _identity()
        self.events = Events()
        self.jobs = Jobs(self.loop, self.events, self.identity)
        self.sessions = Sessions()
        self.session_count = 0
        self.stats = Stats(self.loop)
        self.leases = Leases(self.loop, self.events, self.jobs.working, lambda: self.session_count)
        self.jobs.on_change = self._jobs_changed
        self.notices = Notices(self.loop, self.events, self.jobs.interrupt)
        self.connections = set()
        self.home = os.stat(paths.BASE)
        self.listener = None

    def begin(self):
        """The working directory is BASE."""
        self.jobs.adopt()
        paths.remove(paths.SOCKET)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(paths.SOCKET)
        os.chmod(paths.SOCKET, 0o600)
        self.listener.listen(64)
        self.listener.setblocking(False)
        self.loop.on_readable(self.listener, self._accept)
        self.loop.every(1, self._tick)
        self.loop.every(_SESSIONS_EVERY, self._count_sessions)
        self.loop.every(PROGRESS_EVERY, self.jobs.look_at_progress)
        self.notices.follow(self.leases.notices)

    def close(self):
        """As the end of its process would: jobs go on, clients see their channels close."""
        for connection in list(self.connections):
            connection.close()
        if self.listener:
            self.listener.close()
        self.notices.follow(None)
        self.events.close()

    def _tick(self):
        try:
            now = os.stat(paths.BASE)
        except OSError:
            now = None
        if now is None or now.st_ino != self.home.st_ino:
            self.loop.stopped = True
            return
        self.leases.look()

    def _count_sessions(self):
        count = self.sessions.count()
        if count != self.session_count:
            self.session_count = count
            self.leases.look()
            self.events.append('sessions', count=count)

    def _jobs_changed(self):
        self.leases.look()
        for connection in list(self.connections):
            connection.nudge()

    def _accept(self):
        try:
            client, _ = self.listener.accept()
        except OSError:
            return
        connection = Connection(client, self.loop, self.handle, self.connections.discard)
        self.connections.add(connection)
        hello = {'styx': 'agent', 'version': paths.VERSION, 'agent': self.identity, 'pid': os.getpid()}
        connection.send(dict(hello, lastSeq=self.events.last, takes=True, shared=self.shared))

    def handle(self, connection, message):
        operation = _OPERATIONS.get(message.get('op'))
        if operation is None:
            raise invalid('there is no operation %r' % (message.get('op'),))
        if message['op'] != 'replace':
            self.leases.contact()
        return operation(self, connection, message)

    def start(self, connection, message):
        key = request.process_key(message)
        secrets = request.env(message, 'secrets')
        masking.know(secrets.values())
        script, owner = request.text(message, 'script'), request.text(message, 'owner')
        with_conda = request.flag(message, 'conda', False)
        ray = request.text(message, 'ray') if message.get('ray') is not None else None
        try:
            process = self.jobs.start(key, script, request.env(message), secrets, owner, with_conda, ray)
        except OSError as error:
            # Nobody would hear of what is only tried again and again.
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise Refused('refused', 'the disk of the node is full: %s' % error)
        return {'ok': process.state()}

    def processes(self, connection, message):
        found = self.jobs.all() if message.get('jobKey') is None else self.jobs.of_job(request.job_key(message))
        return {'ok': [process.state() for process in found]}

    def cancel(self, connection, message):
        self.jobs.cancel(request.job_key(message), request.number(message, 'graceMs'))
        return {'ok': None}

    def follow_events(self, connection, message):
        since = int(request.number(message, 'since'))
        connection.add(EventStream(message['id'], self.events, since, connection.pump))

    def follow_log(self, connection, message):
        key = request.process_key(message)
        process = self.jobs.find(key)
        if process is None:
            raise Refused('not-found', 'this node knows of no %s of rank %d of job %s' % (key[1], key[2], key[0]))
        start = message.get('from')
        if not isinstance(start, dict) or type(start.get('offset', start.get('lastLines'))) is not int or start.get('offset', 0) < 0:
            raise invalid('from must be {offset} or {lastLines}')
        follow = message.get('follow') is True
        pace = message.get('paceMs')
        if pace is not None and (type(pace) is not int or not 0 < pace <= 600000):
            raise invalid('paceMs must be a whole number from 1 to 600000')
        pace = None if pace is None else pace / 1000.0
        connection.add(LogStream(message['id'], process, start, follow, pace, self.loop, connection.pump))

    def read_stats(self, connection, message):
        self._count_sessions()
        return {'ok': self.stats.read(self.session_count, self.jobs.working())}

    def set_lease(self, connection, message):
        self.leases.set(message.get('lease'))
        self.notices.follow(self.leases.notices)
        return {'ok': None}

    def contact(self, connection, message):
        return {'ok': None}

    def replace(self, connection, message):
        self.loop.stopped = True
        return {'ok': None}


_OPERATIONS = {
    'start': Daemon.start,
    'processes': Daemon.processes,
    'cancel': Daemon.cancel,
    'events': Daemon.follow_events,
    'logs': Daemon.follow_log,
    'stats': Daemon.read_stats,
    'setLease': Daemon.set_lease,
    'contact': Daemon.contact,
    'replace': Daemon.replace,
}


def _identity():
    """Random, made once: tells the jobs of this node from those of another on the same machine."""
    path = os.path.join(paths.BASE, 'id')
    found = paths.read_or_none(path)
    if not found:
        found = os.urandom(8).hex().encode()
        paths.write_whole(path, found)
    return found.decode()


def hold(name):
    """
    Makes the agent's folders, BASE the working directory, and takes the home for the daemon that is called `name`. Answers the lock to
    hold, or None when another daemon has it.
    """
    paths.prepare()
    lock = os.open('daemon.lock', os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return None
    os.ftruncate(lock, 0)
    os.write(lock, b'%s\n' % name)
    log = os.path.join(paths.BASE, 'agent.log')
    if os.path.exists(log) and os.path.getsize(log) > 1024 * 1024:
        os.rename(log, log + '.1')
    return lock


def run(ready=lambda: None):
    """Until replaced or homeless; answers at once when another daemon serves already."""
    if hold(b'%d' % os.getpid()) is None:
        return 0
    try:
        daemon = Daemon(Loop())
        daemon.begin()
        ready()
        daemon.loop.run()
    except Exception:
        # Not held by every daemon that never needs it.
        import traceback

        paths.note(traceback.format_exc())
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(run())
