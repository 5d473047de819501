"""
`main.py receive`: one sync of one job to this node, over stdin and stdout of an SSH session of its own. Says what it lacks, takes the
bytes, puts them in place. At most one runs on a node, and a job's files are put there once: see docs/agent-protocol.md.
"""
import errno
import fcntl
import gc
import json
import os
import select
import time
import zlib

import paths
import process as records
import request
from errors import Refused, invalid
from owned import FOLDER
from tree import Tree

#: Seconds of silence of the other end after which it counts as gone.
_SILENCE = 60
#: Of a read: a socket holds no more, and what is asked for is allocated first.
_CHUNK = 256 * 1024
_MAX_MANIFEST = 512 * 1024 * 1024
#: Until what is written next has another time.
_TICK = 0.012


class Gone(Exception):
    """The other end closed, or has been silent for too long."""


class Input:
    def __init__(self, fd):
        self.fd = fd
        self.data = b''
        self.at = 0

    def is_open(self):
        """Without waiting. What has come is kept."""
        if not select.select([self.fd], [], [], 0)[0]:
            return True
        more = os.read(self.fd, _CHUNK)
        self.data, self.at = self.data[self.at :] + more, 0
        return bool(more)

    def _more(self):
        if not select.select([self.fd], [], [], _SILENCE)[0]:
            raise Gone()
        data = os.read(self.fd, _CHUNK)
        if not data:
            raise Gone()
        return data

    def line(self):
        while self.data.find(b'\n', self.at) < 0:
            self.data, self.at = self.data[self.at :] + self._more(), 0
        end = self.data.index(b'\n', self.at)
        message = json.loads(self.data[self.at : end].decode())
        self.at = end + 1
        if not isinstance(message, dict):
            raise ValueError
        return message

    def chunks(self, size):
        """`size` bytes as they come."""
        while size > 0:
            if self.at == len(self.data):
                self.data, self.at = self._more(), 0
            end = min(len(self.data), self.at + size)
            yield self.data[self.at : end]
            size -= end - self.at
            self.at = end


def receive():
    # Lists of a hundred thousand files are looked through again and again otherwise; this process does not live long.
    gc.disable()
    paths.prepare()
    os.makedirs(FOLDER, 0o700, exist_ok=True)
    os.umask(0o022)
    source = Input(0)
    try:
        _say(_sync(source))
    except Gone:
        return 1
    except Refused as refused:
        _say({'styx': 'refused', 'kind': refused.kind, 'message': str(refused)})
    except (ValueError, KeyError, TypeError, zlib.error) as error:
        _say({'styx': 'refused', 'kind': 'invalid', 'message': 'the files did not come in the form agreed on: %s' % error})
    except OSError as error:
        # Whether it may be written, and where there is room, does not change by itself.
        lasting = error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENAMETOOLONG)
        _say({'styx': 'refused', 'kind': 'invalid' if lasting else 'transient', 'message': 'the node could not do it: %s' % error})
    return 0


def _sync(source):
    header = source.line()
    key = request.job_key(header)
    lock = _lock(source)
    try:
        done = _done_mark(key)
        if os.path.exists(done) or records.load_job(key):
            # Also asked by somebody who was late: the job may have begun, and another one may have put its own files there.
            return {'styx': 'done', 'files': 0, 'bytes': 0}
        if records.is_cancelled(key):
            raise Refused('aborted', 'job %s was cancelled' % key)
        trees = [(Tree(tree['target'], tree.get('at')), tree['manifest']) for tree in header['trees']]
        files = size = 0
        for index, (tree, wanted) in enumerate(trees):
            taken = _one(source, index, tree, wanted)
            files, size = files + taken[0], size + taken[1]
        if any(tree.dirty for tree, _ in trees):
            time.sleep(_TICK)
        for tree, _ in trees:
            tree.settle()
        os.makedirs(os.path.dirname(done), 0o700, exist_ok=True)
        paths.write_whole(done, json.dumps([tree['manifest'] for tree in header['trees']]).encode(), lasting=False)
        return {'styx': 'done', 'files': files, 'bytes': size}
    finally:
        os.close(lock)


def _one(source, index, tree, wanted):
    """(files, bytes) that came."""
    if tree.is_untouched(wanted):
        return 0, 0
    data = tree.owned.manifest_bytes(wanted)
    if data is None:
        _say({'styx': 'manifest', 'tree': index})
        size = source.line()['size']
        unpacker = zlib.decompressobj()
        data = unpacker.decompress(b''.join(source.chunks(size)), _MAX_MANIFEST)
    tree.compare(data, wanted)
    size = sum(tree.entries[at][3] for at in tree.lacking)
    _check_room(tree, size)
    tree.prepare()
    if tree.lacking:
        _say({'styx': 'lacks', 'tree': index, 'ranges': _ranges(tree.lacking)})
        for at in tree.lacking:
            tree.put(at, source.chunks(tree.entries[at][3]))
    tree.finish()
    return len(tree.lacking), size


def _check_room(tree, size):
    disk = os.statvfs(os.path.dirname(paths.HOME))
    free = disk.f_bavail * disk.f_frsize
    if size > free:
        raise invalid('%s needs %d MB more than the node has free' % (tree.written, (size - free) // 1000000 + 1))


def _ranges(numbers):
    """Ascending numbers as [first, last] pairs."""
    found = []
    for number in numbers:
        if found and found[-1][1] == number - 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return found


def _lock(source):
    """One sync at a time; whoever waits here without anybody at its other end gives up."""
    lock = os.open(os.path.join(FOLDER, 'lock'), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return lock
        except OSError:
            if not source.is_open():
                raise Gone()
            time.sleep(0.02)


def _done_mark(key):
    return os.path.join(paths.JOBS, key, 'files')


def _say(message):
    data = json.dumps(message).encode() + b'\n'
    while data:
        data = data[os.write(1, data) :]

