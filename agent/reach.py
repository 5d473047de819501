"""
How the agent gets at the processes of its machine: as one of them. The agent of a local instance is not: `current` is then what
namespaces.py has in its place, for as long as the agent is at work for that instance (shared.py).
"""
import os


class Here:
    #: Where the machine's processes are seen.
    proc = '/proc'
    #: A process that is surely in the machine's own PID namespace.
    witness = 'self'

    @property
    def environ(self):
        """Raw, as a login has it."""
        return os.environb

    def fork(self):
        """(pid to wait for, pid on the machine) of the child; in the child the first one is 0."""
        pid = os.fork()
        return pid, pid

    def open(self, pid):
        """A descriptor that is readable when the process has ended. @raises OSError"""
        if not hasattr(os, 'pidfd_open'):
            raise OSError('there are no descriptors of processes here')
        return os.pidfd_open(pid)

    def signal(self, signals):
        """Sends (pid, number), one after the other; those that are gone are left out."""
        for pid, number in signals:
            try:
                os.kill(pid, number)
            except OSError:
                pass

    def is_up(self):
        """False: the machine is about to end, and what has ended on it may have ended with it."""
        return True

    def is_agent(self, pid):
        return pid == os.getpid()


HERE = Here()
current = HERE


def enter(machine):
    global current
    current = machine
