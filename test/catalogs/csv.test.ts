import { describe, expect, test } from 'vitest';
import { importCatalog } from '../../catalogs/import.ts';
import { INFO } from './rows.ts';

const HEADER =
  'instance_type,vcpus,memory_gib,arch,accelerator,accelerator_count,accelerator_memory_gib,region,zone,price_usd_hour,spot_price_usd_hour';
const SKYPILOT =
  'InstanceType,AcceleratorName,AcceleratorCount,vCPUs,MemoryGiB,GpuInfo,Price,SpotPrice,Region,AvailabilityZone';

const read = (...lines: (string | Uint8Array)[]) =>
  importCatalog(Buffer.concat(lines.flatMap((line) => [Buffer.from(line), Buffer.from('\n')])), 'aws.csv', INFO);
const rows = (...lines: string[]) => [...read(...lines).rows()];

describe('our own columns', () => {
  test('may stand in any order, be left out, and have spaces, quotes, a byte order mark and Windows line ends', () => {
    expect(
      rows('\ufeffregion, instance_type ,price_usd_hour\r', '"East Coast, NY","a ""b""", 1.5 \r', '', 'x,y,\r'),
    ).toEqual([
      expect.objectContaining({ region: 'East Coast, NY', instanceType: 'a "b"', price: 1.5, spotPrice: null }),
      expect.objectContaining({ region: 'x', instanceType: 'y', price: null, cpus: null, accelerators: null }),
    ]);
  });

  test('name an accelerator by any of its names, and take its memory from the table when they leave it out', () => {
    const [row] = rows(HEADER, 'g,8,64,amd64,a6000,2,,r,,1,');
    expect(row).toMatchObject({ accelerators: { name: 'RTXA6000', count: 2 }, acceleratorMemory: 48, arch: 'x86_64' });
  });

  test('take an accelerator that nobody knows as it is', () => {
    const [row] = rows(HEADER, 'g,8,64,,Abacus-9,0.5,12,r,,1,');
    expect(row).toMatchObject({ accelerators: { name: 'Abacus-9', count: 0.5 }, acceleratorMemory: 12 });
  });

  test.each<[string, RegExp, ...string[]]>([
    ['nothing', /^aws\.csv:1: is empty/, ''],
    [
      'another table',
      /^aws\.csv:1: is not the header of a catalogue: "name,age"; expected instance_type,/,
      'name,age',
      'x,1',
    ],
    ['rows without a header', /^aws\.csv:1: is not the header/, 'p4d.24xlarge,96,1152'],
    [
      'a column that is misspelt',
      /^aws\.csv:1: "acelerator" is not a column.*did you mean accelerator\?/,
      'instance_type,acelerator',
    ],
    ['a column twice', /^aws\.csv:1: has the column region twice/, 'instance_type,region,region'],
    ['no prices', /^aws\.csv:1: lacks the column price_usd_hour/, 'instance_type,region'],
    ['a line cut short', /^aws\.csv:3: has 2 fields; the header has 11/, HEADER, 'a,1,1,,,,,r,,1,', 'b,1'],
    ['a field too many', /^aws\.csv:2: has 12 fields; the header has 11/, HEADER, 'a,1,1,,,,,r,,1,,7'],
    ['a quote that never ends', /^aws\.csv:\d: is no CSV: Quote Not Closed/, HEADER, '"a,1,1,,,,,r,,1,', 'b'],
    ['a quote in the middle', /^aws\.csv:2: is no CSV: Invalid Opening Quote/, HEADER, 'a"b,1,1,,,,,r,,1,'],
    [
      'a word for a number',
      /^aws\.csv:3: vcpus must be a number from 0 to 100000, not "many"/,
      HEADER,
      'a,1,1,,,,,r,,1,',
      'b,many,1,,,,,r,,1,',
    ],
    ['a negative price', /^aws\.csv:2: price_usd_hour must be a number.*"-1"/, HEADER, 'a,1,1,,,,,r,,-1,'],
    ['a price without end', /^aws\.csv:2: price_usd_hour .*"Infinity"/, HEADER, 'a,1,1,,,,,r,,Infinity,'],
    ['a price that overflows', /^aws\.csv:2: price_usd_hour .*"1e999"/, HEADER, 'a,1,1,,,,,r,,1e999,'],
    ['a hexadecimal price', /^aws\.csv:2: spot_price_usd_hour .*"0x10"/, HEADER, 'a,1,1,,,,,r,,1,0x10'],
    ['a price with a comma', /^aws\.csv:2: price_usd_hour .*"1,5"/, HEADER, 'a,1,1,,,,,r,,"1,5",'],
    ['no instance type', /^aws\.csv:2: instance_type is empty/, HEADER, ',1,1,,,,,r,,1,'],
    ['no region', /^aws\.csv:2: region is empty/, HEADER, 'a,1,1,,,,,,,1,'],
    ['another architecture', /^aws\.csv:2: arch must be x86_64 or arm64, not "mips"/, HEADER, 'a,1,1,mips,,,,r,,1,'],
    [
      'an accelerator without a number',
      /^aws\.csv:2: accelerator_count must be a number above 0.*""/,
      HEADER,
      'a,1,1,,T4,,,r,,1,',
    ],
    [
      'no accelerators of one',
      /^aws\.csv:2: accelerator_count must be a number above 0.*"0"/,
      HEADER,
      'a,1,1,,T4,0,,r,,1,',
    ],
    ['a number of no accelerator', /^aws\.csv:2: accelerator is empty/, HEADER, 'a,1,1,,,4,,r,,1,'],
    [
      'the escape of a terminal',
      /^aws\.csv:2: instance_type must be printable text, not "\\u001b\[31m/,
      HEADER,
      '\u001b[31mred,1,1,,,,,r,,1,',
    ],
    ['text that runs backwards', /^aws\.csv:2: region must be printable text/, HEADER, 'a,1,1,,,,,\u202eevil,,1,'],
    ['a line end in a name', /^aws\.csv:3: region must be printable text/, HEADER, 'a,1,1,,,,,"r', 's",,1,'],
    ['a zero byte', /^aws\.csv:2: zone must be printable text/, HEADER, 'a,1,1,,,,,r,\0,1,'],
    [
      'a name without end',
      /^aws\.csv:2: instance_type is longer than 128 characters/,
      HEADER,
      `${'a'.repeat(129)},1,1,,,,,r,,1,`,
    ],
    ['a line without end', /^aws\.csv:2: is no CSV: Max Record Size/, HEADER, 'a'.repeat(1_000_000)],
    [
      'the same offer twice',
      /^aws\.csv:4: is the same offer as line 2/,
      HEADER,
      'a,1,1,,,,,r,,1,',
      'b,1,1,,,,,r,,1,',
      'a,1,1,,,,,r,,2,',
    ],
  ])('are refused with %s, by file, line and field', (_, message, ...lines) => {
    expect(() => read(...lines)).toThrow(message);
  });

  test('are refused by the line that is not UTF-8', () => {
    expect(() => read(HEADER, 'a,1,1,,,,,r,,1,', Buffer.from('caf\xe9,1,1,,,,,r,,1,', 'latin1'))).toThrow(
      /^aws\.csv:3: is not UTF-8/,
    );
    expect(() => read(Buffer.from(HEADER, 'utf16le'))).toThrow(/^aws\.csv:1: /);
  });

  test('are refused when the file is too large to be a catalogue', () => {
    expect(() => importCatalog(Buffer.alloc(65 * 2 ** 20, 'a'), 'aws.csv', INFO)).toThrow(
      /^aws\.csv: is larger than 64 MiB/,
    );
  });
});

