import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { ageLines, ageOf } from '../../cli/gpu-tables.ts';

const main = join(import.meta.dirname, '..', '..', 'cli', 'main.ts');
const home = mkdtempSync(join(tmpdir(), 'styx-gpus-'));
const own = join(home, 'catalogs');
afterAll(() => rmSync(home, { recursive: true, force: true }));
beforeEach(() => rmSync(own, { recursive: true, force: true }));

function styx(...args: string[]) {
  const result = spawnSync(process.execPath, [main, ...args], {
    encoding: 'utf8',
    env: { PATH: process.env.PATH, HOME: home, STYX_HOME: home, STYX_CACHE: join(home, 'cache') },
  });
  return { code: result.status, out: result.stdout, err: result.stderr };
}

const HEADER = 'instance_type,vcpus,memory_gib,accelerator,accelerator_count,region,price_usd_hour,spot_price_usd_hour';

/** A cloud of the user's own, whose figures a test knows. */
function basement(...rows: string[]): void {
  mkdirSync(own, { recursive: true });
  writeFileSync(join(own, 'basement.csv'), [HEADER, ...rows, ''].join('\n'));
}

const RACK = [
  'rack-1,8,64,A100,1,cellar,1.25,0.5',
  'rack-1,8,64,A100,1,attic,1.5,',
  'rack-half,4,30.5,A100,0.5,cellar,0.625,',
  'rack-8,96,1152,A100,8,cellar,10,4',
  'box,4,16,t4,1,attic,0.1,',
  'toy,1,2,Abacus-9,2,attic,0.0125,',
  'plain,4,16,,,attic,0.1,',
];

describe('styx gpus list', () => {
  test('without a name shows which numbers can be had, the common ones unless asked for all', () => {
    basement(...RACK);
    const { code, out, err } = styx('gpus', 'list', '--infra', 'basement');
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toBe(`COMMON_GPU  AVAILABLE_QUANTITIES
A100        0.5, 1, 8
T4          1

Hint: -a shows all accelerators and prices; \`styx gpus list A100\` those of one.
`);
    expect(styx('gpus', 'list', '--cloud', 'basement', '--all').out).toBe(`COMMON_GPU  AVAILABLE_QUANTITIES
A100        0.5, 1, 8
T4          1

OTHER_GPU  AVAILABLE_QUANTITIES
Abacus-9   2

GPU   QTY  CLOUD     INSTANCE_TYPE  DEVICE_MEM  vCPUs  HOST_MEM  HOURLY_PRICE  HOURLY_SPOT_PRICE
A100  0.5  basement  rack-half      40GB        4      31GB      $ 0.625       -
A100  1    basement  rack-1         40GB        8      64GB      $ 1.250       $ 0.500
A100  8    basement  rack-8         40GB        96     1152GB    $ 10.000      $ 4.000

GPU       QTY  CLOUD     INSTANCE_TYPE  DEVICE_MEM  vCPUs  HOST_MEM  HOURLY_PRICE  HOURLY_SPOT_PRICE
Abacus-9  2    basement  toy            -           1      2GB       $ 0.013       -

GPU  QTY  CLOUD     INSTANCE_TYPE  DEVICE_MEM  vCPUs  HOST_MEM  HOURLY_PRICE  HOURLY_SPOT_PRICE
T4   1    basement  box            16GB        4      16GB      $ 0.100       -

Age of prices: basement today.
\`styx catalog status\` shows dates and sources.
`);
  });

  test('shows the offers of one, in the cheapest region or in all, by name and number or by memory', () => {
    basement(...RACK);
    const body = (...args: string[]) => styx('gpus', 'list', ...args, '--cloud', 'basement').out.split('\n\n')[0];
    expect(
      body('a100:1'),
    ).toBe(`GPU   QTY  CLOUD     INSTANCE_TYPE  DEVICE_MEM  vCPUs  HOST_MEM  HOURLY_PRICE  HOURLY_SPOT_PRICE  REGION
A100  1    basement  rack-1         40GB        8      64GB      $ 1.250       $ 0.500            cellar`);
    expect(body('A100:1', '--all-regions')?.split('\n').slice(1)).toEqual([
      'A100  1    basement  rack-1         40GB        8      64GB      $ 1.250       $ 0.500            cellar',
      'A100  1    basement  rack-1         40GB        8      64GB      $ 1.500       -                  attic',
    ]);
    expect(body('A100:1', '--region', 'att*')).toContain('$ 1.500');
    expect(body('16GB')).toContain('T4');
    expect(body('nvidia:17GB+')).not.toContain('T4');
    expect(body('nvidia:17GB+')).toContain('rack-8');
    expect(body('nvidia:17GB+:1')).not.toContain('rack-8');
  });

  test('gives programs the same, with the age of the prices', () => {
    basement(...RACK);
    const { out } = styx('gpus', 'list', 'T4', '--infra', 'basement/attic', '-o', 'json');
    const today = new Date().toISOString().slice(0, 10);
    expect(JSON.parse(out)).toEqual({
      accelerators: [
        {
          name: 'T4',
          vendor: 'NVIDIA',
          counts: [1],
          offers: [
            {
              cloud: 'basement',
              instanceType: 'box',
              count: 1,
              acceleratorMemory: 16,
              cpus: 4,
              memory: 16,
              arch: null,
              price: 0.1,
              spotPrice: null,
              region: 'attic',
              zone: null,
            },
          ],
        },
      ],
      catalogs: [{ cloud: 'basement', prices: today, spotPrices: today, undated: false, own: true }],
    });
  });

  test('knows what the clouds offer, and show-gpus shows the same', () => {
    const { code, out, err } = styx('gpus', 'list', 'A100-80GB');
    expect({ code, err }).toEqual({ code: 0, err: '' });
    for (const cloud of ['aws', 'azure', 'gcp', 'lambda', 'runpod', 'oci'])
      expect(out).toMatch(new RegExp(`^A100-80GB .* ${cloud} `, 'm'));
    expect(out).toMatch(/^Age of prices: .*aws \d+ (mos?|yrs?)/m);
    expect(styx('show-gpus', 'A100-80GB').out).toBe(out);
    expect(styx('gpus', 'list').out).toMatch(/^GOOGLE_TPU +AVAILABLE_QUANTITIES\ntpu-v2-8 +1$/m);
  });

  test.each<[string[], string, string]>([
    [['A1000'], 'No accelerator "A1000" is offered', 'Did you mean A100?'],
    [['Abacus-8'], 'No accelerator "Abacus-8" is offered', 'Did you mean Abacus-9?'],
    [['toaster'], 'No accelerator "toaster" is offered', 'styx gpus list --all'],
    [['A100:3', '--cloud', 'basement'], 'Nobody offers A100:3 on basement', 'A100: 0.5, 1, 8'],
    [['T4', '--infra', 'basement/cellar'], 'No accelerator "T4" is offered on basement/cellar', '--all'],
    [['A100', '--infra', 'awss'], 'There is no catalogue of "awss"', 'Did you mean aws?'],
    [['A100', '--infra', 'aws/us-east-11'], 'The catalogue of aws has no region "us-east-11"', 'us-east-1'],
    [['A100:0'], 'must ask for more than 0', ''],
    [['A100:8:8'], 'must be such as A100, A100:8', ''],
    [['A100', '--all'], '--all shows all accelerators', ''],
    [['--all-regions'], '--all-regions needs the name', ''],
    [['A100', '--infra', 'aws/us-east-1', '--all-regions'], '--all-regions cannot be given together with a region', ''],
    [['A100', '--region', 'us-east-1'], 'a region needs its cloud', ''],
    [['A100', '--infra', 'aws', '--cloud', 'gcp'], '--infra cannot be given together with', ''],
    [['A100', '--infra', 'aws//b'], '--infra must be such as', ''],
  ])('refuses %j with what is wrong and what is meant', (args, says, hint) => {
    basement(...RACK);
    const { code, out, err } = styx('gpus', 'list', ...args);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err.toLowerCase()).toContain(says.toLowerCase());
    expect(err).toContain(hint);
  });

  test('refuses to show prices while a file of the user is broken, by file and line', () => {
    basement('rack-1,8,64,A100,one,cellar,1.25,0.5');
    const { code, err } = styx('gpus', 'list', 'H100');
    expect(code).toBe(2);
    expect(err).toContain(`${join(own, 'basement.csv')}:2: accelerator_count must be a number`);
  });
});

