import http.server
import json
import os
import threading
import time

import pytest
from conftest import Failed, until


class Metadata:
    """Answers as a machine's metadata service does, by tokens only."""

    def __init__(self):
        self.answers = {}
        self.asked = []
        self.tokens = 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_PUT(self):
                outer.tokens += 1
                fits = self.path == '/token' and self.headers['ttl'] == '60'
                self._say(200 if fits else 400, 'token %d' % outer.tokens)

            def do_GET(self):
                outer.asked.append(self.path)
                if self.headers['token'] != 'token %d' % outer.tokens:
                    return self._say(401, '')
                body = outer.answers.get(self.path)
                self._say(404 if body is None else 200, body or '')

            def _say(self, status, body):
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.url = 'http://127.0.0.1:%d' % self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def source(self):
        return {
            'every': 100,
            'token': {'url': self.url + '/token', 'ask': {'ttl': '60'}, 'header': 'token'},
            'interruption': {'url': self.url + '/action', 'time': 'time'},
            'rebalance': {'url': self.url + '/rebalance', 'time': 'noticeTime'},
        }


@pytest.fixture
def metadata():
    made = Metadata()
    yield made
    made.server.shutdown()
    made.server.server_close()


def utc(at):
    return time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(at))


def lease(source):
    return {'idle': None, 'deadman': None, 'contactLost': 100000, 'notices': source}


def notices(machine, wanted):
    found = []
    for message in machine.connect().stream('events', since=0):
        if message['event']['type'] == 'notice':
            found.append((message['event']['kind'], message['event']['at']))
            if len(found) == wanted:
                return found


def test_at_a_notice_the_jobs_have_the_time_that_is_left_and_no_other_starts(machine, metadata):
    channel = machine.connect()
    channel.call('setLease', lease=lease(metadata.source()))
    channel.start('j', 'trap "sleep 1; echo saved >state; exit 0" TERM; touch ready; for i in $(seq 600); do sleep 0.1; done')
    channel.start('serves', 'sleep 300', phase='service')
    until(lambda: os.path.exists(machine.path('sky_workdir', 'ready')))
    until(lambda: '/rebalance' in metadata.asked)
    at = int(time.time()) + 20
    metadata.answers['/action'] = json.dumps({'action': 'terminate', 'time': utc(at)})
    state = channel.exit_of('j')
    assert (state['exitCode'], state['interrupted'], state['cancelled']) == (0, at, True)
    assert os.path.exists(machine.path('sky_workdir', 'state')), 'its handler came to its end'
    assert notices(machine, 1) == [('interruption', at)]
    with pytest.raises(Failed) as refused:
        channel.start('later', 'true')
    assert refused.value.kind == 'aborted' and utc(at) in str(refused.value)
    assert [one['state'] for one in channel.call('processes', jobKey='serves')] == ['running']


def test_a_job_that_does_not_end_is_killed_before_the_machine_goes(machine, metadata):
    channel = machine.connect()
    channel.call('setLease', lease=lease(metadata.source()))
    channel.start('j', 'trap "" TERM; touch ready; for i in $(seq 600); do sleep 0.1; done')
    until(lambda: os.path.exists(machine.path('sky_workdir', 'ready')))
    at = int(time.time()) + 4
    metadata.answers['/action'] = json.dumps({'time': utc(at)})
    state = channel.exit_of('j')
    assert (state['exitCode'], state['interrupted']) == (137, at)
    assert time.time() < at


def test_a_notice_is_told_once_whatever_the_agent_and_its_token_live_through(machine, metadata):
    channel = machine.connect()
    at = int(time.time()) + 600
    metadata.answers['/rebalance'] = json.dumps({'noticeTime': utc(at)})
    channel.call('setLease', lease=lease(metadata.source()))
    assert notices(machine, 1) == [('rebalance', at)]
    metadata.tokens += 1  # Ours is none any more.
    machine.kill_daemon()
    # The lease is on disk: nobody has to tell it again.
    metadata.answers['/action'] = json.dumps({'time': utc(at)})
    assert notices(machine, 2) == [('rebalance', at), ('interruption', at)]
    machine.kill_daemon()
    asked = len(metadata.asked)
    machine.connect()
    until(lambda: len(metadata.asked) > asked + 1)
    assert notices(machine, 2) == [('rebalance', at), ('interruption', at)]


def test_a_machine_that_tells_nothing_or_nonsense_is_asked_on_and_its_jobs_live(machine, metadata):
    channel = machine.connect()
    source = metadata.source()
    nobody = dict(source, token=None, interruption={'url': 'http://127.0.0.1:1/x', 'time': 'time'}, rebalance=None)
    channel.call('setLease', lease=lease(nobody))
    channel.call('setLease', lease=lease(source))
    channel.start('j', 'sleep 300')
    metadata.answers['/action'] = 'soon'
    until(lambda: metadata.asked.count('/action') > 3)
    metadata.answers['/action'] = json.dumps({'time': utc(time.time() - 4000)})
    seen = metadata.asked.count('/action')
    until(lambda: metadata.asked.count('/action') > seen + 2)
    assert [one['state'] for one in channel.call('processes', jobKey='j')] == ['running']
    channel.call('setLease', lease=lease(None))
    with pytest.raises(Failed) as refused:
        channel.call('setLease', lease=lease(dict(source, token={'url': 'ftp://x'})))
    assert refused.value.kind == 'invalid'


def test_a_notice_can_be_a_file(machine):
    channel = machine.connect()
    file = machine.path('notice.json')
    place = {'url': 'file://' + file, 'time': 'time'}
    source = {'every': 100, 'token': None, 'interruption': place, 'rebalance': None}
    channel.call('setLease', lease=lease(source))
    channel.start('j', 'sleep 300')
    at = int(time.time()) + 60
    with open(file + '.new', 'w') as draft:
        draft.write(json.dumps({'time': utc(at)[:-1] + '.123Z'}))
    os.rename(file + '.new', file)
    assert channel.exit_of('j')['interrupted'] == at
