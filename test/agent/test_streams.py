import base64
import os
import pty
import resource
import subprocess
import sys
import time

import pytest
from conftest import AGENT, Failed, until


def test_events_are_replayed_from_any_number_over_restarts(machine):
    channel = machine.connect()
    for number in range(5):
        channel.start('j%d' % number, 'exit %d' % number)
        channel.exit_of('j%d' % number)
    machine.kill_daemon()
    channel = machine.connect()
    channel.start('last', 'exit 9')
    channel.exit_of('last')
    everything = []
    for message in channel.stream('events', since=0):
        everything.append(message['event'])
        if everything[-1].get('process', {}).get('jobKey') == 'last':
            break
    assert [event['seq'] for event in everything] == list(range(1, len(everything) + 1))
    for since in range(len(everything)):
        assert next(machine.connect().stream('events', since=since))['event'] == everything[since]


def test_a_reader_that_is_ahead_knows_another_agent_and_gets_everything(machine):
    channel = machine.connect()
    channel.start('j', 'true')
    channel.exit_of('j')
    assert next(machine.connect().stream('events', since=99))['event']['seq'] == 1


def test_a_torn_last_event_is_dropped_and_its_number_given_again(machine):
    channel = machine.connect()
    channel.start('j', 'true')
    channel.exit_of('j')
    machine.kill_daemon()
    with open(machine.path('.styx-agent', 'events.jsonl'), 'ab') as file:
        file.write(b'{"seq": 2, "type": "exi')
    channel = machine.connect()
    channel.start('k', 'exit 1')
    assert channel.exit_of('k')['exitCode'] == 1
    with open(machine.path('.styx-agent', 'events.jsonl'), 'rb') as file:
        assert b'exi{' not in file.read()


def test_the_record_of_events_is_bounded_and_goes_on_counting(machine):
    program = '''
import paths; paths.prepare()
import events
log = events.Events()
for number in range(events.TRIM * 2 + 10):
    log.append('sessions', count=number) if number % 2 else log.append('exited', process={'jobKey': str(number), 'phase': 'run', 'rank': 0})
again = events.Events()
assert again.last == log.last == events.TRIM * 2 + 10, again.last
assert again.lines == log.lines and len(again.lines) <= events.TRIM
seqs = [seq for seq, _ in again.lines]
assert seqs == sorted(seqs)
'''
    subprocess.run([sys.executable, '-c', program], env=dict(machine.environment, PYTHONPATH=AGENT), check=True)


def test_of_what_a_job_says_of_its_progress_the_record_keeps_the_latest(machine):
    program = '''
import json
import paths; paths.prepare()
import events
log = events.Events()
log.append('progress', jobKey='ended', line='1')
for number in range(events.TRIM):
    log.append('progress', jobKey='runs', line=str(number))
log.append('progress', jobKey='last', line='0.5')
told = [json.loads(line.decode()) for _, line in log.lines]
assert {event['jobKey']: event['line'] for event in told} == {'ended': '1', 'runs': str(events.TRIM - 1), 'last': '0.5'}, told[:5]
assert len(told) <= 4, len(told)
'''
    subprocess.run([sys.executable, '-c', program], env=dict(machine.environment, PYTHONPATH=AGENT), check=True)


def test_a_log_reader_that_acknowledges_nothing_is_stopped_and_holds_up_nobody(machine):
    channel = machine.connect()
    channel.start('big', 'head -c 20000000 /dev/zero')
    channel.exit_of('big')
    stream = channel.stream('logs', jobKey='big', phase='run', rank=0, follow=False, **{'from': {'offset': 0}})
    got = 0
    while got < 256 * 1024:
        got += len(base64.b64decode(next(stream)['data']))
    number = channel.number
    assert channel.call('stats')['running'] == 0
    channel.start('next', 'exit 4')
    assert channel.exit_of('next')['exitCode'] == 4
    assert got == 256 * 1024
    channel.send(id=number, ack=1000)
    assert channel._line()['offset'] == 256 * 1024
    with open('/proc/%d/status' % channel.hello['pid']) as file:
        peak = [int(line.split()[1]) for line in file if line.startswith('VmHWM')][0]
    assert peak < 25 * 1024


def test_a_client_that_never_reads_holds_up_nobody(machine):
    stuck, channel = machine.connect(), machine.connect()
    channel.start('big', 'head -c 20000000 /dev/zero')
    channel.exit_of('big')
    for number in range(100, 140):
        stuck.send(id=number, op='logs', jobKey='big', phase='run', rank=0, follow=False, **{'from': {'offset': 0}})
    began = time.monotonic()
    for _ in range(20):
        channel.call('contact')
    assert time.monotonic() - began < 2


def test_binary_output_arrives_as_it_was(machine):
    channel = machine.connect()
    channel.start('j', r"printf '\000\001\377\n\200'")
    channel.exit_of('j')
    stream = channel.stream('logs', jobKey='j', phase='run', rank=0, follow=True, **{'from': {'offset': 1}})
    assert base64.b64decode(next(stream)['data']) == b'\x01\xff\n\x80'


def test_a_followed_log_shows_lines_as_they_are_written(machine):
    channel = machine.connect()
    channel.start('j', 'for i in 1 2 3; do date +%s.%N; sleep 0.4; done')
    for message in channel.stream('logs', jobKey='j', phase='run', rank=0, follow=True, **{'from': {'offset': 0}}):
        written = base64.b64decode(message['data']).decode().split()
        assert len(written) == 1 and time.time() - float(written[0]) < 0.35


