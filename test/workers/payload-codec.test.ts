import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { defaultPayloadConverter, type Payload, type SerializationContext } from '@temporalio/common';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Keyring } from '../../system/keyring.ts';
import { type CodecSettings, PayloadSealer } from '../../workers/payload-codec.ts';
import { testDir } from '../harness/temporal.ts';

let home: string;
beforeEach(() => {
  home = testDir();
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const CONTEXT: SerializationContext = { type: 'workflow', namespace: 'default', workflowId: 'cluster/default/a' };
const VALUE = { secret: 'hunter2', list: [1, null, 'ü🚀'] };

function codec(settings: Partial<CodecSettings> = {}, dir = home): PayloadSealer {
  return new PayloadSealer({ keyring: new Keyring(dir), rule: 'required', refused: 'throw', ...settings });
}

const plain = (value: unknown): Payload => defaultPayloadConverter.toPayload(value) as Payload;
const seal = async (value: unknown, context?: SerializationContext): Promise<Payload> =>
  (await codec().encode([plain(value)], context))[0] as Payload;
const open = async (payload: Payload, context?: SerializationContext, by = codec()): Promise<unknown> =>
  defaultPayloadConverter.fromPayload((await by.decode([payload], context))[0] as Payload);

test('a payload is read as it was written, and its bytes say nothing of it', async () => {
  const sealed = await seal(VALUE, CONTEXT);
  expect(Buffer.from(sealed.data ?? []).includes('hunter2')).toBe(false);
  expect(await open(sealed, CONTEXT)).toEqual(VALUE);
  expect(await open(await seal(undefined, CONTEXT), CONTEXT)).toBeUndefined();
});

test('the same value is sealed to other bytes each time', async () => {
  expect((await seal(VALUE)).data).not.toEqual((await seal(VALUE)).data);
});

test('a payload with any bit changed is refused', async () => {
  const sealed = await seal('value', CONTEXT);
  const data = Buffer.from(sealed.data ?? []);
  for (let at = 0; at < data.length; at++) {
    const altered = Buffer.from(data);
    altered[at] = (altered[at] ?? 0) ^ 1;
    await expect(open({ ...sealed, data: altered }, CONTEXT)).rejects.toThrow(/altered/);
  }
  for (const length of [0, 1, 27, 28, data.length - 1]) {
    await expect(open({ ...sealed, data: data.subarray(0, length) }, CONTEXT)).rejects.toThrow(/altered/);
  }
});

test('a payload of one workflow is worth nothing in another, or in an activity', async () => {
  const sealed = await seal(VALUE, CONTEXT);
  await expect(open(sealed, { ...CONTEXT, workflowId: 'cluster/default/b' })).rejects.toThrow(/for something else/);
  const activity: SerializationContext = { ...CONTEXT, type: 'activity', activityId: '1', isLocal: false };
  // Nor can it be passed off as the start of an update that a schedule makes.
  const scheduled = { ...CONTEXT, workflowId: 'catalog-update-2026-07-01T04:00:00Z' };
  await expect(open(sealed, scheduled)).rejects.toThrow(/for something else/);
  await expect(open(sealed, activity)).rejects.toThrow(/for something else/);
  const renamed = { ...sealed, metadata: { ...sealed.metadata, for: Buffer.from('workflow cluster/default/b') } };
  await expect(open(renamed, { ...CONTEXT, workflowId: 'cluster/default/b' })).rejects.toThrow(/altered/);
});

test('what is not sealed is refused where that is required, and taken where it is optional', async () => {
  await expect(open(plain(VALUE), CONTEXT)).rejects.toThrow(/not sealed/);
  expect(await open(plain(VALUE), CONTEXT, codec({ rule: 'optional' }))).toEqual(VALUE);
  expect(await open(plain(VALUE), CONTEXT, codec({ refused: 'mark' }))).toEqual({ $foreign: 'unsealed' });
});

test('a payload whose key is not here is an error that names the key, also where sealing is optional', async () => {
  const sealed = await seal(VALUE, CONTEXT);
  const { id } = new Keyring(home).current('payload');
  const elsewhere = codec({ rule: 'optional' }, join(home, 'other'));
  await expect(open(sealed, CONTEXT, elsewhere)).rejects.toThrow(`a key that is not here (${id})`);
});

test('after a rotation new payloads use the new key and old ones are still read', async () => {
  const running = codec();
  const [old] = await running.encode([plain(VALUE)], CONTEXT);
  const { id } = new Keyring(home).rotate('payload');
  const [fresh] = await running.encode([plain(VALUE)], CONTEXT);
  expect(Buffer.from(fresh?.metadata?.key ?? []).toString()).toBe(id);
  expect(Buffer.from(old?.metadata?.key ?? []).toString()).not.toBe(id);
  for (const payload of [old, fresh]) expect(await open(payload as Payload, CONTEXT)).toEqual(VALUE);
});
