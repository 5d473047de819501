/** `resources`: what a machine must be like, and the alternatives among which one is chosen. */
import { z } from 'zod';
import type { Amount } from '../machines.ts';
import {
  ACCELERATOR_FORM,
  ACCELERATORS_FORM,
  type AcceleratorRequest,
  accelerator,
  accelerators,
} from './accelerators.ts';
import { type Autostop, autostop, type Hook } from './autostop.ts';
import { attempt, doc, FieldError, field, isMap, mapOf, shown, within } from './field.ts';
import { type JobRecovery, jobRecovery } from './job-recovery.ts';
import {
  DISK_TIERS,
  IMAGE_FORM,
  type Images,
  imageId,
  type LegacyVolume,
  type LocalDisk,
  legacyVolume,
  localDisk,
  NETWORK_TIERS,
  PORTS_FORM,
  ports,
} from './machine-fields.ts';
import { cloudName, infra, type Place, placeName } from './place.ts';
import { cpus, diskSize, flagField, memory, text, textField, wholeField, wordField } from './values.ts';

/** One way to meet a task's request. null is always: not said. */
export interface Alternative extends Place {
  readonly instanceType: string | null;
  /** vCPUs. */
  readonly cpus: Amount | null;
  /** GiB. */
  readonly memory: Amount | null;
  readonly accelerators: AcceleratorRequest | null;
  readonly acceleratorArgs: z.infer<typeof acceleratorArgs> | null;
  readonly useSpot: boolean;
  readonly jobRecovery: JobRecovery | null;
  /** GiB; what SkyPilot gives by default counts as not said. */
  readonly diskSize: number | null;
  readonly diskTier: (typeof DISK_TIERS)[number] | null;
  readonly networkTier: (typeof NETWORK_TIERS)[number] | null;
  readonly localDisk: LocalDisk | null;
  /** US dollars of one machine. */
  readonly maxHourlyCost: number | null;
  readonly ports: readonly string[] | null;
  readonly labels: Readonly<Record<string, string>>;
  readonly imageId: Images | null;
  readonly autostop: Autostop | false | null;
  readonly priority: number | null;
  readonly priorityClass: string | null;
  readonly volumes: readonly LegacyVolume[];
}

export interface Resources {
  /** `ordered`: tried in this order. One alternative is `any_of`. */
  readonly order: 'any_of' | 'ordered';
  readonly alternatives: readonly [Alternative, ...Alternative[]];
}

const DEFAULT_DISK_GIB = 256;
/** A list of alternatives multiplies with a map of accelerators. */
const MAX_ALTERNATIVES = 1000;

const acceleratorArgs = mapOf({
  runtime_version: doc(textField(), "version of a TPU's software", 'by the TPU'),
  tpu_name: doc(textField(), 'name of the TPU'),
  tpu_vm: doc(flagField(), 'use the machine of the TPU', '`true`'),
  gcp_queued_resource: doc(flagField(), 'ask for the TPU by a queued resource', '`false`'),
});

const labels = field({ type: 'object', additionalProperties: { type: 'string' } }, (value) => {
  if (!isMap(value)) throw new FieldError(`must be a map of names to texts, not ${shown(value)}`);
  for (const [name, label] of Object.entries(value)) {
    if (typeof label !== 'string') throw new FieldError(`must be text, not ${shown(label)}; put it in quotes`, [name]);
  }
  return value as Record<string, string>;
});

function hourlyCost(value: unknown): number {
  if (typeof value === 'number' && value > 0 && Number.isFinite(value)) return value;
  throw new FieldError(`must be US dollars above 0, not ${shown(value)}`);
}

const NUMBER_OR_TEXT = { type: ['number', 'string'] };
const choice = field(ACCELERATORS_FORM, accelerators);
const oneChoice = field(ACCELERATOR_FORM, accelerator);

