"""All processes of jobs on this node: start once, adopt after a restart, notice the end, cancel."""
import json
import os
import time

import paths
import process as records
import procfs
import reach
from errors import Refused
from killer import Killer
from progress import Progress

#: An intent that was never carried out is started by the next agent, but not when it lies in the past.
_INTENT_EXPIRES = 600


class Jobs:
    def __init__(self, loop, events, identity):
        self.loop = loop
        self.events = events
        self.boot = procfs.boot_id()
        self.identity = identity
        self.live = {}
        self.killers = {}
        self.progress = Progress(events)
        #: Unix time at which the cloud takes this machine back, or None.
        self.leaves_at = None
        self.on_change = lambda: None

    def markers(self, job):
        """In the environment of every process of a job: what a cancel looks for."""
        return [b'STYX_JOB=' + job.encode(), b'STYX_AGENT=' + self.identity.encode()]

    def start(self, key, script, env, secrets, owner, with_conda=False, ray=None):
        known = self.find(key)
        if known is not None:
            return known
        if self.leaves_at is not None and key[1] != 'service':
            raise Refused('aborted', 'the cloud takes this machine back at %s' % _utc(self.leaves_at))
        if records.is_cancelled(key[0]):
            raise Refused('aborted', 'job %s was cancelled; it is not started any more' % key[0])
        process = records.create(key, script, env, secrets, owner, self.boot, with_conda, ray)
        self.live[key] = process
        self._spawn(process)
        self.on_change()
        return process

    def find(self, key):
        return self.live.get(key) or records.load(key)

    def working(self):
        """How many processes of jobs run."""
        return sum(key[1] != 'service' for key in self.live)

    def look_at_progress(self):
        for process in self.live.values():
            self.progress.look(process)

    def of_job(self, job):
        found = {process.key: process for process in records.load_job(job)}
        found.update({key: process for key, process in self.live.items() if key[0] == job})
        return [found[key] for key in sorted(found)]

    def all(self):
        return [process for job in sorted(os.listdir(paths.JOBS)) for process in self.of_job(job)]

    def cancel(self, job, grace):
        """Bars the job and ends what runs of it, all of its descendants included."""
        self._cancel(job, grace, None)

    def interrupt(self, at, grace):
        """The machine goes at `at`: ends all jobs as a cancel does, in `grace` seconds, and starts no other. What serves jobs stays."""
        self.leaves_at = at
        for job in sorted({key[0] for key in self.live if key[1] != 'service'}):
            self._cancel(job, grace * 1000, at)

    def _cancel(self, job, grace, interrupted):
        os.makedirs(os.path.join(paths.JOBS, job), 0o700, exist_ok=True)
        if not records.is_cancelled(job):
            paths.write_whole(records.cancel_file(job), json.dumps({'at': time.time(), 'interrupted': interrupted}).encode())
        paths.write_whole(_cancel_marker(job), json.dumps({'grace': grace}).encode())
        self._kill(job, grace)

    def adopt(self):
        """After a restart of the agent: takes over what an earlier one started."""
        records.drop_drafts()
        exits = self.events.exits()
        cancels = []
        for name in sorted(os.listdir(paths.LIVE)):
            job, _, what = name.rpartition('~')
            if what == 'cancel':
                cancels.append((job, json.loads((paths.read_or_none(_cancel_marker(job)) or b'{}').decode() or '{}')))
                continue
            phase, _, rank = what.rpartition('-')
            if not rank.isdigit():
                continue
            key = (job, phase, int(rank))
            process = records.load(key)
            if process is None:
                paths.remove(records.live_marker(key))
            elif process.final is not None:
                process.settle()
            else:
                self.live[key] = process
                if key in exits:
                    process.final = exits[key]
                    self._settle(process)
                else:
                    self._resume(process)
        for job, options in cancels:
            self._kill(job, options.get('grace', 0))

    def _resume(self, process):
        if process.exit_on_record() or process.claim():
            self._watch(process, None)
        elif process.boot == self.boot and time.time() - process.started < _INTENT_EXPIRES:
            self._spawn(process)
        else:
            process.take_claim()
            self._watch(process, None)

    def _spawn(self, process):
        try:
            pid = process.spawn(self.boot, self.markers(process.key[0]))
        except OSError as error:
            # It is on record by now: whoever asks again is told that it runs.
            paths.note('cannot start %s yet: %s' % (process.folder, error))
            self.loop.after(1, lambda: self._retry(process))
            return
        self.loop.on_child(pid, lambda code: self._watch(process, code))

    def _retry(self, process):
        if process.final is None:
            self._resume(process)

    def _watch(self, process, code):
        """Called when a runner of ours ended (with its code), or to look at one that is not ours."""
        if process.final is not None:
            return
        recorded = process.exit_on_record()
        if recorded:
            return self._ended(process, recorded[0], recorded[1], False)
        claim = process.claim()
        if claim and claim[0] and claim[0] != process.runner and claim[2] == self.boot and procfs.alive(claim[0], claim[1]):
            return self.loop.on_gone(claim[0], claim[1], lambda: self._watch(process, None))
        # It may have written its last word between our two looks.
        recorded = process.exit_on_record()
        if recorded:
            return self._ended(process, recorded[0], recorded[1], False)
        # What came to its end with the machine is found lost when that is back. It did not end by itself.
        if not reach.current.is_up():
            self.loop.after(1, lambda: self._watch(process, code))
            return
        if not claim and not process.take_claim():
            return self._watch(process, code)
        if claim and claim[0] == process.runner and code is not None:
            return self._ended(process, code, time.time(), False)
        self._ended(process, records.LOST, time.time(), not records.is_cancelled(process.key[0]))

    def _ended(self, process, code, at, lost):
        state = process.end(code, at, lost, records.is_cancelled(process.key[0]))
        # Before the exit: who hears that reads on no further.
        self.progress.look(process, ended=True)
        self.events.append('exited', process=state)
        self._settle(process)

    def _settle(self, process):
        try:
            process.settle()
        except OSError as error:
            paths.note('cannot settle %s: %s' % (process.folder, error))
        self.live.pop(process.key, None)
        self.on_change()

    def _kill(self, job, grace):
        running = self.killers.get(job)
        if running:
            return running.hasten(grace)
        for process in [entry for entry in self.live.values() if entry.key[0] == job]:
            # A runner that has not claimed yet never will.
            if process.take_claim():
                self._ended(process, 143, time.time(), False)

        def done():
            self.killers.pop(job, None)
            paths.remove(_cancel_marker(job))

        self.killers[job] = Killer(self.loop, self.markers(job), lambda: self._runners(job), grace, done)

    def _runners(self, job):
        """{pid: start time} of the runners of a job, those of processes that ended included: sessions outlive them."""
        found = {}
        for process in self.of_job(job):
            claim = process.claim()
            if claim and claim[0] and claim[2] == self.boot:
                found[claim[0]] = claim[1]
        return found


def _utc(at):
    return time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(at))


def _cancel_marker(job):
    return os.path.join(paths.LIVE, job + '~cancel')
