"""Where the agent keeps its things, and writes that a kill cannot tear."""
import os
import re

HOME = os.path.expanduser('~')
CODE = os.path.dirname(os.path.abspath(__file__))
VERSION = os.path.basename(CODE)
#: Relative to BASE, since an AF_UNIX path may have 107 bytes only.
SOCKET = 'socket'



def below(home):
    """Values of the names of this module that depend on the home directory."""
    base = os.path.join(home, '.styx-agent')
    return {
        'HOME': home,
        'BASE': base,
        'JOBS': os.path.join(base, 'jobs'),
        # One empty file for each process that has not come to its end on disk, so that adoption need not read finished jobs.
        'LIVE': os.path.join(base, 'live'),
        'TEMP': os.path.join(base, 'tmp'),
        'LOGS': os.path.join(home, 'sky_logs'),
        'WORKDIR': os.path.join(home, 'sky_workdir'),
    }


def enter(places):
    """From here on all is about the home that `places` are of (`below`). Nobody keeps a path of an earlier one; see shared.py."""
    globals().update(places)


enter(below(HOME))

_NAME = re.compile(r'[A-Za-z0-9._-]{1,200}\Z')


def prepare():
    """Makes the agent's folders; the working directory is BASE afterwards."""
    os.umask(0o077)
    for folder in (BASE, JOBS, LIVE, TEMP):
        os.makedirs(folder, 0o700, exist_ok=True)
    os.chmod(BASE, 0o700)
    os.chdir(BASE)


def is_name(text):
    return isinstance(text, str) and _NAME.match(text) is not None and text not in ('.', '..')


def write_whole(path, data, lasting=True):
    """Replaces a file in one step: readers see the old text or the new one; after a power cut too, unless it need not be `lasting`."""
    temporary = '%s.%d.tmp' % (path, os.getpid())
    with open(temporary, 'wb') as file:
        file.write(data)
        file.flush()
        if lasting:
            os.fsync(file.fileno())
    os.rename(temporary, path)


def read_or_none(path):
    try:
        with open(path, 'rb') as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None


def remove(path):
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def log_path(job, phase, rank):
    return os.path.join(LOGS, job, '%s-%d.log' % (phase, rank))


def note(text):
    """Appends to the agent's own diary, for people."""
    import time

    import masking

    try:
        with open(os.path.join(BASE, 'agent.log'), 'a') as file:
            file.write('%s %s\n' % (time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime()), masking.mask(text)))
    except OSError:
        pass
