/** The schema that a cluster's state is read with after continue-as-new: tolerant of what it does not know, strict on what it needs. */
import { z } from 'zod';
import { CLUSTER_STATUSES, type ClusterState } from './cluster.ts';
import { ERROR_KINDS } from './errors.ts';
import { JOB_STATUSES } from './job.ts';
import { machineWantsSchema } from './machine-wants.ts';
import { RAY_EXTRAS, RAY_STATUSES } from './ray.ts';

const rule = z.object({
  idleMinutes: z.number(),
  down: z.boolean(),
  waitFor: z.enum(['jobs_and_ssh', 'jobs', 'none']),
});
const amount = z.object({ count: z.number(), atLeast: z.boolean() }).nullable();
const accelerators = z.object({ name: z.string(), count: z.number() }).nullable();
const offer = z.object({
  cloud: z.string(),
  region: z.string(),
  zone: z.string(),
  instanceType: z.string(),
  cpus: z.number(),
  memory: z.number(),
  accelerators,
  useSpot: z.boolean(),
  hourlyCost: z.number(),
  disk: z.object({ size: z.number(), hourlyCost: z.number() }).exactOptional(),
  noStop: z.string().exactOptional(),
});
const regions = z.array(z.object({ cloud: z.string(), region: z.string() }));
const choice = z.object({
  cloud: z.string().nullable(),
  region: z.string().nullable(),
  zone: z.string().nullable(),
  instanceType: z.string().nullable(),
  cpus: amount,
  memory: amount,
  accelerators,
  useSpot: z.boolean(),
});
const resources = choice.extend({
  clouds: z.array(z.string()).exactOptional(),
  planned: z.array(offer).exactOptional(),
  order: z.object({ prefer: regions, avoid: regions }).exactOptional(),
  others: z.array(choice).exactOptional(),
  inOrder: z.boolean().exactOptional(),
  numNodes: z.number(),
  wants: machineWantsSchema().exactOptional(),
});
const budget = z.object({
  maxCost: z.number().nullable(),
  maxDuration: z.number().nullable(),
  onExceed: z.enum(['stop', 'down', 'notify']),
});
const rayRequest = z.object({
  version: z.string().nullable(),
  extras: z.array(z.enum(RAY_EXTRAS)),
  headResources: z.record(z.string(), z.number()).nullable(),
  restartHead: z.boolean().nullable(),
});
const demand = z.object({ cpus: z.number(), gpus: z.number(), memory: z.number() });
const failure = z.object({ kind: z.enum(ERROR_KINDS), message: z.string(), hint: z.string().exactOptional() });
const placement = offer.extend({
  key: z.string(),
  attempt: z.number(),
  numNodes: z.number(),
  fills: z.array(z.number()).exactOptional(),
  joins: z.string().exactOptional(),
});
const node = z.object({
  instanceId: z.string(),
  rank: z.number(),
  address: z.string(),
  port: z.number(),
  user: z.string(),
  internalAddress: z.string(),
  via: z.string().exactOptional(),
  hostKey: z.string(),
  cpus: z.number(),
  memory: z.number(),
  gpus: z.number(),
  gpuName: z.string().nullable(),
});
const source = z.union([z.object({ path: z.string() }), z.object({ url: z.string(), ref: z.string().nullable() })]);
const snapshot = z.object({
  manifest: z.string(),
  kind: z.enum(['directory', 'file']),
  files: z.number(),
  bytes: z.number(),
});
const taskFiles = z.object({ source, snapshot: snapshot.nullable() });
const task = z.object({
  name: z.string().nullable(),
  resources,
  numNodes: z.number(),
  envs: z.record(z.string(), z.string()),
  secrets: z.record(z.string(), z.object({ $secret: z.string(), box: z.string() })).default({}),
  setup: z.string().nullable(),
  run: z.string().nullable(),
  autostop: rule.nullable(),
  priority: z.number(),
  demand,
  maxDuration: z.number().nullable(),
  queue: z.enum(['fifo', 'backfill']).nullable(),
  budget: budget.exactOptional(),
  ray: rayRequest.exactOptional(),
  workdir: taskFiles.exactOptional(),
  fileMounts: z.array(taskFiles.extend({ target: z.string() })).exactOptional(),
});
const newJob = z.object({
  id: z.number(),
  task,
  withSetup: z.boolean(),
  user: z.string(),
  submittedAt: z.number(),
});
const spec = z.object({
  resources,
  numNodes: z.number(),
  resourcesText: z.string(),
  conda: z.boolean().exactOptional(),
  budget: budget.exactOptional(),
});
const operation = z.object({
  id: z.string(),
  kind: z.enum(['launch', 'start', 'stop', 'down', 'ports']),
  since: z.number(),
  endedAt: z.number().nullable(),
  outcome: z.enum(['succeeded', 'failed', 'aborted']).nullable(),
  failure: failure.nullable(),
  progress: z.string(),
  progressSince: z.number(),
  auto: z.boolean(),
  why: z.string().exactOptional(),
  child: z.number(),
  aborting: z.boolean(),
  retryUntilUp: z.boolean(),
  retryUntil: z.number().exactOptional(),
  ports: z.array(z.string()).exactOptional(),
});
const opId = z.string();
const waiting = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('launch'),
    opId,
    spec,
    retryUntilUp: z.boolean(),
    retryUntil: z.number().exactOptional(),
    job: newJob.nullable(),
    autostop: rule.nullable().exactOptional(),
    budget: budget.exactOptional(),
    ray: rayRequest.exactOptional(),
    user: z.string(),
    commandLine: z.string(),
  }),
  z.object({
    kind: z.literal('start'),
    opId,
    retryUntilUp: z.boolean(),
    retryUntil: z.number().exactOptional(),
  }),
  z.object({ kind: z.literal('stop'), opId, auto: z.boolean(), why: z.string().exactOptional() }),
  z.object({ kind: z.literal('down'), opId, auto: z.boolean(), why: z.string().exactOptional() }),
  z.object({ kind: z.literal('ports'), opId, open: z.array(z.string()), close: z.array(z.string()) }),
]);
const job = z.object({
  id: z.number(),
  name: z.string().nullable(),
  user: z.string(),
  status: z.enum(JOB_STATUSES),
  reason: z.string().nullable(),
  submittedAt: z.number(),
  startedAt: z.number().nullable(),
  endedAt: z.number().nullable(),
  numNodes: z.number(),
  demand,
  priority: z.number(),
  maxDuration: z.number().nullable(),
  hasSetup: z.boolean(),
  hasSecrets: z.boolean().exactOptional(),
  ray: z.boolean().exactOptional(),
  hasRun: z.boolean(),
  resources: z.string(),
  allotment: z.object({ nodes: z.array(z.number()), gpus: z.array(z.array(z.number())) }).nullable(),
  life: z.string().exactOptional(),
  exitCodes: z.array(z.number().nullable()).nullable(),
  outputs: z.record(z.string(), z.string()).exactOptional(),
  progress: z.string().exactOptional(),
});
const answer = z.object({
  operationId: z.string().nullable(),
  jobId: z.number().nullable(),
  jobIds: z.array(z.number()),
  note: z.string().nullable(),
  generation: z.string(),
});

