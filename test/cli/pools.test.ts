import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CommandLine } from '../harness/command-line.ts';

/** Pools as a user meets them. */
const line = new CommandLine();
const { home, styx, json } = line;

beforeAll(() => line.begin(), 120_000);

afterAll(async () => {
  await styx('jobs', 'pool', 'down', '-a', '-y');
  await line.end();
}, 120_000);

test('what is wrong with a pool, or with a job for one, is refused by name', { timeout: 120_000 }, async () => {
  const file = (name: string, text: string) => {
    writeFileSync(join(home, name), text);
    return join(home, name);
  };
  const noPool = file('none.yaml', 'setup: "true"\n');
  const runs = file('runs.yaml', 'run: "true"\npool: {workers: 1}\n');
  const many = file('many.yaml', 'pool: {workers: 500}\n');
  const setup = file('setup.yaml', 'setup: "true"\nrun: "true"\n');
  const refused: readonly (readonly [string[], number, string])[] = [
    [['pool', 'apply', '-y', '-p', 'a', noPool], 2, 'pool: is missing'],
    [['pool', 'apply', '-y', '-p', 'a', runs], 2, 'runs.yaml:1:1: run: has no meaning for a pool'],
    [['pool', 'apply', '-y', '-p', 'a', many], 2, 'at most 200 workers, not 500'],
    [['pool', 'apply', '-y', '-p', 'a'], 2, 'Name a file with a `pool` section'],
    [['pool', 'apply', '-y', '-p', 'a', '--workers', '2'], 4, "Pool 'a' does not exist"],
    [['pool', 'down', '-y'], 2, 'Name pools, or pass --all.'],
    [['pool', 'status', 'a'], 4, "Pool 'a' does not exist"],
    [['launch', '-y', '-p', 'a', 'true'], 4, "Pool 'a' does not exist"],
    [['launch', '-y', '-p', 'a', setup], 2, 'setup: of a job in a pool is not run'],
    [['launch', '-y', many], 2, 'is for pools of workers'],
  ];
  for (const [args, code, words] of refused) {
    const result = await styx('jobs', ...args);
    expect([result.code, result.out], `styx jobs ${args.join(' ')}: ${result.err}`).toEqual([code, '']);
    expect(result.err).toContain(words);
  }
  expect(await styx('jobs', 'pool', 'status')).toMatchObject({ code: 0, out: 'No pools.\n' });
});

test("a pool is applied, used, shown with SkyPilot's columns, and taken down", { timeout: 240_000 }, async () => {
  writeFileSync(join(home, 'p.yaml'), 'name: warm\nsetup: echo set up\npool: {workers: 1}\n');
  const applied = await styx('jobs', 'pool', 'apply', '-y', join(home, 'p.yaml'));
  expect([applied.code, applied.out], applied.err).toEqual([0, 'Pool warm: version 1\n']);
  const job = await styx('jobs', 'launch', '-y', '-p', 'warm', '-n', 'one', 'echo hi');
  expect([job.code, job.out], job.err).toEqual([0, 'hi\n']);
  expect((await styx('jobs', 'pool', 'logs', 'warm', '1')).out).toBe('set up\n');
  expect((await styx('jobs', 'pool', 'logs', 'warm')).out).toContain('worker 1: ready');
  const shown = (await styx('jobs', 'pool', 'status')).out;
  expect(shown).toMatch(/^NAME +VERSION +UPTIME +STATUS +WORKERS$/m);
  expect(shown).toMatch(/^warm +1 +\S+ +READY +1\/1$/m);
  expect(shown).toMatch(/^POOL_NAME +ID +VERSION +LAUNCHED +INFRA +RESOURCES +STATUS +USED_BY$/m);
  expect(shown).toMatch(/^warm +1 +1 .* READY +-$/m);
  const [row] = (await json('jobs', 'pool', 'status', 'wa*')) as { workers: { status: string }[] }[];
  expect(row).toMatchObject({ name: 'warm', status: 'READY', minWorkers: 1, workers: [{ id: 1, status: 'READY' }] });
  expect(await json('jobs', 'queue')).toMatchObject([{ name: 'one', status: 'SUCCEEDED', pool: 'warm' }]);
  const lookalike = await styx('jobs', 'launch', '-y', '-p', 'warn', 'true');
  expect(lookalike.err).toContain("Did you mean 'warm'?");
  const fewer = await styx('jobs', 'pool', 'apply', '-y', '-p', 'warm', '--workers', '0');
  expect(fewer.out).toBe('Pool warm: version 1, workers stay\n');
  const down = await styx('jobs', 'pool', 'down', '-y', 'warm');
  expect([down.code, down.out], down.err).toEqual([0, 'Pool warm: being taken down\n']);
});
