/** Every key that SkyPilot's configuration may hold is one that we know, so that "unknown" is said of none of them. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { fileLayer } from '../../model/config/layers.ts';
import { skypilotPython } from './venv.ts';

const python = skypilotPython();
if ('reason' in python) console.warn(`SKIPPED test/oracle/config-keys: ${python.reason}`);

function skypilotKeys(): string[][] {
  if ('reason' in python) return [];
  const { status, stdout, stderr } = spawnSync(python.python, [join(import.meta.dirname, 'config-keys.py')], {
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  });
  expect(status, stderr).toBe(0);
  return JSON.parse(stdout);
}

describe.skipIf('reason' in python)("SkyPilot's configuration", () => {
  test('holds no key that is unknown here', { timeout: 60_000 }, () => {
    const paths = skypilotKeys();
    expect(paths.length).toBeGreaterThan(300);
    const unknown = paths.filter((path) => {
      const text = path.reduceRight<unknown>((held, key) => ({ [key]: held }), null);
      const read = fileLayer(JSON.stringify(text), { name: 'config.yaml', kind: 'skypilot' }, []);
      return read !== null && read.unknown.length > 0;
    });
    // Bookkeeping of SkyPilot begins with an underscore; the older name is one that it renames itself.
    const written = unknown.filter((path) => !path.some((key) => key.startsWith('_') || key === 'ephemeral_storage'));
    expect(written.map((path) => path.join('.'))).toEqual([]);
  });
});
