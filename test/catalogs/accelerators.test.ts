import { describe, expect, test } from 'vitest';
import {
  ACCELERATORS,
  COMMON_GPUS,
  COMMON_TPUS,
  canonicalName,
  findAccelerator,
  meetsRequest,
  nearestAccelerator,
} from '../../model/accelerators.ts';
import { accelerators } from '../../model/spec/accelerators.ts';

const request = (text: string) => {
  const [option] = accelerators(text).options;
  if (option === undefined) throw new Error(text);
  return option;
};
/** Names that a request for one of them may be met by. */
const meeting = (text: string) =>
  ACCELERATORS.filter(({ name }) => meetsRequest({ name, count: request(text).count }, null, request(text))).map(
    ({ name }) => name,
  );

test('no name and no alias stands for two accelerators', () => {
  for (const accelerator of ACCELERATORS) {
    for (const name of [accelerator.name, ...accelerator.aliases]) {
      expect(findAccelerator(name)?.name, name).toBe(accelerator.name);
      expect(findAccelerator(name.toUpperCase())?.name, name).toBe(accelerator.name);
    }
    expect(accelerator.memory).toBeGreaterThan(0);
  }
});

test('what tables begin with is known', () => {
  for (const name of [...COMMON_GPUS, ...COMMON_TPUS]) expect(canonicalName(name.toLowerCase())).toBe(name);
});

test('an accelerator that nobody knows keeps its name', () => {
  expect(canonicalName('Abacus-9')).toBe('Abacus-9');
  expect(canonicalName('__proto__')).toBe('__proto__');
  expect(findAccelerator('constructor')).toBeNull();
});

test.each([
  ['A1000', 'A100'],
  ['H10O', 'H100'],
  ['A100-80', 'A100-80GB'],
  ['tpu-v5e-9', 'tpu-v5litepod-1'],
  ['rtx_4009', 'RTX4090'],
])('%s is taken for a slip of %s', (wrong, meant) => {
  expect(nearestAccelerator(wrong)).toBe(meant);
});

test('names of the catalogues of users are suggested too, and nothing where nothing is near', () => {
  expect(nearestAccelerator('Abacus-8', ['Abacus-9'])).toBe('Abacus-9');
  expect(nearestAccelerator('toaster')).toBeNull();
});

describe('a request is met', () => {
  test('by name in any case and by alias, in the very number', () => {
    expect(meeting('a100')).toEqual(['A100']);
    expect(meeting('A6000:2')).toEqual(['RTXA6000']);
    expect(meetsRequest({ name: 'A100', count: 8 }, 40, request('A100:4'))).toBe(false);
    expect(meetsRequest({ name: 'A10', count: 0.5 }, 24, request('A10:0.5'))).toBe(true);
    expect(meetsRequest({ name: 'Abacus-9', count: 1 }, null, request('abacus-9'))).toBe(true);
  });

  test('by memory, exactly or at least, of any maker or of one', () => {
    expect(meeting('141GB')).toEqual(['H200', 'H200-NVL', 'H200-SXM']);
    expect(meeting('180GB+')).toEqual(['B200', 'B300', 'GB200', 'MI300X']);
    expect(meeting('nvidia:180GB+:8')).toEqual(['B200', 'B300', 'GB200']);
    expect(meeting('AMD:1GB+')).toEqual(ACCELERATORS.filter(({ vendor }) => vendor === 'AMD').map(({ name }) => name));
  });

  test('by the memory that an offer has, where it is not that of the table', () => {
    expect(meetsRequest({ name: 'A100', count: 1 }, 20, request('20GB'))).toBe(true);
    expect(meetsRequest({ name: 'A100', count: 1 }, 20, request('40GB'))).toBe(false);
    expect(meetsRequest({ name: 'Abacus-9', count: 1 }, null, request('1GB+'))).toBe(false);
  });

  test('never by a TPU when it is for memory', () => {
    expect(meeting('16GB+').filter((name) => name.startsWith('tpu'))).toEqual([]);
    expect(meeting('tpu-v5e-8')).toEqual(['tpu-v5litepod-8']);
  });
});
