import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { merge } from '../../client/merge.ts';
import { mapLimited } from '../../model/map-limited.ts';

async function* source(id: number, delays: readonly number[]) {
  for (const [index, delay] of delays.entries()) {
    if (delay > 0) await sleep(delay);
    yield { id, index };
  }
}

test('gives every item of every source once, in order within its source', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(fc.nat(2), { maxLength: 6 }), { maxLength: 5 }), async (delays) => {
      const seen: { id: number; index: number }[] = [];
      for await (const item of merge(delays.map((list, id) => source(id, list)))) seen.push(item);
      for (const [id, list] of delays.entries()) {
        expect(seen.filter((item) => item.id === id).map(({ index }) => index)).toEqual([...list.keys()]);
      }
    }),
    { numRuns: 30 },
  );
});

test('a source that fails ends the whole and closes the others', async () => {
  let closed = false;
  async function* endless() {
    try {
      for (;;) {
        await sleep(1);
        yield 'x';
      }
    } finally {
      closed = true;
    }
  }
  // biome-ignore lint/correctness/useYield: it fails before its first item
  async function* failing(): AsyncGenerator<string> {
    await sleep(5);
    throw new Error('broken');
  }
  await expect(async () => {
    for await (const _ of merge([endless(), failing()]));
  }).rejects.toThrow('broken');
  await expect.poll(() => closed).toBe(true);
});

test('a reader that stops closes all sources', async () => {
  const closed: number[] = [];
  async function* counted(id: number) {
    try {
      for (let i = 0; ; i++) yield i;
    } finally {
      closed.push(id);
    }
  }
  for await (const _ of merge([counted(1), counted(2)])) break;
  await expect.poll(() => closed.sort()).toEqual([1, 2]);
});

test('a limited map keeps the order and never exceeds its limit', async () => {
  let running = 0;
  let most = 0;
  const items = Array.from({ length: 20 }, (_, i) => i);
  const results = await mapLimited(items, 3, async (item) => {
    most = Math.max(most, ++running);
    await sleep((item * 7) % 5);
    running--;
    return item * 2;
  });
  expect(results).toEqual(items.map((item) => item * 2));
  expect(most).toBe(3);
});
