/** One task as its file describes it: everything that SkyPilot's YAML can say, normalised, whether this version carries it out or not. */
import { z } from 'zod';
import type { Budget } from '../cost-budget.ts';
import type { RayRequest } from '../ray.ts';
import type { Hook } from './autostop.ts';
import { type ConfigOverrides, configFields } from './config.ts';
import { attempt, doc, FieldError, field, isMap, mapOf, shown } from './field.ts';
import type { LegacyVolume } from './machine-fields.ts';
import { type PoolSpec, pool } from './pool.ts';
import { rayField } from './ray.ts';
import { type ReadResources, type Resources, resources } from './resources.ts';
import { envs, managedSecrets, type SecretRef, secrets } from './secrets.ts';
import { type ServiceSpec, service } from './service.ts';
import { type FileMount, fileMounts } from './storage.ts';
import { budgetField, demandFields, maxDurationField, queueField } from './styx-fields.ts';
import { flagField, taskName, text, textField, wholeField } from './values.ts';
import { type VolumeUse, volumes } from './volumes.ts';

export type Workdir =
  | { readonly kind: 'path'; readonly path: string }
  | { readonly kind: 'git'; readonly url: string; readonly ref: string | null };

/** How much data comes in or goes out, for the choice of a place. */
export interface DataSize {
  readonly uri: string;
  readonly gigabytes: number;
}

/** null is always: not said. */
export interface TaskSpec {
  readonly name: string | null;
  readonly numNodes: number;
  readonly resources: Resources;
  readonly workdir: Workdir | null;
  /** By target, on the machines. */
  readonly fileMounts: Readonly<Record<string, FileMount>>;
  readonly volumes: Readonly<Record<string, VolumeUse>>;
  readonly envs: Readonly<Record<string, string>>;
  /** Values of secrets by name. */
  readonly secrets: Readonly<Record<string, string>>;
  /** Secrets that are kept elsewhere. */
  readonly managedSecrets: readonly SecretRef[];
  readonly setup: string | null;
  readonly run: string | null;
  readonly service: ServiceSpec | null;
  readonly pool: PoolSpec | null;
  readonly inputs: DataSize | null;
  readonly outputs: DataSize | null;
  readonly eventCallback: string | null;
  readonly config: ConfigOverrides;
  readonly hooks: readonly Hook[];
  readonly apiServerAccess: boolean | null;
  /** Seconds. */
  readonly maxDuration: number | null;
  readonly jobDemand: z.infer<typeof demandFields>;
  readonly queue: 'fifo' | 'backfill' | null;
  readonly budget: Budget | null;
  readonly ray: RayRequest | null;
  /** Tasks of the same file that must have succeeded first; null: not said. */
  readonly dependsOn: readonly string[] | null;
  readonly continueOnFailure: boolean;
}

const gitWorkdir = mapOf({
  url: doc(textField(), 'repository', '(required)'),
  ref: doc(textField(), 'branch, tag or commit', 'its default branch'),
});

const workdir = z
  .union([z.string(), gitWorkdir], { error: 'must be a directory, or a map with "url" and "ref"' })
  .transform(
    (written, ctx): Workdir =>
      attempt(ctx, () => {
        if (typeof written === 'string') {
          if (text(written) === '') throw new FieldError('must be a directory');
          return { kind: 'path', path: written };
        }
        if (written.url === undefined) throw new FieldError('is missing', ['url']);
        return { kind: 'git', url: written.url, ref: written.ref ?? null };
      }),
  );

const dataSize = field(
  { type: 'object', maxProperties: 1, minProperties: 1, additionalProperties: { type: 'number' } },
  (value): DataSize => {
    const [entry, ...more] = isMap(value) ? Object.entries(value) : [];
    if (entry === undefined || more.length > 0)
      throw new FieldError(`must be a map of one address to GB, not ${shown(value)}`);
    const [uri, gigabytes] = entry;
    if (typeof gigabytes !== 'number') throw new FieldError(`must be GB, not ${shown(gigabytes)}`, [uri]);
    return { uri, gigabytes };
  },
);

