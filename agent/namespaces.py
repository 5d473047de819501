"""
A machine of the local cloud, reached from outside: its processes are in PID and mount namespaces of their own, and in a user namespace
where its owner is not root. See setns(2), pidfd_open(2), clone(2).
"""
import ctypes
import os
import re
import select
import signal
import socket

import procfs
import reach

_NEWNS, _NEWUSER, _NEWPID, _PARENT = 0x20000, 0x10000000, 0x20000000, 0x8000
#: No function of libc forks a sibling; the numbers of the call, by machine.
_CLONE = {'x86_64': 56, 'aarch64': 220, 'riscv64': 220, 'ppc64le': 120}

# Keeps the interpreter's lock over a call: both that come out of a clone have it.
_libc = ctypes.PyDLL(None, use_errno=True)


def can():
    """Is there what this needs? Linux entered namespaces by a descriptor of a process from 5.8 on, Python has those from 3.9 on."""
    release = re.match(r'(\d+)\.(\d+)', os.uname().release)
    fresh = release is not None and tuple(map(int, release.groups())) >= (5, 8)
    return fresh and os.uname().machine in _CLONE and hasattr(os, 'pidfd_open') and hasattr(_libc, 'setns')


class Namespaces:
    """Of the machine whose first process is `init`, which started at `start` (field 22 of proc(5)). @raises OSError when it is gone"""

    #: The first process: what is in its PID namespace is the machine's.
    witness = '1'

    def __init__(self, init, start, environ):
        self.environ = environ
        self.handle = os.pidfd_open(init)
        self.folder = None
        try:
            # By a descriptor: one day the number is another process's.
            self.folder = os.open('/proc/%d/root/proc' % init, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            self.proc = '/proc/self/fd/%d' % self.folder
            foreign = os.stat('/proc/%d/ns/user' % init).st_ino != os.stat('/proc/self/ns/user').st_ino
            self.kinds = _NEWPID | _NEWNS | (_NEWUSER if foreign else 0)
            seen = procfs.stat(init, '/proc')
            if seen is None or seen[4] != start or self.ended():
                raise ProcessLookupError('the instance does not run')
        except BaseException:
            self.close()
            raise

    def ended(self):
        look = select.poll()
        look.register(self.handle, select.POLLIN)
        return bool(look.poll(0))

    def close(self):
        os.close(self.handle)
        if self.folder is not None:
            os.close(self.folder)

    def is_up(self):
        # Nothing is started any more from the moment on at which the first process ends, and all others are killed after that.
        try:
            self._do(lambda: None)
        except OSError:
            return False
        return True

    def is_agent(self, pid):
        return False

    def fork(self):
        """
        As that of reach.Here. What enters a user namespace cannot come back, so that a helper does, which then makes the child: a child of
        this process all the same.
        """
        read, write = os.pipe()
        helper = os.fork()
        if not helper:
            child = -1
            try:
                if _libc.setns(self.handle, self.kinds) == 0:
                    child = _clone(_PARENT | signal.SIGCHLD)
                if child > 0:
                    os.write(write, b'here %d\n' % child)
            finally:
                if child != 0:
                    os._exit(0)
            os.write(write, b'there %d\n' % os.getpid())
            os.close(read)
            os.close(write)
            return 0, os.getpid()
        os.close(write)
        with open(read, 'rb') as told:
            pids = dict(line.split() for line in told)
        os.waitpid(helper, 0)
        if b'here' in pids and b'there' not in pids:
            os.waitpid(int(pids[b'here']), 0)
        if len(pids) < 2:
            raise OSError('no process can be started in the instance')
        return int(pids[b'here']), int(pids[b'there'])

    def open(self, pid):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            self._do(lambda: socket.send_fds(theirs, [b'.'], [os.pidfd_open(pid)]))
            ours.setblocking(False)
            # @raises BlockingIOError, an OSError, when there was nothing to send.
            return socket.recv_fds(ours, 1, 1)[1][0]

    def signal(self, signals):
        try:
            self._do(lambda: reach.HERE.signal(signals))
        except OSError:
            # The instance has ended, and they with it.
            pass

    def _do(self, call):
        """Something short, in a process of the machine."""
        pid, _ = self.fork()
        if not pid:
            try:
                call()
            finally:
                os._exit(0)
        os.waitpid(pid, 0)


def _clone(flags):
    """As fork(2), with these flags: the stack is a copy of the caller's, and nothing is told to anybody."""
    number = _CLONE[os.uname().machine]
    return _libc.syscall(*[ctypes.c_long(value) for value in (number, flags, 0, 0, 0, 0)])
