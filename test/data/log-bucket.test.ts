/** Logs that are kept in a bucket of S3: what a directory keeps, and what can go wrong on the way there. */
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { S3Bucket } from '../../clouds/aws/objects.ts';
import { objectStore } from '../../clouds/registry.ts';
import { BUCKET_PIECE_BYTES, LogBucket } from '../../data/log-bucket.ts';
import type { LogName } from '../../data/log-store.ts';
import type { ObjectStore } from '../../data/object-store.ts';
import { parseBucketUrl } from '../../model/bucket-url.ts';
import type { StyxError } from '../../model/errors.ts';
import { Account, motoPython } from '../stand-ins/aws/account.ts';
import { makeBucket } from '../stand-ins/aws/bucket.ts';
import { content, freshLog, keepsLogs, wholeLog } from './log-suite.ts';

const python = motoPython();
if ('reason' in python) console.warn(`SKIPPED test/data/log-bucket: ${python.reason}`);
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const HOLD_MS = 200;

describe.skipIf('reason' in python)('a bucket of S3', () => {
  let account: Account;
  let objects: ObjectStore;
  beforeAll(async () => {
    account = await Account.start();
    account.enter();
    await makeBucket(account, 'logs');
    objects = await objectStore('s3://logs/of/jobs/', null);
  });
  afterEach(() => account.calm());
  afterAll(async () => {
    await account.end();
  });

  const open = (maxBytes = 100 * BUCKET_PIECE_BYTES) => new LogBucket(objects, maxBytes, { holdMs: HOLD_MS });
  const piece = ({ folder }: LogName) => `${folder}/0-run.000000000000000.log`;

  /** Of other tests something may be on its way still. */
  function writesOf(content: string): number {
    return account.proxy.log.filter(({ action, body }) => action === 'PUT' && body.includes(content)).length;
  }

  async function failure(promise: Promise<unknown>): Promise<StyxError> {
    return await promise.then(
      () => expect.fail('it did not fail'),
      (error: unknown) => error as StyxError,
    );
  }

  keepsLogs({
    pieceBytes: BUCKET_PIECE_BYTES,
    rounds: 4,
    open,
    async pieces({ folder }) {
      let count = 0;
      for await (const _ of objects.list(`${folder}/`)) count += 1;
      return count;
    },
    async cut(name, bytes) {
      const found = await objects.get(piece(name));
      await objects.put(piece(name), found?.data.subarray(0, bytes) ?? Buffer.alloc(0));
    },
  });

  test('a write on a condition is done only where it holds, and says of which version it is', async () => {
    await objects.remove('c/1');
    const first = await objects.put('c/1', Buffer.from('a'), null);
    expect(first).toMatch(/./);
    expect(await objects.put('c/1', Buffer.from('b'), null)).toBe(null);
    const second = await objects.put('c/1', Buffer.from('ab'), first);
    expect(await objects.put('c/1', Buffer.from('ac'), first)).toBe(null);
    expect(await objects.get('c/1')).toEqual({ data: Buffer.from('ab'), version: second });
    expect((await objects.get('c/1', 1))?.data.toString()).toBe('b');
    await objects.remove('c/1');
    expect(await objects.put('c/1', Buffer.from('abc'), second), 'what is gone is not brought back').toBe(null);
    expect(await objects.get('c/1')).toBe(null);
    await objects.remove('c/1');
  });

  test('of writers that are differently far none ever makes a piece shorter', async () => {
    const name = freshLog();
    const text = content(20_000);
    const writers = [20_000, 100, 7_000, 19_999, 3_000].map(async (length) => {
      const store = open();
      for (let at = 0; at < length; at += 1_000) {
        await store.append(name, at, text.subarray(at, Math.min(length, at + 1_000)));
        await store.settle(name);
      }
    });
    let over = false;
    const looking = (async () => {
      const sizes: number[] = [];
      while (!over) sizes.push((await objects.get(piece(name)))?.data.length ?? 0);
      return sizes;
    })();
    await Promise.all(writers);
    over = true;
    const sizes = await looking;
    expect(sizes).toEqual(sizes.toSorted((a, b) => a - b));
    expect((await wholeLog(open(), name)).text.equals(text)).toBe(true);
  });

  test('lines are in the bucket after a moment, by one write for all of them', async () => {
    const name = freshLog();
    const store = new LogBucket(objects, 100 * BUCKET_PIECE_BYTES, { holdMs: 2_000 });
    for (let at = 0; at < 100; at += 10) await store.append(name, at, Buffer.from('moment by '));
    expect(writesOf('moment')).toBe(0);
    await expect.poll(async () => (await wholeLog(open(), name)).text.length, { timeout: 20_000 }).toBe(100);
    expect(writesOf('moment')).toBe(1);
  });

  test('an answer that is lost after the write repeats nothing', async () => {
    const name = freshLog();
    const store = open();
    for (const [at, line] of [
      [0, 'one\n'],
      [4, 'two\n'],
    ] as const) {
      await store.append(name, at, Buffer.from(line));
      account.proxy.faults = [{ action: 'PUT', do: 'drop-after', times: 1 }];
      await store.settle(name);
    }
    expect((await wholeLog(open(), name)).text.toString()).toBe('one\ntwo\n');
  });

  test('what could not be written is told to whoever appends next, and written when the bucket answers again', async () => {
    const name = freshLog();
    const store = open();
    await store.append(name, 0, Buffer.from('held '));
    account.proxy.faults = [
      { action: 'PUT', do: { error: 'ExpiredToken', message: 'The token expired.', status: 400 } },
    ];
    await expect.poll(() => writesOf('held '), { timeout: 10_000 }).toBeGreaterThan(0);
    const told = await failure(store.append(name, 5, Buffer.from('and more')));
    expect([told.kind, told.message]).toEqual(['auth', expect.stringMatching(/^bucket logs: AWS: ExpiredToken/)]);
    account.proxy.faults = [];
    // As whoever ships begins again.
    const { kept } = await store.end(name, false);
    await store.append(name, kept, Buffer.from('held and more').subarray(kept));
    await store.settle(name);
    expect((await wholeLog(open(), name)).text.toString()).toBe('held and more');
  });

  test('a bucket that is not there, or gives no rights, says which and what to do, and is never taken for an empty log', async () => {
    const { place } = parseBucketUrl('s3://nowhere/x');
    if (place === null) throw new Error('no place');
    const nowhere = new LogBucket(await S3Bucket.open(place, account.proxy.url), 1e6);
    const missing = await failure(nowhere.end(freshLog(), false));
    expect([missing.kind, missing.message]).toEqual([
      'invalid',
      expect.stringMatching(/^bucket nowhere: AWS: NoSuchBucket/),
    ]);
    account.proxy.faults = [{ do: { error: 'AccessDenied', status: 403 } }];
    const denied = await failure(open().end(freshLog(), false));
    expect([denied.kind, denied.hint]).toEqual(['auth', expect.stringContaining('s3:ListBucket')]);
  });

  test('a list of more than a page is whole', async () => {
    const keys = Array.from({ length: 1_050 }, (_, index) => `many/${String(index).padStart(5, '0')}`);
    for (let at = 0; at < keys.length; at += 50) {
      await Promise.all(keys.slice(at, at + 50).map((key) => objects.put(key, Buffer.from('x'))));
    }
    const found: string[] = [];
    for await (const { key } of objects.list('many/')) found.push(key);
    expect(found).toEqual(keys);
  });
});
