"""What stands between an SSH channel and the daemon."""
import os
import shutil
import subprocess

from conftest import AGENT, PYTHON, Broken, until


def command_of(pid):
    try:
        with open('/proc/%d/cmdline' % pid, 'rb') as file:
            return file.read().split(b'\0')
    except OSError:
        return [b'']


def descriptors(pid):
    return len(os.listdir('/proc/%d/fd' % pid))


def test_a_channel_costs_no_interpreter_of_its_own(machine):
    channel = machine.connect()
    channel.start('j', 'sleep 60')
    assert command_of(channel.process.pid)[0] == b'/bin/sh'
    # Not one that had to be started anew.
    assert b'serve' in command_of(channel.hello['pid'])

    def pythons():
        return [pid for pid in machine.marked() if PYTHON.encode() in command_of(pid)[0]]

    # What it forks is one too, until it has become another program.
    until(lambda: len(pythons()) == 1)


def test_a_channel_ends_with_its_daemon(machine):
    channel = machine.connect()
    channel.call('contact')
    machine.kill_daemon()
    assert channel.process.stdout.read() == b''
    assert channel.process.wait(10) == 0


def test_a_channel_ends_when_its_client_goes_and_leaves_nothing_open(machine):
    kept = machine.connect()
    kept.call('contact')
    daemon = kept.hello['pid']
    before = descriptors(daemon)
    leaving = [machine.connect() for _ in range(3)]
    for channel in leaving:
        channel.call('contact')
    assert descriptors(daemon) == before + 9
    leaving[0].process.stdin.close()
    assert leaving[0].process.wait(10) == 0
    leaving[1].process.kill()
    leaving[2].send(nonsense=True)
    assert leaving[2].process.wait(10) == 0
    until(lambda: descriptors(daemon) == before)
    kept.call('contact')


def test_a_job_has_nothing_of_a_channel(machine):
    channel = machine.connect()
    channel.start('j', 'ls -l /proc/$$/fd | grep -cE "socket|pipe"')
    channel.exit_of('j')
    assert channel.log('j') == '0\n'


def test_a_client_that_reads_nothing_holds_up_nobody_and_gets_all_later(machine):
    slow, other = machine.connect(), machine.connect()
    slow.start('j', 'head -c 3000000 /dev/zero | tr "\\0" x')
    slow.exit_of('j')
    for number in range(100, 110):
        slow.send(id=number, op='logs', jobKey='j', phase='run', rank=0, **{'from': {'offset': 0}})
    slow.send(id=99, op='contact')
    for _ in range(20):
        other.call('contact')
    sizes = dict.fromkeys(range(100, 110), 0)
    answered = False
    while not answered or any(size < 3000000 for size in sizes.values()):
        message = slow._line()
        if message['id'] == 99:
            answered = True
        elif 'data' in message:
            taken = len(message['data']) * 3 // 4 - message['data'].count('=')
            sizes[message['id']] += taken
            slow.send(id=message['id'], ack=taken)


def test_a_daemon_that_takes_no_descriptors_is_replaced_though_any_would_do(machine, tmp_path):
    old = str(tmp_path / 'old')
    shutil.copytree(AGENT, old, ignore=shutil.ignore_patterns('__pycache__'))
    with open(os.path.join(old, 'daemon.py')) as file:
        text = file.read()
    assert ', takes=True' in text
    with open(os.path.join(old, 'daemon.py'), 'w') as file:
        file.write(text.replace(', takes=True', ''))
    daemon = subprocess.Popen([PYTHON, '-I', '-S', os.path.join(old, 'main.py'), 'daemon'], env=machine.environment)
    until(lambda: os.path.exists(machine.path('.styx-agent', 'socket')))
    channel = machine.connect()
    assert daemon.wait(10) == 0
    assert channel.call('contact') is None


def test_what_comes_without_descriptors_does_not_end_the_daemon(machine):
    channel = machine.connect()
    try:
        channel.call('take')
        raise AssertionError('it was taken twice')
    except Broken:
        pass
    assert machine.connect().hello['pid'] == channel.hello['pid']
