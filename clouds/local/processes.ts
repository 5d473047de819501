/** Processes of this machine, found by a marker in their environment. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

const HAS_PROC = process.platform === 'linux';

/** Field number of proc(5), counted from the one after the command's closing parenthesis. */
const PROCESS_GROUP = 2;

function statFields(stat: string): string[] {
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

function readProc(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return undefined;
  }
}

type Found = ReadonlyMap<string, readonly number[]>;

let coming: Promise<Found> | undefined;

/**
 * Processes by their `STYX_INSTANCE=…` and `STYX_HYPERVISOR=…` entries, this one and zombies left out. The look is taken
 * after the call, and shared with all who call before it is taken: a thousand instances may end at once.
 */
export function findMarked(): Promise<Found> {
  coming ??= new Promise((resolve, reject) => {
    setImmediate(() => {
      coming = undefined;
      try {
        resolve(HAS_PROC ? lookIntoProc() : askPs());
      } catch (error) {
        reject(error);
      }
    });
  });
  return coming;
}

const MARKER = /^STYX_(INSTANCE|HYPERVISOR)=/;

function note(found: Map<string, number[]>, entries: readonly string[], pid: number): void {
  if (pid === process.pid) return;
  for (const entry of entries) {
    if (!MARKER.test(entry)) continue;
    const pids = found.get(entry);
    if (pids === undefined) found.set(entry, [pid]);
    else pids.push(pid);
  }
}

function lookIntoProc(): Found {
  const found = new Map<string, number[]>();
  const look = (pid: number): void => {
    const environment = readProc(`/proc/${pid}/environ`);
    if (environment?.includes('STYX_')) note(found, environment.split('\0'), pid);
  };
  // The newest first: of a chain that forks faster than one looks, the others have ended by the time they are looked at.
  for (const pid of readdirSync('/proc').map(Number).reverse()) if (Number.isInteger(pid)) look(pid);
  for (let again = 0; again < NEWEST_LOOKS; again++) {
    const newest = Number(readProc('/proc/loadavg')?.trim().split(' ').at(-1));
    for (let pid = newest - 1; pid <= newest + 2; pid++) look(pid);
  }
  return found;
}

/** Looks at whatever process was started last. */
const NEWEST_LOOKS = 20;

function askPs(): Found {
  const found = new Map<string, number[]>();
  const listing = execFileSync('ps', ['-axEww', '-o', 'pid=,command='], { encoding: 'utf8', maxBuffer: 1 << 28 });
  for (const line of listing.split('\n')) {
    const [pid, , ...words] = line.trim().split(/\s+/);
    note(found, words, Number(pid));
  }
  return found;
}

/** SIGKILL; to its process group too, so that a chain that forks faster than one looks has nowhere to go. */
export function killHard(pid: number): void {
  const stat = HAS_PROC ? readProc(`/proc/${pid}/stat`) : undefined;
  const group = stat === undefined ? 0 : Number(statFields(stat)[PROCESS_GROUP]);
  for (const target of group > 1 && group !== ownGroup() ? [-group, pid] : [pid]) {
    try {
      process.kill(target, 'SIGKILL');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
}

function ownGroup(): number {
  return Number(statFields(readProc('/proc/self/stat') ?? '')[PROCESS_GROUP]);
}
