import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import zlib

import pytest
from conftest import AGENT, PYTHON, exists, until
from trees import File, Folder, Link, Manifest, shape, wanted


class Refused(Exception):
    def __init__(self, answer):
        Exception.__init__(self, answer['message'])
        self.kind = answer['kind']


class Sender:
    """The other end of `main.py receive`."""

    def __init__(self, home):
        self.environment = {'HOME': home, 'PATH': os.environ['PATH'], 'STYX_TEST_HOME': home}
        self.sent = 0

    def start(self):
        command = [PYTHON, '-I', '-S', os.path.join(os.path.abspath(AGENT), 'main.py'), 'receive']
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=self.environment)

    def send(self, job, trees, break_after=None, at={}):
        """`trees`: {target: Manifest}; `at`: {target: path} where the machine made room. With `break_after` only so many bytes of files are sent, then the connection breaks."""
        process = self.start()
        manifests = list(trees.values())
        self.sent = 0
        try:
            named = [dict({'target': t, 'manifest': m.hash}, **({'at': at[t]} if t in at else {})) for t, m in trees.items()]
            self._say(process, {'jobKey': job, 'trees': named})
            while True:
                line = process.stdout.readline()
                if not line:
                    raise EOFError()
                message = json.loads(line.decode())
                if message['styx'] == 'done':
                    return message
                if message['styx'] == 'refused':
                    raise Refused(message)
                manifest = manifests[message['tree']]
                if message['styx'] == 'manifest':
                    data = zlib.compress(manifest.data)
                    self._say(process, {'size': len(data)})
                else:
                    data = manifest.bytes_of(message['ranges'])
                if break_after is not None and message['styx'] == 'lacks':
                    data = data[:break_after]
                self.sent += len(data)
                process.stdin.write(data)
                process.stdin.flush()
                if break_after is not None and message['styx'] == 'lacks':
                    raise EOFError()
        finally:
            process.stdin.close()
            process.wait(20)
            process.stdout.close()

    def _say(self, process, message):
        process.stdin.write(json.dumps(message).encode() + b'\n')
        process.stdin.flush()


@pytest.fixture
def home():
    made = tempfile.mkdtemp(prefix='styx-r-')
    yield made
    subprocess.call(['chmod', '-R', 'u+rwX', made])
    shutil.rmtree(made)


def put(home, job, tree, target='~/sky_workdir', **more):
    sender = Sender(home)
    sender.send(job, {target: Manifest(tree)}, **more)
    return sender.sent


def top(home, name='sky_workdir'):
    return os.path.join(home, name)


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'w') as file:
        file.write(text)


TREE = {'a': 'a', 'd/b': File('b', 0o755), 'd/e/f': 'deep', 'empty': Folder(0o750), 'link': Link('../nowhere'), 'né': 'é'}


def test_the_tree_is_what_the_manifest_says(home):
    put(home, 'j1', TREE)
    assert shape(top(home)) == wanted(TREE)


def test_what_is_there_is_not_sent_again(home):
    put(home, 'j1', TREE)
    assert put(home, 'j2', TREE) == 0
    changed = dict(TREE, a='A')
    assert put(home, 'j3', changed) < 1000
    assert shape(top(home)) == wanted(changed)


def test_a_job_gets_its_files_once(home):
    put(home, 'j1', TREE)
    other = {'other': 'files'}
    put(home, 'j2', other)
    # Late, or once more: the job has begun, and these are another one's now.
    assert put(home, 'j1', TREE) == 0
    assert shape(top(home)) == wanted(other)


def test_a_job_that_was_cancelled_gets_no_files(machine):
    channel = machine.connect()
    channel.call('cancel', jobKey='j1', graceMs=0)
    with pytest.raises(Refused) as refused:
        put(machine.home, 'j1', TREE)
    assert refused.value.kind == 'aborted'
    assert not os.path.exists(top(machine.home))


def test_what_jobs_made_and_changed_stays_and_what_left_the_task_goes(home):
    put(home, 'j1', {'kept': 'k', 'gone': 'g', 'changed': 'c', 'd/gone': 'g', 'd2/gone': 'g', 'l': Link('x')})
    write(top(home) + '/made', 'by a job')
    write(top(home) + '/d/made', 'by a job')
    write(top(home) + '/changed', 'by a job')
    put(home, 'j2', {'kept': 'k'})
    found = shape(top(home))
    assert sorted(found) == ['changed', 'd', 'd/made', 'kept', 'made']
    assert found['changed'][2] == b'by a job'


def test_a_file_that_a_job_changed_is_replaced_when_the_task_brings_it(home):
    put(home, 'j1', {'f': 'ours', 'g': 'ours'})
    about = os.stat(top(home) + '/f')
    write(top(home) + '/f', 'OURS')
    os.utime(top(home) + '/f', ns=(about.st_atime_ns, about.st_mtime_ns))
    os.unlink(top(home) + '/g')
    put(home, 'j2', {'f': 'ours', 'g': 'ours'})
    assert shape(top(home)) == wanted({'f': 'ours', 'g': 'ours'})


