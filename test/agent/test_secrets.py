"""Secrets reach the script, and nothing else keeps them."""
import os

import pytest
from conftest import Failed, until

VALUE = "s3cr\'t $(x)\nwith lines \u00fc"


def files_with(machine, text):
    """Files of the machine whose bytes or name hold the text."""
    found = []
    for folder, _, names in os.walk(machine.home):
        for name in names:
            path = os.path.join(folder, name)
            try:
                with open(path, 'rb') as file:
                    if text.encode() in file.read() or text in name:
                        found.append(path)
            except OSError:
                pass
    return found


def test_secrets_arrive_byte_for_byte_and_go_over_variables_of_the_same_name(machine):
    channel = machine.connect()
    channel.start('j', 'printf %s "$TOKEN" | od -An -tx1 | tr -d " \\n"', env={'TOKEN': 'plain'}, secrets={'TOKEN': VALUE})
    assert channel.log('j') == VALUE.encode().hex()


def test_while_the_script_runs_no_file_of_the_agent_and_no_command_line_holds_a_secret(machine):
    channel = machine.connect()
    channel.start('j', 'touch ~/begun; while [ ! -e ~/end ]; do sleep 0.05; done', secrets={'TOKEN': 'hunter2hunter2'})
    until(lambda: os.path.exists(machine.path('begun')))
    assert files_with(machine, 'hunter2hunter2') == []
    for pid in machine.marked():
        with open('/proc/%d/cmdline' % pid, 'rb') as file:
            assert b'hunter2hunter2' not in file.read()
    open(machine.path('end'), 'w').close()
    assert channel.exit_of('j')['exitCode'] == 0
    assert files_with(machine, 'hunter2hunter2') == []


def test_a_start_file_with_set_x_and_an_alias_of_rm_gives_no_secret_away(machine):
    with open(machine.path('.bashrc'), 'w') as file:
        file.write("alias rm='rm -i'\nset -x\n")
    channel = machine.connect()
    channel.start('j', 'ls ~/.styx-agent/jobs/j/run-0', secrets={'TOKEN': 'hunter2hunter2', 'PATH': '/usr/bin:/bin:/nonexistent'})
    log = channel.log('j')
    assert 'hunter2hunter2' not in log
    assert 'secrets' not in log.split('jobs/j/run-0')[-1]


def test_secrets_of_a_start_that_a_dead_agent_did_not_finish_are_removed(machine):
    machine.connect().start('j', 'true')
    draft = machine.path('.styx-agent', 'tmp', 'k~run-0')
    os.makedirs(draft)
    with open(os.path.join(draft, 'secrets'), 'w') as file:
        file.write('hunter2hunter2')
    machine.kill_daemon()
    machine.connect().call('stats')
    assert files_with(machine, 'hunter2hunter2') == []


def test_a_refusal_does_not_repeat_a_secret(machine):
    channel = machine.connect()
    with pytest.raises(Failed) as failed:
        channel.call('start', jobKey='hunter2 hunter2', phase='run', rank=0, script='', env={}, owner='o', secrets={})
    assert 'hunter2' in str(failed.value)
    channel.start('j', 'true', secrets={'TOKEN': 'hunter2 hunter2'})
    with pytest.raises(Failed) as failed:
        channel.call('start', jobKey='hunter2 hunter2', phase='run', rank=0, script='', env={}, owner='o', secrets={})
    assert 'hunter2' not in str(failed.value)


def test_a_secret_whose_name_no_variable_can_have_is_refused(machine):
    with pytest.raises(Failed) as failed:
        machine.connect().start('j', 'true', secrets={'A;B': 'hunter2hunter2'})
    assert 'hunter2' not in str(failed.value)
