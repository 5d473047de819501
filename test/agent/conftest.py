import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import pytest

AGENT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'agent')
#: The interpreter that the agent is tried with.
PYTHON = os.environ.get('STYX_TEST_PYTHON', sys.executable)
sys.path.insert(0, os.path.abspath(AGENT))


class Broken(Exception):
    """The channel closed."""


class Failed(Exception):
    def __init__(self, error):
        Exception.__init__(self, error['message'])
        self.kind = error['kind']


class Channel:
    """A client's end of `agent serve`."""

    def __init__(self, machine, code):
        command = [PYTHON, '-I', '-S', os.path.join(code, 'main.py'), 'serve']
        environment = dict(machine.environment, STYX_CHANNEL='1', SSH_CONNECTION='127.0.0.1 1 127.0.0.1 2')
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        self.number = 0
        self.hello = self._line()
        if self.hello.get('styx') != 'agent':
            raise Broken(self.hello)

    def _line(self):
        line = self.process.stdout.readline()
        if not line:
            raise Broken()
        return json.loads(line.decode())

    def send(self, **message):
        try:
            self.process.stdin.write(json.dumps(message).encode() + b'\n')
            self.process.stdin.flush()
        except OSError:
            raise Broken()

    def call(self, op, **fields):
        self.number += 1
        self.send(op=op, id=self.number, **fields)
        while True:
            answer = self._line()
            if answer['id'] == self.number:
                if 'error' in answer:
                    raise Failed(answer['error'])
                return answer.get('ok')

    def stream(self, op, **fields):
        self.number += 1
        number = self.number
        self.send(op=op, id=number, **fields)
        while True:
            answer = self._line()
            if answer['id'] != number:
                continue
            if 'error' in answer:
                raise Failed(answer['error'])
            if answer.get('end'):
                return
            yield answer

    def start(self, job, script, rank=0, phase='run', env=None, secrets=None, **more):
        request = {'jobKey': job, 'phase': phase, 'rank': rank, 'script': script, 'env': env or {}, 'owner': 'owner of ' + job}
        return self.call('start', secrets=secrets or {}, **request, **more)

    def exit_of(self, job):
        for message in self.stream('events', since=0):
            event = message['event']
            if event['type'] == 'exited' and event['process']['jobKey'] == job:
                self.send(id=self.number, stop=True)
                return event['process']

    def log(self, job, rank=0, phase='run', offset=0):
        text = b''
        start = {'from': {'offset': offset}}
        for message in self.stream('logs', jobKey=job, phase=phase, rank=rank, follow=True, **start):
            data = base64.b64decode(message['data'])
            assert message['offset'] == offset + len(text)
            text += data
            self.send(id=message['id'], ack=len(data))
        return text.decode()

    def close(self):
        self.process.kill()
        self.process.wait()
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        self.process.stdout.close()


class Machine:
    """A home directory with an agent, or none yet."""

    def __init__(self, home):
        self.home = home
        self.environment = {'HOME': home, 'PATH': os.environ['PATH'], 'STYX_TEST_HOME': home}
        self.channels = []

    def path(self, *parts):
        return os.path.join(self.home, *parts)

    def connect(self, code=AGENT):
        channel = Channel(self, os.path.abspath(code))
        self.channels.append(channel)
        return channel

    def daemon(self):
        with open(self.path('.styx-agent', 'daemon.lock')) as file:
            return int(file.read() or 0)

    def kill_daemon(self):
        pid = self.daemon()
        os.kill(pid, signal.SIGKILL)
        until(lambda: not exists(pid))

    def marked(self, marker=None):
        """Pids of living processes with a marker in their environment."""
        wanted = (marker or 'STYX_TEST_HOME=' + self.home).encode()
        found = []
        for name in os.listdir('/proc'):
            if name.isdigit():
                try:
                    with open('/proc/%s/environ' % name, 'rb') as file:
                        if wanted in file.read().split(b'\0'):
                            found.append(int(name))
                except OSError:
                    pass
        return [pid for pid in found if exists(pid)]

    def close(self):
        for channel in self.channels:
            channel.close()
        for _ in range(50):
            left = self.marked()
            if not left:
                break
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except OSError:
                    pass
        shutil.rmtree(self.home, ignore_errors=True)


def exists(pid):
    try:
        with open('/proc/%d/stat' % pid) as file:
            return file.read().rpartition(')')[2].split()[0] not in 'ZX'
    except OSError:
        return False


def until(look, seconds=10):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError('waited in vain')


def in_threads(calls):
    results = [None] * len(calls)

    def run(at):
        try:
            results[at] = calls[at]()
        except Exception as error:  # noqa: BLE001 - handed to the test
            results[at] = error

    threads = [threading.Thread(target=run, args=(at,)) for at in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.fixture
def machine():
    made = Machine(tempfile.mkdtemp(prefix='styx-a-'))
    yield made
    made.close()
