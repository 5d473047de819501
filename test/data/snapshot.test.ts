import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DirectoryStore } from '../../data/directory-store.ts';
import { decodeManifest, encodeManifest, type ManifestEntry } from '../../data/manifest.ts';
import { type Taken, takeSnapshot } from '../../data/snapshot.ts';

let home: string;
let source: string;
let store: DirectoryStore;
const DAY = 24 * 60 * 60_000;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'styx-snap-'));
  source = join(home, 'source');
  mkdirSync(source);
  store = new DirectoryStore(join(home, 'store'));
});

afterEach(() => rmSync(home, { recursive: true, force: true }));

function snap(path = source): Promise<Taken> {
  return takeSnapshot(store, path, { cache: join(home, 'cache') });
}

async function entriesOf(manifest: string): Promise<readonly ManifestEntry[]> {
  return decodeManifest(await store.readManifest(manifest)).entries;
}

/** The content of every file of a snapshot, as the store gives it. */
async function contentOf(manifest: string): Promise<Record<string, string>> {
  const files = (await entriesOf(manifest)).filter((entry) => entry[0] === 'f');
  const chunks: Buffer[] = [];
  for await (const chunk of store.stream(files.map(([, , , size, , hash]) => ({ hash, size }))))
    chunks.push(Buffer.from(chunk));
  const all = Buffer.concat(chunks);
  let at = 0;
  return Object.fromEntries(
    files.map(([, path, , size]) => {
      at += size;
      return [path, all.subarray(at - size, at).toString()];
    }),
  );
}

/** Makes what is there look as if it had been there for a while. */
async function settle(): Promise<void> {
  await sleep(120);
}

function age(): void {
  const long = Date.now() / 1_000 - 10 * 86_400;
  for (const room of ['packs', 'blobs', 'manifests']) {
    for (const name of readdirSync(join(home, 'store', room))) utimesSync(join(home, 'store', room, name), long, long);
  }
}

