"""What running scripts say of their own progress: looked at now and then, and told when it has changed enough to matter."""
import os
import time

import process as records

#: Seconds between two looks.
EVERY = 5
#: A change of less than `_STEP` is told at most once in so many seconds.
_QUIET = 60
_STEP = 0.01
#: Bytes of the end of a file in which its last line is looked for, and signs of that line that are told.
_TAIL = 4096
_LINE = 64


class Progress:
    """Of the processes of one node. What was told is forgotten with the agent: the next one tells it again, which changes nothing."""

    def __init__(self, events):
        self.events = events
        self.told = {}  # key of the process -> (line, monotonic time)

    def look(self, process, ended=False):
        """Tells the last line of the process's file as an event. `ended`: for the last time, however little has changed."""
        if process.key[1] != 'run' or process.key[2] != 0:
            return
        line = _last_line(os.path.join(process.folder, records.PROGRESS))
        told, at = self.told.get(process.key, (None, 0))
        if ended:
            self.told.pop(process.key, None)
        if line is None or line == told:
            return
        now = time.monotonic()
        if not ended and told is not None and now - at < _QUIET and not _far(told, line):
            return
        self.events.append('progress', jobKey=process.key[0], line=line)
        if not ended:
            self.told[process.key] = (line, now)


def _last_line(path):
    """The last line that is not blank, or None."""
    try:
        # Whatever a script has put there must not hold up the agent.
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        size = os.fstat(file).st_size
        text = os.pread(file, _TAIL, max(0, size - _TAIL)).decode('utf-8', 'replace')
    except OSError:
        return None
    finally:
        os.close(file)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:_LINE] if lines else None


def _far(before, after):
    try:
        return abs(_number(before) - _number(after)) >= _STEP
    except ValueError:
        return False


def _number(line):
    return float(line[:-1]) / 100 if line.endswith('%') else float(line)
