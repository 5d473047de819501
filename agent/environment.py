"""
The user environment: ~/sky-user-env, where a job's python, pip and uv are, as SkyPilot's users have it. Nothing of it is made for a
job that uses none of them: until then its programs are stand-ins, which make it (environment_maker.py) and go on as the real ones.
"""
import os

import paths

BASE = os.path.join(paths.HOME, 'sky-user-env')
#: Not below a version's folder, which goes some time after the next version came.
_MAKER = os.path.join(paths.BASE, 'environment-maker.py')

# Names and order of what is kept are those of Python's own, so that environments can be activated one after the other.
_ACTIVATE = r'''# For sh, bash and zsh: source ~/sky-user-env/bin/activate
deactivate () {
    if [ -n "${_OLD_VIRTUAL_PATH:-}" ]; then
        PATH=$_OLD_VIRTUAL_PATH
        export PATH
        unset _OLD_VIRTUAL_PATH
    fi
    hash -r 2>/dev/null || :
    unset VIRTUAL_ENV VIRTUAL_ENV_PROMPT
    [ "${1:-}" = nondestructive ] || unset -f deactivate
}
deactivate nondestructive
VIRTUAL_ENV=%(base)s
VIRTUAL_ENV_PROMPT=sky-user-env
_OLD_VIRTUAL_PATH=$PATH
PATH=$VIRTUAL_ENV/bin:$PATH
export VIRTUAL_ENV VIRTUAL_ENV_PROMPT PATH
'''

_STAND_IN = r'''#!/bin/sh
# Stands in for %(name)s until its first use, which makes this environment.
env=%(base)s
find() {
  set -f; IFS=:
  for folder in $2; do
    [ -x "$folder/$1" ] && [ ! -d "$folder/$1" ] && ! [ "$folder" -ef "$env/bin" ] || continue
    # Somebody's link to a stand-in would lead back here.
    [ ! -L "$env/bin/$1" ] && [ "$folder/$1" -ef "$env/bin/$1" ] || { printf '%%s\n' "$folder/$1"; exit; }
  done
  exit 1
}
python=$(find python3 "$PATH") || { echo 'styx: there is no python3 on this machine' >&2; exit 127; }
make() { "$python" -I %(maker)s "$env" "$1" </dev/null >&2; }
'''

_ENDS = {
    # A machine that cannot make an environment may have a python that does.
    'python': r'''make %(name)s 2>/dev/null || exec "$python" "$@"
''',
    'pip': r'''make %(name)s || exit
''',
    'uv': r'''[ -L "$env/bin/python" ] || make python
uv=$(find %(name)s "$PATH:$HOME/.local/bin:$HOME/.cargo/bin") && exec "$uv" "$@"
make %(name)s || exit
''',
}
_EXEC = r'''exec "$env/bin/%(name)s" "$@"
'''
_PROGRAMS = {'python': 'python', 'python3': 'python', 'pip': 'pip', 'pip3': 'pip', 'uv': 'uv', 'uvx': 'uv'}


def prepare():
    """Lays down what is not there; what anybody else put at its place is left alone. A job runs without it rather than not at all."""
    try:
        _prepare()
    except OSError as error:
        paths.note('cannot lay down the user environment: %s' % error)


def _prepare():
    with open(os.path.join(paths.CODE, 'environment_maker.py'), 'rb') as file:
        maker = file.read()
    if paths.read_or_none(_MAKER) != maker:
        paths.write_whole(_MAKER, maker)
    if os.path.lexists(BASE):
        return
    import shutil

    draft = os.path.join(paths.TEMP, 'sky-user-env')
    shutil.rmtree(draft, ignore_errors=True)
    os.makedirs(os.path.join(draft, 'bin'))
    values = {'base': _quoted(BASE), 'maker': _quoted(_MAKER)}
    _write(os.path.join(draft, 'bin', 'activate'), _ACTIVATE % values, 0o644)
    for name, kind in _PROGRAMS.items():
        text = (_STAND_IN + _ENDS[kind] + _EXEC) % dict(values, name=name)
        _write(os.path.join(draft, 'bin', name), text, 0o755)
    for folder in (os.path.join(draft, 'bin'), draft):
        os.chmod(folder, 0o755)
    os.rename(draft, BASE)


def _write(path, text, mode):
    with open(path, 'wb') as file:
        file.write(os.fsencode(text))
    os.chmod(path, mode)


def _quoted(text):
    return "'" + text.replace("'", "'\\''") + "'"
