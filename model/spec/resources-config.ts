/** `resources` as YAML has it: what is parsed from this is the same again. */
import { acceleratorText } from './accelerators.ts';
import { autostopConfig } from './autostop.ts';
import { recoveryConfig } from './job-recovery.ts';
import { type Images, legacyVolumeConfig, localDiskText } from './machine-fields.ts';
import { placeConfig } from './place.ts';
import type { Alternative, Resources } from './resources.ts';
import { sizeText } from './values.ts';

type Config = Record<string, unknown>;

export function resourcesConfig({ order, alternatives }: Resources): Config {
  const [first, ...others] = alternatives.map(alternativeConfig);
  return others.length === 0 ? (first ?? {}) : { [order]: [first, ...others] };
}

export function alternativeConfig(one: Alternative): Config {
  const config: Config = {
    ...placeConfig(one),
    instance_type: one.instanceType,
    cpus: one.cpus === null ? null : sizeText(one.cpus),
    memory: one.memory === null ? null : sizeText(one.memory),
    accelerators: one.accelerators === null ? null : acceleratorText(one.accelerators),
    accelerator_args: one.acceleratorArgs,
    use_spot: one.useSpot ? true : null,
    job_recovery: one.jobRecovery === null ? null : recoveryConfig(one.jobRecovery),
    disk_size: one.diskSize,
    disk_tier: one.diskTier,
    network_tier: one.networkTier,
    local_disk: one.localDisk === null ? null : localDiskText(one.localDisk),
    max_hourly_cost: one.maxHourlyCost,
    ports: one.ports,
    labels: Object.keys(one.labels).length === 0 ? null : one.labels,
    image_id: one.imageId === null ? null : imageConfig(one.imageId, one.region),
    autostop: one.autostop === null ? null : autostopConfig(one.autostop),
    priority: one.priority,
    priority_class: one.priorityClass,
    volumes: one.volumes.length === 0 ? null : one.volumes.map(legacyVolumeConfig),
  };
  return Object.fromEntries(Object.entries(config).filter(([, value]) => value !== null));
}

function imageConfig({ images, docker }: Images, region: string | null): unknown {
  const [first, ...others] = images;
  if (docker === null && others.length === 0 && first !== undefined && first.region === region) return first.image;
  // Beside a container image the others are of machines; that of Kubernetes is made one of a container while it is read.
  const written = (image: string) => (docker === null ? image : image.replace(/^docker:/, ''));
  return {
    ...Object.fromEntries(images.map((one) => [one.region ?? '', written(one.image)])),
    ...(docker === null ? {} : { docker }),
  };
}
