import { afterAll, beforeAll, expect, test } from 'vitest';
import { CommandLine } from '../harness/command-line.ts';

const line = new CommandLine();
const { styx, ok } = line;

beforeAll(() => line.begin(), 120_000);
afterAll(async () => {
  await styx('down', '-a', '-y');
  await line.end();
}, 120_000);

test('styx ports opens and closes ports, status --endpoints prints those that are open, and mistakes are refused by name', {
  timeout: 240_000,
}, async () => {
  const name = `web-${Date.now() % 1e6}`;
  await ok('launch', '-y', '-d', '-c', name, '--ports', '8080', 'true');
  expect((await ok('status', '--endpoints', name)).out).toMatch(/^8080: \S+:8080\n$/);
  const changed = await ok('ports', name, '--open', '9000-9001', '443', '--close', '8080');
  expect(changed.out).toBe(`Cluster ${name} has ports open: 443, 9000-9001; closed: 8080.\n`);
  const lines = (await ok('status', '--endpoints', name)).out.trim().split('\n');
  expect(lines.map((one) => one.split(':')[0])).toEqual(['443', '9000', '9001']);
  expect((await ok('status', '--endpoint', '9001', name)).out).toMatch(/:9001\n$/);
  const closed = await styx('status', '--endpoint', '8080', name);
  expect([closed.code, closed.err]).toEqual([3, expect.stringContaining(`styx ports ${name} --open 8080`)]);
  for (const [args, said] of [
    [[], 'Neither --open nor --close was given'],
    [['--open', 'http'], '--open must be ports from 1 to 65535'],
    [['--close', '22'], 'ort 22 cannot be closed'],
  ] as const) {
    const refused = await styx('ports', name, ...args);
    expect([refused.code, refused.err]).toEqual([2, expect.stringContaining(said)]);
  }
  expect((await styx('ports', 'nobody', '--open', '80')).code).toBe(4);
  await ok('down', '-y', name);
});
