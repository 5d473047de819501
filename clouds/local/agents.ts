/**
 * The one process that is the agent of all instances (agent/shared.py): started beside the host, which it outlives, as jobs do. Where it
 * cannot be had, each instance has an agent of its own.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { agentBundle } from '../../nodes/bundle.ts';
import { isLocked, lockHolder, spawnLocked } from '../../system/lock.ts';
import { PYTHON } from './python.ts';
import type { HostLog } from './records.ts';

/** How long its first client is let wait for it. */
const READY_MS = 5_000;

/** Looks in a row, one every `BEAT_LOOK_MS`, at which it must have shown no sign of life before it is ended: it serves everybody or nobody. */
const SILENT_LOOKS = 6;
export const BEAT_LOOK_MS = 5_000;

/** Begins it again when it dies, later each time unless it has lived for a minute: FOLDER PYTHON... */
const KEEPER = `
folder=$1 n=0
shift
while [ -d "$folder" ] && [ "$n" -lt 60 ]; do
  began=$(date +%s)
  "$@" "$folder/main.py" shared </dev/null >/dev/null 2>"$folder/log" && exit 0
  [ $(($(date +%s) - began)) -lt 60 ] || n=0
  sleep "$n"; n=$((n + 1))
done
`;

export class SharedAgents {
  /** Where agents look for it, each for that of its version: STYX_AGENTS of sessions. */
  readonly directory: string;
  readonly #folder: string;
  readonly #log: HostLog;
  #starting: Promise<boolean> | undefined;
  #beat: number | null = null;
  #silent = 0;

  /** `root`: the directory that the instances are in. Takes away what older versions left. */
  constructor(root: string, log: HostLog) {
    this.directory = join(root, 'agents');
    this.#folder = join(this.directory, agentBundle().version);
    this.#log = log;
    mkdirSync(this.directory, { recursive: true, mode: 0o700 });
    for (const name of readdirSync(this.directory)) {
      const folder = join(this.directory, name);
      if (folder !== this.#folder && !isLocked(keeperLock(folder))) rmSync(folder, { recursive: true, force: true });
    }
  }

  /** Starts it unless it runs. @returns whether there is one */
  async ensure(): Promise<boolean> {
    this.#starting ??= this.#start()
      .catch((error: unknown) => {
        this.#log('the agents of instances cannot share a process', { error });
        return false;
      })
      .finally(() => {
        this.#starting = undefined;
      });
    return await this.#starting;
  }

  /** To be called every `BEAT_LOOK_MS`: ends one that is stuck. Its keeper begins it again, and that one goes on with all instances. */
  watch(): void {
    const beat = statSync(join(this.#folder, 'beat'), { throwIfNoEntry: false })?.mtimeMs ?? null;
    const holder = lockHolder(join(this.#folder, 'lock'));
    this.#silent = holder !== null && beat !== null && beat === this.#beat ? this.#silent + 1 : 0;
    this.#beat = beat;
    if (holder === null || this.#silent < SILENT_LOOKS) return;
    this.#silent = 0;
    this.#log(`the agents of the instances (process ${holder.pid}) show no sign of life and are ended`);
    process.kill(holder.pid, 'SIGKILL');
  }

  async #start(): Promise<boolean> {
    if (isLocked(keeperLock(this.#folder))) return true;
    this.#layDown();
    const argv = ['/bin/sh', '-c', KEEPER, 'styx-local-agents', this.#folder, ...PYTHON];
    const env = { PATH: process.env.PATH, LANG: process.env.LANG };
    const started = await spawnLocked(keeperLock(this.#folder), argv, {
      cwd: '/',
      env,
      detached: true,
      stdio: 'ignore',
    });
    started?.child.unref();
    for (const end = Date.now() + READY_MS; Date.now() < end; await sleep(5)) {
      if (existsSync(join(this.#folder, 'socket'))) return true;
      if (started === null || started.child.exitCode !== null) return false;
    }
    return false;
  }

  /** The agent's code, which appears as a whole. */
  #layDown(): void {
    if (existsSync(this.#folder)) return;
    const { version, payload } = agentBundle();
    const draft = join(this.directory, `${version}.${process.pid}.tmp`);
    mkdirSync(draft, { recursive: true, mode: 0o700 });
    for (const [name, text] of Object.entries(JSON.parse(payload.toString()) as Record<string, string>))
      writeFileSync(join(draft, name), text);
    renameSync(draft, this.#folder);
  }
}

function keeperLock(folder: string): string {
  return join(folder, 'keeper.lock');
}
