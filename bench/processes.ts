/** Memory of processes that are not ours, from /proc. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Memory {
  /** MiB that are in memory, pages shared with others counted whole. */
  readonly rss: number;
  /** MiB, pages shared with others counted in part; what one more of its kind costs. Null where it may not be read. */
  readonly pss: number | null;
}

function kilobytes(file: string, field: string): number | null {
  try {
    const match = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(readFileSync(file, 'utf8'));
    return match === null ? null : Number(match[1]);
  } catch {
    return null;
  }
}

export function memoryOf(pids: readonly number[]): Memory {
  let rss = 0;
  let pss: number | null = 0;
  for (const pid of pids) {
    const resident = kilobytes(`/proc/${pid}/status`, 'VmRSS');
    if (resident === null) continue;
    rss += resident;
    const share = kilobytes(`/proc/${pid}/smaps_rollup`, 'Pss');
    pss = pss === null || share === null ? null : pss + share;
  }
  return { rss: rss / 1024, pss: pss === null ? null : pss / 1024 };
}

export interface InstanceProcess {
  readonly pid: number;
  readonly instance: string;
  readonly command: string;
}

/** Processes of the instances of one data directory, by what is in their environment and command line. */
export function instanceProcesses(home: string): InstanceProcess[] {
  const found: InstanceProcess[] = [];
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const environ = `\0${readFileSync(`/proc/${pid}/environ`, 'utf8')}`;
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
      const [, instance] = /\0STYX_(?:INSTANCE|HYPERVISOR)=([^\0]+)/.exec(environ) ?? [];
      if (instance !== undefined && (environ.includes(home) || command.includes(home))) {
        found.push({ pid: Number(pid), instance, command });
      }
    } catch {
      // Ended meanwhile, or another user's.
    }
  }
  return found;
}

/** The one process that is the agent of all instances of a data directory, and its keeper. */
export function sharedAgents(home: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(join(home, 'local', 'agents'));
      } catch {
        return false;
      }
    });
}

/** Clock ticks of the kernel in a second, as Linux tells all programs. */
const TICKS = 100;

/** Seconds of CPU that these have used until now, those that are gone left out. */
export function cpuOf(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids) {
    try {
      // The second field, a name in brackets, may have blanks.
      const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
        .replace(/^.*\) /s, '')
        .split(' ');
      ticks += Number(fields[11]) + Number(fields[12]);
    } catch {
      // It has ended.
    }
  }
  return ticks / TICKS;
}
