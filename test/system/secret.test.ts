import { fork } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ensurePrivateDir } from '../../system/home.ts';
import { installationSecret } from '../../system/secret.ts';
import { testDir } from '../harness/temporal.ts';

let home: string;
beforeEach(() => {
  home = testDir();
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

test('processes that make the secret at once all end with the same one', async () => {
  const secrets = await Promise.all(
    Array.from({ length: 6 }, async () => {
      const child = fork(join(import.meta.dirname, 'fixtures', 'print-secret.ts'), [home], { silent: true });
      let output = '';
      child.stdout?.on('data', (chunk) => {
        output += chunk;
      });
      await once(child, 'close');
      return output;
    }),
  );
  expect(secrets[0]).toMatch(/^[0-9a-f]{64}$/);
  expect(new Set(secrets).size).toBe(1);
  expect(Buffer.from(installationSecret(home)).toString('hex')).toBe(secrets[0]);
});

test('nobody else can read the secret, and nothing half-made lies beside it', () => {
  installationSecret(home);
  const keys = join(home, 'keys');
  expect(readdirSync(keys)).toEqual(['installation']);
  expect(statSync(join(keys, 'installation')).mode & 0o777).toBe(0o600);
  expect(statSync(keys).mode & 0o777).toBe(0o700);
});

test('a damaged secret is refused and kept', () => {
  mkdirSync(join(home, 'keys'));
  writeFileSync(join(home, 'keys', 'installation'), 'short');
  expect(() => installationSecret(home)).toThrow(/5 bytes instead of 32/);
  expect(statSync(join(home, 'keys', 'installation')).size).toBe(5);
});

test('a data directory that others could enter is closed', () => {
  const dir = join(home, 'open');
  mkdirSync(dir);
  chmodSync(dir, 0o755);
  ensurePrivateDir(dir);
  expect(statSync(dir).mode & 0o777).toBe(0o700);
});
