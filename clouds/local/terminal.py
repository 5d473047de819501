"""Runs a command on a terminal of its own: terminal.py 'ROWS COLS WIDTH HEIGHT' COMMAND...

Standard input and output are the terminal's other end. Descriptor 3 brings new sizes, one a line; its end is the hang-up.
The exit is the command's, a signal included.
"""
import fcntl
import os
import select
import signal
import struct
import sys
import termios

CONTROL = 3
DRAIN_SECONDS = 0.1
CHUNK = 65536


def resize(master, text):
    try:
        sizes = [min(int(word), 65535) for word in text.split()]
        fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", *sizes))
    except (ValueError, struct.error, OSError):
        pass


def start(arguments, size):
    master, slave = os.openpty()
    resize(master, size)
    child = os.fork()
    if child:
        os.close(slave)
        os.set_blocking(master, False)
        return child, master
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    os.environ["SSH_TTY"] = os.ttyname(slave)
    for number in (0, 1, 2):
        os.dup2(slave, number)
    os.closerange(3, 64)
    try:
        os.execvp(arguments[0], arguments)
    except OSError as error:
        os.write(2, ("%s: %s\n" % (arguments[0], error.strerror)).encode())
    os._exit(127)


def take(descriptor):
    """What can be read now; empty at the end, None when there is nothing yet."""
    try:
        return os.read(descriptor, CHUNK)
    except BlockingIOError:
        return None
    except OSError:
        return b""


def put(descriptor, data):
    """What could not be written yet."""
    try:
        return data[os.write(descriptor, data) :]
    except BlockingIOError:
        return data


def relay(child, master, wake):
    """Returns the command's wait status once its last words are out; None when the other side hung up."""
    keys = words = sizes = b""
    status = None
    sources = {0, CONTROL, master, wake}
    while True:
        if status is None:
            pid, code = os.waitpid(child, os.WNOHANG)
            status = code if pid else None
        if status is not None and not words and master not in sources:
            return status
        # Whoever is slow is waited for: nothing piles up here.
        readers = sources - ({0} if keys else set()) - ({master} if words else set())
        writers = ({master} if keys else set()) | ({1} if words else set())
        ready, writable, _ = select.select(readers, writers, [], None if status is None or words else DRAIN_SECONDS)
        if status is not None and not ready and not writable:
            return status
        if master in writable:
            try:
                keys = put(master, keys)
            except OSError:
                keys = b""
        if 1 in writable:
            words = put(1, words)
        if wake in ready:
            take(wake)
        if master in ready:
            data = take(master)
            if data == b"":
                sources.discard(master)
            words = data or b""
        if 0 in ready:
            data = take(0)
            if data == b"":
                sources.discard(0)
            keys = data or b""
        if CONTROL in ready:
            data = take(CONTROL)
            if data == b"":
                return None
            lines = (sizes + (data or b"")).split(b"\n")
            sizes = lines.pop()
            for line in lines:
                resize(master, line.decode("ascii", "replace"))


def main():
    wake, waker = os.pipe()
    for descriptor in (wake, waker, 1):
        os.set_blocking(descriptor, False)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    child, master = start(sys.argv[2:], sys.argv[1])
    try:
        status = relay(child, master, wake)
    except OSError:
        status = None
    # Without a status this is the hang-up: the kernel sends SIGHUP to the session, and who ignores it lives on.
    os.close(master)
    if status is None:
        os._exit(129)
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(os.WEXITSTATUS(status))


main()
