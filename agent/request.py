"""Checks of what comes in from outside."""
import re

import paths
from errors import invalid
from process import PHASES

_VARIABLE = re.compile(r'[A-Za-z_][A-Za-z0-9_]*\Z')
#: bash refuses to set these.
_READONLY = ('BASHOPTS', 'BASH_VERSINFO', 'EUID', 'PPID', 'SHELLOPTS', 'UID')
#: Linux lets one variable have 128 KiB, and no program could be started with more.
_MAX_VALUE = 120 * 1024
_MAX_ENV = 1024 * 1024


def job_key(message):
    key = message.get('jobKey')
    if not paths.is_name(key):
        raise invalid('jobKey must be 1 to 200 characters of [A-Za-z0-9._-], not %r' % (key,))
    return key


def process_key(message):
    """(job, phase, rank)"""
    phase, rank = message.get('phase'), message.get('rank')
    if phase not in PHASES:
        raise invalid('phase must be setup, run or service, not %r' % (phase,))
    if type(rank) is not int or not 0 <= rank < 1000000:
        raise invalid('rank must be a whole number from 0, not %r' % (rank,))
    return job_key(message), phase, rank


def number(message, name, default=None):
    value = message.get(name, default)
    if type(value) not in (int, float) or value != value or value < 0:
        raise invalid('%s must be a number from 0, not %r' % (name, value))
    return value


def flag(message, name, default):
    value = message.get(name, default)
    if type(value) is not bool:
        raise invalid('%s must be true or false, not %r' % (name, value))
    return value


def text(message, name):
    value = message.get(name)
    if not isinstance(value, str) or '\0' in value:
        raise invalid('%s must be text without NUL' % name)
    return value


def env(message, field='env'):
    values = message.get(field, {})
    if not isinstance(values, dict):
        raise invalid('%s must be an object' % field)
    total = 0
    for name, value in values.items():
        if not _VARIABLE.match(name) or name in _READONLY:
            raise invalid('%r cannot be the name of an environment variable' % (name,))
        if not isinstance(value, str) or '\0' in value:
            raise invalid('the environment variable %s must be text without NUL' % name)
        size = len(value.encode('utf-8', 'surrogatepass'))
        total += size + len(name) + 2
        if size > _MAX_VALUE or total > _MAX_ENV:
            raise invalid('the environment variable %s makes the environment too large for Linux' % name)
    return values