export const taskFields = {
  name: doc(field({ type: 'string' }, taskName), 'name of the job: letters and digits, with `.`, `_`, `-` between'),
  num_nodes: doc(wholeField(1), 'number of nodes', '1'),
  resources: doc(resources, 'a map of the fields below', 'anything, anywhere'),
  workdir: doc(
    workdir,
    'directory whose files, as they are at submission, jobs find in `~/sky_workdir`; or a map of the fields below for a git repository',
  ),
  file_mounts: doc(
    fileMounts,
    'a map of paths on the nodes (`~/…`, or below `~/sky_workdir`) to files and directories here; buckets and storage objects (maps of the fields below) are not carried out yet',
  ),
  volumes: doc(volumes, 'a map of paths on the nodes to names of volumes, or maps of the fields below'),
  envs: doc(envs, 'a map of names to values; a value that is missing (`NAME:`) must be given by `--env`'),
  secrets: doc(
    secrets,
    'the same, kept out of logs; a value that is missing, or a list of `secrets:NAME`, names secrets kept elsewhere',
  ),
  managed_secrets: doc(managedSecrets, 'secrets kept elsewhere: a list of names, or of `{NAME: {mount_path: FILE}}`'),
  setup: doc(textField(), 'script, run on every node before the job; `styx exec` leaves it out'),
  run: doc(textField(), 'script, run once on every node at the same time', 'none: machines only'),
  service: doc(service, 'what `run` serves: a map of the fields below; not together with `pool`'),
  pool: doc(pool, 'workers for managed jobs: a map of the fields below'),
  inputs: doc(dataSize, 'a map of one address to the GB that come in'),
  outputs: doc(dataSize, 'a map of one address to the GB that go out'),
  event_callback: doc(textField(), "script, run when a managed job's state changes"),
  config: doc(configFields, 'what the task says over the configuration of the user: a map of the fields below'),
  api_server_access: doc(flagField(), 'whether the job may use the API server by itself', '`true` in SkyPilot'),
  max_duration: doc(
    maxDurationField,
    'seconds, or `30m`, `1h 30m` (units s m h d w); the job is ended after it, setup included, as FAILED',
    'no limit',
  ),
  job_demand: doc(
    demandFields,
    'a map of the fields below: what the job takes of each node, for the queue. It is not a limit',
    'see there',
  ),
  queue: doc(
    queueField,
    '`fifo` or `backfill`: whether later jobs of this cluster may pass a waiting one. Asked for by `launch`',
    '`backfill` on a new cluster',
  ),
  budget: doc(
    budgetField,
    'a map of the fields below: what the cluster may cost, from its first launch until it is taken down. Asked for by `launch`; it replaces the one before',
    'that of the cluster; no limit on a new one',
  ),
  ray: doc(
    rayField,
    '`true`, or a map of the fields below: the job uses Ray, which the cluster installs and starts on all its nodes, and begins when that stands',
    '`false`',
  ),
  depends_on: doc(
    z.array(textField()),
    'names of tasks of the same file: the task starts when all of them have succeeded. As soon as one task says it, the order of the documents says nothing ([pipelines](managed-jobs.md#pipelines))',
    'in a file of several tasks: the task before',
  ),
  continue_on_failure: doc(
    flagField(),
    'whether what depends on the task starts even when it failed, and the whole does not fail by it',
    '`false`',
  ),
};

export const writtenTask = mapOf(taskFields, { nulls: 'absent' });

const WORKDIR_ON_NODES = '~/sky_workdir';
const DOCKER_LOGIN = ['SKYPILOT_DOCKER_USERNAME', 'SKYPILOT_DOCKER_PASSWORD', 'SKYPILOT_DOCKER_SERVER'];

