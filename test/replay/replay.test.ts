/** Histories of real lives are replayed by the code of today: a cluster launched by an older version goes on under this one. */
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import type { DataConverter } from '@temporalio/common';
import protos, { type temporal } from '@temporalio/proto';
import { type ReplayResult, Worker } from '@temporalio/worker';
import { afterAll, describe, expect, it } from 'vitest';
import { Keyring, type StoredKey } from '../../system/keyring.ts';
import { workflowBundle } from '../../workers/bundle.ts';
import { sealedWorker } from '../../workers/sealing.ts';
import { testDir } from '../harness/temporal.ts';
import { SHAPES } from './shapes.ts';

const DIRECTORY = join(import.meta.dirname, '..', 'histories');

interface Recorded {
  readonly workflowId: string;
  readonly type: string;
  /** Protobuf, as base64. */
  readonly history: string;
  /** That its payloads are sealed with; absent: they are plain, as before there were keys. */
  readonly keys?: readonly StoredKey[];
}

function recorded(name: string): Recorded[] {
  return JSON.parse(gunzipSync(readFileSync(join(DIRECTORY, name))).toString()) as Recorded[];
}

function decode(history: string): temporal.api.history.v1.History {
  return protos.temporal.api.history.v1.History.decode(Buffer.from(history, 'base64'));
}

/** Data of a world that is gone, and the keys to it. */
function dataConverter(home: string, keys: readonly StoredKey[] | undefined): { dataConverter?: DataConverter } {
  if (keys === undefined) return {};
  for (const key of keys) new Keyring(home).import(key);
  return { dataConverter: sealedWorker(home, 'required', 'workflows') };
}

/** A worker serves many: to start one takes far longer than a replay. */
async function replayed(home: string, all: readonly Recorded[]): Promise<ReplayResult[]> {
  const { codePath } = await workflowBundle();
  const results: ReplayResult[] = [];
  for (const [isSealed, some] of Map.groupBy(all, ({ keys }) => keys !== undefined)) {
    const data = dataConverter(home, isSealed ? some.flatMap(({ keys = [] }) => keys) : undefined);
    const histories = some.map(({ workflowId, history }) => ({ workflowId, history: decode(history) }));
    const replay = Worker.runReplayHistories({ workflowBundle: { codePath }, ...data }, histories);
    for await (const result of replay) results.push(result);
  }
  return results;
}

describe('recorded histories', () => {
  const home = testDir();
  afterAll(() => rmSync(home, { recursive: true, force: true }));
  const files = readdirSync(DIRECTORY).filter((name) => name.endsWith('.json.gz'));

  it('are there for every shape, with every kind of workflow among them', () => {
    expect(files.toSorted()).toEqual(SHAPES.map(({ name }) => `${name}.json.gz`).toSorted());
    const types = new Set(files.flatMap((file) => recorded(file).map(({ type }) => type)));
    const kinds = [
      'catalogUpdate',
      'cluster',
      'job',
      'managedJob',
      'officeHours',
      'pipeline',
      'pool',
      'ports',
      'provision',
      'queue',
      'ray',
      'retire',
      'watch',
    ];
    expect([...types].toSorted()).toEqual(kinds);
  });

  it.each(files)('%s replays', { timeout: 300_000 }, async (file) => {
    const all = recorded(file);
    const results = await replayed(home, all);
    const failed = results.filter(({ error }) => error !== undefined);
    expect(failed.map(({ workflowId, error }) => `${workflowId}: ${error?.message}`)).toEqual([]);
    expect(results).toHaveLength(all.length);
  });

  it('a history that does not fit the code is noticed', { timeout: 60_000 }, async () => {
    const [first] = recorded(files[0] ?? '').filter(({ type }) => type === 'job');
    if (first === undefined) throw new Error('no job among the histories');
    const history = decode(first.history);
    for (const event of history.events) {
      const type = event.activityTaskScheduledEventAttributes?.activityType;
      if (type?.name === 'startPhase') type.name = 'anotherStep';
    }
    const changed = Buffer.from(protos.temporal.api.history.v1.History.encode(history).finish()).toString('base64');
    const [result] = await replayed(home, [{ ...first, history: changed }]);
    expect(result?.error?.message).toContain('Nondeterminism error');
  });
});
