/**
 * Keeps a unit running: starts the Temporal server (when it is the embedded one) and the worker, starts again what dies,
 * adopts what a killed supervisor left. Each part holds a lock for as long as it lives, so there are never two of one.
 */
import { existsSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { ensurePrivateDir, homePaths, readJson } from '../system/home.ts';
import { lockHolder } from '../system/lock.ts';
import type { Log } from '../system/log.ts';
import { lastWords } from '../system/log-text.ts';
import { endProcess, type ProcessRef, self, signalProcess } from '../system/processes.ts';
import { Keeper } from './keeper.ts';
import { boundLog, lastLines } from './logs.ts';
import { answers, choosePorts, type ServerPorts, serverArguments, USUAL_PORTS } from './temporal-server.ts';
import {
  type Part,
  readState,
  type ServerState,
  type Target,
  type UnitPaths,
  type WorkerReady,
  writeState,
} from './unit.ts';
import { workerCommand } from './worker-command.ts';

export interface SupervisorSettings {
  readonly home: string;
  readonly target: Target;
  readonly paths: UnitPaths;
  /** The `temporal` program; null when the server is not ours. */
  readonly temporalPath: string | null;
  /** Module of the worker process. */
  readonly workerMain: string;
  readonly log: Log;
}

const NAMES = { supervisor: 'the supervisor', temporal: 'the Temporal server', worker: 'the worker' } as const;
const FAILURES_TO_TELL = 3;
const TICK_MS = 250;
const STARTING_TICK_MS = 25;
const HOUSEKEEPING_MS = 2_000;
const PING_MS = 10_000;
const PING_AGAIN_MS = 1_000;
const PING_TIMEOUT_MS = 2_000;
const STARTUP_MS = 30_000;
/** About 15 s of silence: a machine that is merely busy must not lose its server. */
const PINGS_MISSED = 5;
const WORKER_GRACE_MS = 12_000;
const TEMPORAL_GRACE_MS = 10_000;

export class Supervisor {
  private readonly settings: SupervisorSettings;
  private readonly temporal: Keeper | null;
  private readonly worker: Keeper;
  private readonly stopping = new AbortController();
  private wake: () => void = () => {};
  private ports: ServerPorts | null;
  private written = '';
  private missed = 0;
  /** The server process that has answered. */
  private answered: ProcessRef | null = null;
  private nextPing = 0;
  private readonly lockInode: number | undefined;
  private nextHousekeeping = 0;

  constructor(settings: SupervisorSettings) {
    const { paths, target } = settings;
    this.settings = settings;
    this.lockInode = statSync(paths.lock('supervisor')).ino;
    const onExit = () => this.wake();
    const keeper = (part: Part) => {
      const kept = new Keeper(paths.lock(part), paths.log(part), onExit, settings.log.child({ keeps: part }));
      if (kept.ref !== null) settings.log.info({ keeps: part, process: kept.ref.pid }, `adopted ${NAMES[part]}`);
      return kept;
    };
    this.worker = keeper('worker');
    this.temporal = target.embedded ? keeper('temporal') : null;
    this.ports = portsOf(readState(paths));
  }

  /** Runs until `stop` or until the unit's directory is deleted, and ends what it supervises. */
  async run(): Promise<void> {
    while (!this.stopping.signal.aborted) {
      const ready = await this.tick();
      await Promise.race([
        sleep(ready ? TICK_MS : STARTING_TICK_MS),
        new Promise<void>((resolve) => {
          this.wake = resolve;
        }),
      ]);
    }
    this.writeState(false);
    // By reference: the lock files may be gone.
    await endInOrder(this.worker.ref, this.temporal?.ref ?? null);
  }

  stop(): void {
    this.stopping.abort();
    this.wake();
  }

  private async tick(): Promise<boolean> {
    this.housekeeping();
    let up = true;
    if (this.temporal !== null) {
      const before = this.temporal.ref;
      up = await this.temporal.keep(() => this.temporalCommand(), process.env);
      this.tellStart('temporal', before, this.temporal.ref);
      if (up) await this.ping(this.temporal);
      // The worker reads the address from there.
      if (up) this.writeState(false);
    }
    if (up) {
      const before = this.worker.ref;
      const { paths, home, workerMain } = this.settings;
      up = await this.worker.keep(async () => workerCommand(workerMain, '--ready-file', paths.workerReady), {
        ...process.env,
        STYX_HOME: home,
      });
      this.tellStart('worker', before, this.worker.ref);
    }
    const ready = up && (this.temporal === null || this.answered === this.temporal.ref) && this.polling() !== null;
    this.writeState(ready);
    return ready;
  }

  private async temporalCommand(): Promise<readonly string[]> {
    const { home, temporalPath } = this.settings;
    if (temporalPath === null) throw new Error('no Temporal server program');
    ensurePrivateDir(homePaths(home).temporal);
    const chosen = await choosePorts(this.ports ?? USUAL_PORTS);
    if (this.ports !== null && chosen.port !== this.ports.port && this.worker.ref !== null) {
      // It polls where nobody will ever answer again.
      signalProcess(this.worker.ref, 'SIGKILL');
    }
    this.ports = chosen;
    return [temporalPath, ...serverArguments(chosen, homePaths(home).database)];
  }

  private tellStart(part: Part, before: ProcessRef | null, now: ProcessRef | null): void {
    if (now === null || before?.pid === now.pid) return;
    this.settings.log.info({ keeps: part, process: now.pid }, `started ${NAMES[part]}`);
  }

  /** What the worker that runs now wrote when it polled; null before that. */
  private polling(): WorkerReady | null {
    const ready = readJson(this.settings.paths.workerReady) as Partial<WorkerReady> | undefined;
    const { ref } = this.worker;
    if (ref === null || ready?.pid !== ref.pid || ready.startTime !== ref.startTime) return null;
    return { ...ref, metrics: ready.metrics ?? null };
  }

  /** A server that lives but has stopped answering is replaced. */
  private async ping(temporal: Keeper): Promise<void> {
    if (this.ports === null || temporal.ref === null) return;
    const { ref } = temporal;
    const isNew = this.answered !== ref;
    if (Date.now() < this.nextPing && !isNew) return;
    const well = await answers(`127.0.0.1:${this.ports.port}`, PING_TIMEOUT_MS);
    if (well) this.answered = ref;
    // A refused connection comes at once, and again at each tick: a server that starts is given time.
    if (!well && isNew && Date.now() - temporal.since < STARTUP_MS) return;
    this.missed = well ? 0 : this.missed + 1;
    this.nextPing = Date.now() + (well ? PING_MS : PING_AGAIN_MS);
    if (this.missed < PINGS_MISSED) return;
    this.settings.log.error(
      { keeps: 'temporal', process: temporal.ref.pid },
      'the Temporal server does not answer; it is replaced',
    );
    this.missed = 0;
    await endProcess(temporal.ref, 'SIGKILL', 0);
  }

  private housekeeping(): void {
    if (Date.now() < this.nextHousekeeping) return;
    this.nextHousekeeping = Date.now() + HOUSEKEEPING_MS;
    const { paths } = this.settings;
    for (const part of ['supervisor', 'temporal', 'worker'] as const) boundLog(paths.log(part));
    if (statSync(paths.lock('supervisor'), { throwIfNoEntry: false })?.ino !== this.lockInode) {
      this.settings.log.error('the data directory is gone');
      this.stop();
    }
  }

  private writeState(ready: boolean): void {
    const { target, paths } = this.settings;
    const address = target.embedded ? this.ports && `127.0.0.1:${this.ports.port}` : (target.address ?? null);
    if (address === null || !existsSync(paths.dir)) return;
    const state: ServerState = {
      embedded: target.embedded,
      address,
      namespace: target.namespace,
      ui: this.ports === null ? null : `http://127.0.0.1:${this.ports.uiPort}`,
      supervisor: self(),
      temporal: this.temporal?.ref ?? null,
      worker: this.worker.ref,
      metrics: this.polling()?.metrics ?? null,
      ready,
      problem: this.problem(),
    };
    const text = JSON.stringify(state);
    if (text === this.written) return;
    writeState(paths, state);
    this.written = text;
  }

  private problem(): string | null {
    for (const [part, keeper] of [
      ['temporal', this.temporal],
      ['worker', this.worker],
    ] as const) {
      if (keeper === null || keeper.failures < FAILURES_TO_TELL) continue;
      const said = lastWords(lastLines(this.settings.paths.log(part), 1));
      return `${NAMES[part]} ended ${keeper.failures} times; it said: ${said}`;
    }
    return null;
  }
}

/** Ends what a killed supervisor left; does nothing where nothing runs. */
export async function endParts(paths: UnitPaths): Promise<void> {
  await endInOrder(lockHolder(paths.lock('worker')), lockHolder(paths.lock('temporal')));
}

async function endInOrder(worker: ProcessRef | null, temporal: ProcessRef | null): Promise<void> {
  if (worker !== null) await endProcess(worker, 'SIGTERM', WORKER_GRACE_MS);
  if (temporal !== null) await endProcess(temporal, 'SIGTERM', TEMPORAL_GRACE_MS);
}

function portsOf(state: ServerState | null): ServerPorts | null {
  if (state === null || !state.embedded) return null;
  const port = Number(state.address.split(':').at(-1));
  const uiPort = Number(state.ui?.split(':').at(-1));
  return port > 0 && uiPort > 0 ? { port, uiPort } : null;
}
