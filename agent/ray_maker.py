"""
Makes the environments of Ray: the shared one, by uv where the machine has it, else by venv and pip; and the node's own, which sees the
shared one through a .pth file and into which jobs install. Any number may run at a time. What a kill left half done is thrown away.
"""
import fcntl
import os
import platform
import re
import shutil
import subprocess
import sys

import paths
import ray_environment
from errors import Refused

#: Made last of all.
_COMPLETE = 'styx-complete'
_KEPT = 40


def make(version, extras):
    base = ray_environment.base_of(version, extras)
    os.makedirs(os.path.dirname(base), 0o755, exist_ok=True)
    lock = os.open(base + '.lock', os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(os.path.join(base, _COMPLETE)):
            shutil.rmtree(base, ignore_errors=True)
            _build(base, version, extras, lock)
            open(os.path.join(base, _COMPLETE), 'ab').close()
    finally:
        os.close(lock)
    _make_own(base)


def _build(base, version, extras, lock):
    wanted = 'ray[%s]==%s' % (','.join(['default'] + sorted(extras)), version)
    print('styx: installing %s in %s' % (wanted, base), flush=True)
    python = os.path.join(base, 'bin', 'python')
    uv = _find_uv()
    if uv:
        commands = [
            [uv, 'venv', '--quiet', '--no-python-downloads', '--python', sys.executable, base],
            [uv, 'pip', 'install', '--quiet', '--compile-bytecode', '--python', python, 'pip', wanted],
        ]
        if all(_run(command, lock)[0] == 0 for command in commands):
            return
        # pip may know of an index that uv does not, and says which versions there are.
        shutil.rmtree(base, ignore_errors=True)
    code, said = _run([sys.executable, '-m', 'venv', base], lock)
    if code:
        raise Refused('invalid', _without_venv(said))
    pip = [python, '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-input', wanted]
    code, said = _run(pip, lock)
    if code:
        shutil.rmtree(base, ignore_errors=True)
        raise _failure(version, said)


def _run(command, lock):
    """(exit code, last lines). The child keeps the lock should this process be killed."""
    env = {name: value for name, value in os.environ.items() if name not in ('VIRTUAL_ENV', 'PYTHONPATH', 'PYTHONHOME', 'PIP_TARGET', 'PIP_USER')}
    process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, pass_fds=[lock])
    said = []
    for line in process.stdout:
        text = line.decode('utf-8', 'replace').rstrip()
        print(text, flush=True)
        said = (said + [text])[-_KEPT:]
    return process.wait(), said


def _find_uv():
    """A real one: the user environment has stand-ins, which would make that environment."""
    for folder in os.environ.get('PATH', '').split(os.pathsep):
        path = os.path.join(folder, 'uv')
        if not os.path.isfile(path) or not os.access(path, os.X_OK):
            continue
        with open(path, 'rb') as file:
            if b'# Stands in for ' not in file.read(200):
                return path
    return None


def _failure(version, said):
    text = '\n'.join(said)
    here = 'Python %d.%d on %s %s' % (sys.version_info[:2] + (platform.system(), platform.machine()))
    found = re.search(r'No matching distribution found for ray\b', text) and re.search(r'from versions: ([^)]*)\)', text)
    if found and found.group(1).strip() != 'none':
        known = [one.strip() for one in found.group(1).split(',')]
        return Refused('invalid', 'there is no Ray %s for %s; %s' % (version, here, _nearest(version, known)))
    errors = [line for line in said if 'error' in line.lower()] or said[-1:] or ['without a word']
    return Refused('transient', 'Ray %s could not be installed for %s: %s' % (version, here, errors[-1][:500]))


def _numbers(version):
    return [int(part) for part in re.findall(r'\d+', version)[:3]]


def _nearest(version, known):
    releases = sorted((one for one in known if re.match(r'\d+\.\d+\.\d+\Z', one)), key=_numbers)
    if not releases:
        return 'no release of it is to be had'
    wanted = _numbers(version)
    below = [one for one in releases if _numbers(one) <= wanted][-1:]
    above = [one for one in releases if _numbers(one) > wanted][:1]
    near = ' and '.join(below + above)
    return 'the nearest %s %s, the newest %s' % ('is' if len(below + above) == 1 else 'are', near, releases[-1])


def _without_venv(said):
    return 'python %d.%d of this machine can make no environment (on Debian and Ubuntu: install python3-venv): %s' % (
        sys.version_info[:2] + ((said or ['without a word'])[-1][:300],)
    )


def _make_own(base):
    """The node's own environment over a shared one; another one's is thrown away, with what jobs installed in it."""
    own = ray_environment.env()
    note = os.path.join(own, _COMPLETE)
    if (paths.read_or_none(note) or b'').decode('utf-8', 'surrogateescape') == base:
        return
    shutil.rmtree(own, ignore_errors=True)
    os.makedirs(ray_environment.folder(), 0o700, exist_ok=True)
    import venv

    venv.EnvBuilder(with_pip=False, symlinks=True).create(own)
    library = 'python%d.%d' % sys.version_info[:2]
    packages = os.path.join(own, 'lib', library, 'site-packages')
    with open(os.path.join(packages, 'styx-ray.pth'), 'w') as file:
        file.write(os.path.join(base, 'lib', library, 'site-packages') + '\n')
    python = os.path.join(own, 'bin', 'python')
    for name in os.listdir(os.path.join(base, 'bin')):
        target = os.path.join(own, 'bin', name)
        if os.path.lexists(target) or name.startswith(('python', 'activate', 'Activate', 'deactivate')):
            continue
        with open(os.path.join(base, 'bin', name), 'rb') as file:
            if file.read(2) != b'#!':
                continue
        _write_program(target, python, '"%s"' % os.path.join(base, 'bin', name))
    for name in ('pip', 'pip3'):
        _write_program(os.path.join(own, 'bin', name), python, '-m pip')
    paths.write_whole(note, os.fsencode(base))


def _write_program(target, python, what):
    # Not by `#!` and the interpreter's path, which the kernel cuts at 127 bytes.
    paths.write_whole(target, ('#!/bin/sh\nexec "%s" %s "$@"\n' % (python, what)).encode('utf-8', 'surrogateescape'), lasting=False)
    os.chmod(target, 0o755)
