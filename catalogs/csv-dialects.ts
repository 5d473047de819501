/** The two headers by which a CSV of a catalogue is known: ours, and that of SkyPilot's catalogues. */
import { nearestWord } from '../model/spelling.ts';

export type Field =
  | 'instanceType'
  | 'cpus'
  | 'memory'
  | 'arch'
  | 'accelerator'
  | 'count'
  | 'acceleratorMemory'
  | 'region'
  | 'zone'
  | 'price'
  | 'spotPrice';

export interface Dialect {
  readonly columns: Readonly<Record<Field, string>>;
  /** Instance type that rows get whose accelerator is attached to a host of another row; null: there are none. */
  readonly attachable: string | null;
  /** SkyPilot's files are taken as they are: with columns that say nothing to us, rows that repeat, and values of their own. */
  readonly lenient: boolean;
}

export const STYX_CSV: Dialect = {
  columns: {
    instanceType: 'instance_type',
    cpus: 'vcpus',
    memory: 'memory_gib',
    arch: 'arch',
    accelerator: 'accelerator',
    count: 'accelerator_count',
    acceleratorMemory: 'accelerator_memory_gib',
    region: 'region',
    zone: 'zone',
    price: 'price_usd_hour',
    spotPrice: 'spot_price_usd_hour',
  },
  attachable: null,
  lenient: false,
};

export const SKYPILOT_CSV: Dialect = {
  columns: {
    instanceType: 'InstanceType',
    cpus: 'vCPUs',
    memory: 'MemoryGiB',
    arch: 'Arch',
    accelerator: 'AcceleratorName',
    count: 'AcceleratorCount',
    acceleratorMemory: 'GpuInfo',
    region: 'Region',
    zone: 'AvailabilityZone',
    price: 'Price',
    spotPrice: 'SpotPrice',
  },
  attachable: '(attachable)',
  lenient: true,
};

const REQUIRED: readonly Field[] = ['instanceType', 'region', 'price'];

/**
 * @param refuse makes the error
 * @throws what `refuse` makes when this is neither header
 */
export function dialectOf(
  header: readonly string[],
  refuse: (message: string) => Error,
): { readonly dialect: Dialect; readonly at: ReadonlyMap<Field, number> } {
  const names = header.map((name) => name.trim());
  const dialect = names.includes(SKYPILOT_CSV.columns.instanceType) ? SKYPILOT_CSV : STYX_CSV;
  const fields = Object.entries(dialect.columns) as [Field, string][];
  const known = fields.map(([, name]) => name);
  const ours = names.some((name) => known.includes(name));
  if (!ours) {
    throw refuse(
      `is not the header of a catalogue: ${JSON.stringify(names.join(',').slice(0, 80))}; expected ${known.join(',')}`,
    );
  }
  for (const [index, name] of names.entries()) {
    if (names.indexOf(name) !== index && known.includes(name)) throw refuse(`has the column ${name} twice`);
    if (dialect.lenient || known.includes(name)) continue;
    const near = nearestWord(name, known);
    throw refuse(
      `${JSON.stringify(name.slice(0, 40))} is not a column of a catalogue; ${near === null ? `they are ${known.join(', ')}` : `did you mean ${near}?`}`,
    );
  }
  for (const field of REQUIRED) {
    if (!names.includes(dialect.columns[field])) throw refuse(`lacks the column ${dialect.columns[field]}`);
  }
  const at = fields.map(([field, name]) => [field, names.indexOf(name)] as const).filter(([, index]) => index >= 0);
  return { dialect, at: new Map(at) };
}