def test_a_reader_in_no_hurry_gets_lines_together_and_the_end_at_once(machine):
    channel = machine.connect()
    channel.start('j', 'for i in 1 2 3 4 5 6; do echo $i; sleep 0.2; done')
    began = time.monotonic()
    stream = channel.stream('logs', jobKey='j', phase='run', rank=0, follow=True, paceMs=60000, **{'from': {'offset': 0}})
    written = [base64.b64decode(message['data']).decode() for message in stream]
    assert ''.join(written) == '1\n2\n3\n4\n5\n6\n'
    assert len(written) <= 2 and time.monotonic() - began < 30


@pytest.mark.parametrize('fields, kind', [
    ({'op': 'logs', 'jobKey': 'j', 'phase': 'run', 'rank': 0, 'follow': True, 'paceMs': 0, 'from': {'offset': 0}}, 'not-found'),
    ({'op': 'nonsense'}, 'invalid'),
    ({'op': 'logs', 'jobKey': 'unknown', 'phase': 'run', 'rank': 0, 'from': {'offset': 0}}, 'not-found'),
    ({'op': 'logs', 'jobKey': '../..', 'phase': 'run', 'rank': 0, 'from': {'offset': 0}}, 'invalid'),
    ({'op': 'cancel', 'jobKey': 'j', 'graceMs': -1}, 'invalid'),
    ({'op': 'start', 'jobKey': 'j', 'phase': 'ruin', 'rank': 0}, 'invalid'),
    ({'op': 'start', 'jobKey': 'j', 'phase': 'run', 'rank': '0; touch x'}, 'invalid'),
    ({'op': 'start', 'jobKey': 'j', 'phase': 'run', 'rank': 0, 'script': 'true', 'env': {'A': 'x' * 200000}, 'owner': 'o'}, 'invalid'),
    ({'op': 'events', 'since': 'x'}, 'invalid'),
])
def test_bad_requests_get_an_error_and_the_channel_goes_on(machine, fields, kind):
    channel = machine.connect()
    operation = fields.pop('op')
    with pytest.raises(Failed) as failure:
        channel.call(operation, **fields)
    assert failure.value.kind == kind
    assert channel.call('processes') == []


def test_stats_tell_the_machine(machine):
    stats = machine.connect().call('stats')
    assert 0 <= stats['cpu'] <= 1
    assert 0 < stats['memoryUsed'] < stats['memoryTotal']
    assert 0 < stats['diskUsed'] < stats['diskTotal']
    assert len(stats['bootId']) > 10


def test_gpus_are_what_nvidia_smi_says(machine):
    os.mkdir(machine.path('bin'))
    with open(machine.path('bin', 'nvidia-smi'), 'w') as file:
        file.write('#!/bin/sh\necho "NVIDIA H100, 50, 1024, 81559"\necho "NVIDIA H100, [N/A], 0, 81559"\n')
    os.chmod(machine.path('bin', 'nvidia-smi'), 0o755)
    machine.environment['PATH'] = machine.path('bin') + ':' + machine.environment['PATH']
    channel = machine.connect()
    gpus = until(lambda: channel.call('stats')['gpus'])
    assert gpus[0] == {'name': 'NVIDIA H100', 'used': 0.5, 'memoryUsed': 1024 * 2 ** 20, 'memoryTotal': 81559 * 2 ** 20}
    assert len(gpus) == 2


class Person:
    """Somebody's shell in an SSH session, with a terminal, as a server starts it."""

    def __init__(self, machine, **more):
        # Known as this test's own by STYX_INSTANCE, since the machine that runs the tests may have sessions of its own.
        environment = dict(machine.environment, SSH_CONNECTION='10.0.0.1 5 10.0.0.2 22', **more)
        self.pid, self.terminal = pty.fork()
        if not self.pid:
            os.execve('/bin/sh', ['sh', '-i'], environment)

    def leave(self):
        os.close(self.terminal)
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)


def test_sessions_of_people_are_counted_and_ours_are_not(machine):
    machine.environment['STYX_INSTANCE'] = machine.home
    channel = machine.connect()
    machine.connect()
    assert channel.call('stats')['sessions'] == 0
    people = [Person(machine), Person(machine), Person(machine, STYX_CHANNEL='1'), Person(machine, TMUX='x')]
    try:
        until(lambda: channel.call('stats')['sessions'] == 2)
        channel.start('j', 'setsid sleep 100 & sleep 100')
        time.sleep(0.3)
        assert channel.call('stats')['sessions'] == 2
    finally:
        for person in people:
            person.leave()
    until(lambda: channel.call('stats')['sessions'] == 0)
    counts = []
    for message in channel.stream('events', since=0):
        if message['event']['type'] == 'sessions':
            counts.append(message['event']['count'])
            if counts[-1] == 0:
                break
    assert counts[-2:] == [2, 0]


def test_an_idle_daemon_is_small_and_sleeps(machine):
    channel = machine.connect()
    with open('/proc/%d/smaps_rollup' % channel.hello['pid']) as file:
        private = sum(int(line.split()[1]) for line in file if line.startswith('Private'))
    assert private < 12 * 1024

    def ticks():
        with open('/proc/%d/stat' % channel.hello['pid']) as file:
            return sum(int(part) for part in file.read().rpartition(')')[2].split()[11:13])

    before = ticks()
    time.sleep(4)
    assert ticks() - before <= 4 * resource.getpagesize() // 4096
