/** A job's output, read from its nodes over SSH; nothing of it goes through Temporal. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClusterView } from '../model/commands.ts';
import { StyxError } from '../model/errors.ts';
import { clusterWorkflowId, jobKey, numberOnNodes } from '../model/identity.ts';
import { isTerminalJob, type JobRow } from '../model/job.ts';
import type { NodeInfo } from '../model/machines.ts';
import type { LogChunk, LogRequest, NodePool } from '../nodes/node.ts';
import { Masker } from '../system/masking.ts';
import { findJob, type Look, lookUntil } from './follow.ts';
import { addressOf } from './login.ts';
import { merge } from './merge.ts';

export interface LogOptions {
  /** Default: the newest job. */
  readonly jobId?: number | undefined;
  /** Last lines of each rank to begin with; 0: all. Default 1000. */
  readonly tail?: number | undefined;
  /** Go on until the job has ended. Default true. */
  readonly follow?: boolean | undefined;
  /** Only this rank of the job. */
  readonly rank?: number | undefined;
  /** What is waited for while nothing can be read; null when reading goes on. */
  readonly onWait?: ((text: string | null) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A piece of output, cut anywhere, in order within its rank. */
export interface LogPiece {
  /** Of the job: 0 … n − 1. */
  readonly rank: number;
  readonly phase: 'setup' | 'run';
  readonly node: NodeInfo;
  readonly data: Buffer;
}

export interface LogSource {
  readonly workspace: string;
  readonly name: string;
  readonly look: Look;
  readonly pool: NodePool;
  readonly secret: Uint8Array;
  /** What is masked in the output of a job that has secrets. */
  readonly secretValues: (generation: string, jobId: number) => Promise<readonly string[]>;
  /** `life` of a job's workflow, whatever its build; null while there is none. */
  readonly lifeOfJob: (generation: string, jobId: number) => Promise<string | null>;
}

const DEFAULT_TAIL = 1_000;
const LOOK_FIRST_MS = 400;
const LOOK_MAX_MS = 3_000;
const LOOK_BACKOFF = 1.05;
const NOT_YET_MS = 150;
/** After the job's end, for output that is still on its way; then the rest is read without following. */
const LAST_WORDS_MS = 2_000;
const RECONNECT_FIRST_MS = 200;
const RECONNECT_MAX_MS = 5_000;

/** The newest job, or the one asked for. @throws not-found */
export function pickJob(view: ClusterView, name: string, jobId: number | undefined): JobRow {
  if (jobId !== undefined) return findJob(view, name, jobId);
  const newest = view.jobs.reduce<JobRow | null>((best, job) => (best === null || job.id > best.id ? job : best), null);
  if (newest === null) throw new StyxError('not-found', `Cluster '${name}' has no jobs`);
  return newest;
}

/**
 * The output of a job's ranks, setup first. Goes on over dropped connections and restarts of the agent, without loss or
 * repeat, and ends when the job has ended and all was read.
 * @throws not-found; unreachable when not following, or when the machines are gone
 */
export async function* jobLogs(source: LogSource, options: LogOptions): AsyncGenerator<LogPiece, void, void> {
  const follow = options.follow ?? true;
  const stop = new AbortController();
  const signal = options.signal === undefined ? stop.signal : AbortSignal.any([options.signal, stop.signal]);
  const first = await source.look(10_000);
  const jobId = pickJob(first, source.name, options.jobId).id;
  const placed = (view: ClusterView) => {
    const job = findJob(view, source.name, jobId, first.generation);
    if (job.allotment !== null || isTerminalJob(job.status) || !follow) return { view, job };
    options.onWait?.(waitText(view, job));
    return undefined;
  };
  const { view, job } = await lookUntil(source.look, placed, { signal });
  options.onWait?.(null);
  const { allotment } = job;
  if (allotment === null) return;
  const ranks = allotment.nodes
    .map((nodeRank, rank) => ({ rank, node: view.nodes.find((node) => node.rank === nodeRank) }))
    .filter(({ rank }) => options.rank === undefined || options.rank === rank);
  if (ranks.length === 0) {
    throw new StyxError('not-found', `Job ${jobId} has ranks 0 to ${allotment.nodes.length - 1}, not ${options.rank}`);
  }
  const absent = ranks.find(({ node }) => node === undefined);
  if (absent !== undefined) {
    throw new StyxError(
      'not-found',
      `Cluster '${source.name}' is ${view.status}, and the logs of job ${jobId} went with its machines`,
    );
  }
  const hidden = job.hasSecrets === true ? await source.secretValues(view.generation, job.id) : [];
  const watch = new JobWatch(source, job, view, signal);
  try {
    yield* merge(
      ranks.map(({ rank, node }) =>
        masked(new RankLog(source, options, watch, rank, node as NodeInfo, signal).read(), hidden),
      ),
    );
  } finally {
    stop.abort();
  }
}

/** What is held back at a cut of the stream belongs to the phase that it came from. */
async function* masked(
  pieces: AsyncIterable<LogPiece>,
  hidden: readonly string[],
): AsyncGenerator<LogPiece, void, void> {
  let masker = new Masker(hidden);
  let last: LogPiece | undefined;
  const rest = (): LogPiece[] => {
    const data = masker.end();
    return last === undefined || data.length === 0 ? [] : [{ ...last, data }];
  };
  for await (const piece of pieces) {
    if (last !== undefined && last.phase !== piece.phase) {
      yield* rest();
      masker = new Masker(hidden);
    }
    last = piece;
    const data = masker.push(piece.data);
    if (data.length > 0) yield { ...piece, data };
  }
  yield* rest();
}

function waitText(view: ClusterView, job: JobRow): string {
  const why = view.waits[String(job.id)] ?? view.operation?.progress ?? '';
  return `job ${job.id} is ${job.status}${why === '' ? '' : `: ${why}`}`;
}

/** What becomes of the job while its logs are read. */
class JobWatch {
  readonly generation: string;
  readonly hasSetup: boolean;
  readonly hasRun: boolean;
  /** Aborts some time after the job's end. */
  readonly ended: AbortSignal;
  readonly #source: LogSource;
  #job: JobRow;
  #life: Promise<string | undefined> | undefined;
  #view: ClusterView;
  #signal: AbortSignal;

  constructor(source: LogSource, job: JobRow, view: ClusterView, signal: AbortSignal) {
    this.#source = source;
    this.#job = job;
    this.#view = view;
    this.#signal = signal;
    this.generation = view.generation;
    this.hasSetup = job.hasSetup;
    this.hasRun = job.hasRun;
    const ended = new AbortController();
    this.ended = ended.signal;
    if (isTerminalJob(job.status)) ended.abort();
    else {
      void this.#poll()
        .then(() => sleep(LAST_WORDS_MS, undefined, { signal }))
        .catch(() => undefined)
        .then(() => ended.abort());
    }
  }

  get job(): JobRow {
    return this.#job;
  }

  /** What nodes know it by. It says so itself with its first word; until then its workflow's run is asked for. */
  async key(): Promise<string> {
    const { id, life, status } = this.#job;
    if (life !== undefined || (status !== 'INIT' && status !== 'PENDING')) return this.#keyOf(life);
    this.#life ??= this.#source.lifeOfJob(this.generation, id).then((found) => found ?? undefined);
    const asked = await this.#life;
    if (asked === undefined) this.#life = undefined;
    return this.#keyOf(asked);
  }

  #keyOf(life: string | undefined): string {
    return jobKey(this.generation, numberOnNodes(this.#job.id, life));
  }

  /** The machines still stand as they did: their logs can be read. */
  stands(instanceId: string): boolean {
    const { entityStatus, generation, nodes } = this.#view;
    if (generation !== this.generation || !nodes.some((node) => node.instanceId === instanceId)) return false;
    return entityStatus === 'UP' || entityStatus === 'UNHEALTHY' || entityStatus === 'INIT';
  }

  async refresh(): Promise<void> {
    const view = await this.#source.look(10_000).catch(() => null);
    if (view === null) return;
    this.#view = view;
    if (view.generation !== this.generation) return;
    this.#job = view.jobs.find(({ id }) => id === this.#job.id) ?? this.#job;
  }

  async #poll(): Promise<void> {
    for (
      let pause = LOOK_FIRST_MS;
      !isTerminalJob(this.#job.status);
      pause = Math.min(pause * LOOK_BACKOFF, LOOK_MAX_MS)
    ) {
      await sleep(pause, undefined, { signal: this.#signal });
      await this.refresh();
      if (this.#view.generation !== this.generation || this.#view.entityStatus === 'TERMINATED') return;
    }
  }
}

/** The log of one rank: two files, read one after the other by offset. */
class RankLog {
  readonly #source: LogSource;
  readonly #options: LogOptions;
  readonly #watch: JobWatch;
  readonly #rank: number;
  readonly #node: NodeInfo;
  readonly #signal: AbortSignal;

  constructor(
    source: LogSource,
    options: LogOptions,
    watch: JobWatch,
    rank: number,
    node: NodeInfo,
    signal: AbortSignal,
  ) {
    this.#source = source;
    this.#options = options;
    this.#watch = watch;
    this.#rank = rank;
    this.#node = node;
    this.#signal = signal;
  }

  async *read(): AsyncGenerator<LogPiece, void, void> {
    const { hasSetup, hasRun } = this.#watch;
    const follow = this.#options.follow ?? true;
    const tail = this.#options.tail ?? DEFAULT_TAIL;
    let runFrom: LogRequest['from'] = tail === 0 ? { offset: 0 } : { lastLines: tail };
    let runHead: LogPiece[] = [];
    if (hasSetup) {
      let setupFrom: LogRequest['from'] | null = runFrom;
      if (hasRun && tail > 0) {
        // The last lines of both files together: as many of the setup's as the run's leave room for.
        let offset = 0;
        for await (const { piece, end } of this.#phase('run', runFrom, false)) {
          runHead.push(piece);
          offset = end;
        }
        const lines = countLines(runHead);
        setupFrom = lines >= tail ? null : { lastLines: tail - lines };
        runFrom = offset > 0 ? { offset } : runFrom;
      }
      if (setupFrom !== null) {
        for await (const { piece } of this.#phase('setup', setupFrom, follow)) yield piece;
      }
    }
    yield* runHead;
    runHead = [];
    if (!hasRun) return;
    for await (const { piece } of this.#phase('run', runFrom, follow)) yield piece;
  }

  async *#phase(
    phase: 'setup' | 'run',
    start: LogRequest['from'],
    follow: boolean,
  ): AsyncGenerator<{ piece: LogPiece; end: number }, void, void> {
    let from = start;
    for (let pause = RECONNECT_FIRST_MS; ; ) {
      this.#options.signal?.throwIfAborted();
      const final = this.#watch.ended.aborted;
      const signal = final ? this.#signal : AbortSignal.any([this.#signal, this.#watch.ended]);
      try {
        for await (const chunk of this.#chunks({ phase, from, follow: follow && !final }, signal)) {
          pause = RECONNECT_FIRST_MS;
          this.#options.onWait?.(null);
          const data = unread(chunk, from);
          const end = chunk.offset + chunk.data.length;
          from = { offset: end };
          if (data.length > 0) yield { piece: { rank: this.#rank, phase, node: this.#node, data }, end };
        }
        if (!this.#watch.ended.aborted || final || !follow) return;
      } catch (error) {
        this.#options.signal?.throwIfAborted();
        if (this.#watch.ended.aborted && !final) continue;
        if (!(error instanceof StyxError)) throw error;
        if (error.kind === 'not-found') {
          // Not started yet, or never will be.
          if (!follow || final || isTerminalJob(this.#watch.job.status)) return;
          await sleep(NOT_YET_MS, undefined, { signal: this.#signal });
          continue;
        }
        if (error.kind !== 'unreachable') throw error;
        await this.#watch.refresh();
        if (!this.#watch.stands(this.#node.instanceId)) throw this.#gone(error);
        if (!follow) throw error;
        this.#options.onWait?.(`lost the connection to rank ${this.#rank}, trying again`);
        await sleep(pause, undefined, { signal: this.#signal });
        pause = Math.min(pause * 2, RECONNECT_MAX_MS);
      }
    }
  }

  async *#chunks(
    request: Pick<LogRequest, 'phase' | 'from' | 'follow'>,
    signal: AbortSignal,
  ): AsyncGenerator<LogChunk, void, void> {
    const { workspace, name, pool, secret } = this.#source;
    const clusterId = clusterWorkflowId(workspace, name);
    const address = await addressOf(this.#node, secret, clusterId, this.#watch.generation);
    const node = await pool.node(address, this.#signal);
    yield* node.logs({ ...request, jobKey: await this.#watch.key(), rank: this.#rank }, signal);
  }

  #gone(cause: StyxError): StyxError {
    const { job } = this.#watch;
    return new StyxError(
      'unreachable',
      `The machine of rank ${this.#rank} is gone, and with it the rest of its log; job ${job.id} is ${job.status}`,
      {
        cause,
        hint: 'Run `styx status` to see what became of the cluster.',
      },
    );
  }
}

/** The part of a chunk at or after the offset that was asked for. */
function unread(chunk: LogChunk, from: LogRequest['from']): Buffer {
  if (!('offset' in from) || chunk.offset >= from.offset) return chunk.data;
  return chunk.data.subarray(Math.min(chunk.data.length, from.offset - chunk.offset));
}

const NEWLINE = 10;

function countLines(pieces: readonly LogPiece[]): number {
  let lines = 0;
  for (const { data } of pieces) for (const byte of data) if (byte === NEWLINE) lines++;
  const last = pieces.at(-1)?.data;
  return last !== undefined && last.at(-1) !== NEWLINE ? lines + 1 : lines;
}