def test_links_are_not_followed_below_the_target(home):
    outside = os.path.join(home, 'outside')
    write(outside + '/b', 'not yours')
    put(home, 'j1', {'d/b': 'b'})
    shutil.rmtree(top(home) + '/d')
    os.symlink(outside, top(home) + '/d')
    put(home, 'j2', {'d/b': 'new'})
    assert shape(top(home)) == wanted({'d/b': 'new'})
    shutil.rmtree(top(home) + '/d')
    os.symlink(outside, top(home) + '/d')
    put(home, 'j3', {'other': 'x'})
    with open(outside + '/b') as file:
        assert file.read() == 'not yours'


@pytest.mark.parametrize(
    'target,link,message',
    [
        ('~/sky_workdir', 'sky_workdir', 'out of the home directory'),
        ('~/d/inner', 'd', 'out of the home directory'),
        ('~/agent', None, 'out of the home directory'),
        ('nothing', None, 'a target is'),
        ('/styx-test/data', None, 'this machine has made no room there'),
    ],
)
def test_a_target_that_leads_elsewhere_is_refused_before_anything_is_done(home, target, link, message):
    elsewhere = tempfile.mkdtemp(prefix='styx-e-')
    try:
        if link:
            os.symlink(elsewhere, os.path.join(home, link))
        if target == '~/agent':
            os.makedirs(os.path.join(home, '.styx-agent', 'bin'))
            os.symlink('.styx-agent/bin', os.path.join(home, 'agent'))
        with pytest.raises(Refused) as refused:
            put(home, 'j1', TREE, target)
        assert refused.value.kind == 'invalid' and message in str(refused.value)
        assert os.listdir(elsewhere) == []
    finally:
        shutil.rmtree(elsewhere)


@pytest.mark.parametrize(
    'entry',
    [
        ['f', '../x', 0o644, 1, 0, 'a' * 64],
        ['f', '/etc/x', 0o644, 1, 0, 'a' * 64],
        ['f', 'link/x', 0o644, 1, 0, 'a' * 64],
        ['f', 'a\nb', 0o644, 1, 0, 'a' * 64],
        ['f', 'a\0b', 0o644, 1, 0, 'a' * 64],
        ['f', 'x', 0o4755, 1, 0, 'a' * 64],
        ['f', 'x', 0o644, -1, 0, 'a' * 64],
        ['f', 'x', 0o644, 1, 0, '../../x'],
        ['l', 'x', ''],
        ['p', 'x', 0o644],
        ['d', '..', 0o755],
        'x',
    ],
)
def test_a_hostile_manifest_is_refused_before_anything_is_done(home, entry):
    manifest = Manifest({'link': Link('/tmp')})
    manifest.entries.append(entry)
    manifest.blobs.append(b'x')
    manifest.data = json.dumps({'version': 1, 'root': 'directory', 'entries': manifest.entries}).encode()
    import hashlib

    manifest.hash = hashlib.sha256(manifest.data).hexdigest()
    with pytest.raises(Refused) as refused:
        Sender(home).send('j1', {'~/sky_workdir': manifest})
    assert refused.value.kind == 'invalid'
    assert not os.path.exists(top(home))


def test_bytes_that_are_not_what_they_should_be_are_not_put_in_place(home):
    manifest = Manifest({'f': 'right'})
    manifest.blobs = [b'wrong']
    with pytest.raises(Refused) as refused:
        Sender(home).send('j1', {'~/sky_workdir': manifest})
    assert refused.value.kind == 'transient'
    assert os.listdir(top(home)) == []


def test_a_directory_with_files_of_a_job_does_not_give_way_to_a_file(home):
    put(home, 'j1', {'x/ours': 'a'})
    write(top(home) + '/x/made', 'by a job')
    with pytest.raises(Refused) as refused:
        put(home, 'j2', {'x': 'a file now'})
    assert refused.value.kind == 'invalid' and 'sky_workdir/x' in str(refused.value)
    assert sorted(shape(top(home))) == ['x', 'x/made', 'x/ours']
    os.unlink(top(home) + '/x/made')
    put(home, 'j3', {'x': 'a file now'})
    assert shape(top(home)) == wanted({'x': 'a file now'})


def test_a_file_goes_where_the_mount_says_and_a_directory_there_does_not_give_way(home):
    one = Manifest(File('content', 0o600), 'file')
    Sender(home).send('j1', {'~/deep/er/file': one})
    assert shape(os.path.join(home, 'deep')) == wanted({'er/file': File('content', 0o600)})
    write(home + '/busy/made', 'by a job')
    with pytest.raises(Refused) as refused:
        Sender(home).send('j2', {'~/busy': one})
    assert refused.value.kind == 'invalid'


def test_trees_come_in_order_so_that_a_mount_may_lie_in_the_workdir(home):
    Sender(home).send('j1', {'~/sky_workdir': Manifest({'data/x': 'workdir', 'y': 'y'}), '~/sky_workdir/data': Manifest({'x': 'mount'})})
    assert shape(top(home)) == wanted({'data/x': 'mount', 'y': 'y'})


