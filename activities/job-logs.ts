/** Keeps what a managed job's copy wrote, before its machines go. */
import { randomBytes } from 'node:crypto';
import { createWriteStream, mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import type { ClusterView } from '../model/commands.ts';
import { StyxError } from '../model/errors.ts';
import { jobKey, numberOnNodes } from '../model/identity.ts';
import type { NodeInfo } from '../model/machines.ts';
import { jobLogFolder } from '../model/managed-job.ts';
import type { Timing } from '../model/timing.ts';
import { Masker } from '../system/masking.ts';
import { openSecrets } from '../system/secret-box.ts';
import { nodeAddress } from './addresses.ts';
import type { ActivityContext } from './context.ts';
import { crashPoint } from './crash-points.ts';
import { clusterViewOf } from './jobs.ts';
import type { ActActivities, ClusterRef, CollectLogsInput } from './types.ts';
import { backoff, whileHeartbeating } from './wrap.ts';

interface Source {
  readonly cluster: ClusterRef;
  /** `numberOnNodes`. */
  readonly jobId: number | string;
  readonly rank: number;
  readonly node: NodeInfo;
  readonly place: ClusterView['placement'];
  readonly folder: string;
  readonly hidden: readonly string[];
}

const PHASES = ['setup', 'run'] as const;
const NODES_AT_ONCE = 16;
/** A machine that runs and cannot be reached is tried for so many times the time after which a node counts as silent. */
const PATIENCE = 2;
/** A machine that sends nothing for so long has nothing more to give. */
const SILENCE = 2;

export function logSteps(context: ActivityContext): Pick<ActActivities, 'collectLogs'> {
  return {
    async collectLogs(input: CollectLogsInput): Promise<{ problem: string | null }> {
      const view = await clusterViewOf(context.client, input.workflowId);
      const { sources, problems } = sourcesOf(context, input, view);
      const { heartbeatEvery } = input.timing;
      await whileHeartbeating({ heartbeatEvery }, async (signal) => {
        const left = [...sources];
        const lane = async () => {
          for (let next = left.shift(); next !== undefined; next = left.shift()) {
            const problem = await keep(context, next, input.timing, signal);
            if (problem !== null) problems.push(`rank ${next.rank}: ${problem}`);
          }
        };
        await Promise.all(Array.from({ length: NODES_AT_ONCE }, lane));
      });
      crashPoint('collectLogs.called');
      return { problem: problems.length === 0 ? null : problems.slice(0, 3).join('; ').slice(0, 300) };
    },
  };
}

function sourcesOf(
  context: ActivityContext,
  input: CollectLogsInput,
  view: ClusterView,
): { sources: Source[]; problems: string[] } {
  const { workspace, name, generation } = view;
  const cluster = { workflowId: input.workflowId, workspace, name, generation };
  const job = input.jobId === undefined ? view.jobs[0] : view.jobs.find(({ id }) => id === input.jobId);
  // Never placed: it wrote nothing.
  if (job?.allotment == null) return { sources: [], problems: [] };
  const hidden = Object.values(openSecrets(context.keyring, input.secrets));
  const folder = join(context.jobLogs, jobLogFolder(input.job, input.copy));
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const jobId = numberOnNodes(job.id, job.life);
  const sources: Source[] = [];
  const problems: string[] = [];
  for (const [rank, nodeRank] of job.allotment.nodes.entries()) {
    const node = view.nodes.find((one) => one.rank === nodeRank);
    if (node === undefined || view.lost.some((one) => one.gone && one.rank === nodeRank)) {
      problems.push(`rank ${rank}: its machine is gone`);
    } else sources.push({ cluster, jobId, rank, node, place: view.placement, folder, hidden });
  }
  return { sources, problems };
}

/** Null when all that there is was kept. A connection that breaks says nothing: it is tried again while the cloud says that the machine runs. */
async function keep(
  context: ActivityContext,
  source: Source,
  timing: Timing,
  signal: AbortSignal,
): Promise<string | null> {
  const end = Date.now() + PATIENCE * timing.unreachableAfter;
  for (const pause = backoff(timing.pollEvery); ; await pause()) {
    signal.throwIfAborted();
    try {
      for (const phase of PHASES) await keepPhase(context, source, phase, timing, signal);
      return null;
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      if (Date.now() > end || !(await runs(context, source))) return problem;
    }
  }
}

/** By the cloud's word; without one there is hope. */
async function runs(context: ActivityContext, { place, node }: Source): Promise<boolean> {
  if (place === null) return false;
  try {
    const [seen] = await (await context.cloud(place.cloud)).list(place, { ids: [node.instanceId] });
    return seen?.state === 'running';
  } catch {
    return true;
  }
}

async function keepPhase(
  context: ActivityContext,
  source: Source,
  phase: 'setup' | 'run',
  timing: Timing,
  signal: AbortSignal,
): Promise<void> {
  const { cluster, jobId, rank, node: info, folder } = source;
  const silence = new AbortController();
  const over = AbortSignal.any([signal, silence.signal]);
  const alarm = () => setTimeout(() => silence.abort(), timing.stepTimeout * SILENCE);
  let timer = alarm();
  const file = join(folder, `${rank}-${phase}.log`);
  const temporary = `${file}.${process.pid}.${randomBytes(4).toString('hex')}`;
  const masker = new Masker(source.hidden);
  const out = createWriteStream(temporary, { mode: 0o600 });
  try {
    const node = await context.pool.node(nodeAddress(context.secret, cluster, info), over);
    const key = jobKey(cluster.generation, jobId);
    const request = { jobKey: key, phase, rank, from: { offset: 0 }, follow: false } as const;
    for await (const { data } of node.logs(request, over)) {
      clearTimeout(timer);
      timer = alarm();
      const shown = masker.push(data);
      if (!out.write(shown)) await new Promise<void>((resolve) => out.once('drain', () => resolve()));
    }
    out.write(masker.end());
  } catch (error) {
    // The phase never began.
    if (error instanceof StyxError && error.kind === 'not-found') return;
    throw error;
  } finally {
    clearTimeout(timer);
    out.end();
    await finished(out);
    // What could be had is kept, also when the rest is lost.
    renameSync(temporary, file);
  }
}
