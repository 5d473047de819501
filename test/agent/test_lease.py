import json
import os
import time

import pytest
from conftest import Failed, until


def power_off(machine, action='stop', text='i-123'):
    return {
        'action': action,
        'command': ['sh', '-c', 'echo %s >> "$1"' % action, 'off', machine.path('off')],
        'identity': {'path': machine.path('identity'), 'text': text},
    }


def lease(machine, after=200, wait_for='jobs_and_ssh', lost=400, text='i-123', idle=True, deadman=None):
    return {
        'idle': {'after': after, 'waitFor': wait_for, 'powerOff': power_off(machine, text=text)} if idle else None,
        'deadman': {'after': deadman, 'powerOff': power_off(machine, 'terminate')} if deadman else None,
        'contactLost': lost,
    }


@pytest.fixture(autouse=True)
def identity(machine):
    with open(machine.path('identity'), 'w') as file:
        file.write('instance-id: i-123\n')


def acted(machine):
    try:
        with open(machine.path('off')) as file:
            return file.read().split()
    except FileNotFoundError:
        return []


def never(machine, seconds):
    time.sleep(seconds)
    return acted(machine) == []


def power_off_events(channel):
    found = []
    for message in channel.stream('events', since=0):
        found.append(message['event'])
        if found[-1]['type'] == 'power-off':
            return found[-1]


def test_an_idle_node_acts_when_contact_is_lost_and_says_so_first(machine):
    channel = machine.connect()
    channel.call('setLease', lease=lease(machine))
    until(lambda: acted(machine))
    time.sleep(1.5)
    assert acted(machine) == ['stop'], 'once'
    event = power_off_events(machine.connect())
    assert event['action'] == 'stop' and 'autostop' in event['reason']


def test_it_does_nothing_while_somebody_is_in_contact(machine):
    channel = machine.connect()
    channel.call('setLease', lease=lease(machine, lost=1500))
    for _ in range(12):
        time.sleep(0.25)
        channel.call('contact')
    assert acted(machine) == []
    until(lambda: acted(machine))


def test_it_does_nothing_while_a_job_runs(machine):
    channel = machine.connect()
    channel.call('setLease', lease=lease(machine, wait_for='jobs'))
    channel.start('j', 'sleep 3')
    assert never(machine, 2.8)
    until(lambda: acted(machine))


def test_a_hard_timer_does_not_wait_for_jobs(machine):
    channel = machine.connect()
    channel.call('setLease', lease=lease(machine, wait_for='none'))
    channel.start('j', 'sleep 60')
    until(lambda: acted(machine))


@pytest.mark.parametrize('text', ['i-999', ''])
def test_it_refuses_to_act_on_a_machine_that_is_another_one(machine, text):
    channel = machine.connect()
    channel.call('setLease', lease=lease(machine, text=text))
    assert never(machine, 2.5)
    with open(machine.path('.styx-agent', 'agent.log')) as file:
        assert 'power-off refused' in file.read()
    assert channel.call('stats')['running'] == 0


def test_it_refuses_to_act_without_the_identity_file(machine):
    os.unlink(machine.path('identity'))
    machine.connect().call('setLease', lease=lease(machine))
    assert never(machine, 2.5)


def test_the_dead_mans_switch_acts_without_an_autostop_rule(machine):
    machine.connect().call('setLease', lease=lease(machine, idle=False, deadman=1200))
    began = time.monotonic()
    until(lambda: acted(machine) == ['terminate'])
    assert time.monotonic() - began > 1


def test_a_lease_outlives_kill_9_of_the_daemon_which_counts_as_contact(machine):
    channel = machine.connect()
    channel.call('setLease', lease=lease(machine, lost=2500))
    pid = machine.daemon()
    channel.close()
    machine.kill_daemon()
    # Nobody connects: the keeper alone brings the daemon back.
    until(lambda: machine.daemon() != pid)
    began = time.monotonic()
    until(lambda: acted(machine))
    assert time.monotonic() - began > 1.5


def test_a_lease_without_rules_takes_them_back(machine):
    channel = machine.connect()
    channel.call('setLease', lease=lease(machine, lost=1500))
    channel.call('setLease', lease=lease(machine, idle=False))
    assert never(machine, 3)


@pytest.mark.parametrize('bad', [
    None, {}, {'contactLost': 'x'}, {'contactLost': 1, 'idle': {}}, {'contactLost': 1, 'idle': None, 'deadman': {'after': 1}},
])
def test_a_malformed_lease_is_refused_and_changes_nothing(machine, bad):
    channel = machine.connect()
    good = lease(machine, after=3600000, lost=3600000)
    channel.call('setLease', lease=good)
    with pytest.raises(Failed) as failure:
        channel.call('setLease', lease=bad)
    assert failure.value.kind == 'invalid'
    with open(machine.path('.styx-agent', 'lease.json')) as file:
        assert json.load(file)['lease'] == good
