"""Ends everything that a job left on the node: SIGTERM, then SIGKILL, until a scan finds none."""
import os
import signal
import time

import procfs
import reach


class Killer:
    """
    Runners are spared as long as something else of the job lives, since they record the exit code; each ends by itself
    when its child has ended.
    """

    def __init__(self, loop, markers, runners, grace, done):
        self.loop = loop
        self.markers = markers
        self.runners = runners
        self.deadline = time.monotonic() + grace / 1000
        self.done = done
        self.asked = False
        self.quiet = 0
        self.rounds = 0
        self._round()

    def hasten(self, grace):
        self.deadline = min(self.deadline, time.monotonic() + grace / 1000)

    def _round(self):
        self.rounds += 1
        runners = self.runners()
        if not procfs.HAS_PROC:
            return self._round_without_proc(runners)
        found = procfs.tree(self.markers, runners)
        others = found - set(runners)
        late = time.monotonic() >= self.deadline
        # Parents first: a shell that saw its command die of the signal before its own came would go on with the next one.
        numbers = [signal.SIGKILL] if late else [] if self.asked else [signal.SIGTERM, signal.SIGCONT]
        signals = [(pid, number) for pid in procfs.parents_first(others) for number in numbers]
        # Once: what a handler starts in order to tidy up has the grace time to itself.
        self.asked = self.asked or bool(others)
        # A runner alone for a second hangs, or has yet to start its child.
        self.quiet = 0 if others else self.quiet + 1
        if found and self.quiet > 20:
            signals += [(pid, signal.SIGKILL) for pid in found]
        if signals:
            reach.current.signal(signals)
        # A process in the middle of an exec shows no environment, so that one empty look proves nothing.
        if not found and self.quiet > 2:
            return self.done()
        self.loop.after(0.05 if self.rounds < 200 else 1, self._round)

    def _round_without_proc(self, runners):
        late = time.monotonic() >= self.deadline
        left = [pid for pid in runners if procfs.alive(pid, runners[pid])]
        for pid in left:
            if late or not self.asked:
                try:
                    os.killpg(pid, signal.SIGKILL if late else signal.SIGTERM)
                except OSError:
                    pass
        self.asked = True
        if left:
            self.loop.after(0.1, self._round)
        else:
            self.done()
