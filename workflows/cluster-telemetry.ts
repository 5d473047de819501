/**
 * What a log says and metrics count of a cluster: the differences between two of its states. A replay tells nothing; a workflow task that
 * is carried out again (the server refused its answer, since a message had come) tells again, which the worker knows by the key.
 */
import { proxySinks, type Sinks, workflowInfo } from '@temporalio/workflow';
import { type ClusterState, displayStatus, type Operation } from '../model/cluster.ts';
import { isTerminalJob } from '../model/job.ts';

/** Told to the worker. */
export interface Told {
  /** Of what happens once in a run of the workflow: told again it is dropped. Null: told as often as it is said. */
  readonly key: string | null;
  readonly level: 'info' | 'warn';
  readonly text: string;
  readonly more: Readonly<Record<string, unknown>>;
  /** Counted, each by one. */
  readonly counts: readonly (readonly [metric: 'operations' | 'jobs' | 'nodesLost' | 'recoveries', labels: Labels])[];
  /** Measured, in seconds. */
  readonly measured?: readonly [metric: 'provision', seconds: number, labels: Labels];
}

type Labels = Readonly<Record<string, string>>;

export interface TelemetrySinks extends Sinks {
  readonly styx: { tell(told: Told): void };
}

export function tellChanges(before: ClusterState, after: ClusterState): void {
  if (workflowInfo().unsafe.isReplaying) return;
  const [was, is] = [displayStatus(before), displayStatus(after)];
  if (was !== is || before.status === 'NEW') say({ text: `cluster is ${is}`, more: reason(after.statusReason) });
  const ended = new Set(before.operations.map(({ id }) => id));
  for (const operation of after.operations) if (!ended.has(operation.id)) operationEnded(operation);
  const statuses = new Map(before.jobs.map(({ id, status }) => [id, status]));
  for (const { id, status, reason: why } of after.jobs) {
    if (statuses.get(id) === status) continue;
    say({
      key: `job-${id} ${status}`,
      text: `job ${id} is ${status}`,
      more: { job: id, ...reason(why) },
      counts: isTerminalJob(status) ? [['jobs', { status }]] : [],
    });
  }
  const known = new Map(before.lost.map(({ rank, gone }) => [rank, gone]));
  for (const { rank, gone, since, reason: why } of after.lost) {
    if (known.get(rank) === gone) continue;
    say({
      key: `node-${rank} ${gone} ${since}`,
      level: 'warn',
      text: gone ? `node ${rank} is gone` : `node ${rank} cannot be reached`,
      more: { node: rank, ...reason(why) },
      counts: [['nodesLost', { how: gone ? 'gone' : 'unreachable' }]],
    });
  }
}

/** Children that closed without their last word. */
export function tellCrashed(found: { operation: boolean; watch: boolean; duties: string[]; jobs: number[] }): void {
  if (workflowInfo().unsafe.isReplaying) return;
  const { operation, watch, duties, jobs } = found;
  const lost = [
    ...(operation ? [['operation', '']] : []),
    ...(watch ? [['watch', '']] : []),
    ...duties.map((id) => ['duty', ` ${id}`]),
    ...jobs.map((id) => ['job', ` ${id}`]),
  ] as const;
  for (const [what = '', id = ''] of lost) {
    say({
      level: 'warn',
      text: `the workflow of ${what}${id} was ended from outside`,
      counts: [['recoveries', { what }]],
    });
  }
}

function operationEnded({ id, kind, outcome, since, endedAt, failure }: Operation): void {
  const seconds = ((endedAt ?? since) - since) / 1_000;
  const labels = { operation: kind, outcome: outcome ?? 'failed' };
  say({
    key: id,
    level: outcome === 'failed' ? 'warn' : 'info',
    text: `${kind} ${labels.outcome}`,
    more: { operation: id, seconds, ...(failure === null ? {} : { kind: failure.kind, reason: failure.message }) },
    counts: [['operations', labels]],
    ...(kind === 'launch' || kind === 'start' ? { measured: ['provision', seconds, labels] as const } : {}),
  });
}

function say(told: Pick<Told, 'text'> & Partial<Told>): void {
  proxySinks<TelemetrySinks>().styx.tell({ key: null, level: 'info', more: {}, counts: [], ...told });
}

function reason(text: string | null): { reason?: string } {
  return text === null || text === '' ? {} : { reason: text };
}
