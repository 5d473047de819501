"""Load of the machine, read when asked."""
import os
import time

import paths
import procfs
import reach

_GPU_QUERY = 'name,utilization.gpu,memory.used,memory.total'
_MIB = 1024 * 1024


class Stats:
    def __init__(self, loop):
        self.loop = loop
        self.times = _cpu_times()
        self.cpu = 0.0
        self.at = 0.0
        self.gpus = []
        self.gpus_at = None

    def read(self, sessions, running):
        now = time.monotonic()
        if now - self.at >= 1:
            times = _cpu_times()
            total = times[1] - self.times[1]
            self.cpu = (times[0] - self.times[0]) / total if total > 0 else self.cpu
            self.times, self.at = times, now
        total, available = _memory()
        disk = os.statvfs(paths.HOME)
        self._refresh_gpus(now)
        return {
            'bootId': procfs.boot_id(),
            'cpu': min(1.0, max(0.0, self.cpu)),
            'memoryUsed': total - available,
            'memoryTotal': total,
            'diskUsed': (disk.f_blocks - disk.f_bfree) * disk.f_frsize,
            'diskTotal': disk.f_blocks * disk.f_frsize,
            'gpus': self.gpus,
            'sessions': sessions,
            'running': running,
        }

    def _refresh_gpus(self, now):
        """nvidia-smi takes up to a second, so answers are those of the look before, at most one each 5 s."""
        if self.gpus_at is not None and now - self.gpus_at < 5:
            return
        self.gpus_at = now
        program = next((path for path in _candidates() if os.access(path, os.X_OK)), None)
        if program is None:
            return
        read, write = os.pipe()
        pid, _ = reach.current.fork()
        if not pid:
            try:
                os.dup2(write, 1)
                os.execv(program, [program, '--query-gpu=' + _GPU_QUERY, '--format=csv,noheader,nounits'])
            finally:
                os._exit(127)
        os.close(write)

        def done(code):
            with open(read, 'rb') as file:
                self.gpus = _parse(file.read().decode(errors='replace')) if code == 0 else []

        self.loop.on_child(pid, done)


def _candidates():
    return [os.path.join(folder, b'nvidia-smi') for folder in reach.current.environ.get(b'PATH', b'').split(b':') + [b'/usr/bin'] if folder]


def _parse(text):
    gpus = []
    for line in text.splitlines():
        parts = [part.strip() for part in line.split(',')]
        if len(parts) == 4:
            used, memory, total = (float(part) if part.replace('.', '').isdigit() else 0.0 for part in parts[1:])
            gpus.append({'name': parts[0], 'used': used / 100, 'memoryUsed': memory * _MIB, 'memoryTotal': total * _MIB})
    return gpus


def _cpu_times():
    """(busy, all) jiffies since boot."""
    try:
        with open('/proc/stat') as file:
            values = [int(part) for part in file.readline().split()[1:9]]
    except OSError:
        return 0, 0
    return sum(values) - values[3] - values[4], sum(values)


def _memory():
    """(total, available) bytes."""
    found = {}
    try:
        with open('/proc/meminfo') as file:
            for line in file:
                name, _, rest = line.partition(':')
                found[name] = int(rest.split()[0]) * 1024
    except OSError:
        total = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
        return total, total
    return found['MemTotal'], found.get('MemAvailable', found.get('MemFree', 0))