describe('a snapshot', () => {
  test('holds files, modes, links and empty directories, and is named by all of it', async () => {
    writeFileSync(join(source, 'run.sh'), 'echo', { mode: 0o755 });
    mkdirSync(join(source, 'empty'), { mode: 0o750 });
    chmodSync(join(source, 'empty'), 0o750);
    symlinkSync('../elsewhere', join(source, 'link'));
    const { snapshot } = await snap();
    expect(snapshot).toMatchObject({ kind: 'directory', files: 1, bytes: 4 });
    const entries = await entriesOf(snapshot.manifest);
    expect(entries.map((entry) => entry.slice(0, 3))).toEqual([
      ['d', 'empty', 0o750],
      ['l', 'link', '../elsewhere'],
      ['f', 'run.sh', 0o755],
    ]);
    expect((await snap()).snapshot).toEqual(snapshot);
    chmodSync(join(source, 'run.sh'), 0o644);
    expect((await snap()).snapshot.manifest).not.toBe(snapshot.manifest);
  });

  test('is not changed by what happens to the directory afterwards', async () => {
    writeFileSync(join(source, 'small'), 'before');
    writeFileSync(join(source, 'large'), 'L'.repeat(2_000_000));
    const { snapshot } = await snap();
    writeFileSync(join(source, 'small'), 'after!');
    appendFileSync(join(source, 'large'), 'more');
    expect(await contentOf(snapshot.manifest)).toEqual({ small: 'before', large: 'L'.repeat(2_000_000) });
  });

  test('reads no file again that has not changed, and every one that has, in whatever way', async () => {
    for (const name of ['a', 'b', 'c', 'd']) writeFileSync(join(source, name), name);
    await settle();
    expect((await snap()).read).toBe(4);
    expect((await snap()).read).toBe(0);
    // Same size, same time of change, same name.
    const { atime, mtime } = (await import('node:fs')).statSync(join(source, 'b'));
    writeFileSync(join(source, 'b'), 'B');
    utimesSync(join(source, 'b'), atime, mtime);
    writeFileSync(join(source, 'other'), 'C');
    renameSync(join(source, 'other'), join(source, 'c'));
    const after = await snap();
    expect(after.read).toBe(2);
    expect(await contentOf(after.snapshot.manifest)).toEqual({ a: 'a', b: 'B', c: 'C', d: 'd' });
  });

  test('sees a change within the tick of the clock in which it read the file', async () => {
    for (let round = 0; round < 30; round++) {
      writeFileSync(join(source, 'f'), `${round % 10}`);
      const { snapshot } = await snap();
      expect(await contentOf(snapshot.manifest)).toEqual({ f: `${round % 10}` });
    }
  });

  test('stores nothing twice', async () => {
    for (let i = 0; i < 50; i++) writeFileSync(join(source, `${i}`), 'the same'.repeat(100));
    writeFileSync(join(source, 'big1'), Buffer.alloc(1_000_000, 7));
    writeFileSync(join(source, 'big2'), Buffer.alloc(1_000_000, 7));
    await snap();
    const packs = () => readdirSync(join(home, 'store', 'packs')).filter((name) => name.endsWith('.pack'));
    expect(packs().map((name) => readFileSync(join(home, 'store', 'packs', name)).length)).toEqual([800]);
    expect(readdirSync(join(home, 'store', 'blobs'))).toHaveLength(1);
    rmSync(join(home, 'cache'), { recursive: true });
    await snap();
    expect(packs()).toHaveLength(1);
  });

  test('of one file is that file', async () => {
    writeFileSync(join(source, 'f'), 'content', { mode: 0o600 });
    symlinkSync('f', join(source, 'to-f'));
    const { snapshot } = await snap(join(source, 'to-f'));
    expect(snapshot).toMatchObject({ kind: 'file', files: 1, bytes: 7 });
    expect(await contentOf(snapshot.manifest)).toEqual({ '': 'content' });
  });

  test('refuses names that cannot travel, and says which sockets and pipes it left out', async () => {
    writeFileSync(join(source, 'fine'), '');
    const fifo = spawn('mkfifo', [join(source, 'pipe')]);
    await new Promise((resolve) => fifo.once('exit', resolve));
    expect((await snap()).left).toEqual(['pipe']);
    writeFileSync(join(source, 'two\nlines'), '');
    await expect(snap()).rejects.toMatchObject({ kind: 'invalid', message: expect.stringContaining('line break') });
    rmSync(join(source, 'two\nlines'));
    writeFileSync(Buffer.concat([Buffer.from(`${source}/`), Buffer.from([0xff, 0xfe])]), '');
    await expect(snap()).rejects.toMatchObject({ kind: 'invalid', message: expect.stringContaining('UTF-8') });
  });

  test('of what is missing or cannot be read is refused by name', async () => {
    await expect(snap(join(source, 'nothing'))).rejects.toMatchObject({
      kind: 'invalid',
      message: expect.stringContaining('nothing'),
    });
  });
});

describe('a manifest', () => {
  const file = (path: string): ManifestEntry => ['f', path, 0o644, 0, 0, 'a'.repeat(64)];
  const decode = (entries: readonly ManifestEntry[]) =>
    decodeManifest(encodeManifest({ version: 1, root: 'directory', entries }));

  test.each<[string, readonly ManifestEntry[]]>([
    ['a path upwards', [file('../x')]],
    ['an absolute path', [file('/etc/x')]],
    ['a path through a link', [['l', 'out', '/etc'], file('out/x')]],
    ['a path through a file', [file('a'), file('a/b')]],
    ['a directory that is a link besides', [['l', 'a', '/'], ['d', 'a', 0o755], file('a/b')]],
    ['a name with a line break', [file('a\nb')]],
    ['a name with NUL', [file('a\0b')]],
    ['an empty name', [['d', 'a', 0o755], file('a/')]],
  ])('with %s is refused', (_, entries) => {
    expect(() => decode(entries)).toThrow(expect.objectContaining({ kind: 'invalid' }));
  });
});

