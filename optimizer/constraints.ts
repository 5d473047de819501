/** What a request asks of a row, as a list of tests that can be counted and given up one by one. */

import type { CatalogRow } from '../catalogs/catalog.ts';
import { canonicalName, findAccelerator, hasMemory } from '../model/accelerators.ts';
import type { Amount } from '../model/machines.ts';
import { type AcceleratorRequest, acceleratorText } from '../model/spec/accelerators.ts';
import type { Alternative } from '../model/spec/resources.ts';
import { editDistance } from '../model/spelling.ts';
import { DEFAULT_CPUS, DEFAULT_MEMORY_RATIO, isGeneralPurpose } from './general-purpose.ts';
import type { Arch } from './request.ts';

/** Names of fields of `resources`, and `general_purpose`, `on_demand` and `arch` for what is asked without a field. */
export type Constraint =
  | 'cloud'
  | 'region'
  | 'zone'
  | 'instance_type'
  | 'general_purpose'
  | 'cpus'
  | 'memory'
  | 'accelerators'
  | 'use_spot'
  | 'on_demand'
  | 'max_hourly_cost'
  | 'arch'
  | 'image_id'
  /** Fits, and its cloud has a cheaper type that fits: with `types: 'cheapest'`. */
  | 'cheapest_type';

export interface Check {
  readonly constraint: Constraint;
  readonly asked: string;
  readonly fits: (row: CatalogRow) => boolean;
  /** How far a row that does not fit is from fitting; comparable only within the check. */
  readonly distance: (row: CatalogRow) => number;
}

/** SkyPilot's: counts are written with two decimals in places. */
const COUNT_TOLERANCE = 0.01;

const nowhere = () => 0;

/** US dollars an hour in the way that is asked for; null when it is not sold so. */
export function priceOf(row: CatalogRow, useSpot: boolean): number | null {
  return useSpot ? row.spotPrice : row.price;
}

export function checksOf(one: Alternative, arch: Arch | null, clouds: readonly string[] | null): Check[] {
  const checks: Check[] = [...placeChecks(one, clouds), ...shapeChecks(one, arch)];
  const { useSpot, maxHourlyCost } = one;
  checks.push({
    constraint: useSpot ? 'use_spot' : 'on_demand',
    asked: String(useSpot),
    fits: useSpot ? ({ spotPrice }) => spotPrice !== null : ({ price }) => price !== null,
    distance: nowhere,
  });
  if (maxHourlyCost !== null) {
    // A row that is not sold as asked is judged by its other price, which is what giving up the former would lead to.
    const price = (row: CatalogRow) => priceOf(row, useSpot) ?? priceOf(row, !useSpot) ?? 0;
    checks.push({
      constraint: 'max_hourly_cost',
      asked: `$${maxHourlyCost}`,
      fits: (row) => price(row) <= maxHourlyCost,
      distance: (row) => price(row) - maxHourlyCost,
    });
  }
  return checks;
}

function placeChecks(one: Alternative, clouds: readonly string[] | null): Check[] {
  const checks: Check[] = [];
  const { cloud, imageId } = one;
  const known = clouds === null ? null : new Set(clouds);
  if (cloud !== null || known !== null) {
    checks.push({
      constraint: 'cloud',
      asked: cloud ?? [...(known ?? [])].join(' or '),
      fits: (row) => (cloud === null || row.cloud === cloud) && (known === null || known.has(row.cloud)),
      distance: nowhere,
    });
  }
  for (const constraint of ['region', 'zone'] as const) {
    const asked = one[constraint];
    if (asked !== null) checks.push(named(constraint, asked, (row) => row[constraint]));
  }
  const regions = (imageId?.images ?? []).map(({ region }) => region);
  if (regions.length > 0 && !regions.includes(null)) {
    const allowed = new Set(regions);
    checks.push({
      constraint: 'image_id',
      asked: `an image in ${regions.join(', ')}`,
      fits: ({ region }) => allowed.has(region),
      distance: nowhere,
    });
  }
  return checks;
}

function shapeChecks(one: Alternative, arch: Arch | null): Check[] {
  const checks: Check[] = [];
  const { instanceType, accelerators } = one;
  const free = instanceType === null && accelerators === null;
  if (instanceType !== null) checks.push(named('instance_type', instanceType, (row) => row.instanceType));
  if (free) {
    checks.push({
      constraint: 'general_purpose',
      asked: 'a general-purpose type, since neither a type nor accelerators are named',
      fits: (row) => isGeneralPurpose(row.cloud, row.instanceType, arch ?? 'x86_64'),
      distance: nowhere,
    });
  }
  const defaults = free && one.cpus === null && one.memory === null;
  const cpus = one.cpus ?? (defaults ? { count: DEFAULT_CPUS, atLeast: true } : null);
  if (cpus !== null) checks.push(sized('cpus', cpus, (row) => row.cpus));
  if (one.memory !== null && one.memory.count > 0) checks.push(sized('memory', one.memory, (row) => row.memory));
  else if (free) checks.push(memoryRatio());
  if (accelerators !== null) checks.push(accelerated(accelerators));
  if (arch !== null) {
    checks.push({ constraint: 'arch', asked: arch, fits: (row) => row.arch === arch, distance: nowhere });
  }
  return checks;
}

