/**
 * Brings what a job writes on a node to the store of logs, from where the store ends. Whoever does it may die at any moment, and two may do it
 * at once: what stands at an offset is the same for all.
 */
import { log } from '@temporalio/activity';
import { openLogStore } from '../clouds/log-store.ts';
import type { LogName, LogPosition, LogStore } from '../data/log-store.ts';
import { StyxError } from '../model/errors.ts';
import { jobKey } from '../model/identity.ts';
import type { NodeInfo } from '../model/machines.ts';
import type { Timing } from '../model/timing.ts';
import type { LogChunk, Node } from '../nodes/node.ts';
import { loadConfig } from '../system/config.ts';
import { Masker } from '../system/masking.ts';
import { openSecrets } from '../system/secret-box.ts';
import { nodeAddress } from './addresses.ts';
import type { ActivityContext } from './context.ts';
import { crashPoint } from './crash-points.ts';
import { delay } from './delay.ts';
import type { ClusterRef, WatchInput } from './types.ts';

export interface LogSource {
  readonly cluster: ClusterRef;
  /** `numberOnNodes`; or of the cluster's job of that number, by whatever name nodes know it. */
  readonly jobId: number | string | { readonly number: number };
  readonly node: NodeInfo;
  readonly name: LogName;
  /** Values that are masked. */
  readonly hidden: readonly string[];
}

/** A node looks this often whether a log has grown: what is lost with a machine is at most that old. */
const PACE_MS = 2_000;
/** What a mark may be behind; so much is sent again by whoever goes on. */
const MARK_BYTES = 256 * 1024;

/** As the configuration of the worker says now. */
export async function logStore({ styxHome: home }: Pick<ActivityContext, 'styxHome'>): Promise<LogStore> {
  return await openLogStore(home, (await loadConfig({ home, project: null })).config);
}

export interface ShipOptions {
  /** Until its process has ended. Default: what there is now. */
  readonly follow?: boolean;
  readonly onChunk?: () => void;
}

/** @throws not-found when the phase never began; unreachable; what the file system says */
export async function ship(
  context: ActivityContext,
  store: LogStore,
  source: LogSource,
  signal: AbortSignal,
  { follow = false, onChunk }: ShipOptions = {},
): Promise<void> {
  const { cluster, jobId, name, hidden } = source;
  const end = await store.end(name, hidden.length > 0);
  const log = new ShippedLog(store, name, hidden, end);
  const node = await context.pool.node(nodeAddress(context.secret, cluster, source.node), signal);
  const { rank, phase } = name;
  const from = { offset: end.raw };
  const key =
    typeof jobId === 'object' ? await keyThere(node, cluster, jobId.number, name) : jobKey(cluster.generation, jobId);
  const request = { jobKey: key, phase, rank, from, follow, paceMs: PACE_MS };
  for await (const chunk of node.logs(request, signal)) {
    onChunk?.();
    await log.take(chunk);
    crashPoint('shipLogs.written');
  }
  await log.finish();
}

/** What the node knows a job by. @throws not-found before it has begun */
async function keyThere(
  node: Node,
  { generation }: ClusterRef,
  number: number,
  { rank, phase }: LogName,
): Promise<string> {
  const bare = jobKey(generation, number);
  const own = (key: string) => key === bare || key.startsWith(`${bare}-`);
  const there = (await node.processes()).find((one) => one.phase === phase && one.rank === rank && own(one.jobKey));
  if (there === undefined) throw new StyxError('not-found', `${phase} of rank ${rank} has not begun`);
  return there.jobKey;
}

/** A log on its way. */
class ShippedLog {
  readonly #store: LogStore;
  readonly #name: LogName;
  readonly #masker: Masker | null;
  /** Bytes of what the job wrote that came so far. */
  #read: number;
  #kept: number;
  #marked: number;

  constructor(store: LogStore, name: LogName, hidden: readonly string[], { raw, kept }: LogPosition) {
    this.#store = store;
    this.#name = name;
    this.#masker = hidden.length === 0 ? null : new Masker(hidden);
    this.#read = raw;
    this.#kept = kept;
    this.#marked = raw;
  }

  async take({ offset, data }: LogChunk): Promise<void> {
    const fresh = offset >= this.#read ? data : data.subarray(Math.min(data.length, this.#read - offset));
    this.#read += fresh.length;
    if (this.#masker === null) return await this.#append(fresh);
    await this.#append(this.#masker.push(fresh));
    // What is held back comes again, since whether it is a secret is not known.
    const raw = this.#read - this.#masker.held;
    if (raw - this.#marked >= MARK_BYTES) await this.#mark(raw);
  }

  /** All is there. */
  async finish(): Promise<void> {
    if (this.#masker === null) return;
    await this.#append(this.#masker.end());
    if (this.#read !== this.#marked) await this.#mark(this.#read);
  }

  async #append(shown: Buffer): Promise<void> {
    if (shown.length === 0) return;
    await this.#store.append(this.#name, this.#kept, shown);
    this.#kept += shown.length;
  }

  async #mark(raw: number): Promise<void> {
    await this.#store.mark(this.#name, { raw, kept: this.#kept });
    this.#marked = raw;
  }
}

/**
 * Beside a watch, as long as the cluster stands: what its job writes goes to the store while it runs. Nothing of it is an error of
 * the watch; what does not come now is asked for again, and at last by `collectLogs`.
 */
export async function shipWhileItRuns(context: ActivityContext, input: WatchInput, signal: AbortSignal): Promise<void> {
  const { keep, cluster, nodes, timing } = input;
  if (keep === undefined) return;
  const { folder } = keep;
  const hidden = Object.values(openSecrets(context.keyring, keep.secrets));
  const store = await logStore(context);
  const all = nodes.map(async (node) => {
    for (const phase of keep.phases) {
      // The job has all nodes of its cluster, in their order.
      const jobId = { number: keep.jobId ?? 1 };
      const source: LogSource = { cluster, jobId, node, name: { folder, rank: node.rank, phase }, hidden };
      await shipToTheEnd(context, store, source, timing, signal);
    }
  });
  await Promise.all(all);
}

async function shipToTheEnd(
  context: ActivityContext,
  store: LogStore,
  source: LogSource,
  timing: Timing,
  signal: AbortSignal,
): Promise<void> {
  let told = '';
  for (let pause = timing.retryFirst; !signal.aborted; pause = Math.min(pause * 2, timing.contactEvery)) {
    try {
      const onChunk = () => {
        pause = timing.retryFirst;
      };
      return await ship(context, store, source, signal, { follow: true, onChunk });
    } catch (error) {
      if (signal.aborted) return;
      const { message } = error as Error;
      const expected = error instanceof StyxError && (error.kind === 'not-found' || error.kind === 'unreachable');
      if (!expected && message !== told) log.warn(`the output of a job is not kept for now: ${message}`);
      told = message;
    }
    await delay(pause, signal);
  }
}