describe('styx catalog status', () => {
  test('shows of each cloud how much is known, how old it is and where it is from', () => {
    basement(...RACK);
    const { code, out } = styx('catalog', 'status');
    expect(code).toBe(0);
    const cells = (cloud: string) =>
      out
        .split('\n')
        .find((line) => line.startsWith(`${cloud} `))
        ?.split(/ {2,}/);
    expect(cells('CLOUD')).toEqual(['CLOUD', 'ROWS', 'PRICES', 'SPOT_PRICES', 'SIZE', 'SOURCE']);
    expect(cells('aws')?.[1]).toMatch(/^\d{4}$/);
    expect(cells('aws')?.[2]).toMatch(/^20\d\d-\d\d-\d\d \(\d+ (mos?|yrs?)\)$/);
    expect(cells('vast')?.slice(2, 4)).toEqual(['unknown', '-']);
    expect(cells('basement')?.[5]).toBe(`your own: ${join(own, 'basement.csv')}`);
  });

  test('shows a broken file beside the others, and says so with its exit code', () => {
    basement('rack-1,8,64,A100,one,cellar,1.25,0.5');
    const { code, out } = styx('catalog', 'status', '-o', 'json');
    const shown = JSON.parse(out) as {
      cloud: string;
      rows: number | null;
      problem: string | null;
      sources: unknown[];
    }[];
    expect(code).toBe(1);
    expect(shown.filter(({ problem }) => problem !== null)).toEqual([
      expect.objectContaining({
        cloud: 'basement',
        own: true,
        rows: null,
        problem: expect.stringContaining('basement.csv:2: '),
      }),
    ]);
    expect(shown.find(({ cloud }) => cloud === 'aws')).toMatchObject({
      problem: null,
      own: false,
      rows: expect.any(Number),
    });
  });

  test('changes nothing', () => {
    rmSync(home, { recursive: true, force: true });
    mkdirSync(home);
    styx('catalog', 'status');
    styx('gpus', 'list', 'A100');
    expect(readdirSync(home)).toEqual(['cache']);
  });
});

test('an age is told however precisely the date is known', () => {
  const now = Date.parse('2026-08-22T12:00:00Z');
  expect(['2026-08-22', '2026-08-20', '2026-05', '2023', null].map((date) => ageOf(date, now))).toEqual([
    'today',
    '2 days',
    '3 mos',
    '3 yrs',
    '-',
  ]);
  const of = (cloud: string, prices: string | null, spotPrices: string | null, undated: boolean) => ({
    cloud,
    prices,
    spotPrices,
    undated,
    sources: [],
  });
  expect(
    ageLines(
      [of('a', '2026-08-20', '2024-08', false), of('b', '2026-07-01', null, true), of('c', null, null, true)],
      now,
    ),
  ).toEqual([
    'Age of prices: a 2 days (spot 2 yrs), b 1 mo*; unknown: c.',
    '* Of part of them the age is unknown. `styx catalog status` shows dates and sources.',
  ]);
});
