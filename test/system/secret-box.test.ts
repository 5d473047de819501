import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Keyring } from '../../system/keyring.ts';
import { closeSecrets, openSecrets } from '../../system/secret-box.ts';
import { testDir } from '../harness/temporal.ts';

let home: string;
let keyring: Keyring;
beforeEach(() => {
  home = testDir();
  keyring = new Keyring(home);
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

test('a secret comes out as it went in, and its box says nothing of it', () => {
  const values = { TOKEN: 'hunter2', EMPTY: '', LINES: 'a\nü🚀\n' };
  const boxes = closeSecrets(keyring, values);
  expect(openSecrets(keyring, JSON.parse(JSON.stringify(boxes)))).toEqual(values);
  expect(JSON.stringify(boxes)).not.toContain('hunter2');
  expect(Buffer.from(boxes.TOKEN?.box ?? '', 'base64').includes('hunter2')).toBe(false);
});

test('a box in the place of another, or altered, does not open', () => {
  const { A, B } = closeSecrets(keyring, { A: 'first', B: 'second' });
  if (A === undefined || B === undefined) throw new Error('no boxes');
  expect(() => openSecrets(keyring, { A: B })).toThrow('the secret A was altered');
  const box = Buffer.from(A.box, 'base64');
  box[20] = (box[20] ?? 0) ^ 1;
  expect(() => openSecrets(keyring, { A: { ...A, box: box.toString('base64') } })).toThrow('the secret A was altered');
});

test('a box whose key is not here names the key and what brings it back', () => {
  const boxes = closeSecrets(keyring, { A: 'first' });
  keyring.rotate('secrets');
  expect(openSecrets(keyring, boxes)).toEqual({ A: 'first' });
  expect(() => openSecrets(new Keyring(join(home, 'other')), boxes)).toThrow(String(boxes.A?.$secret));
});
