import os
import subprocess
import sys
import threading

import hosts

from conftest import AGENT, PYTHON

MACHINE = '127.0.0.1 localhost\n::1 localhost # of the machine\n'


def put(home, path, version, *lines):
    command = [PYTHON, '-I', '-S', os.path.join(AGENT, 'main.py'), 'hosts', str(path), str(version)]
    text = ''.join(line + '\n' for line in lines).encode()
    return subprocess.run(command, input=text, env=dict(os.environ, HOME=str(home)), stderr=subprocess.PIPE)


def test_names_are_replaced_as_a_whole_and_what_is_the_machines_own_stays(tmp_path):
    file = tmp_path / 'hosts'
    file.write_text(MACHINE.rstrip('\n'))
    assert put(tmp_path, file, 1, '10.0.0.1 a-0.g', '10.0.0.2 b-0.g').returncode == 0
    first = file.read_text()
    assert first.startswith(MACHINE) and '10.0.0.1 a-0.g\n10.0.0.2 b-0.g\n' in first
    file.write_text(first + '10.9.9.9 somebody\n')
    assert put(tmp_path, file, 2, '10.0.0.3 a-0.g').returncode == 0
    second = file.read_text()
    assert second == MACHINE + '10.9.9.9 somebody\n' + hosts.BEGIN % 2 + '10.0.0.3 a-0.g\n' + hosts.END
    assert os.stat(str(file)).st_mode & 0o777 == 0o644
    assert put(tmp_path, file, 2, '10.0.0.3 a-0.g').returncode == 0
    assert put(tmp_path, file, 1, '10.0.0.1 a-0.g').returncode == 0
    assert file.read_text() == second, 'a word that comes late changes nothing'


def test_whoever_writes_at_the_same_time_the_newest_names_are_there_at_the_end_and_nobody_reads_half_of_them(tmp_path):
    file = tmp_path / 'hosts'
    file.write_text(MACHINE)
    seen, done = set(), threading.Event()

    def read():
        while not done.is_set():
            seen.add(file.read_text())

    reader = threading.Thread(target=read)
    reader.start()
    writers = [
        threading.Thread(target=put, args=(tmp_path, file, version, *['10.0.0.%d t-%d.g' % (version, rank) for rank in range(200)]))
        for version in (3, 1, 4, 2)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    done.set()
    reader.join()
    assert hosts.BEGIN % 4 in file.read_text() and file.read_text().count('t-0.g') == 1
    for text in seen:
        assert text == MACHINE or (text.startswith(MACHINE + hosts.BEGIN[:20]) and text.endswith(hosts.END) and text.count('t-199.g') == 1)


def test_a_file_that_cannot_be_written_is_said_and_left_alone(tmp_path):
    ended = put(tmp_path, tmp_path / 'nowhere' / 'hosts', 1, '10.0.0.1 a-0.g')
    assert ended.returncode == 1 and b'nowhere' in ended.stderr
