import os
import random
import shutil
import subprocess
import sys
import time

import pytest
from conftest import AGENT, Broken, Failed, in_threads, until


def lines(path):
    with open(path) as file:
        return file.read().splitlines()


def test_twenty_who_ask_at_once_start_one(machine):
    channels = in_threads([machine.connect] * 5)
    assert len({channel.hello['pid'] for channel in channels}) == 1, 'one daemon, though five found none'

    def ask(channel):
        return lambda: [channel.start('j', 'echo x >> ~/ledger; sleep 0.1') for _ in range(4)]

    states = sum(in_threads([ask(channel) for channel in channels]), [])
    assert len({state['startedAt'] for state in states}) == 1
    assert channels[0].exit_of('j')['exitCode'] == 0
    assert channels[0].start('j', 'echo x >> ~/ledger')['state'] == 'exited'
    assert lines(machine.path('ledger')) == ['x']


def test_kill_9_of_the_daemon_at_any_moment_loses_and_doubles_nothing(machine):
    rng = random.Random(7)
    machine.connect()
    jobs = ['j%d' % number for number in range(30)]
    kills = 0
    for number, job in enumerate(jobs):
        killed = rng.random() < 0.7
        while True:
            try:
                channel = machine.connect()
                if killed:
                    killed = False
                    kills += 1
                    # Asked, and dead before, in or after the start.
                    channel.send(op='start', id=1, jobKey=job, phase='run', rank=0, env={}, owner='o',
                                 script='echo %s >> ~/ledger; sleep 0.0%d; exit %d' % (job, rng.randrange(10), number))
                    time.sleep(rng.random() * 0.01)
                    machine.kill_daemon()
                channel.start(job, 'echo %s >> ~/ledger; exit %d' % (job, number))
                channel.close()
                break
            except (Broken, ProcessLookupError):
                pass
    channel = machine.connect()
    until(lambda: all(state['state'] == 'exited' for state in channel.call('processes')))
    assert {state['jobKey']: state['exitCode'] for state in channel.call('processes')} == {
        job: number for number, job in enumerate(jobs)
    }
    assert sorted(lines(machine.path('ledger'))) == sorted(jobs)
    seen = []
    for message in channel.stream('events', since=0):
        seen.append(message['event'])
        if sum(event['type'] == 'exited' for event in seen) == len(jobs):
            break
    assert [event['seq'] for event in seen] == list(range(1, len(seen) + 1))
    seen = [event for event in seen if event['type'] == 'exited']
    assert sorted(event['process']['jobKey'] for event in seen) == sorted(jobs)
    assert kills > 10


def test_an_intent_that_a_dead_daemon_left_is_carried_out_by_the_next(machine):
    machine.connect().start('before', 'true')
    machine.kill_daemon()
    make = 'import process, paths, procfs; paths.prepare(); process.create(%r, "echo ran >> ~/ledger; exit 6", {"A": "b"}, {}, "o", %s)'
    for key, boot in ((('left', 'run', 0), 'procfs.boot_id()'), (('old', 'run', 0), '"another boot"')):
        subprocess.check_call([sys.executable, '-c', make % (key, boot)], env=dict(machine.environment, PYTHONPATH=AGENT))
    channel = machine.connect()
    assert channel.exit_of('left')['exitCode'] == 6
    lost = channel.exit_of('old')
    assert (lost['exitCode'], lost['lost']) == (137, True)
    assert lines(machine.path('ledger')) == ['ran']


def test_a_process_whose_runner_vanished_is_lost(machine):
    channel = machine.connect()
    channel.start('j', 'sleep 60')
    claim = until(lambda: os.path.islink(machine.path('.styx-agent/jobs/j/run-0/claim')) and
                  os.readlink(machine.path('.styx-agent/jobs/j/run-0/claim')))
    machine.kill_daemon()
    for pid in machine.marked('STYX_JOB=j'):
        os.kill(pid, 9)
    # A process that is killed is there for a moment more.
    until(lambda: int(claim.split('.')[0]) not in machine.marked())
    state = machine.connect().exit_of('j')
    assert (state['exitCode'], state['lost'], state['cancelled']) == (137, True, False)


