"""
Installs Miniforge: `PREFIX UNFINISHED URL`. Run by the shells of jobs, any number at a time, and complete in itself, since it outlives
the agent that laid it down. UNFINISHED is a file that is there while PREFIX is being made: what a kill left half done is thrown away.
"""
import fcntl
import hashlib
import http.client
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request

TRIES = 3
SILENCE_S = 60


class Refused(Exception):
    pass


def main(prefix, unfinished, url):
    lock = os.open(unfinished + '.lock', os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    if os.path.exists(unfinished):
        shutil.rmtree(prefix, ignore_errors=True)
    elif os.path.exists(os.path.join(prefix, 'bin', 'conda')):
        return
    elif os.path.lexists(prefix):
        raise Refused('%s is there already and has no bin/conda: move it away' % prefix)
    sys.stderr.write('styx: installing conda (Miniforge) in %s\n' % prefix)
    installer = unfinished + '.sh'
    _fetch(url, installer)
    open(unfinished, 'ab').close()
    # The child keeps the lock should this process be killed.
    code = subprocess.call(['bash', installer, '-b', '-p', prefix], stdin=subprocess.DEVNULL, stdout=2, pass_fds=[lock])
    if code or not os.path.exists(os.path.join(prefix, 'bin', 'conda')):
        raise Refused('the installer of Miniforge failed with code %d (its words are above)' % code)
    # So that `ssh` to the node and its scripts have it, as after SkyPilot's.
    subprocess.call([os.path.join(prefix, 'bin', 'conda'), 'init', 'bash'], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    os.unlink(unfinished)
    os.unlink(installer)


def _fetch(url, path):
    wanted = _tried(url + '.sha256', lambda answer: answer.read(4096).split())
    found = _tried(url, lambda answer: _saved(answer, path))
    if not wanted or found != wanted[0].decode('ascii', 'replace').lower():
        os.unlink(path)
        raise Refused('%s does not have the SHA-256 that %s.sha256 tells' % (url, url))


def _tried(url, read):
    for attempt in range(1, TRIES + 1):
        try:
            with urllib.request.urlopen(url, timeout=SILENCE_S) as answer:
                return read(answer)
        except (OSError, http.client.HTTPException, ValueError) as error:
            refused = isinstance(error, ValueError) or isinstance(error, urllib.error.HTTPError) and error.code < 500
            if refused or attempt == TRIES:
                raise Refused('%s cannot be fetched: %s' % (url, getattr(error, 'reason', None) or error))
        time.sleep(attempt)


def _saved(answer, path):
    """SHA-256 of what was saved, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, 'wb') as file:
        for piece in iter(lambda: answer.read(1 << 20), b''):
            digest.update(piece)
            file.write(piece)
    return digest.hexdigest()


if __name__ == '__main__':
    try:
        main(*sys.argv[1:])
    except (Refused, OSError) as error:
        sys.stderr.write('styx: conda could not be installed: %s\n' % error)
        sys.stderr.write('styx: see provision.install_conda of the configuration; STYX_MINIFORGE_URL in `envs` names another source\n')
        sys.exit(1)
