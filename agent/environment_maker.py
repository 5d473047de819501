"""
Makes ~/sky-user-env, the python, pip and uv of a node's jobs, when the first of them is used: `DIRECTORY STAND-IN`. Run by
the stand-ins with the python3 that the machine has, and complete in itself, since it outlives the agent that laid it down.

`pyvenv.cfg` is put in place last of all that the machine's python needs, and the programs one by one after it, each over its
stand-in. So whoever finds a stand-in comes here, and what a kill left half done is finished, or thrown away when nothing could have
been installed in it.
"""
import fcntl
import glob
import os
import shutil
import subprocess
import sys


class Refused(Exception):
    pass


def main(base, program):
    """`program` is a stand-in, by its full path: it is the real one afterwards."""
    lock = os.open(os.path.join(base, '.lock'), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    _ensure(base)
    name = os.path.basename(program)
    if _is_stand_in(program) and name.startswith('pip'):
        _add_pip(base)
    elif _is_stand_in(program) and name.startswith('uv'):
        _add_uv(base, os.path.dirname(program), lock)
    if _is_stand_in(program):
        raise Refused('%s could not be made' % program)


def _is_stand_in(program):
    try:
        with open(program, 'rb') as file:
            return file.read(200).startswith(b'#!/bin/sh\n# Stands in for ')
    except OSError:
        return False


def _ensure(base):
    draft = os.path.join(base, '.draft')
    if not os.path.exists(os.path.join(base, 'pyvenv.cfg')):
        _build(base, draft)
    if os.path.isdir(os.path.join(draft, 'bin')):
        _place_programs(draft, base)
    shutil.rmtree(draft, ignore_errors=True)


def _build(base, draft):
    shutil.rmtree(draft, ignore_errors=True)
    try:
        import venv
    except ImportError:
        raise Refused(_what_to_install('venv'))
    # As SkyPilot's: packages that the machine has can be imported, and what is installed goes here.
    venv.EnvBuilder(system_site_packages=True, symlinks=True).create(draft)
    for name in os.listdir(os.path.join(draft, 'bin')):
        if not name.startswith('python'):
            os.unlink(os.path.join(draft, 'bin', name))
    _unpack_pip(base, draft)
    settings = os.path.join(draft, 'pyvenv.cfg')
    with open(settings) as file:
        text = file.read().replace(draft, base)
    with open(settings, 'w') as file:
        file.write(text)
    for name in os.listdir(draft):
        if name not in ('bin', 'pyvenv.cfg'):
            _remove(os.path.join(base, name))
            os.rename(os.path.join(draft, name), os.path.join(base, name))
    os.rename(settings, os.path.join(base, 'pyvenv.cfg'))


def _place_programs(draft, base):
    folder = os.path.join(draft, 'bin')

    def links_to_another(name):
        path = os.path.join(folder, name)
        return os.path.islink(path) and not os.path.isabs(os.readlink(path))

    # `python` last: that it is no stand-in tells that all is done. Before it those that link to it, or to what is there by then.
    for name in sorted(os.listdir(folder), key=lambda name: (name == 'python', links_to_another(name), name)):
        os.rename(os.path.join(folder, name), os.path.join(base, 'bin', name))


def _unpack_pip(base, root):
    """
    A wheel of pure Python is installed by unpacking it, which takes a twentieth of ensurepip's time. Answers whether pip is there;
    without it the environment is of use for everything else.
    """
    wheels = _wheels()
    if 'pip' not in wheels:
        return False
    import zipfile

    packages = _packages(root)
    for wheel in wheels.values():
        with zipfile.ZipFile(wheel) as file:
            file.extractall(packages)
    os.makedirs(os.path.join(root, 'bin'), exist_ok=True)
    for name in ('pip', 'pip3', 'pip%d.%d' % sys.version_info[:2]):
        path = os.path.join(root, 'bin', name)
        with open(path + '.new', 'w') as file:
            file.write(_PIP % os.path.join(base, 'bin', 'python'))
        os.chmod(path + '.new', 0o755)
        os.rename(path + '.new', path)
    return True


# Both a shell script and a Python program, since the kernel cuts the path after `#!` at 127 bytes.
_PIP = """#!/bin/sh
'''exec' "%s" "$0" "$@"
' '''
import sys
from pip._internal.cli.main import main
sys.exit(main())
"""


def _wheels():
    """{name: path} of what Python brings along for environments."""
    try:
        import ensurepip
    except ImportError:
        return {}
    import sysconfig

    names = ['pip'] + (['setuptools'] if sys.version_info < (3, 12) else [])
    folders = [os.path.join(os.path.dirname(ensurepip.__file__), '_bundled'), sysconfig.get_config_var('WHEEL_PKG_DIR')]
    found = {}
    # The last one is Debian's.
    for folder in folders + ['/usr/share/python-wheels']:
        for name in names:
            wheels = sorted(glob.glob(os.path.join(glob.escape(folder or '/nonexistent'), name + '-*-none-any.whl')))
            if wheels:
                found.setdefault(name, wheels[-1])
    return found


def _add_pip(base):
    """For an environment that was made before the machine could."""
    if not _unpack_pip(base, base):
        raise Refused(_what_to_install('pip'))


def _add_uv(base, target, lock):
    draft = os.path.join(base, '.uv')
    shutil.rmtree(draft, ignore_errors=True)
    pip = [os.path.join(base, 'bin', 'python'), '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check']
    # The child keeps the lock should this process be killed.
    code = subprocess.call(pip + ['--no-deps', '--ignore-installed', '--prefix', draft, 'uv'], stdout=2, pass_fds=[lock])
    programs = os.path.join(draft, 'bin')
    if code or not os.path.exists(os.path.join(programs, 'uv')):
        raise Refused('uv is not on this machine, and pip could not install it (see above)')
    for name in os.listdir(programs):
        os.rename(os.path.join(programs, name), os.path.join(target, name))
    shutil.rmtree(draft, ignore_errors=True)


def _packages(root):
    return glob.glob(os.path.join(glob.escape(root), 'lib', 'python3*', 'site-packages'))[0]


def _remove(path):
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def _what_to_install(what):
    version = '%d.%d' % sys.version_info[:2]
    return 'python %s of this machine has no %s; install it (on Debian and Ubuntu: python3-venv)' % (version, what)


if __name__ == '__main__':
    try:
        if sys.version_info < (3, 8):
            raise Refused('python3 of this machine is %d.%d, and 3.8 or later is needed' % sys.version_info[:2])
        main(sys.argv[1], sys.argv[2])
    except (Refused, OSError) as error:
        sys.stderr.write('styx: %s\n' % error)
        sys.exit(1)
