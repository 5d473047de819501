/** The schema that a managed job's state is read with after continue-as-new: tolerant of what it does not know, strict on what it needs. */
import { z } from 'zod';
import { CLUSTER_STATUSES } from './cluster.ts';
import { ERROR_KINDS } from './errors.ts';
import { JOB_STATUSES } from './job.ts';
import { LOSS_CAUSES } from './job-recovery.ts';
import { COPY_PHASES, isManagedEnd, MANAGED_STATUSES, type ManagedEnd, type ManagedJobState } from './managed-job.ts';
import { MARKETS } from './market.ts';
import { marketState, NEW_MARKET } from './market-state.ts';

const region = z.object({ cloud: z.string(), region: z.string() });
const failure = z.object({ kind: z.enum(ERROR_KINDS), message: z.string(), hint: z.string().exactOptional() });
const outputs = z.record(z.string(), z.string());
const logs = z.enum(['kept', 'lost']).nullable();
const report = z.object({
  copy: z.number(),
  cluster: z.string().exactOptional(),
  ended: z.boolean().exactOptional(),
  generation: z.string(),
  status: z.enum(CLUSTER_STATUSES),
  reason: z.string(),
  operation: z.enum(['launch', 'start', 'stop', 'down', 'ports']).nullable(),
  launch: z.object({ outcome: z.enum(['succeeded', 'failed', 'aborted']), failure: failure.nullable() }).nullable(),
  tried: z.number(),
  job: z
    .object({
      id: z.number(),
      status: z.enum(JOB_STATUSES),
      reason: z.string().nullable(),
      startedAt: z.number().nullable().exactOptional(),
      exitCodes: z.array(z.number()),
      outputs: outputs.exactOptional(),
      progress: z.string().exactOptional(),
    })
    .nullable(),
  gone: z.boolean(),
  interruption: z.object({ at: z.number() }).exactOptional(),
  rebalance: z.object({ at: z.number() }).exactOptional(),
  silentSince: z.number().nullable(),
  place: region.extend({ zone: z.string(), instanceType: z.string(), useSpot: z.boolean() }).nullable(),
  cost: z.number(),
  hourly: z.number(),
  at: z.number(),
});
const anyCopy = {
  number: z.number(),
  cluster: z.string(),
  try: z.number(),
  startedAt: z.number(),
  logs,
  why: z.string(),
  market: z.enum(MARKETS).nullable().default(null),
};
const copy = z.object({
  ...anyCopy,
  phase: z.enum(COPY_PHASES),
  phaseSince: z.number(),
  stood: z.boolean(),
  report: report.nullable(),
  replaces: z.literal(true).exactOptional(),
  costBefore: z.number().exactOptional(),
});
const notice = z.object({
  seq: z.number(),
  at: z.number(),
  status: z.enum(MANAGED_STATUSES),
  previous: z.enum(MANAGED_STATUSES).nullable(),
  reason: z.string(),
  try: z.number().nullable(),
  recoveries: z.number(),
  cluster: z.string().nullable(),
  infra: z.string().nullable(),
  cost: z.number(),
  to: z.array(z.string()).nullable(),
});
const end = z.enum(MANAGED_STATUSES).refine(isManagedEnd) as unknown as z.ZodType<ManagedEnd>;

const managedJobState = z.object({
  version: z.literal(1),
  status: z.enum(MANAGED_STATUSES),
  statusSince: z.number(),
  reason: z.string(),
  cause: z.enum(LOSS_CAUSES).nullable(),
  number: z.number().nullable(),
  submittedAt: z.number(),
  startedAt: z.number().nullable(),
  endedAt: z.number().nullable(),
  ranMs: z.number(),
  runningSince: z.number().nullable(),
  cancelledBy: z.string().nullable(),
  paused: z.string().nullable(),
  pauses: z.number(),
  outcome: z.object({ status: end, reason: z.string() }).nullable(),
  copies: z.number(),
  copy: copy.nullable(),
  past: z.array(z.object({ ...anyCopy, endedAt: z.number(), infra: z.string().nullable(), cost: z.number() })),
  recoveries: z.number(),
  errorRestarts: z.number(),
  failedLaunches: z.number(),
  preemptions: z.number().default(0),
  shortRuns: z.number(),
  everStood: z.boolean(),
  lastPlace: region.nullable(),
  lostRegions: z.array(region),
  market: marketState().default(() => ({ ...NEW_MARKET, failures: [] })),
  spare: copy.nullable().default(null),
  askedAhead: z.number().default(0),
  queue: z.enum(['waiting', 'launching', 'running', 'parked', 'ended']),
  nextAt: z.number().nullable(),
  spent: z.number(),
  outputs,
  progress: z.number().nullable().default(null),
  events: z.array(z.object({ at: z.number(), text: z.string() })),
  notices: z.object({
    receivers: z.array(z.object({ key: z.string(), statuses: z.array(z.enum(MANAGED_STATUSES)) })).nullable(),
    seq: z.number(),
    pending: z.array(notice),
  }),
  requests: z.array(z.string()),
}) satisfies z.ZodType<ManagedJobState>;

/** @throws ZodError when the state was not written by this version's schema */
export function parseManagedJobState(value: unknown): ManagedJobState {
  return managedJobState.parse(value);
}
