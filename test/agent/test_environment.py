import os
import resource
import shutil
import subprocess
import zipfile

import pytest
from conftest import PYTHON


def wheel(folder, name, files, version='1.0'):
    """A package as `pip install` takes it, without a network."""
    info = '%s-%s.dist-info' % (name, version)
    files = dict(files)
    files[info + '/METADATA'] = 'Metadata-Version: 2.1\nName: %s\nVersion: %s\n' % (name, version)
    files[info + '/WHEEL'] = 'Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n'
    files[info + '/RECORD'] = ''.join('%s,,\n' % path for path in [*files, info + '/RECORD'])
    path = os.path.join(folder, '%s-%s-py3-none-any.whl' % (name, version))
    with zipfile.ZipFile(path, 'w') as file:
        for inner, text in files.items():
            entry = zipfile.ZipInfo(inner)
            entry.external_attr = (0o100755 if '/scripts/' in inner else 0o100644) << 16
            file.writestr(entry, text)
    return path


def greeter(folder):
    return wheel(folder, 'styxgreeter', {
        'styxgreeter.py': 'def main():\n    print("hello from the package")\n',
        'styxgreeter-1.0.dist-info/entry_points.txt': '[console_scripts]\nstyxgreet = styxgreeter:main\n',
    })


def run(machine, script, **more):
    """(exit code, output) of a job."""
    run.number += 1
    job = 'e%d' % run.number
    channel = machine.connect()
    channel.start(job, script, **more)
    text = channel.log(job)
    return channel.exit_of(job)['exitCode'], text


run.number = 0


def python_on_path(machine, text):
    """The machine's only python3, which is this shell script; $REAL is Python."""
    folder = machine.path('machine')
    os.makedirs(folder)
    for name in ('sh', 'bash', 'env', 'ln', 'cat', 'echo', 'ls', 'true', 'readlink'):
        path = subprocess.check_output(['sh', '-c', 'command -v ' + name]).decode().strip()
        os.symlink(path if path.startswith('/') else '/bin/' + name, os.path.join(folder, name))
    if text is not None:
        path = os.path.join(folder, 'python3')
        with open(path, 'w') as file:
            file.write('#!/bin/sh\nREAL=%s\n%s\n' % (PYTHON, text))
        os.chmod(path, 0o755)
    machine.environment['PATH'] = folder


def test_a_job_that_uses_no_python_makes_nothing_of_the_environment(machine):
    assert run(machine, 'true') == (0, '')
    assert sorted(os.listdir(machine.path('sky-user-env'))) == ['bin']
    assert sorted(os.listdir(machine.path('sky-user-env', 'bin'))) == ['activate', 'pip', 'pip3', 'python', 'python3', 'uv', 'uvx']
    assert sum(os.path.getsize(machine.path('sky-user-env', 'bin', name)) for name in os.listdir(machine.path('sky-user-env', 'bin'))) < 8192


@pytest.mark.parametrize('name', ['python', 'python3'])
def test_python_is_there_and_belongs_to_the_environment(machine, name):
    code, text = run(machine, name + ' -c "import sys; print(sys.prefix); print(sys.argv)" "a b" "\\$x"; command -v pip; echo $VIRTUAL_ENV')
    env = machine.path('sky-user-env')
    assert text.splitlines() == [env, "['-c', 'a b', '$x']", env + '/bin/pip', env]
    assert code == 0


def test_what_pip_installs_is_found_by_the_next_job_and_lies_below_the_home(machine):
    package = greeter(machine.home)
    code, text = run(machine, 'pip install --no-index %s && python -c "import styxgreeter; styxgreeter.main()"' % package)
    assert (code, text.splitlines()[-1]) == (0, 'hello from the package')
    code, text = run(machine, 'styxgreet; python3 -c "import styxgreeter; print(styxgreeter.__file__)"; pip cache dir; python -m pip --version')
    where, cache = text.splitlines()[1:3]
    assert text.splitlines()[0] == 'hello from the package'
    assert where.startswith(machine.path('sky-user-env', 'lib')) and cache.startswith(machine.home)
    assert machine.path('sky-user-env') in text.splitlines()[3]


