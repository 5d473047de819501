"""
The conda of a node's jobs, where the configuration asks for it (`provision.install_conda`): one that the machine has, else Miniforge in
~/miniforge3, as SkyPilot has it, installed by the first job's shell before its script begins (conda_maker.py).
"""
import os
import sys

import paths

#: The release that SkyPilot 0.14.1 installs.
_RELEASE = 'https://github.com/conda-forge/miniforge/releases/download/26.3.2-3/Miniforge3-26.3.2-3-%s-%s.sh'
#: Variable of a task that names another place to fetch the installer from; its SHA-256 is expected at the same address plus ".sha256".
MIRROR = 'STYX_MINIFORGE_URL'

# A start file that has activated an environment is left alone, as is a conda of the machine's own.
_START = r'''if ! type -P conda >/dev/null; then
  [ -x %(prefix)s/bin/conda ] && [ ! -e %(unfinished)s ] || %(python)s -I %(maker)s %(prefix)s %(unfinished)s %(url)s </dev/null >&2 || exit 1
  set -a; . %(prefix)s/etc/profile.d/conda.sh; set +a
fi
[ -n "${CONDA_PREFIX-}${VIRTUAL_ENV-}" ] || conda activate base
'''


def _maker():
    """Not below a version's folder, which goes some time after the next version came."""
    return os.path.join(paths.BASE, 'conda-maker.py')


def prepare():
    with open(os.path.join(paths.CODE, 'conda_maker.py'), 'rb') as file:
        maker = file.read()
    if paths.read_or_none(_maker()) != maker:
        paths.write_whole(_maker(), maker)


def start(env, quote):
    """Lines for the start file of a job's shell."""
    system = 'MacOSX' if sys.platform == 'darwin' else 'Linux'
    values = {
        'prefix': os.path.join(paths.HOME, 'miniforge3'),
        'unfinished': os.path.join(paths.BASE, 'conda-unfinished'),
        'python': sys.executable,
        'maker': _maker(),
        'url': env.get(MIRROR) or _RELEASE % (system, os.uname().machine),
    }
    return os.fsencode(_START) % {name.encode(): quote(os.fsencode(value)) for name, value in values.items()}
