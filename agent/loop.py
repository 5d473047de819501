"""One thread waiting for sockets, timers and children."""
import heapq
import os
import selectors
import signal
import time

import procfs
import reach


class Timer:
    def __init__(self, at, call):
        self.at = at
        self.call = call
        self.live = True

    def __lt__(self, other):
        return self.at < other.at

    def cancel(self):
        self.live = False


class Loop:
    def __init__(self):
        self.selector = selectors.DefaultSelector()
        self.timers = []
        self.children = {}
        self.stopped = False
        read, write = os.pipe()
        os.set_blocking(read, False)
        os.set_blocking(write, False)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        self.on_readable(read, lambda: self._reap(read))

    def on_readable(self, file, call):
        self.selector.register(file, selectors.EVENT_READ, [call, None])

    def want_write(self, file, call):
        """Calls each time that it can be written, until `call` is None."""
        try:
            key = self.selector.get_key(file)
        except KeyError:
            if call:
                self.selector.register(file, selectors.EVENT_WRITE, [None, call])
            return
        key.data[1] = call
        events = (selectors.EVENT_READ if key.data[0] else 0) | (selectors.EVENT_WRITE if call else 0)
        if not events:
            self.selector.unregister(file)
        elif key.events != events:
            self.selector.modify(file, events, key.data)

    def knows(self, file):
        try:
            return self.selector.get_key(file) is not None
        except (KeyError, ValueError):
            return False

    def forget(self, file):
        try:
            self.selector.unregister(file)
        except (KeyError, ValueError):
            pass

    def after(self, seconds, call):
        timer = Timer(time.monotonic() + seconds, call)
        heapq.heappush(self.timers, timer)
        return timer

    def every(self, seconds, call):
        def again():
            call()
            self.after(seconds, again)

        self.after(seconds, again)

    def on_child(self, pid, call):
        """Calls with the exit code (signals as 128 + n) when this child of ours ends."""
        self.children[pid] = call
        self._reap(None)

    def on_gone(self, pid, start, call):
        """Calls when a process that is not our child has ended."""
        try:
            # As a file it is closed when nobody has it any more.
            handle = open(reach.current.open(pid), 'rb', buffering=0)
        except OSError:
            handle = None
        if not procfs.alive(pid, start):
            self.after(0, call)
        elif handle is None:
            self.after(0.3, lambda: self.on_gone(pid, start, call))
        else:

            def ended():
                self.forget(handle)
                handle.close()
                call()

            self.on_readable(handle, ended)

    def _reap(self, pipe):
        if pipe is not None:
            try:
                os.read(pipe, 4096)
            except BlockingIOError:
                pass
        for pid in list(self.children):
            try:
                done, status = os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                done, status = pid, None
            if done:
                call = self.children.pop(pid)
                if status is None:
                    code = None
                else:
                    code = 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
                self.after(0, lambda call=call, code=code: call(code))

    def run(self):
        while not self.stopped:
            while self.timers and not self.timers[0].live:
                heapq.heappop(self.timers)
            wait = max(0, self.timers[0].at - time.monotonic()) if self.timers else None
            for key, events in self.selector.select(wait):
                readable, writable = key.data
                if events & selectors.EVENT_WRITE and writable:
                    writable()
                if events & selectors.EVENT_READ:
                    readable()
            now = time.monotonic()
            while self.timers and self.timers[0].at <= now and not self.stopped:
                timer = heapq.heappop(self.timers)
                if timer.live:
                    timer.call()


class Part(Loop):
    """
    What one of several daemons has of a loop: whatever is called for it goes through `around`, and nothing does once it is closed.
    `stopped` concerns this daemon alone.
    """

    def __init__(self, loop, around):
        self.loop = loop
        self.around = around
        self.files = {}  # descriptor -> what it was registered as; none of another daemon's
        self.stopped = False

    def _bound(self, call):
        return lambda *arguments: self.around(call, *arguments)

    def on_readable(self, file, call):
        self.loop.on_readable(file, self._bound(call))
        self.files[_number(file)] = file

    def want_write(self, file, call):
        self.loop.want_write(file, self._bound(call) if call else None)
        if self.loop.knows(file):
            self.files[_number(file)] = file
        else:
            self.files.pop(_number(file), None)

    def forget(self, file):
        # A number that is not ours any more may be another's.
        if self.files.pop(_number(file), None) is not None:
            self.loop.forget(file)

    def after(self, seconds, call):
        return self.loop.after(seconds, self._bound(call))

    def on_child(self, pid, call):
        self.loop.on_child(pid, self._bound(call))

    def close(self):
        self.stopped = True
        for file in list(self.files.values()):
            self.forget(file)


def _number(file):
    return file if isinstance(file, int) else file.fileno()
