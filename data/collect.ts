/**
 * Removes from a store in a directory what nothing needs. Roots are the manifests that the caller names and all young ones. Nothing
 * young is taken: whoever stores or needs again makes young first, so a blob that is old and unmarked here is needed by nobody. That
 * holds to the last moment, since each file is moved aside, looked at once more, and put back if it was touched meanwhile.
 */
import { closeSync, openSync, readdirSync, readFileSync, readSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { decodeManifest } from './manifest.ts';
import { PackIndex, PackWriter } from './pack.ts';
import type { Collected } from './store.ts';
import type { StorePaths } from './store-paths.ts';

/** Old packs beyond this many become one. */
const MAX_PACKS = 30;

export async function collectDirectory(
  paths: StorePaths,
  live: ReadonlySet<string>,
  grace: number,
): Promise<Collected> {
  const isOld = (file: string) =>
    (statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? Date.now()) < Date.now() - grace;
  for (const name of readdirSync(paths.temporary)) restoreOrRemove(paths, name, isOld);
  const old = readdirSync(paths.manifests).filter((name) => !live.has(name) && isOld(join(paths.manifests, name)));
  let manifests = 0;
  for (const name of old) if (take(paths, 'manifests', name, isOld)) manifests += 1;
  const marked = new Set<string>();
  for (const name of readdirSync(paths.manifests)) {
    for (const entry of decodeManifest(readFileSync(join(paths.manifests, name))).entries) {
      if (entry[0] === 'f') marked.add(entry[5]);
    }
  }
  const removed = { blobs: 0, bytes: 0 };
  for (const name of readdirSync(paths.blobs)) {
    const file = join(paths.blobs, name);
    if (marked.has(name) || !isOld(file)) continue;
    const bytes = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
    if (!take(paths, 'blobs', name, isOld)) continue;
    removed.blobs += 1;
    removed.bytes += bytes;
  }
  collectPacks(paths, marked, isOld, removed);
  return { manifests, ...removed, bytesLeft: sizeOf(paths) };
}

/** Packs of which little is needed are written anew with that little. */
function collectPacks(
  paths: StorePaths,
  marked: ReadonlySet<string>,
  isOld: (file: string) => boolean,
  removed: { blobs: number; bytes: number },
): void {
  const packs = readdirSync(paths.packs)
    .filter((name) => name.endsWith('.idx'))
    .map((name) => name.slice(0, -4))
    .filter((id) => isOld(join(paths.packs, `${id}.pack`)))
    .map((id) => ({ id, index: PackIndex.load(join(paths.packs, `${id}.idx`)) }));
  const crowded = packs.length > MAX_PACKS;
  const writer = new PackWriter(paths.packs, paths.temporary);
  const leaving: string[] = [];
  for (const { id, index } of packs) {
    const blobs = [...index];
    const needed = blobs.filter(([hash]) => marked.has(hash));
    const bytes = (some: typeof blobs) => some.reduce((sum, [, { length }]) => sum + length, 0);
    const [all, kept] = [bytes(blobs), bytes(needed)];
    const wasteful = needed.length < blobs.length && kept <= all / 2;
    if (!wasteful && !crowded) continue;
    const fd = openSync(join(paths.packs, `${id}.pack`), 'r');
    try {
      for (const [hash, { offset, length }] of needed) {
        const data = Buffer.alloc(length);
        readSync(fd, data, 0, length, offset);
        writer.add(data, hash);
      }
    } finally {
      closeSync(fd);
    }
    leaving.push(id);
    removed.blobs += blobs.length - needed.length;
    removed.bytes += all - kept;
  }
  writer.finish();
  for (const id of leaving) {
    if (take(paths, 'packs', `${id}.pack`, isOld)) rmSync(join(paths.packs, `${id}.idx`), { force: true });
  }
  for (const name of readdirSync(paths.packs)) {
    const [id, ending] = name.split('.');
    const other = join(paths.packs, `${id}.${ending === 'idx' ? 'pack' : 'idx'}`);
    const isHalf = statSync(other, { throwIfNoEntry: false }) === undefined;
    if (isHalf && isOld(join(paths.packs, name))) take(paths, 'packs', name, isOld);
  }
}

/** Moves a file aside and removes it if it is still old. */
function take(
  paths: StorePaths,
  room: 'manifests' | 'blobs' | 'packs',
  name: string,
  isOld: (file: string) => boolean,
): boolean {
  const aside = `${room}~${name}`;
  try {
    renameSync(join(paths[room], name), join(paths.temporary, aside));
  } catch {
    return false;
  }
  return restoreOrRemove(paths, aside, isOld);
}

/** What lies in `tmp`: moved aside by a collection, perhaps one that was killed, or left half by a killed writer. True when removed. */
function restoreOrRemove(paths: StorePaths, name: string, isOld: (file: string) => boolean): boolean {
  const file = join(paths.temporary, name);
  if (isOld(file)) {
    rmSync(file, { recursive: true, force: true });
    return true;
  }
  const [room, original] = name.split('~');
  if (original === undefined || (room !== 'manifests' && room !== 'blobs' && room !== 'packs')) return false;
  try {
    renameSync(file, join(paths[room], original));
  } catch {
    // Another collection was faster.
  }
  return false;
}

function sizeOf(paths: StorePaths): number {
  return [paths.packs, paths.blobs, paths.manifests]
    .flatMap((room) =>
      readdirSync(room).map((name) => statSync(join(room, name), { throwIfNoEntry: false })?.size ?? 0),
    )
    .reduce((sum, size) => sum + size, 0);
}