def test_the_environment_can_be_activated_and_left_and_gives_way_to_one_of_the_script(machine):
    code, text = run(machine, '''set -eu
source ~/sky-user-env/bin/activate; source ~/sky-user-env/bin/activate; command -v python
python -m venv --without-pip ~/own; source ~/own/bin/activate; command -v python; python -c "import sys; print(sys.prefix)"
deactivate; source ~/sky-user-env/bin/activate; command -v python; deactivate
case "$PATH" in *sky-user-env*) echo still there;; esac; echo "${VIRTUAL_ENV-none}"; sh -uec ". ~/sky-user-env/bin/activate; command -v pip"''')
    env, own = machine.path('sky-user-env', 'bin', 'python'), machine.path('own')
    assert text.splitlines() == [env, own + '/bin/python', own, env, 'none', machine.path('sky-user-env', 'bin', 'pip')]
    assert code == 0


def test_an_environment_that_the_start_file_activates_stays_active(machine):
    subprocess.check_call([PYTHON, '-m', 'venv', '--without-pip', machine.path('mine')])
    with open(machine.path('.bashrc'), 'w') as file:
        file.write('. ~/mine/bin/activate\n')
    assert run(machine, 'command -v python3')[1] == machine.path('mine', 'bin', 'python3') + '\n'


def test_conda_of_the_machine_can_be_activated_also_by_scripts_that_a_script_calls(machine):
    base = machine.path('conda')
    os.makedirs(base + '/bin')
    os.makedirs(base + '/etc/profile.d')
    with open(base + '/bin/conda', 'w') as file:
        file.write('#!/bin/sh\necho "not initialised"; exit 1\n')
    os.chmod(base + '/bin/conda', 0o755)
    with open(base + '/etc/profile.d/conda.sh', 'w') as file:
        file.write('conda() { PATH="%s/envs/$2/bin:$PATH"; echo "activated $2"; }\n' % base)
    machine.environment['PATH'] += ':' + base + '/bin'
    assert run(machine, 'conda activate one; bash -c "conda activate two"')[1] == 'activated one\nactivated two\n'


def test_a_program_of_the_user_that_links_to_python_does_not_lead_it_in_circles(machine):
    os.makedirs(machine.path('bin'))
    os.symlink(machine.path('sky-user-env', 'bin', 'python3'), machine.path('bin', 'python3'))
    machine.environment['PATH'] = machine.path('bin') + ':' + machine.environment['PATH']
    assert run(machine, '~/bin/python3 -c "print(1)"; python3 -c "print(2)"') == (0, '1\n2\n')


def test_an_environment_that_is_there_already_is_left_as_it_is(machine):
    os.makedirs(machine.path('sky-user-env', 'bin'))
    with open(machine.path('sky-user-env', 'bin', 'activate'), 'w') as file:
        file.write('export OWN=1\n')
    assert run(machine, 'echo $OWN') == (0, '1\n')
    assert os.listdir(machine.path('sky-user-env', 'bin')) == ['activate']


def test_first_uses_at_the_same_time_make_one_environment(machine):
    channel = machine.connect()
    script = 'pip --version >/dev/null && python -c "import sys; print(sys.prefix)" && python3 -m pip --version | grep -c sky-user-env'
    jobs = ['c%d' % number for number in range(8)]
    for job in jobs:
        channel.start(job, script)
    assert {channel.log(job) for job in jobs} == {machine.path('sky-user-env') + '\n1\n'}
    assert not [name for name in os.listdir(machine.path('sky-user-env')) if name.startswith('.draft')]


_DIES = '''
import os, runpy, sys
left = int(os.environ["DIE_AT"])
def look(event, arguments):
    global left
    if event == "os.rename" or event == "open" and str(arguments[0]).endswith("pip/__init__.py") and arguments[1] == "wb":
        left -= 1
        if left == 0:
            os.kill(os.getpid(), 9)
sys.addaudithook(look)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
'''


