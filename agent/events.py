"""The events of a node: numbered from 1, on disk before anybody hears of them."""
import json
import os

import paths

#: Kept after a trim, and the count that causes one.
KEEP = 2000
TRIM = 3000


class Events:
    def __init__(self):
        self.path = os.path.join(paths.BASE, 'events.jsonl')
        self.lines = []  # (seq, line without newline), oldest first
        self.listeners = set()
        torn = False
        for line in (paths.read_or_none(self.path) or b'').split(b'\n'):
            try:
                self.lines.append((json.loads(line.decode())['seq'], line))
            except (ValueError, KeyError):
                torn = torn or line != b''
        if torn or len(self.lines) > TRIM:
            self._trim()
        self._file = open(self.path, 'ab', 0)

    def close(self):
        self._file.close()

    @property
    def last(self):
        return self.lines[-1][0] if self.lines else 0

    def append(self, kind, /, **fields):
        seq = self.last + 1
        line = json.dumps(dict(fields, seq=seq, type=kind)).encode()
        self._file.write(line + b'\n')
        self.lines.append((seq, line))
        if len(self.lines) > TRIM:
            self._file.close()
            self._trim()
            self._file = open(self.path, 'ab', 0)
        for listener in list(self.listeners):
            listener()
        return seq

    def after(self, seq):
        """Position of the first event after `seq`. A reader ahead of us knows another agent's numbers: it gets all."""
        if seq > self.last:
            return 0
        low, high = 0, len(self.lines)
        while low < high:
            middle = (low + high) // 2
            if self.lines[middle][0] <= seq:
                low = middle + 1
            else:
                high = middle
        return low

    def exits(self):
        """(job, phase, rank) -> process, of all exits on record."""
        found = {}
        for _, line in self.lines:
            event = json.loads(line.decode())
            if event['type'] == 'exited':
                process = event['process']
                found[(process['jobKey'], process['phase'], process['rank'])] = process
        return found

    def has_notice(self, kind, at):
        wanted = {'type': 'notice', 'kind': kind, 'at': at}
        found = (json.loads(line.decode()) for _, line in self.lines if b'"type": "notice"' in line)
        return any(wanted.items() <= event.items() for event in found)

    def _stale_progress(self):
        """Numbers of those events of progress after which the same job said something newer."""
        latest = {}
        every = [json.loads(line.decode()) for _, line in self.lines if b'"type": "progress"' in line]
        for event in every:
            latest[event.get('jobKey')] = event['seq']
        return {event['seq'] for event in every} - set(latest.values())

    def _trim(self):
        # Of the session counts, and of what jobs say of their progress, only the latest matters; exits are what readers come back for.
        keep = self.lines
        if len(keep) > TRIM:
            counts = [entry for entry in keep if b'"type": "sessions"' in entry[1]]
            dropped = {entry[0] for entry in counts[:-1]} | self._stale_progress()
            keep = [entry for entry in keep if entry[0] not in dropped][-KEEP:]
        self.lines = keep
        paths.write_whole(self.path, b''.join(line + b'\n' for _, line in keep))
