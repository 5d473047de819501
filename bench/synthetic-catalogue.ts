/** Rows such as catalogues have, and a DAG over them, always the same ones. */
import type { CatalogRow } from '../catalogs/catalog.ts';
import { resources } from '../model/spec/resources.ts';
import type { Dag } from '../optimizer/index.ts';

/** Numbers from 0 to 1 (mulberry32 by Tommy Ettinger, public domain), the same ones every time. */
export function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Regions and zones of each, as the three large clouds have them, and a small one without zones. */
const CLOUDS = [
  { cloud: 'aws', zones: 3, regions: regions('us-east us-west eu-west eu-central ap-south ap-northeast sa-east', 3) },
  { cloud: 'gcp', zones: 3, regions: regions('us-central us-east europe-west europe-north asia-east asia-south', 4) },
  { cloud: 'azure', zones: 1, regions: regions('eastus westus northeurope westeurope uksouth japaneast', 3) },
  { cloud: 'lambda', zones: 0, regions: regions('us-east us-west us-south europe-central', 1) },
];
/** Few, so that one request is met by some 500 rows of 20,000. */
const ACCELERATORS = ['T4', 'L4', 'A100', 'H100'];
const COUNTS = [1, 4, 8];

function regions(names: string, each: number): string[] {
  return names.split(' ').flatMap((name) => Array.from({ length: each }, (_, at) => `${name}-${at + 1}`));
}

export function syntheticRows(count: number): CatalogRow[] {
  const next = numbers(1);
  const rows: CatalogRow[] = [];
  for (let type = 0; ; type++) {
    const gpu = type % 3 === 0;
    const kind = type / 3;
    const name = ACCELERATORS[kind % ACCELERATORS.length] as string;
    const accelerators = gpu ? { name, count: COUNTS[Math.floor(kind / 4) % COUNTS.length] as number } : null;
    const cpus = 2 ** (1 + Math.floor(next() * 7));
    const shape = { cpus, memory: cpus * 4, accelerators, acceleratorMemory: gpu ? 16 : null };
    const base = cpus * 0.05 + (accelerators?.count ?? 0) * (0.5 + next());
    for (const { cloud, zones, regions: places } of CLOUDS) {
      for (const region of places) {
        const price = base * (0.9 + 0.4 * next());
        for (let zone = 0; zone < Math.max(1, zones); zone++) {
          if (rows.length === count) return rows;
          rows.push({
            cloud,
            instanceType: `m6i.${type}`,
            region,
            zone: zones === 0 ? null : `${region}${'abc'[zone]}`,
            ...shape,
            price,
            spotPrice: price * (0.3 + 0.3 * next()),
            arch: 'x86_64',
          });
        }
      }
    }
  }
}

/** Every task but the first ones has up to three predecessors, near ones rather than far ones. */
export function syntheticDag(tasks: number, seed: number): Dag {
  const next = numbers(seed);
  const made = Array.from({ length: tasks }, (_, index) => {
    const accelerators = ACCELERATORS[Math.floor(next() * ACCELERATORS.length)] as string;
    return {
      name: `task-${index}`,
      resources: resources.parse({ accelerators: `${accelerators}:1` }).resources,
      numNodes: 1 + Math.floor(next() * 3),
      hours: 0.5 + 4 * next(),
      inputs: null,
      outputs: { uri: 's3://between', gigabytes: 10 ** (4 * next() - 1) },
    };
  });
  const edges = made.flatMap((_, to) => {
    const sources = Array.from({ length: Math.min(to, 3) }, () => to - 1 - Math.floor(next() * Math.min(to, 10)));
    return [...new Set(sources)].map((from) => [from, to] as const);
  });
  return { tasks: made, edges };
}
