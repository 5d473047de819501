"""
HOME=… killed_sync.py AGENT: lets a sync die at each of its calls to the system, one after the other, and prints what was there after the
next one that was let live. Each life is a process of its own; only the messages are handed over without a channel.
"""
import json
import os
import shutil
import sys

sys.path.insert(0, sys.argv[1])
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import paths  # noqa: E402
import receive  # noqa: E402
from trees import File, Folder, Link, Manifest, shape, wanted  # noqa: E402

TOP = os.path.join(paths.HOME, 'sky_workdir')
BIG = b'0123456789abcdef' * 20000

BEFORE = {
    'same': 'same',
    'changed': 'old',
    'gone': 'gone',
    'sub/gone': 'gone too',
    'sub/deep/gone': 'x',
    'becomes-folder': 'file',
    'becomes-file/a': 'a',
    'link': Link('same'),
    'link-becomes-file': Link('elsewhere'),
    'mode': 'm',
    'closed/inner': 'c',
    'job-changes': 'ours',
}
AFTER = {
    'same': 'same',
    'changed': 'new!',
    'becomes-folder/inner': 'now below',
    'becomes-file': 'now a file',
    'link': Link('changed'),
    'link-becomes-file': 'file',
    'mode': File('m', 0o755),
    'closed': Folder(0o500),
    'closed/inner': 'c2',
    'empty': Folder(0o750),
    'big': File(BIG, 0o600),
    'twin': File(BIG),
    'new/one': 'one',
    'job-changes': 'ours again',
}
THIRD = {'same': 'same', 'only': 'this'}
#: What jobs made: stays whatever is synced.
JOBS = {'made-by-job': 'precious', 'sub/made-by-job': 'precious too'}

CALLS = ['rename', 'unlink', 'mkdir', 'rmdir', 'symlink', 'chmod', 'fchmod', 'utime', 'open', 'write']


class Asked:
    """Input of a sync whose other end answers at once."""

    def __init__(self, header, manifest):
        self.lines = [header]
        self.manifest = manifest
        self.data = b''

    def is_open(self):
        return True

    def line(self):
        return self.lines.pop(0)

    def chunks(self, size):
        while size > 0:
            part = self.data[: min(size, 65536)]
            self.data = self.data[len(part) :]
            size -= len(part)
            yield part

    def say(self, message):
        if message['styx'] == 'manifest':
            import zlib

            packed = zlib.compress(self.manifest.data)
            self.lines.append({'size': len(packed)})
            self.data = packed
        elif message['styx'] == 'lacks':
            self.data = self.manifest.bytes_of(message['ranges'])


def sync(job, tree):
    manifest = Manifest(tree)
    asked = Asked({'jobKey': job, 'trees': [{'target': '~/sky_workdir', 'manifest': manifest.hash}]}, manifest)
    receive._say = asked.say
    os.umask(0o022)
    answer = receive._sync(asked)
    assert answer['styx'] == 'done', answer


def die_at(number):
    """From here on the call of this number is the last thing that happens."""
    left = [number]

    def wrap(name):
        real = getattr(os, name)

        def call(*args, **more):
            left[0] -= 1
            if left[0] == 0:
                if name == 'write':
                    real(args[0], args[1][: len(args[1]) // 2])
                os._exit(9)
            return real(*args, **more)

        return call

    for name in CALLS:
        setattr(os, name, wrap(name))


def in_child(work):
    pid = os.fork()
    if pid == 0:
        try:
            work()
            os._exit(0)
        except BaseException:
            import traceback

            traceback.print_exc()
            os._exit(1)
    status = os.waitpid(pid, 0)[1]
    return os.WEXITSTATUS(status)


def begin():
    subprocess_clean()
    paths.prepare()
    os.makedirs(receive.FOLDER, 0o700, exist_ok=True)
    os.umask(0o022)
    sync('before', BEFORE)
    for path, text in JOBS.items():
        with open(os.path.join(TOP, path), 'w') as file:
            file.write(text)
    with open(os.path.join(TOP, 'job-changes'), 'a') as file:
        file.write(' and the job')


def subprocess_clean():
    for name in os.listdir(paths.HOME):
        full = os.path.join(paths.HOME, name)
        os.system('chmod -R u+rwX "%s"' % full)
        shutil.rmtree(full)


def text_of(found):
    return {path: [str(part) for part in held[: 3 if held[0] == 'file' and path not in JOBS else 2]] for path, held in found.items()}


def main():
    number = 0
    while True:
        number += 1
        for label, job, tree in (('again', 'after', AFTER), ('other', 'third', THIRD)):
            assert in_child(begin) == 0

            def cut():
                die_at(number)
                sync('after', AFTER)

            code = in_child(cut)
            if code == 0:
                print(json.dumps({'calls': number - 1}))
                return
            assert code == 9, code
            assert in_child(lambda: sync(job, tree)) == 0
            found = shape(TOP)
            jobs = {path: found.pop(path, None) for path in JOBS}
            expected = wanted(tree)
            if label == 'other':
                expected['sub'] = ('folder', 0o755)
                # What the job changed is the job's, unless the sync that was killed had replaced it.
                kept = found.pop('job-changes', None)
                assert kept is None or kept[2] == b'ours and the job', (number, kept)
            else:
                expected['sub'] = ('folder', 0o755)
            assert found == expected, (number, label, text_of(found), text_of(expected))
            assert all(held and held[2].decode() == JOBS[path] for path, held in jobs.items()), (number, jobs)
            assert not os.path.exists(os.path.join(receive.FOLDER, 'draft')), number


main()
