"""One process of one job: its folder, its runner, its end."""
import json
import os
import time

import conda
import environment
import paths
import runner

LOST = 137
#: What a run script writes for those who come after it, and of how much of it is told: a byte more than anybody takes.
OUTPUT = 'output'
_OUTPUT_BYTES = 8 * 1024 + 1
#: Where it writes how much of its work is done; see progress.py.
PROGRESS = 'progress'
#: `service`: it serves jobs and is none, so that a node with nothing else is idle.
PHASES = ('setup', 'run', 'service')


class Process:
    """
    The folder holds `request.json`, `rc`, `secrets` and `script` (the intent), `claim` (made by the runner that runs it), `exit` and at
    last `final.json`, which is the state as it will always be answered.
    """

    def __init__(self, key, request):
        self.key = key
        self.owner = request['owner']
        self.started = request['startedAt']
        self.boot = request['boot']
        self.folder = folder_of(key)
        self.runner = None
        self.final = None

    @property
    def log(self):
        return paths.log_path(*self.key)

    def claim(self):
        """(pid, start time, boot) of the runner that runs it, or None."""
        try:
            pid, start, boot = os.readlink(os.path.join(self.folder, 'claim')).split('.', 2)
        except FileNotFoundError:
            return None
        return int(pid), start, boot

    def take_claim(self):
        """Makes sure that no runner will run it any more; False when one already does or did."""
        try:
            os.symlink('0.0.none', os.path.join(self.folder, 'claim'))
            return True
        except FileExistsError:
            return self.claim()[0] == 0

    def exit_on_record(self):
        """(exit code, Unix time), or None."""
        path = os.path.join(self.folder, 'exit')
        try:
            return int(os.readlink(path)), os.lstat(path).st_mtime
        except FileNotFoundError:
            return None

    def state(self):
        if self.final is not None:
            return self.final
        return self._state('running', None, None, False, is_cancelled(self.key[0]))

    def end(self, code, at, lost, cancelled):
        self.final = self._state('exited', code, at, lost, cancelled)
        # Of one rank, and of one that did what it should: with the exit and not after it, as the machine may be gone by then.
        if self.key[1] == 'run' and self.key[2] == 0 and code == 0:
            output = _beginning(os.path.join(self.folder, OUTPUT))
            if output:
                self.final['output'] = output
        return self.final

    def _state(self, state, code, ended, lost, cancelled):
        return {
            'jobKey': self.key[0],
            'phase': self.key[1],
            'rank': self.key[2],
            'owner': self.owner,
            'state': state,
            'exitCode': code,
            'lost': lost,
            'cancelled': cancelled,
            'interrupted': interrupted_at(self.key[0]) if cancelled else None,
            'startedAt': self.started,
            'endedAt': ended,
        }

    def settle(self):
        """Puts the final state on disk; script and variables, which may hold secrets, go."""
        paths.write_whole(os.path.join(self.folder, 'final.json'), json.dumps(self.final).encode())
        for name in ('request.json', 'rc', 'secrets', 'script', OUTPUT, PROGRESS):
            paths.remove(os.path.join(self.folder, name))
        paths.remove(live_marker(self.key))

    def spawn(self, boot, markers):
        """Answers the pid to wait for."""
        pid, self.runner = runner.spawn(self.folder, self.log, boot, markers)
        return pid


def _beginning(path):
    try:
        with open(path, 'rb') as file:
            return file.read(_OUTPUT_BYTES).decode('utf-8', 'replace')
    except OSError:
        return ''


def folder_of(key):
    return os.path.join(paths.JOBS, key[0], '%s-%d' % key[1:])


def live_marker(key):
    return os.path.join(paths.LIVE, '%s~%s-%d' % key)


def cancel_file(job):
    return os.path.join(paths.JOBS, job, 'cancelled')


def is_cancelled(job):
    return os.path.exists(cancel_file(job))


def interrupted_at(job):
    """Unix time of the machine's end, if it was the cloud's notice that ended the job and nobody's cancel before that, or None."""
    return json.loads((paths.read_or_none(cancel_file(job)) or b'{}').decode() or '{}').get('interrupted')


def drop_drafts():
    """Of starts that a dead agent did not finish: they may hold secrets."""
    for name in os.listdir(paths.TEMP):
        import shutil

        shutil.rmtree(os.path.join(paths.TEMP, name), ignore_errors=True)


def create(key, script, env, secrets, owner, boot, with_conda=False, ray=None):
    """Lays down the intent. It appears as a whole or not at all."""
    request = {'owner': owner, 'startedAt': time.time(), 'boot': boot}
    # It takes longer to load than all that a sync of files loads, which needs none of it.
    import shutil

    draft = os.path.join(paths.TEMP, '%s~%s-%d' % key)
    shutil.rmtree(draft, ignore_errors=True)
    os.mkdir(draft, 0o700)
    for name, data in (
        ('request.json', json.dumps(request).encode()),
        ('rc', runner.rc(_with_files(key, env), folder_of(key), with_conda, ray)),
        ('secrets', runner.exports(secrets)),
        (OUTPUT, b''),
        (PROGRESS, b''),
        ('script', script.encode('utf-8', 'surrogatepass')),
    ):
        with open(os.path.join(draft, name), 'wb') as file:
            file.write(data)
    os.makedirs(paths.WORKDIR, 0o755, exist_ok=True)
    environment.prepare()
    if with_conda:
        conda.prepare()
    log = paths.log_path(*key)
    os.makedirs(os.path.dirname(log), 0o700, exist_ok=True)
    open(log, 'ab').close()
    os.makedirs(os.path.join(paths.JOBS, key[0]), 0o700, exist_ok=True)
    open(live_marker(key), 'ab').close()
    os.rename(draft, folder_of(key))
    return Process(key, request)


def _with_files(key, env):
    if key[1] != 'run':
        return env
    folder = folder_of(key)
    return dict(env, STYX_OUTPUT=os.path.join(folder, OUTPUT), STYX_PROGRESS=os.path.join(folder, PROGRESS))


def load(key):
    """The process from disk, or None."""
    folder = folder_of(key)
    final = paths.read_or_none(os.path.join(folder, 'final.json'))
    if final is not None:
        state = json.loads(final.decode())
        process = Process(key, {'owner': state['owner'], 'startedAt': state['startedAt'], 'boot': ''})
        process.final = state
        return process
    request = paths.read_or_none(os.path.join(folder, 'request.json'))
    return None if request is None else Process(key, json.loads(request.decode()))


def load_job(job):
    """All processes of a job that are on disk."""
    try:
        names = os.listdir(os.path.join(paths.JOBS, job))
    except FileNotFoundError:
        return []
    keys = []
    for name in names:
        phase, _, rank = name.partition('-')
        if phase in PHASES and rank.isdigit():
            keys.append((job, phase, int(rank)))
    return [process for process in map(load, sorted(keys)) if process is not None]
