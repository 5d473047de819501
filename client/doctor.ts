/**
 * Looks over an installation: server, workers, keys, workflows, machines and disk. Every finding is of something that was looked at just
 * now; what could not be looked at is a finding too. Changes nothing, starts nothing.
 */
import { statfs } from 'node:fs/promises';
import { hostname } from 'node:os';
import type { StyxError } from '../model/errors.ts';
import { mapLimited } from '../model/map-limited.ts';
import { ACTIVITY_QUEUE, CHILD_QUEUE, CLUSTER_QUEUE, WATCH_QUEUE } from '../model/queues.ts';
import { startTimeOf } from '../system/processes.ts';
import { examineMachines } from './doctor-machines.ts';
import { examineWorkflows, type Known } from './doctor-workflows.ts';
import { toStyxError } from './errors.ts';
import { timeOf } from './histories.ts';
import type { Link } from './link.ts';

export const CHECKS = ['server', 'workers', 'workflow-tasks', 'activities', 'keys', 'machines', 'disk'] as const;
export type Check = (typeof CHECKS)[number];

export interface Finding {
  /** `error`: something does not go on, or costs and nobody sees to it. `unchecked`: it is not known. */
  readonly severity: 'error' | 'warning' | 'unchecked';
  readonly check: Check;
  /** Cluster, workflow, queue or directory. */
  readonly subject: string;
  readonly problem: string;
  /** What to do. */
  readonly next: string;
  /** That nobody sees to; a person may have them ended by `endMachines`. */
  readonly machines?: readonly LeftMachine[];
}

export interface LeftMachine {
  readonly cloud: string;
  readonly region: string;
  readonly zone: string;
  readonly id: string;
  readonly placementKey: string;
}

export interface Diagnosis {
  /** Errors first. Empty: nothing is wrong. */
  readonly findings: readonly Finding[];
  readonly server: { readonly address: string | null; readonly version: string | null };
  /** What was looked at. */
  readonly looked: { readonly clusters: number; readonly workflows: number; readonly machines: number };
}

const SERVER_MS = 5_000;
/** A live worker polls at least so often; the server lists pollers for longer. */
const POLL_MS = 90_000;
const GB = 2 ** 30;
const SEVERITIES = ['error', 'warning', 'unchecked'];
const NOT_LOOKED: Diagnosis['looked'] = { clusters: 0, workflows: 0, machines: 0 };

export async function examine(link: Link, home: string): Promise<Diagnosis> {
  const version = await serverVersion(link).catch((error: unknown) => toStyxError(error));
  if (typeof version !== 'string') return await withoutServer(home, version, link.address);
  const workflows: Known = { clusters: [], lost: [], closed: [], running: [], listedAt: null };
  const parts: readonly [Check, () => Promise<Finding[]>][] = [
    ['workers', () => workers(link)],
    ['workflow-tasks', () => examineWorkflows(link, workflows)],
    ['disk', () => disk(home)],
  ];
  const found = await mapLimited(parts, 3, ([check, look]) => orUnchecked(check, look));
  const machines = { seen: 0 };
  found.push(await orUnchecked('machines', () => examineMachines(link, workflows, machines)));
  return {
    findings: sorted(found.flat()),
    server: { address: link.address, version },
    looked: { clusters: workflows.clusters.length, workflows: workflows.running.length, machines: machines.seen },
  };
}

/** What can be said when there is none. */
export async function withoutServer(home: string, error: StyxError, address: string | null = null): Promise<Diagnosis> {
  const unchecked = CHECKS.filter((check) => check !== 'server' && check !== 'disk');
  const findings: Finding[] = [
    {
      severity: 'error',
      check: 'server',
      subject: address ?? 'Temporal server',
      problem: error.message,
      next: error.hint ?? 'Run `styx server start`.',
    },
    ...unchecked.map((check) => notChecked(check, 'the Temporal server does not answer')),
    ...(await orUnchecked('disk', () => disk(home))),
  ];
  return { findings: sorted(findings), server: { address, version: null }, looked: NOT_LOOKED };
}

async function orUnchecked(check: Check, look: () => Promise<Finding[]>): Promise<Finding[]> {
  try {
    return await look();
  } catch (error) {
    return [notChecked(check, toStyxError(error).message)];
  }
}

function notChecked(check: Check, why: string): Finding {
  const problem = `could not be checked: ${why}`;
  return {
    severity: 'unchecked',
    check,
    subject: check,
    problem,
    next: 'Run `styx doctor` again when that is repaired.',
  };
}

function sorted(findings: readonly Finding[]): Finding[] {
  return findings.toSorted((a, b) => SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity));
}

async function serverVersion(link: Link): Promise<string> {
  const answer = await link.read((workflow) => workflow.workflowService.getSystemInfo({}), { budget: SERVER_MS });
  return answer.serverVersion ?? 'unknown';
}

const QUEUES = [
  { name: CLUSTER_QUEUE, type: 1, serves: 'commands and views' },
  { name: CHILD_QUEUE, type: 1, serves: 'what clusters start' },
  { name: ACTIVITY_QUEUE, type: 2, serves: 'steps' },
  { name: WATCH_QUEUE, type: 2, serves: 'watches' },
] as const;

async function workers(link: Link): Promise<Finding[]> {
  const silent = await mapLimited(QUEUES, QUEUES.length, async ({ name, type, serves }) => {
    const { namespace } = link;
    const request = { namespace, taskQueue: { name, kind: 1 }, taskQueueType: type } as const;
    const { pollers } = await link.read((workflow) => workflow.workflowService.describeTaskQueue(request));
    const now = Date.now();
    const polls = (pollers ?? []).some(
      ({ lastAccessTime, identity }) => now - timeOf(lastAccessTime) < POLL_MS && !isDead(identity ?? ''),
    );
    return polls ? null : `${name} (${serves})`;
  });
  const names = silent.filter((one) => one !== null);
  if (names.length === 0) return [];
  return [
    {
      severity: 'error',
      check: 'workers',
      subject: 'worker',
      problem: `nobody polls ${names.length === 1 ? 'task queue' : 'task queues'} ${names.join(', ')}: nothing there goes on`,
      next: 'Run `styx server start`; `styx server logs --part worker` says why a worker ended.',
    },
  ];
}

/** A worker of this machine, `<pid>@<host>`, whose process is gone. Of others only the time of the last poll is known. */
function isDead(identity: string): boolean {
  const [, pid, host] = /^(\d+)@(.+)$/.exec(identity) ?? [];
  return pid !== undefined && host === hostname() && startTimeOf(Number(pid)) === undefined;
}

async function disk(home: string): Promise<Finding[]> {
  const { bavail, blocks, bsize } = await statfs(home);
  const finding = diskFinding(home, { free: bavail * bsize, total: blocks * bsize });
  return finding === null ? [] : [finding];
}

/** Bytes. Without room the server can write nothing down, and nothing goes on. */
export function diskFinding(home: string, { free, total }: { free: number; total: number }): Finding | null {
  const full = free < GB / 4;
  if (!full && free >= Math.min(2 * GB, total / 20)) return null;
  return {
    severity: full ? 'error' : 'warning',
    check: 'disk',
    subject: home,
    problem: `${(free / GB).toFixed(1)} GB of ${(total / GB).toFixed(1)} GB are free`,
    next: 'Make room: `styx store gc` removes what no job needs; or move the data directory (STYX_HOME) while the server is stopped.',
  };
}
