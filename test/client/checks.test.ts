/** What `styx check` finds is remembered, cloud by cloud, and a cloud that says nothing does not keep anybody waiting. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { lastChecks, rememberChecks } from '../../client/checks.ts';
import { type CloudReport, checkClouds } from '../../client/clouds.ts';

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'styx-checks-'));
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const refused = (cloud: string, error: string): CloudReport => ({ cloud, check: null, error });

test('a cloud that was not asked this time stays as it was found', async () => {
  const [local] = await checkClouds(['local']);
  rememberChecks(home, [local as CloudReport, refused('aws', 'no credentials')], 1_000);
  rememberChecks(home, [refused('aws', 'they expired')], 2_000);
  expect(Object.fromEntries(lastChecks(home))).toEqual({
    local: { at: 1_000, enabled: true, reason: null },
    aws: { at: 2_000, enabled: false, reason: 'they expired' },
  });
  expect(readdirSync(home), 'it is replaced in one step').toEqual(['checks.json']);
});

test('a file that cannot be read counts as none', () => {
  writeFileSync(join(home, 'checks.json'), '{"version": 2}');
  expect(lastChecks(home).size).toBe(0);
  rememberChecks(home, [refused('aws', 'no')], 1);
  expect(lastChecks(home).size).toBe(1);
});

test('a cloud that does not answer in time is told as such', async () => {
  const [late] = await checkClouds(['local'], null, 0);
  expect(late).toMatchObject({ cloud: 'local', check: null, error: expect.stringContaining('did not answer within') });
});
