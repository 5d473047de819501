/** The schema that a pipeline's state is read with after continue-as-new. */
import { z } from 'zod';
import { MANAGED_STATUSES } from './managed-job.ts';
import type { PipelineState } from './pipeline.ts';

const status = z.enum(MANAGED_STATUSES);
const time = z.number().nullable();
const task = z.object({
  status,
  reason: z.string(),
  phase: z.enum(['waiting', 'started', 'over']),
  startedAt: time,
  endedAt: time,
  recoveries: z.number(),
  cost: z.number(),
  outputs: z.record(z.string(), z.string()),
  begun: z.boolean(),
  cancelled: z.boolean(),
  kept: z.boolean(),
});

const group = z.object({
  version: z.number(),
  told: z.array(z.number()),
  nodes: z.array(
    z.object({ task: z.number(), copy: z.number(), job: z.string(), addresses: z.array(z.string()) }).nullable(),
  ),
});

const pipelineState = z.object({
  version: z.literal(1),
  status,
  statusSince: z.number(),
  reason: z.string(),
  number: z.number().nullable(),
  startedAt: time,
  endedAt: time,
  cancelledBy: z.string().nullable(),
  // Absent in states from before there were pauses.
  paused: z.string().nullable().default(null),
  tasks: z.array(task),
  dueAt: z.array(time),
  group: group.exactOptional(),
  events: z.array(z.object({ at: z.number(), text: z.string() })),
  requests: z.array(z.string()),
}) satisfies z.ZodType<PipelineState>;

/** @throws ZodError when the state was not written by this version's schema */
export function parsePipelineState(value: unknown): PipelineState {
  return pipelineState.parse(value);
}
