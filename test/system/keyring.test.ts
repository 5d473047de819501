import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { exportKeys, importKeys } from '../../system/key-export.ts';
import { Keyring } from '../../system/keyring.ts';
import { installationSecret } from '../../system/secret.ts';
import { testDir } from '../harness/temporal.ts';

let home: string;
beforeEach(() => {
  home = testDir();
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const other = () => join(home, 'other');

test('processes that need the first key at once all use the same one', async () => {
  const ids = await Promise.all(
    Array.from({ length: 6 }, async () => {
      const child = fork(join(import.meta.dirname, 'fixtures', 'print-key.ts'), [home], { silent: true });
      let output = '';
      child.stdout?.on('data', (chunk) => {
        output += chunk;
      });
      await once(child, 'close');
      return output;
    }),
  );
  expect(ids[0]).toMatch(/^[0-9a-f]{16}$/);
  expect(new Set(ids).size).toBe(1);
  expect(readdirSync(join(home, 'keys'))).toEqual(['payload.1']);
});

test('nobody else can read a key, and nothing half-made lies beside it', () => {
  new Keyring(home).current('secrets');
  const keys = join(home, 'keys');
  expect(readdirSync(keys)).toEqual(['secrets.1']);
  expect(statSync(join(keys, 'secrets.1')).mode & 0o777).toBe(0o600);
  expect(statSync(keys).mode & 0o777).toBe(0o700);
});

test('a look at a data directory without keys makes none', () => {
  expect(new Keyring(home).list()).toEqual([]);
  expect(readdirSync(home)).toEqual([]);
});

test('after a rotation a process that was there before seals with the new key and finds the old one', () => {
  const running = new Keyring(home);
  const first = running.current('payload');
  const second = new Keyring(home).rotate('payload');
  expect(second.id).not.toBe(first.id);
  expect(running.current('payload').id).toBe(second.id);
  expect(running.find('payload', first.id)?.secret).toEqual(first.secret);
  expect(running.find('secrets', first.id)).toBeUndefined();
});

test('a rotation takes effect with a clock that goes backwards', () => {
  mkdirSync(join(home, 'keys'));
  const secret = Buffer.alloc(32, 7).toString('base64');
  writeFileSync(join(home, 'keys', 'payload.1'), JSON.stringify({ purpose: 'payload', createdAt: 9e15, secret }));
  const { id } = new Keyring(home).rotate('payload');
  expect(new Keyring(home).current('payload').id).toBe(id);
});

test('a damaged key is refused by the name of its file, without what is in it', () => {
  new Keyring(home).current('payload');
  const file = join(home, 'keys', 'payload.1');
  writeFileSync(file, readFileSync(file, 'utf8').replace('=', ''));
  const { secret } = JSON.parse(readFileSync(file, 'utf8')) as { secret: string };
  expect(() => new Keyring(home).current('payload')).toThrow(/payload\.1 is not a key/);
  try {
    new Keyring(home).current('payload');
  } catch (error) {
    expect(String((error as Error).stack)).not.toContain(secret.slice(0, 12));
  }
});

test('an export brings all keys and the login secret to an empty data directory, and once', () => {
  const keyring = new Keyring(home);
  const old = keyring.current('payload');
  keyring.rotate('payload');
  const text = exportKeys(home);
  expect(importKeys(other(), text)).toBe(3);
  expect(importKeys(other(), text)).toBe(0);
  expect(exportKeys(other())).toBe(text);
  expect(installationSecret(other())).toEqual(installationSecret(home));
  expect(new Keyring(other()).find('payload', old.id)?.secret).toEqual(old.secret);
});

test('keys of another installation change nothing', () => {
  installationSecret(other());
  const before = readdirSync(join(other(), 'keys'));
  expect(() => importKeys(other(), exportKeys(home))).toThrow(/another installation/);
  expect(readdirSync(join(other(), 'keys'))).toEqual(before);
  expect(() => importKeys(home, '{"styxKeys": 1}')).toThrow(/not what `styx keys export` writes/);
});
