import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import ssh2 from 'ssh2';
import { expect, test } from 'vitest';
import { loginKey } from '../../nodes/keys.ts';

const SECRET = Buffer.alloc(32, 1);

test('the same secret and scope give the same key, others another one', () => {
  expect(loginKey(SECRET, 'a')).toEqual(loginKey(SECRET, 'a'));
  const keys = [loginKey(SECRET, 'a'), loginKey(SECRET, 'b'), loginKey(Buffer.alloc(32, 2), 'a')];
  expect(new Set(keys.map((key) => key.publicKey.split(' ')[1])).size).toBe(3);
});

test('ssh2 reads the private key, and finds the public one in it', () => {
  const { privateKey, publicKey } = loginKey(SECRET, 'cluster/default/mine');
  const parsed = ssh2.utils.parseKey(privateKey);
  if (parsed instanceof Error) throw parsed;
  expect(`${parsed.type} ${parsed.getPublicSSH().toString('base64')} ${parsed.comment}`).toBe(publicKey);
  const open = ssh2.utils.parseKey(publicKey);
  if (open instanceof Error) throw open;
  expect(open.verify(Buffer.from('text'), parsed.sign(Buffer.from('text')))).toBe(true);
});

test.skipIf(!existsSync('/usr/bin/ssh-keygen'))('OpenSSH reads the private key, and finds the public one in it', () => {
  const folder = mkdtempSync(join(tmpdir(), 'styx-k-'));
  try {
    for (const scope of ['x', 'cluster/default/mine', 'a scope with spaces\nand lines', 'ü']) {
      const { privateKey, publicKey } = loginKey(SECRET, scope);
      const file = join(folder, 'key');
      rmSync(file, { force: true });
      writeFileSync(file, privateKey, { mode: 0o600 });
      expect(execFileSync('/usr/bin/ssh-keygen', ['-y', '-f', file]).toString().trim()).toBe(publicKey);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a secret that is too short is refused', () => {
  expect(() => loginKey(Buffer.alloc(16), 'x')).toThrow(RangeError);
});
