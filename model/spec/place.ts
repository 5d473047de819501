/** Where machines may stand: `infra`, and SkyPilot's older `cloud`, `region`, `zone`. */
import { nearestWord } from '../spelling.ts';
import { FieldError, shown } from './field.ts';
import { text } from './values.ts';

export interface Place {
  /** null: any. */
  readonly cloud: string | null;
  readonly region: string | null;
  readonly zone: string | null;
}

/** SkyPilot's clouds, and the local one of Styx. */
export const CLOUD_NAMES = [
  ...['local', 'aws', 'azure', 'gcp', 'ibm', 'lambda', 'scp', 'oci', 'kubernetes', 'runpod', 'vast', 'vsphere', 'cudo'],
  ...['fluidstack', 'paperspace', 'primeintellect', 'do', 'nebius', 'ssh', 'slurm', 'hyperbolic', 'seeweb'],
  ...['shadeform', 'yotta', 'mithril', 'verda'],
] as const;

/** Their region is a context or pool, which may hold slashes. */
const CONTEXT_CLOUDS = new Set(['kubernetes', 'ssh']);

export function cloudName(value: unknown): string {
  const name = text(value).toLowerCase();
  if ((CLOUD_NAMES as readonly string[]).includes(name)) return name;
  const near = nearestWord(name, CLOUD_NAMES);
  throw new FieldError(
    `${shown(value)} is not a name of a cloud${near === null ? `; clouds are ${CLOUD_NAMES.join(', ')}` : `; did you mean "${near}"?`}`,
  );
}

/** A region, zone or instance type: anything that a cloud may call one. */
export function placeName(value: unknown): string {
  const name = text(value);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
  if (name === '' || name.length > 253 || /[\x00-\x20\x7f]/.test(name))
    throw new FieldError(`${shown(name)} is not a name of a place or machine`);
  return name;
}

/** `cloud`, `cloud/region`, `cloud/region/zone`, `k8s/<context>`, `ssh/<pool>`; `*` stands for any. */
export function infra(value: unknown): Place {
  const [cloud = '', ...rest] = text(value).split('/');
  const wanted = cloud.toLowerCase() === 'k8s' ? 'kubernetes' : cloud.toLowerCase();
  const contexts = CONTEXT_CLOUDS.has(wanted);
  if ((rest.length > 2 && wanted !== 'kubernetes') || rest.includes(''))
    throw new FieldError(`must be cloud, cloud/region or cloud/region/zone, not ${shown(value)}`);
  const place = contexts
    ? { region: rest.length === 0 ? '*' : rest.join('/'), zone: '*' }
    : { region: rest[0] ?? '*', zone: rest[1] ?? '*' };
  const name = (part: string) => (part === '*' ? null : placeName(part));
  return {
    cloud: wanted === '*' ? null : cloudName(wanted),
    region: name(place.region),
    zone: name(place.zone),
  };
}

/** The fields that say where, as short as they can be: `infra`, or the three older ones for what it cannot say. */
export function placeConfig({ cloud, region, zone }: Place): Record<string, string> {
  const contexts = cloud !== null && CONTEXT_CLOUDS.has(cloud);
  const simple = (name: string | null) => name === null || (!name.includes('/') && name !== '*');
  if (contexts ? zone !== null || region === '*' : !simple(region) || !simple(zone)) {
    const given = Object.entries({ cloud, region, zone }).filter(([, value]) => value !== null);
    return Object.fromEntries(given) as Record<string, string>;
  }
  const parts = [cloud ?? '*', region ?? '*', zone ?? '*'];
  while (parts.at(-1) === '*') parts.pop();
  return parts.length === 0 ? {} : { infra: parts.join('/') };
}