def test_a_kill_in_the_middle_of_the_making_leaves_what_the_next_use_repairs(machine):
    env = machine.path('sky-user-env')
    dies = machine.path('dies.py')
    with open(dies, 'w') as file:
        file.write(_DIES)
    # The machine's python, which dies before the step of the making that DIE_AT counts to.
    python_on_path(machine, '[ "$1" = -I ] && [ -n "$DIE_AT" ] || exec $REAL "$@"\nshift; exec $REAL -I %s "$@"' % dies)
    for step in range(1, 40):
        run(machine, 'true')
        code = subprocess.call([os.path.join(env, 'bin', 'pip'), '--version'], env=dict(machine.environment, DIE_AT=str(step)),
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if code == 0:
            break
        code, text = run(machine, 'python3 -c "import sys, pip; print(sys.prefix, pip.__file__)"; python -c 1')
        prefix, module = text.split()
        assert (code, prefix) == (0, env) and module.startswith(env), step
        for name in ('python', 'python3', 'pip', 'pip3'):
            with open(os.path.join(env, 'bin', name), 'rb') as file:
                assert b'Stands in' not in file.read(100), (step, name)
        assert not os.path.exists(env + '/.draft')
        shutil.rmtree(env)
    assert step > 8


def test_a_machine_without_ensurepip_has_python_and_says_what_pip_needs(machine):
    hide = 'import sys, runpy; sys.modules["ensurepip"] = None; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name="__main__")'
    python_on_path(machine, "[ \"$1\" = -I ] || exec $REAL \"$@\"\nshift; exec $REAL -I -c '%s' \"$@\"" % hide)
    code, text = run(machine, 'python -c "import sys; print(sys.prefix)"; pip install x; echo $?')
    lines = text.splitlines()
    assert lines[0] == machine.path('sky-user-env')
    assert lines[1].startswith('styx: ') and 'python3-venv' in lines[1]
    assert lines[2:] == ['1']
    # Once it is installed, pip is there.
    os.unlink(machine.path('machine', 'python3'))
    os.symlink(PYTHON, machine.path('machine', 'python3'))
    assert run(machine, 'pip --version >/dev/null && pip3 --version >/dev/null && echo yes') == (0, 'yes\n')


def test_a_machine_that_cannot_make_an_environment_still_has_its_python(machine):
    python_on_path(machine, '[ "$1" != -I ] || { echo broken >&2; exit 1; }\nexec $REAL "$@"')
    assert run(machine, 'python -c "print(6 * 7)"') == (0, '42\n')
    assert run(machine, 'pip --version') == (1, 'broken\n')


def test_a_machine_without_python_says_so(machine):
    python_on_path(machine, None)
    assert run(machine, 'python3 -c 1') == (127, 'styx: there is no python3 on this machine\n')


def test_uv_of_the_machine_is_used_with_this_environment(machine):
    os.makedirs(machine.path('programs'))
    with open(machine.path('programs', 'uv'), 'w') as file:
        file.write('#!/bin/sh\necho "uv $* for $VIRTUAL_ENV"; [ -e "$VIRTUAL_ENV/pyvenv.cfg" ]\n')
    os.chmod(machine.path('programs', 'uv'), 0o755)
    machine.environment['PATH'] += ':' + machine.path('programs')
    assert run(machine, 'uv pip install x; uv x') == (0, 'uv pip install x for %s\nuv x for %s\n' % (2 * (machine.path('sky-user-env'),)))


def test_uv_comes_from_where_pip_finds_packages_when_the_machine_has_none(machine):
    index = {'PIP_NO_INDEX': '1', 'PIP_FIND_LINKS': machine.home}
    code, text = run(machine, 'uv --version', env=index)
    assert code == 1 and text.splitlines()[-1].startswith('styx: uv is not on this machine')
    wheel(machine.home, 'uv', {'uv/__init__.py': '', 'uv-1.0.data/scripts/uv': '#!/bin/sh\necho "uv at $0"\n'})
    uv = machine.path('.local', 'bin', 'uv')
    own = 'python -m venv --without-pip ~/own; . ~/own/bin/activate; '
    assert run(machine, own + 'uv; uv', env=index) == (0, 2 * ('uv at %s\n' % uv))
    assert run(machine, 'uv; ~/.local/bin/uv') == (0, 2 * ('uv at %s\n' % uv))


def test_scripts_may_open_as_many_files_as_the_machine_lets_them(machine):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        code, text = run(machine, 'ulimit -Sn; ulimit -Hn')
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    most = 1024 * 1024 if hard == resource.RLIM_INFINITY else min(hard, 1024 * 1024)
    assert text.split() == [str(most), 'unlimited' if hard == resource.RLIM_INFINITY else str(hard)]


def test_scripts_have_the_umask_of_a_login_and_see_output_at_once(machine):
    code, text = run(machine, 'umask; echo $PYTHONUNBUFFERED; touch file; stat -c %a file', env={})
    assert text.split() == ['0022', '1', '644']
    assert run(machine, 'echo $PYTHONUNBUFFERED', env={'PYTHONUNBUFFERED': ''})[1] == '\n'
