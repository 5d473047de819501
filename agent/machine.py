"""What is outside of the container that this agent lives in, if it lives in one: the machine's own files and programs."""
import os

#: Path at which the machine's own root is seen; empty when the agent lives on the machine itself.
_ROOT = os.environ.get('STYX_MACHINE_ROOT', '')


def path(name):
    """An absolute path of the machine, as it is reached from here."""
    return _ROOT + name


def command(words):
    """A command of the machine, as it is run from here: with the machine's programs, and among its own mounts."""
    return ['chroot', _ROOT, 'nsenter', '--target', '1', '--mount', '--'] + words if _ROOT else words
