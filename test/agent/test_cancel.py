import os
import time

from conftest import until


def ready(machine, name='ready'):
    until(lambda: os.path.exists(machine.path('sky_workdir', name)))


def test_cancel_ends_what_left_its_session_and_what_ignores_sigterm(machine):
    channel = machine.connect()
    channel.start('j', '''
setsid sh -c 'trap "" TERM; setsid sleep 1000 & sleep 1001' &
setsid env -i sleep 1002 &
(nohup sleep 1003 >/dev/null 2>&1 &)
python3 -c 'import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0: time.sleep(1004)
    os._exit(0)
'
touch ready; sleep 1005; echo went on''')
    channel.start('other', 'sleep 1.5; exit 8')
    ready(machine)
    began = time.monotonic()
    channel.call('cancel', jobKey='j', graceMs=500)
    state = channel.exit_of('j')
    assert (state['exitCode'], state['cancelled'], state['lost']) == (143, True, False)
    until(lambda: not machine.marked('STYX_JOB=j'))
    assert time.monotonic() - began < 4
    assert channel.log('j') == ''
    assert channel.exit_of('other')['exitCode'] == 8
    until(lambda: not os.path.exists(machine.path('.styx-agent/live/j~cancel')))


def test_a_handler_of_sigterm_has_the_grace_time(machine):
    channel = machine.connect()
    channel.start('j', 'trap "sleep 0.4; echo saved; exit 9" TERM; touch ready; sleep 100')
    ready(machine)
    channel.call('cancel', jobKey='j', graceMs=5000)
    assert channel.exit_of('j')['exitCode'] == 9
    assert channel.log('j') == 'saved\n'


def test_a_cancel_goes_on_after_kill_9_of_the_daemon(machine):
    channel = machine.connect()
    channel.start('j', "trap '' TERM; touch ready; while :; do sleep 0.1; done")
    ready(machine)
    channel.call('cancel', jobKey='j', graceMs=1000)
    machine.kill_daemon()
    state = machine.connect().exit_of('j')
    assert (state['exitCode'], state['cancelled']) == (137, True)
    until(lambda: not machine.marked('STYX_JOB=j'))


def test_cancel_after_the_end_ends_what_the_job_left_behind(machine):
    channel = machine.connect()
    channel.start('j', 'setsid sleep 1000 & exit 0')
    assert channel.exit_of('j')['exitCode'] == 0
    until(lambda: machine.marked('STYX_JOB=j'))
    channel.call('cancel', jobKey='j', graceMs=0)
    until(lambda: not machine.marked('STYX_JOB=j'))
    assert channel.call('processes', jobKey='j')[0]['exitCode'] == 0


def test_a_cancel_right_after_the_start_leaves_nothing_running(machine):
    channel = machine.connect()
    for number in range(10):
        job = 'j%d' % number
        channel.start(job, 'sleep 100')
        channel.call('cancel', jobKey=job, graceMs=0 if number % 2 else 300)
    for number in range(10):
        assert channel.exit_of('j%d' % number)['cancelled']
    until(lambda: not any(machine.marked('STYX_JOB=j%d' % number) for number in range(10)))


def test_jobs_of_another_agent_on_the_same_machine_are_let_alone(machine):
    from conftest import Machine

    other = Machine(machine.path('other'))
    os.mkdir(other.home)
    try:
        here, there = machine.connect(), other.connect()
        for channel in (here, there):
            channel.start('1.1', 'touch ready; sleep 1; exit 2')
        ready(machine)
        ready(other)
        here.call('cancel', jobKey='1.1', graceMs=0)
        assert here.exit_of('1.1')['cancelled']
        assert there.exit_of('1.1')['exitCode'] == 2
    finally:
        other.close()
