"""What the node may do when nobody talks to it any more. Clocks are monotonic: they stand still while the machine sleeps."""
import json
import os
import time

import machine
import notices
import paths
import reach
from errors import invalid

#: Before a refused or failed power-off is tried again, seconds.
_AGAIN = 60


class Leases:
    """
    `busy()` and `sessions()` say how many processes of jobs and sessions of people there are. A start of the agent counts as
    contact, and as the end of work: what it cannot know it takes for recent.
    """

    def __init__(self, loop, events, busy, sessions, clock=time.monotonic):
        self.loop = loop
        self.events = events
        self.busy = busy
        self.sessions = sessions
        self.clock = clock
        now = clock()
        self.contact_at = self.job_at = self.session_at = self.set_at = now
        self.lease = None
        self.acting = False
        self.not_before = now
        saved = paths.read_or_none(_file())
        if saved:
            stored = json.loads(saved.decode())
            self.lease = stored['lease']
            self.set_at = now - max(0, time.time() - stored['setAt'])

    @property
    def notices(self):
        """Where this machine hears that it is taken back, or None. Absent in a lease of before there was such a thing."""
        return self.lease.get('notices') if self.lease else None

    def contact(self):
        self.contact_at = self.clock()

    def set(self, lease):
        _check(lease)
        self.contact()
        if lease == self.lease:
            return
        # Another idle rule begins to count now; the same one goes on.
        if self.lease is None or lease['idle'] != self.lease['idle']:
            self.set_at = self.job_at = self.session_at = self.clock()
        written = json.dumps({'lease': lease, 'setAt': time.time() - (self.clock() - self.set_at)})
        paths.write_whole(_file(), written.encode())
        self.lease = lease

    def look(self):
        """Called every second, and when a process begins or ends."""
        now = self.clock()
        if self.busy():
            self.job_at = now
        if self.sessions():
            self.session_at = now
        due = self.due(now)
        if due and not self.acting and now >= self.not_before:
            self._act(*due)

    def due(self, now):
        """(PowerOff, reason) when the lease says so, else None."""
        lease = self.lease
        if lease is None or (now - self.contact_at) * 1000 < lease['contactLost']:
            return None
        idle = lease['idle']
        if idle:
            since = {
                'none': self.set_at,
                'jobs': self.job_at,
                'jobs_and_ssh': max(self.job_at, self.session_at),
            }[idle['waitFor']]
            if (now - since) * 1000 >= idle['after']:
                return idle['powerOff'], 'autostop: idle for %d s, without contact for %d s' % (now - since, now - self.contact_at)
        deadman = lease['deadman']
        if deadman:
            since = max(self.contact_at, self.job_at)
            if (now - since) * 1000 >= deadman['after']:
                return deadman['powerOff'], 'no contact and no job for %d s' % (now - since)
        return None

    def _act(self, power_off, reason):
        self.not_before = self.clock() + _AGAIN
        proof = power_off['identity']
        try:
            matches = proof['text'].encode() in (paths.read_or_none(machine.path(proof['path'])) or b'')
        except OSError:
            matches = False
        if not proof['text'] or not matches:
            paths.note('power-off refused: %s does not hold the identity this machine was provisioned with' % proof['path'])
            return
        paths.note('power-off (%s): %s' % (power_off['action'], reason))
        self.events.append('power-off', action=power_off['action'], reason=reason)
        self.acting = True
        pid, _ = reach.current.fork()
        if not pid:
            try:
                os.setsid()
                null = os.open(os.devnull, os.O_RDWR)
                for fd in (0, 1, 2):
                    os.dup2(null, fd)
                command = machine.command(power_off['command'])
                os.execvpe(command[0], command, reach.current.environ)
            finally:
                os._exit(127)

        def done(code):
            self.acting = False
            paths.note('power-off command ended with %s' % code)

        self.loop.on_child(pid, done)


def _file():
    return os.path.join(paths.BASE, 'lease.json')


def _check(lease):
    def rule(name, needs):
        value = lease.get(name)
        if value is None:
            lease[name] = None
            return
        power = value.get('powerOff', {})
        command = power.get('command')
        fine = (
            all(key in value for key in needs)
            and type(value['after']) in (int, float)
            and isinstance(command, list)
            and command
            and all(isinstance(part, str) and '\0' not in part for part in command)
            and power.get('action') in ('stop', 'terminate')
            and isinstance(power.get('identity', {}).get('path'), str)
            and isinstance(power['identity'].get('text'), str)
        )
        if not fine:
            raise invalid('%s of the lease is malformed' % name)

    if not isinstance(lease, dict) or type(lease.get('contactLost')) not in (int, float):
        raise invalid('the lease is malformed')
    notices.check(lease.get('notices'))
    rule('idle', ('after', 'waitFor', 'powerOff'))
    rule('deadman', ('after', 'powerOff'))
    if lease['idle'] and lease['idle']['waitFor'] not in ('jobs_and_ssh', 'jobs', 'none'):
        raise invalid('waitFor of the lease is malformed')