@pytest.mark.parametrize('script, code', [
    ('true', 0), ('false', 1), ('exit 255', 255), ('nosuchcommand', 127), ('kill -9 $$', 137), ('exec sh -c "kill -TERM \\$\\$"', 143),
    ('exec sh -c "kill -SEGV \\$\\$"', 139), ('false\ntrue', 0), ('(exit 7)', 7),
])
def test_exit_codes_are_those_of_the_shell(machine, script, code):
    channel = machine.connect()
    channel.start('j', script)
    state = channel.exit_of('j')
    assert (state['exitCode'], state['lost'], state['cancelled'], state['owner']) == (code, False, False, 'owner of j')
    assert state['startedAt'] <= state['endedAt'] + 0.1


def test_scripts_run_as_in_skypilot(machine):
    with open(machine.path('.bashrc'), 'w') as file:
        file.write('echo from bashrc\nexport FROM_RC=1 NAME=rc\nalias greet="echo aliased"\n')
    channel = machine.connect()
    channel.start('j', '''echo $FROM_RC $NAME; greet; pwd; false; echo "wow!x"; cat; yes | head -n 1; echo err >&2
[[ $- == *i* ]] && echo interactive; env | grep -c "^SSH_\\|^STYX_CHANNEL"; history | wc -l''', env={'NAME': "ta'sk"})
    assert channel.log('j').splitlines() == [
        'from bashrc', "1 ta'sk", 'aliased', machine.path('sky_workdir'), 'wow!x', 'y', 'err', 'interactive', '0', '0',
    ]
    assert not os.path.exists(machine.path('.bash_history'))


def test_setup_and_ranks_are_processes_of_their_own_with_logs_of_their_own(machine):
    channel = machine.connect()
    for phase, rank in (('setup', 0), ('run', 0), ('run', 1)):
        channel.start('2.1', 'echo %s %d' % (phase, rank), rank=rank, phase=phase)
    assert channel.log('2.1', phase='setup') == 'setup 0\n'
    assert channel.log('2.1', rank=1) == 'run 1\n'
    assert sorted(os.listdir(machine.path('sky_logs', '2.1'))) == ['run-0.log', 'run-1.log', 'setup-0.log']


def test_secrets_do_not_stay_on_disk_after_the_end(machine):
    channel = machine.connect()
    channel.start('j', 'true', env={'TOKEN': 'very-secret'})
    channel.exit_of('j')
    until(lambda: subprocess.call(['grep', '-rq', 'very-secret', machine.home]) == 1)


def test_another_version_replaces_the_daemon_and_adopts_its_jobs(machine):
    other = machine.path('other')
    shutil.copytree(AGENT, other)
    first = machine.connect()
    first.start('j', 'sleep 2; exit 3')
    second = machine.connect(other)
    assert second.hello['version'] == 'other' and second.hello['pid'] != first.hello['pid']
    assert second.call('processes')[0]['state'] == 'running'
    assert second.exit_of('j')['exitCode'] == 3
    with pytest.raises(Broken):
        first.call('contact')


def test_an_idle_job_costs_less_than_a_megabyte_beside_its_own_process(machine):
    channel = machine.connect()
    channel.start('j', 'exec sleep 60')
    runner = int(until(lambda: os.path.islink(machine.path('.styx-agent/jobs/j/run-0/claim')) and
                       os.readlink(machine.path('.styx-agent/jobs/j/run-0/claim'))).split('.')[0])
    with open('/proc/%d/smaps_rollup' % runner) as file:
        private = sum(int(line.split()[1]) for line in file if line.startswith('Private'))
    assert private < 1024
    until(lambda: len(machine.marked('STYX_JOB=j')) == 2)


def test_a_home_with_a_long_path_is_served(machine):
    machine.home = machine.path('a' * 100, 'b' * 100)
    os.makedirs(machine.home)
    machine.environment['HOME'] = machine.home
    channel = machine.connect()
    channel.start('j', 'echo here')
    assert channel.log('j') == 'here\n'
    assert os.stat(machine.path('.styx-agent')).st_mode & 0o777 == 0o700
    assert os.stat(machine.path('.styx-agent/socket')).st_mode & 0o777 == 0o600


def test_the_daemon_ends_when_its_home_is_gone(machine):
    channel = machine.connect()
    pid = channel.hello['pid']
    channel.close()
    shutil.rmtree(machine.path('.styx-agent'))
    until(lambda: pid not in machine.marked() and not machine.marked(), 15)


def test_a_cancelled_job_is_not_started_any_more(machine):
    channel = machine.connect()
    channel.call('cancel', jobKey='j', graceMs=0)
    machine.kill_daemon()
    with pytest.raises(Failed) as failure:
        machine.connect().start('j', 'echo x > ~/ledger')
    assert failure.value.kind == 'aborted'
    assert not os.path.exists(machine.path('ledger'))
