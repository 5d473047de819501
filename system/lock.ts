/**
 * A lock that dies with its process, however that ends: flock(2), taken by a few lines of Python that then become the
 * program. Node marks inherited descriptors close-on-exec at its start, so the program's own children do not keep it.
 */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { StyxError } from '../model/errors.ts';
import { isRunning, type ProcessRef } from './processes.ts';

const HELD = 75;

const HOLDER = `
import fcntl, os, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o600)
try:
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
except OSError:
    sys.exit(${HELD})
program = sys.argv[2]
places = [program] if "/" in program else [os.path.join(place, program) for place in os.get_exec_path()]
# Before the lock names anybody: whoever waits for it takes that for the program's start.
if not any(os.access(place, os.X_OK) for place in places):
    sys.exit("cannot run %s" % program)
pid = os.getpid()
try:
    with open("/proc/sys/kernel/random/boot_id") as boot, open("/proc/self/stat") as stat:
        start = boot.read(8) + "-" + stat.read().rsplit(") ", 1)[1].split()[19]
except OSError:
    start = "-".join(os.popen("ps -o lstart= -p %d" % pid).read().split())
os.pwrite(fd, ("%d %s" % (pid, start)).ljust(63).encode() + b"\\n", 0)
os.set_inheritable(fd, True)
try:
    os.execvp(sys.argv[2], sys.argv[2:])
except OSError as error:
    sys.exit("cannot run %s: %s" % (sys.argv[2], error))
`;

export interface LockedProcess extends ProcessRef {
  readonly child: ChildProcess;
}

/**
 * Runs a program that holds `lockFile` for as long as it lives. Null when another process holds it already.
 * The file is made when absent, names the holder, and must never be deleted.
 * @param argv program (absolute or on PATH) and arguments
 * @throws internal when Python 3 or the program cannot be run
 */
export async function spawnLocked(
  lockFile: string,
  argv: readonly string[],
  options: SpawnOptions = {},
): Promise<LockedProcess | null> {
  // Not the shim of a Python version manager: it costs a shell, and reads files of the current directory.
  const python = existsSync('/usr/bin/python3') ? '/usr/bin/python3' : 'python3';
  const child = spawn(python, ['-I', '-S', '-c', HOLDER, lockFile, ...argv], options);
  let failure: Error | undefined;
  child.once('error', (error) => {
    failure = error;
  });
  for (;;) {
    if (failure !== undefined) {
      throw new StyxError('internal', `cannot run ${python}: ${failure.message}`, { hint: 'Install Python 3.' });
    }
    if (child.exitCode === HELD) return null;
    if (child.exitCode !== null || child.signalCode !== null) {
      throw new StyxError('internal', `${argv[0]} ended at its start (${child.exitCode ?? child.signalCode})`);
    }
    const holder = lockHolder(lockFile);
    if (holder !== null && holder.pid === child.pid) return { ...holder, child };
    await sleep(5);
  }
}

/** Who holds the lock; null when nobody does. Costs two small reads. */
export function lockHolder(lockFile: string): ProcessRef | null {
  let text: string;
  try {
    text = readFileSync(lockFile, 'utf8');
  } catch {
    return null;
  }
  const [pid, startTime] = text.trim().split(' ');
  const holder = { pid: Number(pid), startTime: startTime ?? '' };
  return isRunning(holder) ? holder : null;
}

export function isLocked(lockFile: string): boolean {
  return lockHolder(lockFile) !== null;
}
