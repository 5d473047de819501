"""`provision.install_conda`: a base of conda for jobs. The installer is a small one of the same command line, fetched by HTTP as the real one."""
import hashlib
import http.server
import os
import signal
import threading
import time

import pytest
from conftest import exists, until
from test_environment import run

# What Miniforge's does, as far as anybody outside sees it.
INSTALLER = r'''#!/bin/sh
[ "$1" = -b ] && [ "$2" = -p ] && [ -n "$3" ] && [ ! -e "$3" ] || { echo "bad arguments: $*"; exit 2; }
echo "installing into $3" >>"$HOME/installs"
mkdir -p "$3/bin" "$3/etc/profile.d"
%s
cat >"$3/bin/python" <<END
#!/bin/sh
echo python of conda
END
cat >"$3/bin/conda" <<END
#!/bin/sh
[ "\$1" = init ] && echo "# >>> conda initialize >>>" >>"\$HOME/.bashrc"
END
cat >"$3/etc/profile.d/conda.sh" <<END
conda() { [ "\$1" = activate ] && export CONDA_PREFIX="$3" PATH="$3/bin:\$PATH"; }
END
chmod +x "$3/bin/python" "$3/bin/conda"
'''


class Source:
    def __init__(self):
        self.files = {}
        self.failing = 0
        source = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                if source.failing:
                    source.failing -= 1
                    self.send_error(503)
                    return
                body = source.files.get(self.path)
                if body is None:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header('Content-Length', str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.url = 'http://127.0.0.1:%d/Miniforge3.sh' % self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def serve(self, installer, checksum=None):
        data = installer.encode()
        self.files['/Miniforge3.sh'] = data
        self.files['/Miniforge3.sh.sha256'] = ('%s  Miniforge3.sh\n' % (checksum or hashlib.sha256(data).hexdigest())).encode()


@pytest.fixture
def source():
    source = Source()
    source.serve(INSTALLER % '')
    yield source
    source.server.shutdown()
    source.server.server_close()


def conda_run(machine, source, script):
    return run(machine, script, conda=True, env={'STYX_MINIFORGE_URL': source.url})


def installs(machine):
    try:
        with open(machine.path('installs')) as file:
            return len(file.readlines())
    except FileNotFoundError:
        return 0


def test_the_first_job_installs_it_and_each_begins_in_its_base(machine, source):
    code, text = conda_run(machine, source, 'python; echo $CONDA_PREFIX')
    assert code == 0 and text.endswith('python of conda\n%s\n' % machine.path('miniforge3')), text
    assert 'installing conda' in text
    code, text = conda_run(machine, source, 'python; bash -c "conda activate other; echo again"')
    assert (code, text) == (0, 'python of conda\nagain\n')
    assert installs(machine) == 1
    with open(machine.path('.bashrc')) as file:
        assert 'conda initialize' in file.read()


def test_jobs_that_begin_together_install_it_once(machine, source):
    source.serve(INSTALLER % 'sleep 1')
    channel = machine.connect()
    for job in ('a', 'b', 'c'):
        channel.start(job, 'python', conda=True, env={'STYX_MINIFORGE_URL': source.url})
    for job in ('a', 'b', 'c'):
        assert channel.exit_of(job)['exitCode'] == 0
        assert channel.log(job).endswith('python of conda\n')
    assert installs(machine) == 1


def test_what_a_kill_left_half_made_is_made_anew(machine, source):
    source.serve(INSTALLER % 'touch "$HOME/waits"; sleep 60')
    channel = machine.connect()
    channel.start('killed', 'python', conda=True, env={'STYX_MINIFORGE_URL': source.url})
    until(lambda: os.path.exists(machine.path('waits')))
    pids = machine.marked('STYX_JOB=killed')
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    until(lambda: not any(exists(pid) for pid in pids))
    assert os.path.isdir(machine.path('miniforge3', 'bin'))
    source.serve(INSTALLER % '')
    code, text = conda_run(machine, source, 'python')
    assert code == 0 and text.endswith('python of conda\n'), text


def test_a_source_that_fails_for_a_moment_is_asked_again(machine, source):
    source.failing = 1
    began = time.monotonic()
    assert conda_run(machine, source, 'python')[0] == 0
    assert time.monotonic() - began > 1


@pytest.mark.parametrize('why', ['another checksum', 'no such file', 'an installer that fails', 'a folder of the user'])
def test_a_job_whose_conda_cannot_be_had_fails_with_the_reason_and_its_script_does_not_begin(machine, source, why):
    expected = {
        'another checksum': 'SHA-256',
        'no such file': 'cannot be fetched: Not Found',
        'an installer that fails': 'failed with code 3',
        'a folder of the user': 'has no bin/conda',
    }[why]
    if why == 'another checksum':
        source.serve(INSTALLER % '', '0' * 64)
    elif why == 'no such file':
        source.files.clear()
    elif why == 'an installer that fails':
        source.serve(INSTALLER % 'exit 3')
    else:
        os.makedirs(machine.path('miniforge3', 'mine'))
    code, text = conda_run(machine, source, 'touch ~/began')
    assert code == 1 and expected in text and 'provision.install_conda' in text, text
    assert not os.path.exists(machine.path('began'))
    assert os.path.exists(machine.path('miniforge3', 'mine')) == (why == 'a folder of the user')


def test_conda_of_the_machine_is_used_where_there_is_one(machine, source):
    base = machine.path('opt')
    os.makedirs(base + '/bin')
    os.makedirs(base + '/etc/profile.d')
    with open(base + '/bin/conda', 'w') as file:
        file.write('#!/bin/sh\n')
    os.chmod(base + '/bin/conda', 0o755)
    with open(base + '/etc/profile.d/conda.sh', 'w') as file:
        file.write('conda() { echo "machine: $*"; }\n')
    machine.environment['PATH'] += ':' + base + '/bin'
    assert conda_run(machine, source, 'echo job') == (0, 'machine: activate base\njob\n')
    assert installs(machine) == 0
