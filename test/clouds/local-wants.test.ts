/** What a task asks of the local cloud besides size: what it has by itself is accepted, the rest is refused by name. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { LocalCloud } from '../../clouds/local/local.ts';
import type { MachineWants } from '../../model/machine-wants.ts';
import { ANY_MACHINE } from '../../model/machines.ts';

const home = mkdtempSync(join(tmpdir(), 'styx-local-wants-'));
const cloud = new LocalCloud(home, {});
afterAll(() => rmSync(home, { recursive: true }));

const offers = (wants: MachineWants) => cloud.offers({ ...ANY_MACHINE, cloud: 'local', wants });

test.each<MachineWants>([
  { ports: ['8080', '9000-9010'] },
  { labels: { 'any thing': 'goes*' } },
  { diskSize: 1 },
  { diskTier: 'best', networkTier: 'best' },
])('is offered: %j', async (wants) => {
  expect((await offers(wants)).length).toBeGreaterThan(0);
});

test.each<[MachineWants, RegExp]>([
  [{ images: [{ region: null, image: 'ami-1' }] }, /^local has no images/],
  [{ diskTier: 'high' }, /^local has no disks of tier high/],
  [{ diskSize: 1_000_000 }, /^a disk of 1000000 GiB was asked for; that of .* has \d+ GiB$/],
])('is refused with the reason: %j', async (wants, reason) => {
  await expect(offers(wants)).rejects.toMatchObject({ kind: 'invalid', message: expect.stringMatching(reason) });
});
