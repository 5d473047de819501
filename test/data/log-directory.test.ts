/** Logs that are kept: whoever writes them, and however often, what can be read is what was written. */
import { readdirSync, rmSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { LogDirectory, PIECE_BYTES } from '../../data/log-directory.ts';
import type { LogName } from '../../data/log-store.ts';
import { dice } from '../harness/dice.ts';
import { testDir } from '../harness/temporal.ts';

const root = testDir();
afterAll(() => rmSync(root, { recursive: true, force: true }));

let count = 0;
function fresh(): LogName {
  count += 1;
  return { folder: `job-${count}/1`, rank: 0, phase: 'run' };
}

async function all(store: LogDirectory, name: LogName, from = 0): Promise<{ text: Buffer; gaps: number[] }> {
  const parts: Buffer[] = [];
  const gaps: number[] = [];
  let next = from;
  for await (const { at, data } of store.read(name, from)) {
    if (at !== next) gaps.push(at - next);
    parts.push(data);
    next = at + data.length;
  }
  return { text: Buffer.concat(parts), gaps };
}

/** A log that says everywhere where it is. */
function content(bytes: number): Buffer {
  const lines: string[] = [];
  for (let at = 0; at < bytes; at += 16) lines.push(`${String(at).padStart(15, '0')}\n`);
  return Buffer.from(lines.join('')).subarray(0, bytes);
}

test('two writers at once, each killed and begun again anywhere: no byte twice, none missing, whatever the pieces', async () => {
  const die = dice(7);
  const roll = (below: number) => Math.floor(die() * below);
  for (let round = 0; round < 10; round++) {
    const store = new LogDirectory(root, 100 * PIECE_BYTES);
    const name = fresh();
    const text = content(PIECE_BYTES * 2 + roll(PIECE_BYTES));
    const writer = async (): Promise<void> => {
      for (let turn = 0; turn < 3; turn++) {
        let { kept: at } = await store.end(name, false);
        const lives = turn === 2 ? Number.POSITIVE_INFINITY : 1 + roll(6);
        for (let piece = 0; at < text.length && piece < lives; piece++) {
          const data = text.subarray(at, at + 1 + roll(400_000));
          await store.append(name, at, data);
          at += data.length;
        }
      }
    };
    await Promise.all([writer(), writer()]);
    expect((await all(store, name)).text.equals(text)).toBe(true);
    const from = roll(text.length);
    expect((await all(store, name, from)).text.equals(text.subarray(from))).toBe(true);
    expect(await store.end(name, false)).toEqual({ raw: text.length, kept: text.length });
    rmSync(join(root, name.folder), { recursive: true });
  }
});

test('a log that is too long keeps its beginning and its end, and tells how much lies between', async () => {
  const store = new LogDirectory(root, 4 * PIECE_BYTES);
  const name = fresh();
  const text = content(PIECE_BYTES * 9 + 5);
  for (let at = 0; at < text.length; at += 300_000) await store.append(name, at, text.subarray(at, at + 300_000));
  const { text: kept, gaps } = await all(store, name);
  expect(gaps).toEqual([PIECE_BYTES * 6]);
  expect(kept.equals(Buffer.concat([text.subarray(0, PIECE_BYTES), text.subarray(PIECE_BYTES * 7)]))).toBe(true);
  expect(readdirSync(join(root, name.folder))).toHaveLength(4);
  // Somebody far behind writes what has been left out: nothing that was kept is changed, and no half piece appears.
  await store.append(name, PIECE_BYTES * 3 + 100, text.subarray(PIECE_BYTES * 3 + 100, PIECE_BYTES * 3 + 200));
  expect((await all(store, name)).text.equals(kept)).toBe(true);
  expect(await store.end(name, false)).toEqual({ raw: text.length, kept: text.length });
});

test('a masked log goes on from its mark; without one, or when the disk lost what it speaks of, from the beginning', async () => {
  const store = new LogDirectory(root, 4 * PIECE_BYTES);
  const name = fresh();
  await store.append(name, 0, Buffer.from('***** and more'));
  expect(await store.end(name, true)).toEqual({ raw: 0, kept: 0 });
  await store.mark(name, { raw: 20, kept: 9 });
  expect(await store.end(name, true)).toEqual({ raw: 20, kept: 9 });
  truncateSync(join(root, name.folder, '0-run.000000000000000.log'), 5);
  expect(await store.end(name, true)).toEqual({ raw: 0, kept: 0 });
});

test('logs are listed by rank, setup first; what is not there is empty', async () => {
  const store = new LogDirectory(root, 4 * PIECE_BYTES);
  const { folder } = fresh();
  for (const rank of [10, 2]) {
    for (const phase of ['run', 'setup'] as const) await store.append({ folder, rank, phase }, 0, Buffer.from('x'));
  }
  expect((await store.logsOf(folder)).map(({ rank, phase }) => `${rank} ${phase}`)).toEqual([
    '2 setup',
    '2 run',
    '10 setup',
    '10 run',
  ]);
  expect(await store.logsOf('nobody/1')).toEqual([]);
  expect(await store.end(fresh(), false)).toEqual({ raw: 0, kept: 0 });
});
