/** What every store of logs keeps: whoever writes, and however often, what can be read is what was written. */
import { expect, test } from 'vitest';
import type { LogName, LogStore } from '../../data/log-store.ts';
import { dice } from '../harness/dice.ts';

export interface StoreKind {
  readonly pieceBytes: number;
  readonly rounds: number;
  /** Another one over the same logs each time, as another worker has it. */
  open(maxBytes: number): LogStore;
  /** How many pieces of a log there are. */
  pieces(name: LogName): Promise<number>;
  /** As after a failure of what keeps it: of its first piece only so much is left. */
  cut(name: LogName, bytes: number): Promise<void>;
}

let count = 0;
export function freshLog(): LogName {
  count += 1;
  return { folder: `job-${count}/1`, rank: 0, phase: 'run' };
}

export async function wholeLog(store: LogStore, name: LogName, from = 0): Promise<{ text: Buffer; gaps: number[] }> {
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
export function content(bytes: number): Buffer {
  const lines: string[] = [];
  for (let at = 0; at < bytes; at += 16) lines.push(`${String(at).padStart(15, '0')}\n`);
  return Buffer.from(lines.join('')).subarray(0, bytes);
}

/** Defines the tests. */
export function keepsLogs({ pieceBytes, rounds, open, pieces, cut }: StoreKind): void {
  test('two writers at once, each killed and begun again anywhere: no byte twice, none missing, whatever the pieces', async () => {
    const die = dice(7);
    const roll = (below: number) => Math.floor(die() * below);
    for (let round = 0; round < rounds; round++) {
      const name = freshLog();
      const text = content(pieceBytes * 2 + roll(pieceBytes));
      const writer = async (): Promise<void> => {
        for (let turn = 0; turn < 3; turn++) {
          const store = open(100 * pieceBytes);
          let { kept: at } = await store.end(name, false);
          const lives = turn === 2 ? Number.POSITIVE_INFINITY : 1 + roll(6);
          for (let piece = 0; at < text.length && piece < lives; piece++) {
            const data = text.subarray(at, at + 1 + roll(pieceBytes / 2.5));
            await store.append(name, at, data);
            at += data.length;
          }
          if (turn === 2) await store.settle(name);
        }
      };
      await Promise.all([writer(), writer()]);
      const store = open(100 * pieceBytes);
      expect((await wholeLog(store, name)).text.equals(text)).toBe(true);
      const from = roll(text.length);
      expect((await wholeLog(store, name, from)).text.equals(text.subarray(from))).toBe(true);
      expect(await store.end(name, false)).toEqual({ raw: text.length, kept: text.length });
    }
  });

  test('a log that is too long keeps its beginning and its end, and tells how much lies between', async () => {
    const store = open(4 * pieceBytes);
    const name = freshLog();
    const text = content(pieceBytes * 9 + 5);
    const step = Math.floor(pieceBytes * 0.3);
    for (let at = 0; at < text.length; at += step) await store.append(name, at, text.subarray(at, at + step));
    await store.settle(name);
    const { text: kept, gaps } = await wholeLog(store, name);
    expect(gaps).toEqual([pieceBytes * 6]);
    expect(kept.equals(Buffer.concat([text.subarray(0, pieceBytes), text.subarray(pieceBytes * 7)]))).toBe(true);
    expect(await pieces(name)).toBe(4);
    // Somebody far behind writes what has been left out: nothing that was kept is changed, and no half piece appears.
    await store.append(name, pieceBytes * 3 + 100, text.subarray(pieceBytes * 3 + 100, pieceBytes * 3 + 200));
    await store.settle(name);
    expect((await wholeLog(store, name)).text.equals(kept)).toBe(true);
    expect(await store.end(name, false)).toEqual({ raw: text.length, kept: text.length });
  });

  test('a masked log goes on from its mark; without one, or when more was lost than it speaks of, from the beginning', async () => {
    const store = open(4 * pieceBytes);
    const name = freshLog();
    await store.append(name, 0, Buffer.from('***** and more'));
    await store.settle(name);
    expect(await store.end(name, true)).toEqual({ raw: 0, kept: 0 });
    await store.mark(name, { raw: 20, kept: 9 });
    expect(await store.end(name, true)).toEqual({ raw: 20, kept: 9 });
    await cut(name, 5);
    expect(await store.end(name, true)).toEqual({ raw: 0, kept: 0 });
  });

  test('logs are listed by rank, setup first; what is not there is empty', async () => {
    const store = open(4 * pieceBytes);
    const { folder } = freshLog();
    for (const rank of [10, 2]) {
      for (const phase of ['run', 'setup'] as const) {
        await store.append({ folder, rank, phase }, 0, Buffer.from('x'));
        await store.settle({ folder, rank, phase });
      }
    }
    expect((await store.logsOf(folder)).map(({ rank, phase }) => `${rank} ${phase}`)).toEqual([
      '2 setup',
      '2 run',
      '10 setup',
      '10 run',
    ]);
    expect(await store.logsOf('nobody/1')).toEqual([]);
    expect(await store.end(freshLog(), false)).toEqual({ raw: 0, kept: 0 });
    expect(await wholeLog(store, freshLog())).toEqual({ text: Buffer.alloc(0), gaps: [] });
  });

  test('jobs are listed with their tries and their last change, and what is removed of one is gone, and nothing else', async () => {
    const store = open(4 * pieceBytes);
    const log = (job: string, copy: number): LogName => ({ folder: `${job}/${copy}`, rank: 0, phase: 'run' });
    const before = Date.now();
    for (const [job, copy] of [
      ['listed', 1],
      ['listed', 10],
      ['listed', 2],
      ['listed-too', 1],
    ] as const) {
      await store.append(log(job, copy), 0, Buffer.from('x'));
      await store.mark(log(job, copy), { raw: 1, kept: 1 });
    }
    const listed = async () => {
      const found: [string, readonly number[]][] = [];
      for await (const { job, copies, changedAt } of store.jobs()) {
        if (!job.startsWith('listed')) continue;
        found.push([job, copies]);
        // Some tell whole seconds.
        expect(changedAt).toBeGreaterThan(before - 2_000);
        expect(changedAt).toBeLessThan(Date.now() + 2_000);
      }
      return found.toSorted();
    };
    expect(await listed()).toEqual([
      ['listed', [1, 2, 10]],
      ['listed-too', [1]],
    ]);
    await store.remove('listed', 1);
    expect(await listed()).toEqual([
      ['listed', [2, 10]],
      ['listed-too', [1]],
    ]);
    await store.remove('listed');
    await store.remove('nobody');
    expect(await listed()).toEqual([['listed-too', [1]]]);
    expect((await wholeLog(store, log('listed-too', 1))).text.toString()).toBe('x');
  });
}