export const placeFields = {
  infra: doc(
    field({ type: 'string' }, infra),
    '`cloud`, `cloud/region`, `cloud/region/zone`, `k8s/<context>`, `ssh/<pool>`; `*` for any. Not together with the next three',
    'any',
  ),
  cloud: doc(field({ type: 'string' }, cloudName), 'name of a cloud', 'any'),
  region: doc(field({ type: 'string' }, placeName), 'name of a region', 'any'),
  zone: doc(field({ type: 'string' }, placeName), 'name of a zone', 'any'),
};

export const machineFields = {
  instance_type: doc(field({ type: 'string' }, placeName), 'name of an instance type', 'any that fits'),
  cpus: doc(field(NUMBER_OR_TEXT, cpus), 'vCPUs of each node: `4`, or `4+` for at least 4', 'any'),
  memory: doc(field(NUMBER_OR_TEXT, memory), 'GiB of each node: `16`, `16+`, `16GB+`', 'any'),
  accelerator_args: doc(acceleratorArgs, 'a map of the fields below'),
  use_spot: doc(flagField(), '`true` or `false`', '`false`'),
  job_recovery: doc(jobRecovery, 'of a managed job: a strategy, or a map of the fields below', '`EAGER_NEXT_REGION`'),
  disk_size: doc(field({ type: ['integer', 'string'] }, diskSize), 'GiB of the disk: `100`, `500GB`, `1TB`', '256'),
  disk_tier: doc(wordField(DISK_TIERS), 'speed of the disk: `low`, `medium`, `high`, `ultra`, `best`', '`medium`'),
  network_tier: doc(wordField(NETWORK_TIERS), '`standard` or `best`', '`standard`'),
  local_disk: doc(
    field({ type: 'string' }, localDisk),
    "the machine's own disk: `nvme`, `500+`, `nvme:1000+`, `ssd:500`",
  ),
  max_hourly_cost: doc(
    field({ type: 'number', exclusiveMinimum: 0 }, hourlyCost),
    'US dollars that one machine may cost an hour',
    'no limit',
  ),
  ports: doc(field(PORTS_FORM, ports), 'ports that are reachable: `8080`, `8080-8090`, `80,443`, or a list of them'),
  labels: doc(labels, 'a map of names to texts, for the cloud'),
  image_id: doc(
    field(IMAGE_FORM, imageId),
    'image of the machine (`ami-…`, `resolve:ssm:NAME`, `skypilot:cpu-ubuntu-2204`), or a map of regions to images; `docker:IMAGE` is the container that the task runs in ([AWS](aws.md#containers))',
  ),
  autostop: doc(autostop, 'minutes, `10h`, `true` (5 minutes), `false`, or a map of the fields below'),
  priority: doc(wholeField(-1000, 1000), '-1000 to 1000; higher goes first in the queue', '0'),
  priority_class: doc(
    field({ type: 'string' }, (value) => text(value).trim() || null),
    'name of a class of priority',
  ),
  volumes: doc(z.array(legacyVolume), 'disks of GCP: a list of maps of the fields below'),
};

const alternativeShape = {
  ...placeFields,
  ...machineFields,
  accelerators: doc(oneChoice, 'GPUs of each node: `A100`, `A100:8`, `{A100: 8}`, `80GB+`'),
  gpus: doc(oneChoice, 'the same as `accelerators`; not together with it'),
};

export const writtenAlternative = mapOf(alternativeShape);
type WrittenAlternative = z.infer<typeof writtenAlternative>;

const hooksElsewhere = z.unknown().transform((_, ctx): never => {
  ctx.addIssue({ code: 'custom', message: 'belongs under "config" at the top of the task' });
  return z.NEVER;
});

