/** What the host writes down: a placement is the intent and, once ended, the tombstone; an instance is its current state. */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { stableHash } from '../../model/identity.ts';
import type { Instance } from '../../model/machines.ts';
import { writeAtomically } from '../../system/home.ts';
import type { CreateRequest } from '../cloud.ts';
import { type LocalPaths, readText } from './paths.ts';

/** Says something of the host, or of an instance. */
export type HostLog = (line: string, more?: { readonly instance?: string; readonly error?: unknown }) => void;

export type ContainmentMode = 'namespace' | 'marker';

export interface PlacementRecord {
  readonly version: 1;
  readonly key: string;
  /** Null: ended before it was ever created. */
  readonly request: CreateRequest | null;
  readonly createdAt: number;
  /** Unix milliseconds of the order to terminate it; null while it is wanted. */
  readonly endedAt: number | null;
}

export interface InstanceRecord extends Instance {
  readonly version: 1;
  readonly tags: Readonly<Record<string, string>>;
  readonly authorizedKey: string;
  /** Counts its starts; each has a directory `run-<boot>`. */
  readonly boot: number;
  readonly mode: ContainmentMode;
  readonly terminatedAt: number | null;
}

export function instanceDirectory(paths: LocalPaths, id: string): string {
  return join(paths.instances, id);
}

export function runDirectory(paths: LocalPaths, record: Pick<InstanceRecord, 'id' | 'boot'>): string {
  return join(instanceDirectory(paths, record.id), `run-${record.boot}`);
}

function placementFile(paths: LocalPaths, key: string): string {
  return join(paths.placements, `${stableHash(['placement file', key], 32)}.json`);
}

export function savePlacement(paths: LocalPaths, record: PlacementRecord): void {
  writeAtomically(placementFile(paths, record.key), `${JSON.stringify(record)}\n`);
}

export function saveInstance(paths: LocalPaths, record: InstanceRecord): void {
  writeAtomically(join(instanceDirectory(paths, record.id), 'instance.json'), `${JSON.stringify(record)}\n`);
}

export function forgetPlacement(paths: LocalPaths, key: string): void {
  rmSync(placementFile(paths, key), { force: true });
}

function parse<T extends { version: number }>(text: string | undefined): T | undefined {
  if (text === undefined) return undefined;
  const record = JSON.parse(text) as T;
  if (record.version !== 1) throw new Error(`unknown version ${record.version}`);
  return record;
}

/** `bad` is told of what cannot be read; it stays where it is. */
export function loadPlacements(paths: LocalPaths, bad: (file: string, error: unknown) => void): PlacementRecord[] {
  const records: PlacementRecord[] = [];
  for (const name of readdirSync(paths.placements)) {
    if (!name.endsWith('.json')) continue;
    const file = join(paths.placements, name);
    try {
      const record = parse<PlacementRecord>(readText(file));
      if (record !== undefined) records.push(record);
    } catch (error) {
      bad(file, error);
    }
  }
  return records;
}

export function loadInstance(paths: LocalPaths, id: string): InstanceRecord | undefined {
  return parse<InstanceRecord>(readText(join(instanceDirectory(paths, id), 'instance.json')));
}