const clusterState = z.object({
  version: z.literal(1),
  workspace: z.string(),
  name: z.string(),
  user: z.string(),
  life: z.string(),
  n: z.number(),
  status: z.enum(CLUSTER_STATUSES),
  statusSince: z.number(),
  statusReason: z.string(),
  launchedAt: z.number(),
  lastUse: z.string(),
  spec: spec.nullable(),
  placement: placement.nullable(),
  nodes: z.array(node),
  added: z.array(placement).exactOptional(),
  ports: z.array(z.string()).exactOptional(),
  intents: z.array(placement),
  attempts: z.number(),
  operation: operation.nullable(),
  nextOperation: z.number(),
  waiting: z.array(waiting),
  operations: z.array(operation),
  tries: z.array(
    z.object({
      at: z.number(),
      cloud: z.string(),
      region: z.string(),
      zone: z.string(),
      instanceType: z.string(),
      took: z.number().exactOptional(),
      useSpot: z.literal(true).exactOptional(),
      failure,
    }),
  ),
  duties: z.array(z.string()),
  watch: z.object({ child: z.number(), stopping: z.boolean() }).nullable(),
  watches: z.number(),
  jobs: z.array(job),
  nextJobId: z.number(),
  finishedJobs: z.number(),
  queuePolicy: z.enum(['fifo', 'backfill']),
  autostop: rule.nullable(),
  autostopSetAt: z.number(),
  upAt: z.number(),
  sessions: z.number(),
  lastSessionEndedAt: z.number(),
  lastJobEndedAt: z.number(),
  lastSubmitAt: z.number(),
  lost: z.array(z.object({ rank: z.number(), since: z.number(), reason: z.string(), gone: z.boolean() })),
  notices: z
    .array(z.object({ rank: z.number(), kind: z.enum(['interruption', 'rebalance']), at: z.number() }))
    .exactOptional(),
  stood: z.object({ resources: z.string(), infra: z.string() }).nullable().exactOptional(),
  cost: z.object({
    accrued: z.number(),
    since: z.number().nullable(),
    hourly: z.number(),
    upMs: z.number().exactOptional(),
    disks: z.object({ since: z.number(), hourly: z.number() }).exactOptional(),
  }),
  earlier: z.object({ cost: z.number(), upMs: z.number() }).exactOptional(),
  budget: budget
    .extend({ exceeded: z.object({ at: z.number(), why: z.string() }).exactOptional() })
    .nullable()
    .exactOptional(),
  ray: z
    .object({
      spec: rayRequest.extend({ version: z.string() }),
      wanted: z.boolean(),
      status: z.enum(RAY_STATUSES),
      since: z.number(),
      reason: z.string(),
      child: z.number().nullable(),
      address: z.string().nullable(),
      dashboardPort: z.number().nullable(),
    })
    .nullable()
    .exactOptional(),
  rays: z.number().exactOptional(),
  requests: z.array(z.object({ id: z.string(), answer })),
  held: z.boolean().exactOptional(),
  running: z.array(z.number()).exactOptional(),
  guests: z
    .array(
      z.object({
        workflowId: z.string(),
        copy: z.number(),
        jobId: z.number().nullable(),
        refused: failure.nullable(),
      }),
    )
    .exactOptional(),
  relaunch: z
    .object({
      copy: z.number(),
      opId: z.string().nullable(),
      jobId: z.number().nullable(),
      refused: failure.nullable(),
      after: z.array(z.union([z.number(), z.string()])),
    })
    .exactOptional(),
}) satisfies z.ZodType<ClusterState>;

/** @throws ZodError when the state was not written by this version's schema */
export function parseClusterState(value: unknown): ClusterState {
  return clusterState.parse(value);
}