export const taskSpec = writtenTask.transform((written, ctx): TaskSpec => attempt(ctx, () => specOf(written)));

function specOf(written: z.infer<typeof writtenTask>): TaskSpec {
  const { mounts = {}, volumes: disks = [] } = written.file_mounts ?? {};
  const { values = {}, refs = [] } = written.secrets ?? {};
  const { hooks = [], ...config } = written.config ?? {};
  const asked = written.resources ?? resources.parse({});
  if (written.workdir !== undefined && WORKDIR_ON_NODES in mounts) {
    throw new FieldError('is where the workdir goes; mount below it, or leave "workdir" out', [
      'file_mounts',
      WORKDIR_ON_NODES,
    ]);
  }
  checkDockerLogin(written.envs ?? {}, values);
  checkAccessModes(written.volumes ?? {}, written.num_nodes ?? 1);
  return {
    name: written.name ?? null,
    numNodes: written.num_nodes ?? 1,
    resources: disks.length === 0 ? asked.resources : withVolumes(asked, disks),
    workdir: written.workdir ?? null,
    fileMounts: mounts,
    volumes: written.volumes ?? {},
    envs: written.envs ?? {},
    secrets: values,
    managedSecrets: [...refs, ...(written.managed_secrets ?? [])],
    setup: written.setup ?? null,
    run: written.run ?? null,
    service: written.service ?? null,
    pool: written.pool ?? null,
    inputs: written.inputs ?? null,
    outputs: written.outputs ?? null,
    eventCallback: written.event_callback ?? null,
    config,
    hooks: [...hooks, ...(asked.hook === null ? [] : [asked.hook])],
    apiServerAccess: written.api_server_access ?? null,
    maxDuration: written.max_duration ?? null,
    jobDemand: written.job_demand ?? {},
    queue: written.queue ?? null,
    budget: written.budget ?? null,
    ray: written.ray ?? null,
    dependsOn: written.depends_on ?? null,
    continueOnFailure: written.continue_on_failure ?? false,
  };
}

function withVolumes({ resources: asked, ownVolumes }: ReadResources, disks: readonly LegacyVolume[]): Resources {
  const [first, ...others] = asked.alternatives.map((one, index) =>
    ownVolumes[index] ? one : { ...one, volumes: disks },
  );
  return first === undefined ? asked : { ...asked, alternatives: [first, ...others] };
}

const ONE_NODE_MODES = ['ReadWriteOnce', 'ReadWriteOncePod'];

function checkAccessModes(volumesOf: TaskSpec['volumes'], numNodes: number): void {
  if (numNodes === 1) return;
  for (const [target, use] of Object.entries(volumesOf)) {
    const mode = use.kind === 'ephemeral' ? use.config?.access_mode : undefined;
    if (typeof mode !== 'string' || !ONE_NODE_MODES.includes(mode)) continue;
    throw new FieldError(`${mode} is for one node alone`, ['volumes', target, 'config', 'access_mode']);
  }
}

/** All of the login to a registry, in one place. */
function checkDockerLogin(envsOf: Readonly<Record<string, string>>, secretsOf: Readonly<Record<string, string>>): void {
  const [inEnvs, inSecrets] = [envsOf, secretsOf].map((map) => DOCKER_LOGIN.filter((name) => name in map));
  if (inEnvs === undefined || inSecrets === undefined) return;
  if (inEnvs.length > 0 && inSecrets.length > 0) {
    throw new FieldError(`must stand together with ${inSecrets.join(', ')}, all in envs or all in secrets`, [
      'envs',
      inEnvs[0] ?? '',
    ]);
  }
  for (const [where, found] of [['envs', inEnvs] as const, ['secrets', inSecrets] as const]) {
    const missing = DOCKER_LOGIN.filter((name) => !found.includes(name));
    if (found.length > 0 && missing.length > 0) {
      throw new FieldError(`needs ${missing.join(' and ')} beside it`, [where, found[0] ?? '']);
    }
  }
}