describe("SkyPilot's columns", () => {
  const info = (all: number, one = all) =>
    `"{'Gpus': [{'Name': 'X', 'Count': 8.0, 'MemoryInfo': {'SizeInMiB': ${one}}}], 'TotalGpuMemoryInMiB': ${all}}"`;

  test('are taken as they are, with those of a cloud that say nothing to us', () => {
    expect(
      rows(
        `${SKYPILOT},Arch,LocalDiskType`,
        `p4d.24xlarge,A100,8.0,96.0,1152.0,${info(327680, 40960)},21.96,8.3,us-east-1,us-east-1a,x86_64,ssd`,
        'c7g.large,,,2.0,4.0,,0.0725,,us-east-1,us-east-1b,arm64,',
      ),
    ).toEqual([
      {
        cloud: 'aws',
        instanceType: 'c7g.large',
        region: 'us-east-1',
        zone: 'us-east-1b',
        cpus: 2,
        memory: 4,
        accelerators: null,
        acceleratorMemory: null,
        price: 0.0725,
        spotPrice: null,
        arch: 'arm64',
      },
      {
        cloud: 'aws',
        instanceType: 'p4d.24xlarge',
        region: 'us-east-1',
        zone: 'us-east-1a',
        cpus: 96,
        memory: 1152,
        accelerators: { name: 'A100', count: 8 },
        acceleratorMemory: 40,
        price: 21.96,
        spotPrice: 8.3,
        arch: 'x86_64',
      },
    ]);
  });

  test('tell the memory of a card where the table of accelerators does not have it, or has that of another card', () => {
    const memoryOf = (name: string, count: number, text: string) =>
      rows(SKYPILOT, `x,${name},${count},8,16,${text},1,,r,`)[0]?.acceleratorMemory;
    expect(memoryOf('Abacus-9', 2, info(40960, 20480))).toBe(20);
    expect(memoryOf('Abacus-9', 2, info(40960))).toBe(20);
    expect(memoryOf('Abacus-9', 2, '')).toBeNull();
    expect(memoryOf('L4', 8, info(183104, 22888)), 'what drivers report').toBe(24);
    expect(memoryOf('A100', 1, info(81920)), 'an A100 with twice the memory').toBe(80);
    expect(memoryOf('tpu-v3-8', 1, 'tpu-v3-8')).toBe(128);
  });

  test('have zeros for spot prices that there are not, and architectures that nobody asks for', () => {
    const header = `${SKYPILOT},Arch`;
    expect(rows(header, 'c1.medium,,,2.0,1.69921875,,0.13,0.00,us-east-1,use1-az1,i386')).toEqual([
      expect.objectContaining({ spotPrice: null, arch: null, memory: 1.69921875, zone: 'use1-az1' }),
    ]);
    expect(rows(SKYPILOT, 'a,,,2,4,,0,,r,')[0]?.price, 'a machine that costs nothing').toBe(0);
  });

  test('may repeat an offer; the lower price holds', () => {
    expect(rows(SKYPILOT, 'x,,,8,16,,2,,r,', 'x,,,8,16,,1,,r,', 'x,,,8,16,,,,r,').map(({ price }) => price)).toEqual([
      1,
    ]);
  });

  test('price accelerators of GCP apart from machines: each is offered with those that take it in its zone, at the sum', () => {
    const offered = rows(
      SKYPILOT,
      ',V100,1.0,,,,2.48,0.74,us-central1,us-central1-a',
      ',T4,1.0,,,,0.35,,us-central1,us-central1-a',
      ',T4,1.0,,,,0.35,,us-west1,us-west1-c',
      ',A100,1,,,A100,2.9339,1.1,us-central1,us-central1-a',
      ',A100,3,,,A100,9,3,us-central1,us-central1-a',
      ',constructor,1,,,,1,1,us-central1,us-central1-a',
      ',tpu-v3-8,1.0,,,tpu-v3-8,8,2.4,us-central1,us-central1-a',
      'a2-highgpu-1g,,,12.0,85.0,,0.73948,0.36975,us-central1,us-central1-a',
      'a2-highgpu-2g,,,24.0,170.0,,1.47895,0.7395,us-central1,us-central1-a',
      'n1-standard-4,,,4.0,15.0,,0.19,0.04,us-central1,us-central1-a',
      'n1-highmem-8,,,8.0,52.0,,0.4736,0.1,us-central1,us-central1-a',
      'n1-standard-8,,,8.0,30.0,,0.38,0.08,us-central1,us-central1-b',
      'n2-standard-8,,,8.0,32.0,,0.3,0.1,us-central1,us-central1-a',
    );
    const shown = offered.map(({ instanceType, accelerators, cpus, price, spotPrice, zone }) =>
      [instanceType, accelerators?.name ?? '-', cpus ?? '-', price, spotPrice ?? '-', zone?.at(-1)].join(' '),
    );
    expect(shown.toSorted()).toEqual([
      'TPU-VM tpu-v3-8 - 8 2.4 a',
      'a2-highgpu-1g A100 12 3.67338 1.46975 a',
      'n1-highmem-8 - 8 0.4736 0.1 a',
      'n1-highmem-8 T4 8 0.8236 - a',
      'n1-highmem-8 V100 8 2.9536 0.84 a',
      'n1-highmem-8 constructor 8 1.4736 1.1 a',
      'n1-standard-4 - 4 0.19 0.04 a',
      'n1-standard-4 T4 4 0.54 - a',
      'n1-standard-8 - 8 0.38 0.08 b',
      'n2-standard-8 - 8 0.3 0.1 a',
    ]);
  });

  test('are refused when no accelerator has a machine', () => {
    expect(() => read(SKYPILOT, ',T4,1.0,,,,0.35,,us-west1,us-west1-c')).toThrow(/^aws\.csv:2: InstanceType is empty/);
  });

  test.each<[string, RegExp, ...string[]]>([
    ['no region', /^gcp\.csv:2: Region is empty/, SKYPILOT, 'x,,,8,16,,1,,,'],
    ['no prices', /^gcp\.csv:1: lacks the column Price/, 'InstanceType,vCPUs,Region'],
    [
      'a wrong number',
      /^gcp\.csv:3: MemoryGiB must be a number.*"big"/,
      SKYPILOT,
      'x,,,8,16,,1,,r,',
      'y,,,8,big,,1,,r,',
    ],
    ['no machine at all', /^gcp\.csv:2: InstanceType is empty/, SKYPILOT, ',,,8,16,,1,,r,'],
  ])('are refused with %s, under the names that the file has', (_, message, ...lines) => {
    expect(() => importCatalog(Buffer.from(lines.join('\n')), 'gcp.csv', INFO)).toThrow(message);
  });
});
