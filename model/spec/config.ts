/** `config`: what a task says over the configuration of the user. */
import { z } from 'zod';
import { hooks } from './autostop.ts';
import { doc, isMap, jsonValue, mapOf } from './field.ts';

/** Plugins of SkyPilot add fields of their own. */
const OPEN = { 'x-open': true };
const anyMap = z.record(z.string(), jsonValue);
const timeText = z.union([z.string().regex(/^[0-9]+(m|h|d|w|M|H|D|W)?$/), z.int()], {
  error: 'must be minutes, or such as "30m" or "2h"',
});
const dockerMode = z.enum(['ALL', 'BUILD']);

const customMetadata = anyMap.superRefine((metadata, ctx) => {
  for (const name of ['name', 'namespace']) {
    if (name in metadata) ctx.addIssue({ code: 'custom', message: 'is not for a task to choose', path: [name] });
  }
});

const pods = {
  custom_metadata: doc(customMetadata, 'labels and annotations of pods'),
  pod_config: doc(anyMap, 'fields of the pod, over those that are made'),
  provision_timeout: doc(z.int(), 'seconds that a pod may take to come up'),
};

const kubernetes = mapOf({
  ...pods,
  dws: doc(
    mapOf({
      enabled: doc(z.boolean(), 'use it', '`false`'),
      max_run_duration: doc(timeText, 'how long the machines are kept'),
    }),
    'Dynamic Workload Scheduler of GKE',
  ),
  kueue: doc(
    mapOf({ local_queue_name: doc(z.string(), 'its queue'), admission_timeout: doc(z.int(), 'seconds') }),
    'Kueue',
  ),
  quota: doc(z.looseObject({ queue: z.string().optional() }).meta(OPEN), 'queue that the pods are charged to'),
  remote_identity: doc(
    z.union([z.string(), z.record(z.string(), z.string())], { error: 'must be text, or a map of contexts to texts' }),
    'service account of the pods',
  ),
  enable_docker: doc(
    z.union([z.boolean(), dockerMode, z.strictObject({ mode: dockerMode, cache_volume: z.string().optional() })], {
      error: 'must be true, false, ALL, BUILD, or a map with "mode"',
    }),
    'containers inside the pod',
  ),
  set_pod_resource_limits: doc(
    z.union([z.boolean(), z.number().min(1)], { error: 'must be true, false, or a number from 1' }),
    'limits of the pod: `true`, or a multiple of what is asked for',
  ),
});

const slurm = mapOf({
  sbatch_options: doc(
    z.record(
      z.string(),
      z.union([z.string().regex(/^[^\n]*$/), z.number(), z.boolean(), z.null()], {
        error: 'must be text of one line, a number, true, false or nothing',
      }),
    ),
    'options of sbatch',
  ),
  quota: doc(
    z.looseObject({ queue: z.string().min(1).optional(), account: z.string().min(1).optional() }).meta(OPEN),
    'QOS and account that jobs are charged to',
  ),
  cpu_partition: doc(z.string(), 'partition of jobs without GPUs'),
});

const gcp = mapOf({
  vpc_name: doc(
    z
      .string()
      .regex(/^(?:[-a-z0-9]+\/)?[-a-z0-9]+$/)
      .nullable(),
    'network: `name`, or `project/name`',
  ),
  subnet_names: doc(
    z.union([z.string(), z.null(), z.array(z.string())], { error: 'must be text or a list of texts' }),
    'its subnets',
  ),
  managed_instance_group: doc(
    mapOf({
      run_duration: z.int().meta({ description: 'seconds that they are kept', 'x-default': '(required)' }),
      provision_timeout: doc(z.int(), 'seconds to wait'),
    }),
    'ask for machines by a managed instance group',
  ),
  enable_gvnic: doc(z.boolean(), 'use gVNIC', '`false`'),
  enable_gpu_direct: doc(z.boolean(), 'use GPUDirect', '`false`'),
  placement_policy: doc(z.string(), 'placement policy of the machines'),
});

const azureIdentity = z.union(
  [z.string().min(1), z.array(z.record(z.string(), z.string().min(1)).refine((one) => Object.keys(one).length === 1))],
  { error: 'must be text, or a list of maps of one name to text' },
);

export const configFields = mapOf({
  docker: doc(
    mapOf({
      run_options: doc(
        z.union([z.string(), z.array(z.string())], { error: 'must be text or a list of texts' }),
        'options of `docker run`',
      ),
    }),
    'containers',
  ),
  nvidia_gpus: doc(mapOf({ disable_ecc: doc(z.boolean(), 'switch error correction off', '`false`') }), 'GPUs'),
  kubernetes: doc(kubernetes, 'Kubernetes'),
  ssh: doc(mapOf(pods), 'SSH node pools'),
  slurm: doc(slurm, 'Slurm'),
  gcp: doc(gcp, 'GCP'),
  azure: doc(
    mapOf({
      vpc_name: doc(z.string().nullable(), 'network'),
      remote_identity: doc(azureIdentity, 'identity of the machines'),
    }),
    'Azure',
  ),
  vast: doc(
    mapOf({
      datacenter_only: doc(z.boolean(), 'machines of data centres alone', '`false`'),
      create_instance_kwargs: doc(anyMap, 'arguments of the call that makes an instance'),
    }),
    'Vast',
  ),
  active_workspace: doc(z.string(), 'workspace of the task'),
  hooks: doc(hooks, 'scripts that run before machines go away: a list of at most 32 maps of the fields below'),
});

/** Without the hooks, which are the task's own. */
export type ConfigOverrides = Readonly<Record<string, unknown>>;

/** Paths of what it says, for messages: `kubernetes.pod_config`. */
export function configPaths(overrides: ConfigOverrides): string[] {
  return Object.entries(overrides).flatMap(([section, held]) =>
    isMap(held) && Object.keys(held).length > 0 ? Object.keys(held).map((key) => `${section}.${key}`) : [section],
  );
}
