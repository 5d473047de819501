"""What the agent does for Ray: services that are no work, ports that no two nodes share, words about versions that there are not."""
import fcntl
import os
import socket
import subprocess
import time

import pytest
from conftest import AGENT, PYTHON, Failed, until


def test_a_service_runs_once_is_cancelled_and_is_no_work(machine):
    channel = machine.connect()
    script = 'echo begun; sleep 300'
    for _ in range(2):
        assert channel.start('g-ray-1-0-1', script, phase='service')['state'] == 'running'
    assert channel.call('stats')['running'] == 0
    channel.start('g-1', 'sleep 300')
    assert channel.call('stats')['running'] == 1
    until(lambda: 'begun' in open(machine.path('sky_logs', 'g-ray-1-0-1', 'service-0.log')).read())
    machine.kill_daemon()
    channel = machine.connect()
    known = channel.call('processes', jobKey='g-ray-1-0-1')
    assert [(one['phase'], one['state']) for one in known] == [('service', 'running')]
    channel.call('cancel', jobKey='g-ray-1-0-1', graceMs=100)
    assert channel.exit_of('g-ray-1-0-1')['phase'] == 'service'
    with pytest.raises(Failed) as refused:
        channel.start('g-ray-1-0-1', script, phase='service', rank=1)
    assert refused.value.kind == 'aborted'


def test_a_node_with_a_service_alone_is_idle(machine):
    with open(machine.path('identity'), 'w') as file:
        file.write('i-123')
    power_off = {
        'action': 'stop',
        'command': ['touch', machine.path('off')],
        'identity': {'path': machine.path('identity'), 'text': 'i-123'},
    }
    channel = machine.connect()
    channel.start('g-ray-1-0-1', 'sleep 300', phase='service')
    channel.call('setLease', lease={'idle': {'after': 100, 'waitFor': 'jobs', 'powerOff': power_off}, 'deadman': None, 'contactLost': 300})
    until(lambda: os.path.exists(machine.path('off')))


def test_a_job_that_uses_ray_is_told_where_it_is_and_runs_in_its_environment(machine):
    os.makedirs(machine.path('.styx-ray', 'env', 'bin'))
    with open(machine.path('.styx-ray', 'env', 'bin', 'activate'), 'w') as file:
        file.write('VIRTUAL_ENV=of-ray\nexport VIRTUAL_ENV\n')
    channel = machine.connect()
    script = 'echo "$RAY_ADDRESS $RAY_AUTH_MODE $RAY_AUTH_TOKEN_PATH $VIRTUAL_ENV"'
    # A task that names another Ray by mistake does not get there.
    channel.start('g-1', script, env={'RAY_ADDRESS': '10.0.0.9:1'}, ray='10.0.0.1:20000')
    assert channel.log('g-1').split() == ['10.0.0.1:20000', 'token', machine.path('.styx-ray', 'token'), 'of-ray']
    channel.start('g-2', script)
    assert 'token' not in channel.log('g-2')
    with pytest.raises(Failed):
        channel.start('g-3', script, ray=5)


TAKE = """
import sys
sys.path.insert(0, sys.argv[1])
import ray_ports
block, ports, held = ray_ports.take(sys.argv[2], sys.argv[3])
print(block, *sorted(ports.values()), flush=True)
sys.stdin.read()
"""


def test_no_two_nodes_of_a_host_get_one_port_and_none_that_is_taken(machine):
    def take(seed):
        command = [PYTHON, '-I', '-S', '-c', TAKE, os.path.abspath(AGENT), machine.path('ports'), seed]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    holders = [take('the same') for _ in range(12)]
    taken = [[int(word) for word in holder.stdout.readline().split()] for holder in holders]
    ports = [port for found in taken for port in found[1:]]
    assert len(set(ports)) == 12 * 9 and 20000 <= min(ports) and max(ports) < 32000
    # Given back at a death, and skipped while somebody else listens there.
    holders[0].kill()
    holders[0].wait()
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind(('127.0.0.1', taken[0][5]))
        stranger.listen(1)
        other = take('the same')
        assert int(other.stdout.readline().split()[0]) not in [found[0] for found in taken]
    again = take('the same')
    assert int(again.stdout.readline().split()[0]) == taken[0][0]
    for holder in holders[1:] + [other, again]:
        holder.kill()
        holder.wait()


def test_a_version_that_there_is_not_is_told_with_its_neighbours():
    import ray_maker

    said = ['ERROR: No matching distribution found for ray[default]==2.57.5']
    known = 'ERROR: Could not find a version (from versions: 2.9.0, 2.57.0rc0, 2.57.1, 2.60.0, 2.59.0)'
    refused = ray_maker._failure('2.57.5', [known] + said)
    assert refused.kind == 'invalid'
    assert 'there is no Ray 2.57.5 for Python' in str(refused)
    assert str(refused).endswith('the nearest are 2.57.1 and 2.59.0, the newest 2.60.0')
    # Without an answer of the index nothing is known of the version.
    unknown = ray_maker._failure('2.57.5', ['ERROR: Could not find a version (from versions: none)'] + said)
    assert unknown.kind == 'transient'


def test_an_environment_that_was_half_made_is_made_anew_and_two_makers_take_turns(machine):
    """The shared environment is stood in for by an index of nothing but a package of that name."""
    wheels = machine.path('wheels')
    os.makedirs(wheels)
    _wheel(wheels)
    cache = machine.path('cache')
    environment = dict(
        machine.environment,
        PATH='/usr/bin:/bin',
        STYX_HOST_CACHE=cache,
        PIP_NO_INDEX='1',
        PIP_FIND_LINKS=wheels,
        PIP_CONFIG_FILE=os.devnull,
        STYX_RAY='{"key": "k", "version": "2.60.0", "extras": []}',
    )

    def make():
        command = [PYTHON, '-I', '-S', os.path.join(os.path.abspath(AGENT), 'ray_node.py'), 'setup']
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)

    first = make()
    until(lambda: first.stdout.readline().startswith(b'styx: installing'))
    first.kill()
    first.wait()
    until(lambda: _is_free(cache), 60)
    makers = [make(), make()]
    said = [maker.communicate()[0].decode() for maker in makers]
    assert [maker.returncode for maker in makers] == [0, 0], said
    assert sum('styx: installing' in words for words in said) == 1
    ray = subprocess.run([machine.path('.styx-ray', 'env', 'bin', 'ray'), 'x'], env=environment, stdout=subprocess.PIPE, check=True)
    assert ray.stdout.decode().split() == ['stand-in', machine.path('.styx-ray', 'env')]


def _is_free(cache):
    folder = os.path.join(cache, 'ray', 'env')
    for name in os.listdir(folder):
        if name.endswith('.lock'):
            with open(os.path.join(folder, name)) as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    time.sleep(0.05)
                    return False
    return True


def _wheel(folder):
    import zipfile

    with zipfile.ZipFile(os.path.join(folder, 'ray-2.60.0-py3-none-any.whl'), 'w') as wheel:
        info = 'ray-2.60.0.dist-info/'
        wheel.writestr('ray/__init__.py', 'import sys\ndef main():\n    print("stand-in", sys.prefix)\n')
        wheel.writestr(info + 'METADATA', 'Metadata-Version: 2.1\nName: ray\nVersion: 2.60.0\nProvides-Extra: default\n')
        wheel.writestr(info + 'WHEEL', 'Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n')
        wheel.writestr(info + 'entry_points.txt', '[console_scripts]\nray = ray:main\n')
        wheel.writestr(info + 'RECORD', '')
