/** Our catalogues in SkyPilot's form, where it looks for them. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CatalogRow } from '../../catalogs/catalog.ts';
import { findAccelerator } from '../../model/accelerators.ts';

const COLUMNS =
  'InstanceType,AcceleratorName,AcceleratorCount,vCPUs,MemoryGiB,GpuInfo,Price,SpotPrice,Region,Arch,Generation';
/** Those whose rows SkyPilot reads with a zone each; of others it drops rows with an empty one. */
const ZONED = ['aws', 'gcp'];

/** @param home where SkyPilot runs. @param shown names of clouds as SkyPilot prints them */
export function layCatalogs(home: string, rows: readonly CatalogRow[], shown: Readonly<Record<string, string>>): void {
  const root = join(home, '.sky', 'catalogs', 'v8');
  for (const [cloud, ours] of Map.groupBy(rows, (row) => row.cloud)) {
    const isZoned = ZONED.includes(cloud);
    const lines = ours.filter(({ price }) => price !== null).map((row) => line(row, isZoned));
    write(root, cloud, 'vms.csv', [COLUMNS + (isZoned ? ',AvailabilityZone' : ''), ...lines]);
  }
  const sold = Map.groupBy(
    rows.filter(({ accelerators }) => accelerators !== null),
    ({ accelerators }) => accelerators?.name ?? '',
  );
  const clouds = (of: readonly CatalogRow[]) => [...new Set(of.map(({ cloud }) => `'${shown[cloud]}'`))].join(', ');
  const names = [...sold].map(([name, of]) => `${name},"[${clouds(of)}]"`);
  write(root, 'common', 'accelerators.csv', ['AcceleratorName,Clouds', ...names]);
  const known = [...sold].map(([name, of]) => {
    return [name, of[0]?.acceleratorMemory ?? '', findAccelerator(name)?.vendor ?? ''].join(',');
  });
  write(root, 'common', 'metadata.csv', ['GPU,MemoryGB,Manufacturer', ...known]);
}

function line(row: CatalogRow, isZoned: boolean): string {
  const { instanceType, accelerators, acceleratorMemory, cpus, memory, price, spotPrice, region, zone, arch } = row;
  const mib = Math.round((acceleratorMemory ?? 0) * 1024);
  const gpu = `"{'Gpus': [{'Name': '${accelerators?.name}', 'MemoryInfo': {'SizeInMiB': ${mib}}}], 'TotalGpuMemoryInMiB': ${mib}}"`;
  return [
    ...[instanceType, accelerators?.name, accelerators?.count, cpus, memory, accelerators === null ? null : gpu],
    ...[price, spotPrice, region, arch, 'V2'],
    ...(isZoned ? [zone ?? `${region}-z`] : []),
  ]
    .map((value) => value ?? '')
    .join(',');
}

function write(root: string, cloud: string, file: string, lines: readonly string[]): void {
  mkdirSync(join(root, cloud), { recursive: true });
  writeFileSync(join(root, cloud, file), `${lines.join('\n')}\n`);
}
