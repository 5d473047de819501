"""
Where Ray is on a node: ~/.styx-ray/env, the python, pip and ray of jobs of tasks with `ray`, in place of ~/sky-user-env. What is
installed there on all nodes is what Ray's workers can import. Ray itself is in an environment that other clusters on this host share.
"""
import os
import sys

import paths

#: Set by a cloud whose nodes share the disk of one host.
_HOST_CACHE = 'STYX_HOST_CACHE'

_START = rb'''[ -n "${CONDA_PREFIX-}${VIRTUAL_ENV-}" ] || . %(activate)s
'''

#: After the variables of the task, which cannot point a job at another Ray by mistake.
_VARIABLES = rb'''export RAY_ADDRESS=%(address)s RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=%(token)s RAY_USAGE_STATS_ENABLED=0
'''


def folder():
    return os.path.join(paths.HOME, '.styx-ray')


def env():
    return os.path.join(folder(), 'env')


def token():
    return os.path.join(folder(), 'token')


def status():
    """Of the Ray that runs, or tried to: what it is doing, where it listens, why it ended."""
    return os.path.join(folder(), 'status.json')


def cache():
    """Directory of environments and of allotted ports: of the host, whatever the home directory is."""
    given = os.environ.get(_HOST_CACHE) or os.path.join(paths.HOME, '.cache', 'styx')
    return os.path.join(given, 'ray')


def start(quote):
    """Lines for the start file of a job's shell."""
    return _START % {b'activate': quote(os.fsencode(os.path.join(env(), 'bin', 'activate')))}


def variables(address, quote):
    return _VARIABLES % {b'address': quote(address.encode()), b'token': quote(os.fsencode(token()))}


def base_of(version, extras):
    """The shared environment of one Ray, by all that makes it another one."""
    import hashlib

    python = os.path.realpath(sys.executable)
    tag = hashlib.sha256(os.fsencode(python)).hexdigest()[:8]
    name = '-'.join([version] + sorted(extras) + ['py%d.%d' % sys.version_info[:2], tag])
    return os.path.join(cache(), 'env', name)
