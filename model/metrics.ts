/**
 * What Styx counts, beside what Temporal's SDK counts. Labels have few values: no names of clusters, users or machines, so that a
 * Prometheus holds as many series in a year as in a day.
 */
import { DISPLAY_STATUSES } from './cluster.ts';
import { isTerminalJob, JOB_STATUSES } from './job.ts';

export interface Metric {
  readonly kind: 'counter' | 'histogram' | 'gauge';
  /** As it is scraped: counters end in `_total`, histograms in their unit. */
  readonly name: string;
  /** With the values that are known beforehand: those series are there from the start, at 0. Null: see the help. */
  readonly labels: Readonly<Record<string, readonly string[] | null>>;
  readonly help: string;
  /** Of a histogram: upper bounds, in its unit. */
  readonly buckets?: readonly number[];
}

const OUTCOMES = ['succeeded', 'failed', 'aborted'] as const;
const SECONDS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1_800];

export const METRICS = {
  operations: {
    kind: 'counter',
    name: 'styx_operations_total',
    labels: { operation: ['launch', 'start', 'stop', 'down'], outcome: OUTCOMES },
    help: 'Operations of clusters that ended: launch, start, stop or down; succeeded, failed or aborted (another command came).',
  },
  provision: {
    kind: 'histogram',
    name: 'styx_provision_seconds',
    labels: { operation: ['launch', 'start'], outcome: OUTCOMES },
    help: 'From the beginning of a launch or start to its end: until the machines stand and answer, when it succeeded.',
    buckets: SECONDS,
  },
  jobs: {
    kind: 'counter',
    name: 'styx_jobs_total',
    labels: { status: JOB_STATUSES.filter(isTerminalJob) },
    help: 'Jobs of clusters that ended, by the state that they ended in.',
  },
  nodesLost: {
    kind: 'counter',
    name: 'styx_nodes_lost_total',
    labels: { how: ['gone', 'unreachable'] },
    help: 'Nodes of clusters that stood: `gone` (the cloud says that they were stopped or ended) or `unreachable`.',
  },
  recoveries: {
    kind: 'counter',
    name: 'styx_recoveries_total',
    labels: { what: ['operation', 'watch', 'duty', 'job'] },
    help: 'Workflows of a cluster that were ended from outside and dealt with: operation, watch, duty or job.',
  },
  steps: {
    kind: 'counter',
    name: 'styx_steps_total',
    labels: { step: null, outcome: ['done'] },
    help: 'Attempts of steps (activities) that ended: done, cancelled, or the kind of their error.',
  },
  retries: {
    kind: 'counter',
    name: 'styx_step_retries_total',
    labels: { step: null },
    help: 'Attempts of steps that were not the first.',
  },
  watchLag: {
    kind: 'histogram',
    name: 'styx_watch_lag_seconds',
    labels: {},
    help: 'From the end of a process on a node to its arrival at the worker, by the clocks of both.',
    buckets: SECONDS,
  },
  clusters: {
    kind: 'gauge',
    name: 'styx_clusters',
    labels: { status: DISPLAY_STATUSES },
    help: 'Clusters that exist, by state. Every worker tells of all of them: take the maximum, not the sum.',
  },
  hourlyCost: {
    kind: 'gauge',
    name: 'styx_hourly_cost_dollars',
    labels: { status: DISPLAY_STATUSES },
    help: 'What these clusters cost in an hour, in US dollars. Every worker tells of all of them.',
  },
  serverUp: {
    kind: 'gauge',
    name: 'styx_temporal_up',
    labels: {},
    help: '1: Temporal answered when the two above were asked for; 0: they are as they were before.',
  },
} as const satisfies Record<string, Metric>;

/** The name that the SDK's meter is given, which puts the ending on by itself. */
export function meterName({ name, kind }: Metric): string {
  return kind === 'counter' ? name.replace(/_total$/, '') : kind === 'histogram' ? name.replace(/_seconds$/, '') : name;
}
