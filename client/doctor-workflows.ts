/** Running workflows of an installation that do not go on: by what the server says of each, and what their histories say of the reason. */
import type { WorkflowExecutionInfo } from '@temporalio/client';
import type { temporal } from '@temporalio/proto';
import { type ClusterMemo, MEMO_KEY, SEARCH } from '../model/commands.ts';
import { foreignReason } from '../model/envelope.ts';
import { mapLimited } from '../model/map-limited.ts';
import type { Finding } from './doctor.ts';
import { isNotFound, toStyxError } from './errors.ts';
import { type RawEvent, Reader, timeOf } from './histories.ts';
import type { Link } from './link.ts';
import { type ClusterSummary, summaryOf } from './summary.ts';

/** What the next check needs to know of this one. */
export interface Known {
  /** Running ones, by id; `readable`: their key is here. `summary`: what lists show; null when that cannot be read. */
  clusters: readonly {
    readonly workflowId: string;
    readonly readable: boolean;
    readonly summary: ClusterSummary | null;
  }[];
  /** Runs that were closed from outside. */
  lost: readonly { readonly workflowId: string; readonly runId: string; readonly how: string }[];
  /** Ids of clusters that have runs which are over. */
  closed: readonly string[];
  /** When it was listed; null: that failed, and the rest says nothing. */
  listedAt: number | null;
  /** Ids of all that run, children too. */
  running: readonly string[];
}

type Described = temporal.api.workflowservice.v1.IDescribeWorkflowExecutionResponse;

const LOOKED_AT = 2_000;
const CALLS_AT_ONCE = 8;
/** The first attempts may be a worker that was killed. */
const ATTEMPTS = 3;
const SCHEDULED = 1;
/** An attempt that runs for so long goes well, however many failed before. */
const STEADY_MS = 60_000;
const CLOSED: readonly string[] = ['FAILED', 'CANCELLED', 'TERMINATED', 'TIMED_OUT'];

/** Clusters and what they start, managed jobs and their queues. */
const OURS = ['cluster/', 'job/', 'queue/'];

export async function examineWorkflows(link: Link, known: Known): Promise<Finding[]> {
  const reader = new Reader(link.converter);
  const listedAt = Date.now();
  const listed = await list(link, "ExecutionStatus = 'Running'");
  const running = listed.filter(({ workflowId }) => OURS.some((kind) => workflowId.startsWith(kind)));
  known.running = running.map(({ workflowId }) => workflowId);
  const over = await list(link, `${SEARCH.kind} = 'cluster' AND ExecutionStatus != 'Running'`);
  known.closed = [...new Set(over.map(({ workflowId }) => workflowId))];
  known.lost = over
    .filter(({ status }) => CLOSED.includes(status.name))
    .filter(({ memo }) => (memo?.[MEMO_KEY] as ClusterMemo | undefined)?.status !== 'TERMINATED')
    .map(({ workflowId, runId, status }) => ({ workflowId, runId, how: status.name.toLowerCase() }));
  const sealed = new Map<string, string[]>();
  const found = await mapLimited(running.slice(0, LOOKED_AT), CALLS_AT_ONCE, async (info) => {
    const { workflowId, runId } = info;
    if (await isSealed(link, info, reader)) {
      const cluster = clusterOf(workflowId);
      sealed.set(cluster, [...(sealed.get(cluster) ?? []), workflowId]);
      return [];
    }
    const raw = await describe(link, workflowId, runId);
    return raw === null ? [] : [...(await stuckTask(link, raw, info, reader)), ...(await retries(raw, info, reader))];
  });
  known.clusters = running
    .filter(({ workflowId }) => workflowId.startsWith('cluster/') && clusterOf(workflowId) === workflowId)
    .map((info) => ({
      workflowId: info.workflowId,
      readable: !sealed.has(info.workflowId),
      summary: summaryOf(info),
    }));
  known.listedAt = listedAt;
  const keys = [...sealed].map(
    ([cluster, workflows]): Finding => ({
      severity: 'error',
      check: 'keys',
      subject: cluster,
      problem: `${workflows.length} of its workflows ${workflows.length === 1 ? 'is' : 'are'} sealed with a key that is not here, and cannot go on; its machines stay`,
      next: `Run \`styx keys import FILE\` with a copy of the keys: it goes on by itself then. Without a copy nobody can open it: end it with ${terminate(link, cluster)}, then run \`styx doctor\` again for its machines.`,
    }),
  );
  const rest = running.length - LOOKED_AT;
  const more: Finding = {
    severity: 'unchecked',
    check: 'workflow-tasks',
    subject: 'workflows',
    problem: `${rest} of ${running.length} running workflows were not looked at`,
    next: 'Look at single clusters with `styx history CLUSTER`.',
  };
  return [...found.flat(), ...keys, ...(rest > 0 ? [more] : [])];
}

