/**
 * The life of a cluster as its workflows' own events tell it: the entity's, which knows what was asked and what came of it, and those of
 * its children, which know how. Needs the server alone.
 */
import { StyxError } from '../model/errors.ts';
import { clusterWorkflowId } from '../model/identity.ts';
import { mapLimited } from '../model/map-limited.ts';
import { type Chain, chainOf, Reader } from './histories.ts';
import { tellChild } from './history-children.ts';
import { tellCluster } from './history-cluster.ts';
import { stillRetrying } from './history-steps.ts';
import type { Link } from './link.ts';

export type HistoryKind =
  | 'launch'
  | 'exec'
  | 'cancel'
  | 'stop'
  | 'start'
  | 'down'
  | 'autostop'
  | 'ray'
  | 'ports'
  /** A placement is tried, did not do, is proved gone. */
  | 'placing'
  | 'placement-failed'
  | 'placement-gone'
  /** The machines stand, are stopped, are gone. */
  | 'up'
  | 'stopped'
  | 'ended'
  /** What the cluster began by itself, and why. */
  | 'by-itself'
  | 'budget'
  | 'operation-failed'
  | 'nodes'
  | 'job-setup'
  | 'job-started'
  | 'job-ended'
  /** A step that needed several attempts; one that is at it. */
  | 'retried'
  | 'retrying'
  | 'workflow-failed'
  /** Of managed jobs: submitted, its place in the queue, its states, and who or what could not be told or kept. */
  | 'submitted'
  | 'queued'
  | 'job-status'
  | 'logs'
  | 'notice'
  | 'gap'
  | 'now';

export interface HistoryEntry {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly kind: HistoryKind;
  /** One sentence. */
  readonly text: string;
  readonly generation: string;
  /** Id of the job that it is about; of several the first. */
  readonly job: number | null;
  readonly jobs?: readonly number[];
  /** Whose events say so. */
  readonly workflowId: string;
  readonly user?: string;
  readonly operation?: string;
  readonly infra?: string;
  readonly instanceType?: string;
  readonly instances?: readonly string[];
  /** US dollars an hour of all nodes. */
  readonly costPerHour?: number;
  /** US dollars of this generation until then. */
  readonly cost?: number;
  /** How long it took. */
  readonly seconds?: number;
  readonly status?: string;
  readonly exitCodes?: readonly (number | null)[] | null;
  readonly attempts?: number;
  /** Why it failed. */
  readonly error?: string;
}

export interface HistoryOptions {
  /** Only what this job has to do with. */
  readonly job?: number;
  /** Every generation that the server keeps. Default: the last one. */
  readonly all?: boolean;
}

const CALLS_AT_ONCE = 8;

/** Oldest first. @throws not-found for a job that there is not; null when the server keeps nothing of the cluster; transient */
export async function clusterHistory(
  link: Link,
  workspace: string,
  name: string,
  { job, all = false }: HistoryOptions = {},
): Promise<HistoryEntry[] | null> {
  const workflowId = clusterWorkflowId(workspace, name);
  const told: HistoryEntry[] = [];
  for await (const chain of livesOf(link, workflowId)) {
    const entries = await lifeOf(link, chain);
    const last = entries.at(-1)?.generation;
    told.unshift(...entries.filter(({ generation }) => all || generation === last));
    // A launch that was refused makes a workflow with nothing in it.
    if (told.length > 0 && !all) break;
  }
  if (told.length === 0) return null;
  if (job === undefined) return told;
  const ofJob = told.filter((entry) => entry.job === job || entry.jobs?.includes(job));
  if (ofJob.length > 0) return ofJob;
  throw new StyxError('not-found', `Cluster '${name}' has no job ${job}`, {
    hint: `\`styx history ${name}\` tells of those that it has had; --all goes further back.`,
  });
}

/** Newest first. */
async function* livesOf(link: Link, workflowId: string): AsyncGenerator<Chain> {
  const latest = await chainOf(link, workflowId);
  const seen = new Set(latest?.runs.map(({ runId }) => runId));
  if (latest !== null) yield latest;
  const listed = await link.read(async (workflow) => {
    const found: { runId: string; startTime: Date }[] = [];
    for await (const info of workflow.list({ query: `WorkflowId = '${workflowId}'`, pageSize: 1_000 })) {
      if (info.status.name !== 'CONTINUED_AS_NEW') found.push(info);
    }
    return found;
  });
  for (const { runId } of listed.toSorted((a, b) => b.startTime.getTime() - a.startTime.getTime())) {
    if (seen.has(runId)) continue;
    const chain = await chainOf(link, workflowId, runId);
    if (chain !== null) yield chain;
  }
}

async function lifeOf(link: Link, chain: Chain): Promise<HistoryEntry[]> {
  const reader = new Reader(link.converter);
  const { entries, children, open, generation } = await tellCluster(chain, reader);
  const ofChildren = await mapLimited(children, CALLS_AT_ONCE, async (child) => {
    const runs = await chainOf(link, child.workflowId);
    return runs === null ? [] : await tellChild(link, runs, child, reader);
  });
  const own = open ? await stillRetrying(link, chain, { reader, generation, job: null }) : [];
  const told = [...entries.filter(({ kind }) => kind !== 'now'), ...ofChildren.flat(), ...own];
  const ordered = told.toSorted((a, b) => a.at - b.at);
  // What children said meanwhile was said before now too.
  const latest = ordered.at(-1)?.at ?? 0;
  const now = entries
    .filter(({ kind }) => kind === 'now')
    .map((entry) => ({ ...entry, at: Math.max(entry.at, latest) }));
  return [...ordered, ...now];
}
