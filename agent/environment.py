"""
The user environment: ~/sky-user-env, where a job's python, pip and uv are, as SkyPilot's users have it. Nothing of it is made for a
job that uses none of them: until then its programs are stand-ins, which make it (environment_maker.py) and go on as the real ones. So is uv where there is none.
"""
import os

import paths


def base():
    return os.path.join(paths.HOME, 'sky-user-env')


def uv_folder():
    """Where SkyPilot's nodes have uv: it is of use in every environment."""
    return os.path.join(paths.HOME, '.local', 'bin')


def _maker():
    """Not below a version's folder, which goes some time after the next version came."""
    return os.path.join(paths.BASE, 'environment-maker.py')


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
    'python': r'''make %(program)s 2>/dev/null || exec "$python" "$@"
exec %(program)s "$@"
''',
    'pip': r'''make %(program)s && exec %(program)s "$@"
''',
    # There is always one to be found: the machine's, or what stands at UV.
    'uv': r'''[ -L "$env/bin/python" ] || make "$env/bin/python"
exec "$(find %(name)s "$PATH:"%(uv)s)" "$@"
''',
    'uv itself': r'''make %(program)s && exec %(program)s "$@"
''',
}
_IN_BASE = {'python': 'python', 'python3': 'python', 'pip': 'pip', 'pip3': 'pip', 'uv': 'uv', 'uvx': 'uv'}


def prepare():
    """Lays down what is not there; what anybody else put at its place is left alone. A job runs without it rather than not at all."""
    try:
        _prepare()
    except OSError as error:
        paths.note('cannot lay down the user environment: %s' % error)


def _prepare():
    with open(os.path.join(paths.CODE, 'environment_maker.py'), 'rb') as file:
        maker = file.read()
    if paths.read_or_none(_maker()) != maker:
        paths.write_whole(_maker(), maker)
    for name in ('uv', 'uvx'):
        place = os.path.join(uv_folder(), name)
        _lay_once(place, _stand_in(place, 'uv itself'))
    if os.path.lexists(base()):
        return
    import shutil

    draft = os.path.join(paths.TEMP, 'sky-user-env')
    shutil.rmtree(draft, ignore_errors=True)
    os.makedirs(os.path.join(draft, 'bin'))
    _write(os.path.join(draft, 'bin', 'activate'), _ACTIVATE % {'base': _quoted(base())}, 0o644)
    for name, kind in _IN_BASE.items():
        _write(os.path.join(draft, 'bin', name), _stand_in(os.path.join(base(), 'bin', name), kind), 0o755)
    for folder in (os.path.join(draft, 'bin'), draft):
        os.chmod(folder, 0o755)
    os.rename(draft, base())


def _stand_in(program, kind):
    values = {'base': base(), 'maker': _maker(), 'uv': uv_folder(), 'program': program}
    values = {name: _quoted(value) for name, value in values.items()}
    return (_STAND_IN + _ENDS[kind]) % dict(values, name=os.path.basename(program))


def _lay_once(path, text):
    if os.path.lexists(path):
        return
    os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
    draft = os.path.join(paths.TEMP, os.path.basename(path))
    _write(draft, text, 0o755)
    os.rename(draft, path)


def _write(path, text, mode):
    with open(path, 'wb') as file:
        file.write(os.fsencode(text))
    os.chmod(path, mode)


def _quoted(text):
    return "'" + text.replace("'", "'\\''") + "'"
