/** Control groups of a machine: how much it may take, and the freezer. Version 1 and 2, whichever this machine has. */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const PROCESSES_PER_MB = 0.5;
const MOUNTS = '/sys/fs/cgroup';
const PREFIX = 'styx-machine-';
/** A group is entered at once when it is made: an empty one that is older was left by a keeper that was killed. */
const LEFT_MS = 60_000;
/** Of this process and no other; its number is one of many in namespaces. */
const OWN = randomBytes(4).toString('hex');

/** Removes groups that killed keepers left. One with a process in it cannot be removed. */
export function removeLeftGroups(): void {
  for (const mount of [MOUNTS, ...readdirSync(MOUNTS).map((name) => join(MOUNTS, name))]) {
    if (!existsSync(join(mount, 'cgroup.procs'))) continue;
    for (const name of readdirSync(mount).filter((one) => one.startsWith(PREFIX))) {
      try {
        if (Date.now() - statSync(join(mount, name)).mtimeMs <= LEFT_MS) continue;
        for (const path of withThoseBelow(join(mount, name))) rmdirSync(path);
      } catch {
        // It is in use, or another one was first.
      }
    }
  }
}

export class Groups {
  /** Directories whose `cgroup.procs` the first process enters. */
  readonly paths: readonly string[];
  readonly #freezer: { readonly file: string; readonly on: string; readonly off: string } | null;

  /** `name`: of no other machine of this process. `memoryMB`: how much it may take; processes in proportion, 512 with 1 GB. */
  constructor(name: string, memoryMB: number) {
    const made = (mount: string): string | undefined => {
      const path = join(mount, `${PREFIX}${OWN}-${name}`);
      try {
        mkdirSync(path);
        return path;
      } catch {
        return undefined;
      }
    };
    const unified = [MOUNTS, join(MOUNTS, 'unified')].find((mount) => existsSync(join(mount, 'cgroup.controllers')));
    const second = unified === undefined ? undefined : made(unified);
    const first = readdirSync(MOUNTS)
      .map((one) => join(MOUNTS, one))
      .filter((mount) => mount !== unified && existsSync(join(mount, 'cgroup.procs')))
      .map(made);
    this.paths = [second, ...first].filter((path) => path !== undefined);
    const limit = (file: string, value: number) => {
      for (const path of this.paths) {
        if (existsSync(join(path, file))) writeFileSync(join(path, file), String(value));
      }
    };
    for (const path of this.paths) inheritCpus(path);
    limit('memory.limit_in_bytes', memoryMB * 1024 ** 2);
    limit('memory.max', memoryMB * 1024 ** 2);
    limit('pids.max', Math.ceil(memoryMB * PROCESSES_PER_MB));
    const freezers = this.paths.flatMap((path) => [
      { file: join(path, 'cgroup.freeze'), on: '1', off: '0' },
      { file: join(path, 'freezer.state'), on: 'FROZEN', off: 'THAWED' },
    ]);
    this.#freezer = freezers.find(({ file }) => existsSync(file)) ?? null;
  }

  get canFreeze(): boolean {
    return this.#freezer !== null;
  }

  freeze(frozen: boolean): void {
    if (this.#freezer === null) throw new Error('control groups of this machine cannot freeze');
    writeFileSync(this.#freezer.file, frozen ? this.#freezer.on : this.#freezer.off);
  }

  /** When no process is left; a frozen one ends as well. */
  async remove(): Promise<void> {
    if (this.canFreeze) this.freeze(false);
    for (const path of this.paths.flatMap(withThoseBelow)) {
      for (const end = Date.now() + 10_000; ; await sleep(5)) {
        try {
          rmdirSync(path);
          break;
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code === 'ENOENT') break;
          for (const pid of members(path)) kill(pid);
          if (Date.now() > end) throw error;
        }
      }
    }
  }
}

/** Groups that the machine itself has made come before those that hold them. */
function withThoseBelow(path: string): string[] {
  const below = readdirSync(path, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return [...below.flatMap(({ name }) => withThoseBelow(join(path, name))), path];
}

function members(path: string): number[] {
  try {
    return readFileSync(join(path, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

/** A new group of version 1 has no processors, and takes no process. */
function inheritCpus(path: string): void {
  for (const file of ['cpuset.cpus', 'cpuset.mems']) {
    if (!existsSync(join(path, file)) || existsSync(join(path, 'cgroup.controllers'))) continue;
    writeFileSync(join(path, file), readFileSync(join(dirname(path), file)));
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}