async function list(link: Link, query: string): Promise<WorkflowExecutionInfo[]> {
  return await link.read(async (workflow) => {
    const found: WorkflowExecutionInfo[] = [];
    for await (const info of workflow.list({ query, pageSize: 1_000 })) found.push(info);
    return found;
  });
}

/** Null for one that has ended meanwhile. */
async function describe(link: Link, workflowId: string, runId: string): Promise<Described | null> {
  try {
    const { raw } = await link.read((workflow) => workflow.getHandle(workflowId, runId).describe());
    return raw;
  } catch (error) {
    if (isNotFound(error) || toStyxError(error).kind === 'not-found') return null;
    throw error;
  }
}

/** For a cluster and all that it started, or what an id that ends with `-` or `/` begins. */
export function terminate({ address, namespace }: Link, prefix: string): string {
  const ids = prefix.endsWith('-') ? '' : `WorkflowId = '${prefix}' OR `;
  const starts = prefix.endsWith('-') ? prefix : `${prefix}/`;
  return `\`temporal workflow terminate --address ${address} --namespace ${namespace} --query "ExecutionStatus = 'Running' AND (${ids}WorkflowId STARTS_WITH '${starts}')"\``;
}

function clusterOf(workflowId: string): string {
  return workflowId.split('/').slice(0, 3).join('/');
}

async function isSealed(link: Link, info: WorkflowExecutionInfo, reader: Reader): Promise<boolean> {
  if (foreignReason(info.memo?.[MEMO_KEY]) === 'unknown-key') return true;
  const [first] = await eventsOf(link, info, 1);
  return await reader.keyMissing(first?.workflowExecutionStartedEventAttributes?.input?.payloads);
}

/** The first `count` events. */
async function eventsOf(
  link: Link,
  { workflowId, runId }: WorkflowExecutionInfo,
  count: number,
): Promise<readonly RawEvent[]> {
  const { namespace } = link;
  const request = { namespace, execution: { workflowId, runId }, maximumPageSize: count };
  try {
    const answer = await link.read((workflow) => workflow.workflowService.getWorkflowExecutionHistory(request));
    return answer.history?.events ?? [];
  } catch (error) {
    if (toStyxError(error).kind === 'not-found') return [];
    throw error;
  }
}

async function stuckTask(link: Link, raw: Described, info: WorkflowExecutionInfo, reader: Reader): Promise<Finding[]> {
  const attempt = raw.pendingWorkflowTask?.attempt ?? 0;
  if (attempt < ATTEMPTS) return [];
  const events = await link.read((workflow) => workflow.getHandle(info.workflowId, info.runId).fetchHistory());
  const failed = events.events?.findLast((event) => event.workflowTaskFailedEventAttributes);
  const cause = failed?.workflowTaskFailedEventAttributes?.failure;
  const why = cause ? await reader.reason(cause) : 'its history has no reason: the worker may be killed at it';
  return [
    {
      severity: 'error',
      check: 'workflow-tasks',
      subject: info.workflowId,
      problem: `it cannot go on: its code has failed, attempt ${attempt}: ${why}`,
      next: 'It is tried until it works; nothing is lost meanwhile. `styx server logs --part worker` has the stack trace; when it began with a new version of Styx, go back to the one before.',
    },
  ];
}

async function retries(raw: Described, info: WorkflowExecutionInfo, reader: Reader): Promise<Finding[]> {
  const found: Finding[] = [];
  for (const step of raw.pendingActivities ?? []) {
    const attempt = step.attempt ?? 1;
    const steady = step.state !== SCHEDULED && Date.now() - timeOf(step.lastStartedTime) > STEADY_MS;
    if (attempt < ATTEMPTS || !step.lastFailure || steady) continue;
    const name = clusterOf(info.workflowId).split('/')[2] ?? '';
    found.push({
      severity: 'warning',
      check: 'activities',
      subject: info.workflowId,
      problem: `its step ${step.activityType?.name} is at attempt ${attempt}; the last one failed: ${await reader.reason(step.lastFailure)}`,
      next: `It is tried until it works${step.activityType?.name === 'sendNotice' ? ', for an hour' : ''}: repair what the error names.${name === '' ? '' : ` \`styx history ${name}\` tells how it came to this.`}`,
    });
  }
  return found;
}