export const writtenResourcesFields = {
  ...placeFields,
  accelerators: doc(
    choice,
    'GPUs of each node: `A100`, `A100:8`, `A100:0.5`, `{A100: 8}`, by memory `80GB+` or `nvidia:80GB:2`; a map of several means any, a list means in this order',
  ),
  gpus: doc(choice, 'the same as `accelerators`; not together with it'),
  ...machineFields,
  any_of: doc(
    z.array(writtenAlternative),
    'alternatives: a list of maps of these fields, each over the fields beside it',
  ),
  ordered: doc(z.array(writtenAlternative), 'the same, tried in this order'),
  hooks: hooksElsewhere.optional(),
};

export const writtenResources = mapOf(writtenResourcesFields, { nulls: 'absent' });

export interface ReadResources {
  readonly resources: Resources;
  /** The hook of the older form. */
  readonly hook: Hook | null;
  /** Does an alternative name disks of its own, which those of `file_mounts` do not replace? */
  readonly ownVolumes: readonly boolean[];
}

export const resources = writtenResources.transform(
  (written, ctx): ReadResources => attempt(ctx, () => expand(written)),
);

function expand(written: z.infer<typeof writtenResources>): ReadResources {
  const { any_of: anyOf = [], ordered = [], hooks: _, ...base } = written;
  const group = ordered.length > 0 ? 'ordered' : 'any_of';
  const overrides: readonly WrittenAlternative[] = ordered.length > 0 ? ordered : anyOf;
  const listed = base.accelerators ?? base.gpus;
  if (overrides.length > 0 && listed !== undefined && listed.options.length > 1) {
    if (group === 'ordered') throw new FieldError('cannot be several together with "ordered"', ['accelerators']);
    if (listed.order === 'listed') throw new FieldError('cannot be a list together with "any_of"', ['accelerators']);
  }
  const merged = overrides.length === 0 ? [base] : overrides.map((override) => over(base, override));
  const most = Math.max(1, ...merged.map((one) => (one.accelerators ?? one.gpus)?.options.length ?? 1));
  if (merged.length * most > MAX_ALTERNATIVES) throw new FieldError(`has more than ${MAX_ALTERNATIVES} alternatives`);
  const expanded = merged.flatMap((one, origin) => {
    const path = overrides.length === 0 ? [] : [group, origin];
    return eachAccelerator(one, path).map((made) => ({ made, origin }));
  });
  const [first, ...others] = expanded.map(({ made }) => made);
  if (first === undefined) throw new FieldError('holds no alternative');
  const [priority] = expanded.flatMap(({ made }) => made.priority ?? []);
  const differing = expanded.find(({ made }) => made.priority !== null && made.priority !== priority);
  if (differing !== undefined) {
    throw new FieldError('must be the same in all alternatives', [group, differing.origin, 'priority']);
  }
  const inOrder = ordered.length > 0 || (overrides.length === 0 && listed?.order === 'listed');
  return {
    resources: {
      order: inOrder && others.length > 0 ? 'ordered' : 'any_of',
      alternatives: [first, ...others],
    },
    hook: merged.find((one) => one.autostop?.hook)?.autostop?.hook ?? null,
    ownVolumes: expanded.map(({ origin }) => overrides[origin]?.volumes !== undefined),
  };
}

function over(base: WrittenAlternative, override: WrittenAlternative): WrittenAlternative {
  const { gpus, accelerators: named, ...rest } = base;
  const accelerators = override.accelerators ?? override.gpus ?? named ?? gpus;
  return {
    ...rest,
    ...override,
    ...(accelerators === undefined ? {} : { accelerators }),
    gpus: undefined,
    labels: { ...base.labels, ...override.labels },
  };
}

function eachAccelerator(written: WrittenAlternative, path: readonly (string | number)[]): Alternative[] {
  const options = (written.accelerators ?? written.gpus)?.options ?? [null];
  return options.map((option) => within(path, () => alternative(written, option)));
}