/** Names are the same whatever their case. What is asked of thousands of rows with few names is found out once a name. */
function remembered<T>(find: (name: string) => T): (name: string) => T {
  const known = new Map<string, T>();
  return (name) => {
    let value = known.get(name);
    if (value === undefined) {
      value = find(name);
      known.set(name, value);
    }
    return value;
  };
}

function named(constraint: Constraint, asked: string, of: (row: CatalogRow) => string | null): Check {
  const wanted = asked.toLowerCase();
  const same = remembered((name) => name.toLowerCase() === wanted);
  const edits = remembered((name) => editDistance(name.toLowerCase().slice(0, 64), wanted.slice(0, 64)));
  return {
    constraint,
    asked,
    fits: (row) => {
      const name = of(row);
      return name !== null && same(name);
    },
    distance: (row) => {
      const name = of(row);
      return name === null ? 0 : edits(name);
    },
  };
}

function sized(
  constraint: 'cpus' | 'memory',
  { count, atLeast }: Amount,
  of: (row: CatalogRow) => number | null,
): Check {
  return {
    constraint,
    asked: `${count}${atLeast ? '+' : ''}`,
    fits: (row) => {
      const size = of(row);
      return size !== null && (atLeast ? size >= count : size === count);
    },
    distance: (row) => Math.abs((of(row) ?? Number.POSITIVE_INFINITY) - count) / count,
  };
}

function memoryRatio(): Check {
  return {
    constraint: 'memory',
    asked: `${DEFAULT_MEMORY_RATIO} GiB or more for each vCPU, since none is named`,
    fits: ({ cpus, memory }) => cpus !== null && memory !== null && memory >= cpus * DEFAULT_MEMORY_RATIO,
    distance: ({ cpus, memory }) => (cpus === null || memory === null ? Number.POSITIVE_INFINITY : cpus / memory),
  };
}

function sameCount(a: number, b: number): boolean {
  return Math.abs(a - b) <= COUNT_TOLERANCE;
}

function accelerated(asked: AcceleratorRequest): Check {
  const kind = asked.kind === 'named' ? byName(asked.name) : byMemory(asked);
  return {
    constraint: 'accelerators',
    asked: acceleratorText(asked),
    fits: (row) => {
      const { accelerators } = row;
      return accelerators !== null && sameCount(accelerators.count, asked.count) && kind(row) === 0;
    },
    distance: (row) => {
      const { accelerators } = row;
      if (accelerators === null) return Number.POSITIVE_INFINITY;
      // More of the same before fewer of the same before others.
      const more = accelerators.count / asked.count - 1;
      return kind(row) * 100 + (more >= 0 ? Math.min(more, 50) : 50 - more);
    },
  };
}

/** 0 for the accelerator itself. Names that hold what was asked (A100-80GB for A100) are nearer than those that look like it. */
function byName(name: string): (row: CatalogRow) => number {
  const wanted = canonicalName(name).toLowerCase();
  const far = remembered((other) => {
    const found = canonicalName(other).toLowerCase();
    if (found === wanted) return 0;
    return found.includes(wanted) ? 1 : 1 + editDistance(found.slice(0, 64), wanted.slice(0, 64));
  });
  return ({ accelerators }) => (accelerators === null ? Number.POSITIVE_INFINITY : far(accelerators.name));
}

function byMemory(request: Extract<AcceleratorRequest, { kind: 'memory' }>) {
  const maker = request.manufacturer?.toLowerCase() ?? null;
  const made = remembered((name) => maker === null || findAccelerator(name)?.vendor.toLowerCase() === maker);
  return ({ accelerators, acceleratorMemory }: CatalogRow): number => {
    if (accelerators === null) return Number.POSITIVE_INFINITY;
    const { name } = accelerators;
    if (hasMemory(name, acceleratorMemory, request)) return 0;
    const lacking = acceleratorMemory === null ? 1 : Math.abs(acceleratorMemory - request.gib) / request.gib;
    return Math.max(lacking, 0.01) + (made(name) ? 0 : 100);
  };
}

/** Fields that rows say nothing about. */
const UNCHECKED: Readonly<Record<string, (one: Alternative) => boolean>> = {
  'resources.accelerator_args': ({ acceleratorArgs }) => acceleratorArgs !== null,
  'resources.disk_size': ({ diskSize }) => diskSize !== null,
  'resources.disk_tier': ({ diskTier }) => diskTier !== null,
  'resources.network_tier': ({ networkTier }) => networkTier !== null,
  'resources.local_disk': ({ localDisk }) => localDisk !== null,
  'resources.ports': ({ ports }) => ports !== null,
  'resources.labels': ({ labels }) => Object.keys(labels).length > 0,
  'resources.image_id': ({ imageId }) => imageId !== null,
  'resources.volumes': ({ volumes }) => volumes.length > 0,
};

export function uncheckedFields(alternatives: readonly Alternative[]): string[] {
  return Object.entries(UNCHECKED)
    .filter(([, used]) => alternatives.some(used))
    .map(([name]) => name);
}