describe('a store', () => {
  test('gives back no bytes but those that were put into it', async () => {
    writeFileSync(join(source, 'f'), randomBytes(700_000));
    const { snapshot } = await snap();
    const [, , , , , hash] = (await entriesOf(snapshot.manifest))[0] as ['f', string, number, number, number, string];
    writeFileSync(join(home, 'store', 'manifests', snapshot.manifest), '{}');
    await expect(store.readManifest(snapshot.manifest)).rejects.toMatchObject({
      message: expect.stringContaining('damaged'),
    });
    expect(
      createHash('sha256')
        .update(readFileSync(join(home, 'store', 'blobs', hash)))
        .digest('hex'),
    ).toBe(hash);
  });

  test('collects what is old and unreferenced, and nothing that a live manifest names', async () => {
    writeFileSync(join(source, 'keep'), 'keep');
    writeFileSync(join(source, 'big'), Buffer.alloc(1_000_000, 1));
    const live = (await snap()).snapshot;
    writeFileSync(join(source, 'keep'), 'changed');
    writeFileSync(join(source, 'big'), Buffer.alloc(1_000_000, 2));
    const dead = (await snap()).snapshot;
    age();
    const collected = await store.collect(new Set([live.manifest]), DAY);
    expect(collected).toMatchObject({ manifests: 1, blobs: 2, bytes: 1_000_007 });
    expect((await contentOf(live.manifest)).keep).toBe('keep');
    await expect(store.readManifest(dead.manifest)).rejects.toMatchObject({ kind: 'not-found' });
    expect(await store.collect(new Set(), 0)).toMatchObject({ bytesLeft: 0 });
  });

  test('spares what a snapshot has needed again, however old it is', async () => {
    writeFileSync(join(source, 'f'), 'content');
    await settle();
    await snap();
    age();
    // Neither read nor stored again, but needed.
    const { snapshot } = await snap();
    await store.collect(new Set(), DAY);
    expect(await contentOf(snapshot.manifest)).toEqual({ f: 'content' });
    age();
    writeFileSync(join(source, 'g'), 'new');
    const next = await snap();
    await store.collect(new Set(), DAY);
    expect(await contentOf(next.snapshot.manifest)).toEqual({ f: 'content', g: 'new' });
  });

  test('writes many old packs into one, and half-dead ones anew', async () => {
    const live = new Set<string>();
    for (let i = 0; i < 40; i++) {
      writeFileSync(join(source, `f${i}`), `content ${i}`);
      live.add((await snap()).snapshot.manifest);
    }
    age();
    await store.collect(live, DAY);
    expect(readdirSync(join(home, 'store', 'packs'))).toHaveLength(2);
    for (const manifest of live) expect(Object.keys(await contentOf(manifest)).length).toBeGreaterThan(0);
  });

  test('loses nothing to collections and snapshots at the same time', { timeout: 60_000 }, async () => {
    const fresh = () => new DirectoryStore(join(home, 'store'), { fresh: 0 });
    const lanes = Array.from({ length: 5 }, async (_, lane) => {
      const mine = join(home, `lane-${lane}`);
      mkdirSync(mine);
      const own = fresh();
      for (let i = 0; i < 25; i++) {
        for (let k = 0; k < 10; k++) writeFileSync(join(mine, `${k}`), `shared ${(i + k) % 13}`);
        writeFileSync(join(mine, 'own'), `${lane} ${i}`);
        const { snapshot } = await takeSnapshot(own, mine, { cache: join(home, 'cache') });
        await sleep(5 * lane);
        expect(await contentOf(snapshot.manifest)).toMatchObject({ own: `${lane} ${i}`, 3: `shared ${(i + 3) % 13}` });
      }
    });
    let over = false;
    const collector = (async () => {
      for (; !over; await sleep(10)) {
        await fresh().collect(new Set(), 1_000);
      }
    })();
    await Promise.all(lanes);
    over = true;
    await collector;
  });

  test('holds whole snapshots only, wherever its writer is killed', { timeout: 120_000 }, async () => {
    for (let i = 0; i < 150; i++) writeFileSync(join(source, `f${i}`), randomBytes(3_000));
    writeFileSync(join(source, 'big'), randomBytes(3_000_000));
    const program = join(import.meta.dirname, 'fixtures', 'take-snapshot.ts');
    const root = join(home, 'store');
    const seen = new Set<string>();
    for (let delay = 0; delay < 40; delay += 5) {
      const child = spawn(process.execPath, [program, root, source, join(home, 'cache')]);
      const closed = once(child, 'close');
      await once(child.stdout, 'data');
      await sleep(delay);
      child.kill('SIGKILL');
      await closed;
      for (const manifest of readdirSync(join(root, 'manifests')).filter((name) => !seen.has(name))) {
        seen.add(manifest);
        expect(Object.keys(await contentOf(manifest))).toHaveLength(151);
      }
      appendFileSync(join(source, 'f0'), 'x');
    }
    const { snapshot } = await snap();
    expect(Object.keys(await contentOf(snapshot.manifest))).toHaveLength(151);
  });
});