export function alternative(written: WrittenAlternative, accelerators: AcceleratorRequest | null): Alternative {
  const { cloud = null, region = null, zone = null } = written.infra ?? written;
  const place = tpuPlace({ cloud, region, zone }, accelerators);
  const { memory: gib = null, disk_size: disk } = written;
  if (gib?.count === 0 && place.cloud !== 'slurm') {
    throw new FieldError('must be GiB above 0, or such as "32+" or "32GB+", not 0', ['memory']);
  }
  const instanceType = written.instance_type ?? null;
  return {
    ...place,
    instanceType,
    cpus: written.cpus ?? null,
    memory: gib,
    accelerators,
    acceleratorArgs: tpuArgs(written.accelerator_args ?? null, place, accelerators, instanceType),
    useSpot: written.use_spot ?? false,
    jobRecovery: written.job_recovery ?? null,
    diskSize: disk === undefined || disk === DEFAULT_DISK_GIB ? null : disk,
    diskTier: written.disk_tier ?? null,
    networkTier: written.network_tier ?? null,
    localDisk: written.local_disk ?? null,
    maxHourlyCost: written.max_hourly_cost ?? null,
    ports: written.ports ?? null,
    labels: written.labels ?? {},
    imageId: placedImages(written.image_id ?? null, place),
    autostop: written.autostop?.autostop ?? null,
    priority: written.priority ?? null,
    priorityClass: written.priority_class ?? null,
    volumes: written.volumes ?? [],
  };
}

/** An image without a region is that of the region asked for; Kubernetes, and so a pool of SSH hosts, knows containers alone. */
function placedImages(written: Images | null, { cloud, region }: Place): Images | null {
  if (written === null) return null;
  const containersOnly = cloud === 'kubernetes' || cloud === 'ssh';
  const images = written.images.map((one) => ({
    region: one.region ?? region,
    image: containersOnly && !one.image.startsWith('docker:') ? `docker:${one.image}` : one.image,
  }));
  return { ...written, images };
}

const GKE_TPUS = new Set([
  'tpu-v4-podslice',
  'tpu-v5-lite-device',
  'tpu-v5-lite-podslice',
  'tpu-v5p-slice',
  'tpu-v6e-slice',
]);

function tpuName(request: AcceleratorRequest | null): string | null {
  return request?.kind === 'named' && request.name.toLowerCase().includes('tpu') ? request.name : null;
}

/** TPUs are GCP's, those of GKE are Kubernetes'. */
function tpuPlace(place: Place, request: AcceleratorRequest | null): Place {
  const tpu = tpuName(request);
  if (tpu === null) return place;
  if (place.cloud === null) return { ...place, cloud: GKE_TPUS.has(tpu) ? 'kubernetes' : 'gcp' };
  if (place.cloud !== 'gcp' && place.cloud !== 'kubernetes' && place.cloud !== 'ssh') {
    throw new FieldError(`cannot be a TPU on ${place.cloud}: TPUs are on gcp and kubernetes`, ['accelerators']);
  }
  return place;
}

function tpuArgs(
  written: z.infer<typeof acceleratorArgs> | null,
  place: Place,
  request: AcceleratorRequest | null,
  instanceType: string | null,
): z.infer<typeof acceleratorArgs> | null {
  const tpu = tpuName(request);
  if (tpu === null) return written;
  const args = written ?? {};
  if (place.cloud !== 'gcp' || GKE_TPUS.has(tpu)) return args;
  const usesTpuVm = args.tpu_vm ?? true;
  if (usesTpuVm && instanceType !== null && instanceType !== 'TPU-VM') {
    throw new FieldError('cannot be given together with a TPU: its machine comes with it', ['instance_type']);
  }
  return { runtime_version: defaultRuntime(tpu, usesTpuVm), ...args };
}

function defaultRuntime(tpu: string, usesTpuVm: boolean): string {
  if (!usesTpuVm) return '2.12.0';
  if (tpu.startsWith('tpu-v5')) return 'v2-alpha-tpuv5';
  if (tpu.startsWith('tpu-v6e')) return 'v2-alpha-tpuv6e';
  return 'tpu-vm-base';
}
