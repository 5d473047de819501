"""Answers that go on: logs and events. Each has a window, so that a slow reader holds up nobody but itself."""
import binascii
import os

#: Bytes of a log that may be on the way unacknowledged, and in one message.
LOG_WINDOW = 256 * 1024
LOG_CHUNK = 32 * 1024
#: Events on the way unacknowledged.
EVENT_WINDOW = 256


class EventStream:
    def __init__(self, request_id, events, since, wake):
        self.id = request_id
        self.events = events
        self.seq = events.lines[events.after(since) - 1][0] if events.after(since) else 0
        self.credit = EVENT_WINDOW
        self.wake = wake
        self.done = False
        events.listeners.add(wake)

    def next(self):
        if not self.credit:
            return None
        at = self.events.after(self.seq) if self.seq else 0
        if at >= len(self.events.lines):
            return None
        self.seq, line = self.events.lines[at]
        self.credit -= 1
        return b'{"id": %d, "event": %s}\n' % (self.id, line)

    def nudge(self):
        pass

    def close(self):
        self.events.listeners.discard(self.wake)


class LogStream:
    """
    A log file from an offset on, to its end, or with `follow` until the process ended and all was read.

    `pace`: seconds until the file is looked at again once all was read, for a reader that is in no hurry; None: soon, and less often
    the longer nothing comes.
    """

    def __init__(self, request_id, process, start, follow, pace, loop, wake):
        self.id = request_id
        self.process = process
        self.follow = follow
        self.pace = pace
        self.loop = loop
        self.wake = wake
        self.credit = LOG_WINDOW
        self.done = False
        self.idle = 0
        self.timer = None
        try:
            self.file = os.open(process.log, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            self.file = None
        self.offset = start.get('offset', 0) if 'offset' in start else self._line_from_end(abs(start['lastLines']))

    def next(self):
        if self.done or not self.credit or self.timer:
            return None
        # The state first: what was written before the end is then seen by the read.
        over = not self.follow or self.process.final is not None
        data = os.pread(self.file, min(self.credit, LOG_CHUNK), self.offset) if self.file is not None else b''
        if data:
            self.idle = 0
            self.credit -= len(data)
            line = b'{"id": %d, "offset": %d, "data": "%s"}\n' % (
                self.id,
                self.offset,
                binascii.b2a_base64(data, newline=False),
            )
            self.offset += len(data)
            return line
        if over:
            self.done = True
            return b'{"id": %d, "end": true}\n' % self.id
        self.idle += 1
        soon = min(0.25, 0.02 * (1 + self.idle // 10))
        self.timer = self.loop.after(soon if self.pace is None else self.pace, self._again)
        return None

    def nudge(self):
        if self.timer:
            self.timer.cancel()
            self.timer = None

    def _again(self):
        self.timer = None
        self.wake()

    def _line_from_end(self, count):
        """Offset of the first of the last `count` lines; an unfinished last line is a line."""
        if self.file is None:
            return 0
        size = os.fstat(self.file).st_size
        position, missing = size, count
        if count == 0:
            return size
        while position > 0:
            start = max(0, position - 65536)
            block = os.pread(self.file, position - start, start)
            end = len(block)
            if position == size and block.endswith(b'\n'):
                end -= 1
            while True:
                end = block.rfind(b'\n', 0, end)
                if end < 0:
                    break
                missing -= 1
                if missing == 0:
                    return start + end + 1
            position = start
        return 0

    def close(self):
        self.done = True
        if self.timer:
            self.timer.cancel()
        if self.file is not None:
            os.close(self.file)
            self.file = None