def test_what_arrived_before_the_connection_broke_is_not_sent_again(home):
    tree = {'f%02d' % i: bytes([i]) * 10000 for i in range(20)}
    with pytest.raises(EOFError):
        put(home, 'j1', tree, break_after=105000)
    assert put(home, 'j1', tree) < 110000
    assert shape(top(home)) == wanted(tree)


def test_two_syncs_at_once_come_one_after_the_other(home):
    trees = [{'f%d' % i: '%d %d' % (tree, i) for i in range(200)} for tree in range(4)]
    from conftest import in_threads

    results = in_threads([lambda tree=tree: put(home, 'job-%d' % tree, trees[tree]) for tree in range(4)])
    assert all(isinstance(result, int) for result in results), results
    assert shape(top(home)) in [wanted(tree) for tree in trees]


def test_a_sync_whose_other_end_is_gone_ends_and_lets_the_next_one_in(home):
    stuck = Sender(home).start()
    manifest = Manifest(TREE)
    Sender(home)._say(stuck, {'jobKey': 'j1', 'trees': [{'target': '~/sky_workdir', 'manifest': manifest.hash}]})
    assert json.loads(stuck.stdout.readline().decode())['styx'] == 'manifest'
    waiting = Sender(home).start()
    Sender(home)._say(waiting, {'jobKey': 'j2', 'trees': [{'target': '~/sky_workdir', 'manifest': manifest.hash}]})
    time.sleep(0.2)
    waiting.stdin.close()
    until(lambda: waiting.poll() is not None)
    stuck.stdin.close()
    until(lambda: stuck.poll() is not None)
    for process in (stuck, waiting):
        process.stdout.close()
    put(home, 'j3', TREE)
    assert shape(top(home)) == wanted(TREE)


def test_a_sync_that_is_killed_at_any_call_leaves_what_the_next_one_makes_right(home):
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'killed_sync.py')
    done = subprocess.run([sys.executable, script, os.path.abspath(AGENT)], env=dict(os.environ, HOME=home), stdout=subprocess.PIPE, timeout=600)
    assert done.returncode == 0
    assert json.loads(done.stdout.decode())['calls'] > 60


def test_syncs_that_are_killed_at_random_converge(home):
    chance = random.Random(7)
    names = ['a', 'b', 'c', 'd', 'a/x', 'b/x', 'b/y', 'c/z/w', 'd/q']

    def tree():
        made = {}
        for name in chance.sample(names, chance.randint(1, 6)):
            parents = ['/'.join(name.split('/')[:n]) for n in range(1, name.count('/') + 1)]
            if any(parent in made for parent in parents) or any(other.startswith(name + '/') for other in made):
                continue
            made[name] = chance.choice([Link('a'), Folder(0o755), File(os.urandom(chance.choice([1, 100, 300000])), chance.choice([0o600, 0o755]))])
        return made

    for turn in range(40):
        wanted_tree = tree()
        for attempt in range(chance.randint(0, 3)):
            process = Sender(home)
            started = process.start()
            killer = chance.uniform(0.0, 0.09)
            manifest = Manifest(wanted_tree)
            try:
                process._say(started, {'jobKey': 'j%d' % turn, 'trees': [{'target': '~/sky_workdir', 'manifest': manifest.hash}]})
                data = zlib.compress(manifest.data)
                process._say(started, {'size': len(data)})
                started.stdin.write(data)
                started.stdin.flush()
                time.sleep(killer)
            except OSError:
                pass
            started.kill()
            started.wait()
            try:
                started.stdin.close()
            except OSError:
                pass
            started.stdout.close()
            assert not exists(started.pid)
        # The attempt whose answer got lost may have come to its end.
        mark = os.path.join(home, '.styx-agent', 'jobs', 'j%d' % turn, 'files')
        was_done = os.path.exists(mark)
        put(home, 'j%d' % turn, wanted_tree)
        assert shape(top(home)) == wanted(wanted_tree), (turn, was_done)


def test_an_absolute_target_goes_where_its_machine_made_room_and_nowhere_else(home):
    disk = os.path.join(os.path.realpath(home), 'disk')
    os.makedirs(disk + '/there')
    at = {'/data/x': disk + '/new/x', '/file': disk + '/file'}
    trees = {'/data/x': Manifest(TREE), '/file': Manifest(File('one'), 'file')}
    sender = Sender(home)
    sender.send('j1', trees, at=at)
    assert shape(at['/data/x']) == wanted(TREE)
    sender.send('j2', trees, at=at)
    assert sender.sent == 0
    os.symlink('there', disk + '/link')
    for place, message in [
        (disk + '/link', 'leads to %s/there' % disk),
        (disk + '/link/x', 'leads to %s/there/x' % disk),
        (disk + '/../disk/x', 'cannot be filled'),
        ('disk', 'cannot be filled'),
        (disk + '/a\0b', 'cannot be filled'),
    ]:
        with pytest.raises(Refused) as refused:
            sender.send('j3', {'/data': Manifest(TREE)}, at={'/data': place})
        assert refused.value.kind == 'invalid' and message in str(refused.value)
    assert os.listdir(disk + '/there') == []
