/** Task files, valid and broken, from a seed. */
import { emit, Mapping } from './emit.ts';
import { task } from './fields.ts';
import { type Fields, mapOf, plain } from './make.ts';
import { Random } from './random.ts';

/** Values that fit nowhere, or nearly somewhere. */
const ODD: readonly unknown[] = [
  null,
  5,
  1.5,
  'zzz',
  '',
  true,
  [],
  ['a'],
  Mapping.of({}),
  Mapping.of({ a: 1 }),
  '4',
  '0',
  plain('12:30'),
  plain('yes'),
  plain('2024-01-01'),
  70000,
  '70000',
  'a/',
  '1500XB',
  '10s',
  [1, 1],
];
const TYPOS = [
  'resourcs',
  'runn',
  'spot_recovery',
  'hooks',
  'experimental',
  'storage_mounts',
  'zone_',
  'cpu',
  'accelerator',
  'disksize',
  'image',
  'replica',
  'path_',
  'execution',
  'nodes',
];

function mappings(value: unknown, found: Mapping[] = []): Mapping[] {
  if (value instanceof Mapping) {
    found.push(value);
    for (const [, held] of value.entries) mappings(held, found);
  } else if (Array.isArray(value)) for (const item of value) mappings(item, found);
  return found;
}

/** Values are shared among files, so a break is of a copy. */
function copy(value: unknown): unknown {
  if (value instanceof Mapping) return new Mapping(value.entries.map(([name, held]) => [name, copy(held)]));
  return Array.isArray(value) ? value.map(copy) : value;
}

function breakIn(random: Random, whole: Mapping): void {
  const map = random.pick(mappings(whole));
  const index = random.below(Math.max(1, map.entries.length));
  const entry = map.entries[index];
  const kind = random.below(6);
  if (kind === 0) map.entries.push([random.pick(TYPOS), random.pick(ODD)]);
  else if (entry === undefined) return;
  else if (kind === 1) map.entries.push([entry[0], entry[1]]);
  else if (kind === 2)
    map.entries[index] = [random.chance(0.5) ? `${entry[0]}x` : entry[0].slice(0, -1) || 'q', entry[1]];
  else map.entries[index] = [entry[0], random.pick(ODD)];
}

function document(random: Random, extra: Fields = {}): Mapping {
  const made = copy(mapOf({ ...task, ...extra }, 6)(random)) as Mapping;
  if (random.chance(0.45)) breakIn(random, made);
  return made;
}

const HEADERS: readonly unknown[] = [
  ...[
    Mapping.of({ name: 'pipe' }),
    Mapping.of({ name: 'pipe', execution: 'serial' }),
    Mapping.of({ name: 'pipe', execution: 'sideways' }),
  ],
  ...[
    Mapping.of({ name: 'g', execution: 'parallel' }),
    Mapping.of({ name: 'g', execution: 'parallel', inter_connection: true }),
  ],
  Mapping.of({ name: 'g', execution: 'parallel', primary_tasks: ['a'], termination_delay: '30s' }),
  Mapping.of({ name: 'g', execution: 'parallel', primary_tasks: ['zz'] }),
  Mapping.of({ name: 'g', execution: 'parallel', termination_delay: Mapping.of({ default: 5, a: '1m' }) }),
  ...[Mapping.of({ execution: 'parallel' }), Mapping.of({ name: 'g h', execution: 'parallel' })],
  Mapping.of({ name: 'g', execution: 'parallel', termination_delay: 'soon', primary_tasks: [] }),
];

/** The file with this number; the same whenever it is asked for. */
export function taskFile(seed: number): string {
  const random = new Random(seed * 7919 + 17);
  if (random.chance(0.88)) return emit(document(random));
  const count = 1 + random.below(3);
  const tasks = Array.from({ length: count }, (_, index) => {
    const one = document(random);
    if (random.chance(0.8) && !one.entries.some(([name]) => name === 'name'))
      one.entries.unshift(['name', 'abc'[index]]);
    return one;
  });
  return [...(random.chance(0.85) ? [random.pick(HEADERS)] : []), ...tasks].map(emit).join('---\n');
}
