/**
 * SkyPilot's catalogue of GCP prices an accelerator apart from the machine that carries it. Here each pair that Google sells
 * becomes one offer, at the sum; the machines and numbers are those of Google's documentation of GPU machine types.
 */
import type { CatalogRow } from './catalog.ts';
import type { CsvRow } from './csv.ts';

/** Machines that come with these accelerators and no others, by their number. */
const CARRIERS: Readonly<Record<string, Readonly<Record<number, readonly string[]>>>> = {
  A100: {
    1: ['a2-highgpu-1g'],
    2: ['a2-highgpu-2g'],
    4: ['a2-highgpu-4g'],
    8: ['a2-highgpu-8g'],
    16: ['a2-megagpu-16g'],
  },
  'A100-80GB': { 1: ['a2-ultragpu-1g'], 2: ['a2-ultragpu-2g'], 4: ['a2-ultragpu-4g'], 8: ['a2-ultragpu-8g'] },
  H100: { 1: ['a3-highgpu-1g'], 2: ['a3-highgpu-2g'], 4: ['a3-highgpu-4g'], 8: ['a3-highgpu-8g'] },
  'H100-MEGA': { 8: ['a3-megagpu-8g'] },
  H200: { 8: ['a3-ultragpu-8g'] },
  B200: { 8: ['a4-highgpu-8g'] },
  L4: {
    1: ['g2-standard-4', 'g2-standard-8', 'g2-standard-12', 'g2-standard-16', 'g2-standard-32'],
    2: ['g2-standard-24'],
    4: ['g2-standard-48'],
    8: ['g2-standard-96'],
  },
  RTXPRO6000: { 1: ['g4-standard-48'], 2: ['g4-standard-96'], 4: ['g4-standard-192'], 8: ['g4-standard-384'] },
};

/** Families of which no machine is sold without its accelerators. */
const ONLY_CARRIERS = /^(a2|a3|a4|g2|g4)-/;

/** Accelerators of which N1 takes as many as 4 vCPUs each; of the others 8. */
const SMALL_HOSTS = new Set(['T4', 'P4']);
const N1 = /^n1-(standard|highmem)-\d+$/;

/** Offers of the rows, with those of `attachable` as their instance type on the machines of their place. Where none is sold, there is no offer. */
export function withHosts(rows: readonly CsvRow[], attachable: string): CsvRow[] {
  const alone = rows.filter(({ row }) => row.instanceType === attachable);
  if (alone.length === 0) return [...rows];
  const machines = rows.filter(({ row }) => row.instanceType !== attachable);
  const hosts = machines.map(({ row }) => row).filter(({ accelerators }) => accelerators === null);
  const place = ({ region, zone }: CatalogRow) => JSON.stringify([region, zone]);
  const byPlace = Map.groupBy(hosts, place);
  const pairs = alone.flatMap(({ row, line }) => {
    const fitting = (byPlace.get(place(row)) ?? []).filter((host) => carries(host, row));
    return fitting.map((host) => ({ line, row: attached(row, host) }));
  });
  const sold = machines.filter(({ row }) => row.accelerators !== null || !ONLY_CARRIERS.test(row.instanceType));
  return [...sold, ...pairs];
}

function carries({ instanceType, cpus }: CatalogRow, { accelerators }: CatalogRow): boolean {
  const { name, count } = accelerators ?? { name: '', count: 0 };
  const carriers = Object.hasOwn(CARRIERS, name) ? CARRIERS[name] : undefined;
  if (carriers !== undefined) return carriers[count]?.includes(instanceType) === true;
  const sizes = SMALL_HOSTS.has(name) ? [count * 4, count * 8] : [count * 8];
  return N1.test(instanceType) && cpus !== null && sizes.includes(cpus);
}

function attached(row: CatalogRow, { instanceType, cpus, memory, arch, ...host }: CatalogRow): CatalogRow {
  const price = sum(row.price, host.price);
  return { ...row, instanceType, cpus, memory, arch, price, spotPrice: sum(row.spotPrice, host.spotPrice) };
}

function sum(a: number | null, b: number | null): number | null {
  return a === null || b === null ? null : Math.round((a + b) * 1e6) / 1e6;
}
