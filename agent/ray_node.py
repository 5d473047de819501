"""
Ray on this node, as a process of the agent: `setup` makes its environment, `service` runs it until it ends. What is wanted stands in
STYX_RAY; what is happening is written to status.json. Nothing is imported later than needed here: the agent's version may be replaced.
"""
import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import paths
import ray_environment
import ray_maker
import ray_ports
from errors import Refused

#: An AF_UNIX path may have 107 bytes, and Ray's names below the directory take up to 75 of them.
_TEMP_BYTES = 32
#: Seconds for Ray's servers to stand and to know one another, on a machine that is busy with other things.
_PATIENCE = 240

_LOOK = '''
import sys, time
from ray._raylet import GcsClient
address, name, until = sys.argv[1], sys.argv[2], time.time() + float(sys.argv[3])
while time.time() < until:
    try:
        nodes = GcsClient(address=address).get_all_node_info(timeout=5).values()
        if any(node.node_name == name and node.state == 0 for node in nodes):
            sys.exit(0)
    except Exception as error:
        last = error
    time.sleep(0.3)
sys.exit(1)
'''


class Status:
    def __init__(self, wanted):
        self.known = {'key': wanted['key'], 'stage': 'installing', 'error': None}

    def set(self, **change):
        self.known.update(change)
        paths.write_whole(ray_environment.status(), json.dumps(self.known).encode(), lasting=False)


def main(command):
    wanted = json.loads(os.environ['STYX_RAY'])
    os.umask(0o077)
    os.makedirs(ray_environment.folder(), 0o700, exist_ok=True)
    # One at a time on a node, whatever an older one is still doing.
    lock = os.open(os.path.join(ray_environment.folder(), 'lock'), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    status = Status(wanted)
    try:
        if command == 'setup':
            status.set()
            ray_maker.make(wanted['version'], wanted['extras'])
            return 0
        return _serve(wanted, status, lock)
    except Refused as error:
        print('styx: %s' % error, flush=True)
        status.set(stage='failed', error={'kind': error.kind, 'message': str(error)})
        return 1
    except OSError as error:
        print('styx: %s' % error, flush=True)
        status.set(stage='failed', error={'kind': 'transient', 'message': str(error)})
        return 1


def _serve(wanted, status, lock):
    block, ports, held = ray_ports.take(os.path.join(ray_environment.cache(), 'ports'), wanted['key'])
    temporary = _temporary(block)
    address = wanted['address'] or '%s:%d' % (wanted['ip'], ports['gcs'])
    status.set(stage='starting', address=address, ports=ports)
    env = {name: value for name, value in os.environ.items() if not name.startswith(('RAY_', 'STYX_RAY'))}
    env.update(
        RAY_AUTH_MODE='token',
        RAY_AUTH_TOKEN_PATH=ray_environment.token(),
        RAY_USAGE_STATS_ENABLED='0',
        VIRTUAL_ENV=ray_environment.env(),
        PATH=os.path.join(ray_environment.env(), 'bin') + os.pathsep + env.get('PATH', os.defpath),
    )
    python = os.path.join(ray_environment.env(), 'bin', 'python')
    log = os.path.join(ray_environment.folder(), 'ray.log')
    with open(log, 'wb') as out:
        # The child keeps node and ports should this process be killed.
        ray = subprocess.Popen(
            [python, '-m', 'ray.scripts.scripts', 'start', '--block'] + _arguments(wanted, ports, temporary),
            cwd=paths.HOME, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out, pass_fds=[held, lock],
        )
    signal.signal(signal.SIGTERM, lambda *_: ray.terminate())
    look = subprocess.Popen([python, '-c', _LOOK, address, wanted['name'], str(_PATIENCE)], cwd='/', env=env, stdin=subprocess.DEVNULL)
    while look.poll() is None and ray.poll() is None:
        time.sleep(0.1)
    if ray.poll() is None and look.returncode == 0:
        status.set(stage='up')
        print('styx: Ray %s stands as %s of %s' % (wanted['version'], wanted['name'], address), flush=True)
        ray.wait()
    elif ray.poll() is None:
        ray.terminate()
        raise Refused('transient', 'Ray did not stand within %d s: %s' % (_PATIENCE, _last(log)))
    look.kill()
    raise Refused('transient', 'Ray ended (exit code %d): %s' % (ray.returncode, _last(log)))


def _arguments(wanted, ports, temporary):
    arguments = {
        'node-ip-address': wanted['ip'],
        'node-name': wanted['name'],
        'temp-dir': temporary,
        'num-cpus': wanted['cpus'],
        'num-gpus': wanted['gpus'],
        'memory': wanted['memory'],
        'object-store-memory': wanted['objectStore'],
        'resources': json.dumps(wanted['resources']),
        'dashboard-agent-listen-port': ports['agent'],
        'dashboard-agent-grpc-port': ports['agentGrpc'],
        'metrics-export-port': ports['metrics'],
        'runtime-env-agent-port': ports['runtimeEnv'],
        'node-manager-port': ports['nodeManager'],
        'object-manager-port': ports['objectManager'],
        # The system gives each worker a free one.
        'min-worker-port': 0,
        'max-worker-port': 0,
    }
    if wanted['address'] is None:
        arguments.update(
            {
                'port': ports['gcs'],
                'dashboard-host': '127.0.0.1',
                'dashboard-port': ports['dashboard'],
                'ray-client-server-port': ports['client'],
            }
        )
        flags = ['--head', '--include-dashboard=true']
    else:
        flags = ['--address=' + wanted['address']]
    return flags + ['--disable-usage-stats'] + ['--%s=%s' % pair for pair in arguments.items()]


def _temporary(block):
    """Where Ray's sockets and logs go: below the home, by way of a short link where that is too long for sockets."""
    real = os.path.join(ray_environment.folder(), 't')
    os.makedirs(real, 0o700, exist_ok=True)
    if len(os.fsencode(real)) <= _TEMP_BYTES:
        return real
    folder = '/tmp/styx-ray-%d' % os.getuid()
    os.makedirs(folder, 0o700, exist_ok=True)
    found = os.lstat(folder)
    if found.st_uid != os.getuid() or found.st_mode & 0o077 or not os.path.isdir(folder) or os.path.islink(folder):
        raise Refused('invalid', '%s is not a directory of this user alone' % folder)
    # Whoever holds the block is us. What others left is let alone: not every instance sees every directory.
    link = os.path.join(folder, str(block))
    paths.remove(link)
    os.symlink(real, link)
    return link


def _last(log):
    text = re.sub(r'\x1b\[[0-9;]*m', '', (paths.read_or_none(log) or b'').decode('utf-8', 'replace'))
    said = [line.strip() for line in text.split('\n') if line.strip()]
    ended = [line for line in said if '[exit code=' in line]
    errors = [line for line in said if re.match(r'[\w.]*(Error|Exception|Exit)\b', line)]
    return ((ended[:1] or errors[-1:] or said[-1:]) or ['it said nothing'])[0][-500:]


if __name__ == '__main__':
    sys.exit(main(sys.argv[1]))
