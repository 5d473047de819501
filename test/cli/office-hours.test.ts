import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CommandLine } from '../harness/command-line.ts';

/** Office hours of clusters as a user meets them. */
const line = new CommandLine();
const { styx, ok, json } = line;
const HOURS = ['--up', '0 9 * * MON-FRI', '--down', '0 18 * * MON-FRI', '--timezone', 'Europe/Berlin'];

beforeAll(() => line.begin(), 120_000);
afterAll(async () => {
  await styx('down', '-a', '-y');
  await line.end();
}, 120_000);

test('hours that cannot be understood are refused with what would do, before anything is made', {
  timeout: 120_000,
}, async () => {
  const refused: readonly (readonly [string[], string, string])[] = [
    [['--up', '0 9 * * *'], 'need --up and --down', '--down "0 18'],
    [['--up', '0 9 * *', '--down', '0 18 * * *'], 'has 4 fields', 'minute, hour'],
    [[...HOURS.slice(0, 4), '--timezone', 'Europe/Berln'], 'no time zone', 'Europe/Berlin'],
    [[...HOURS, '--gpus', 'A100:none', 'true'], 'A100:none', ''],
  ];
  for (const [args, words, hint] of refused) {
    const { code, out, err } = await styx('schedule', 'create', 'dev', '-y', ...args);
    expect([code, out], `${args.join(' ')}: ${err}`).toEqual([2, '']);
    expect(err).toContain(words);
    expect(err).toContain(hint);
  }
  expect((await styx('schedule', 'create', 'dev', ...HOURS)).err).toContain('Pass -y');
  expect(await styx('schedule', 'list')).toMatchObject({ code: 0, out: 'No schedules of clusters.\n' });
  expect(await json('schedule', 'list')).toEqual([]);
});

test('a cluster comes up and goes by its hours, from their creation to their end', { timeout: 240_000 }, async () => {
  const file = join(line.home, 'dev.yaml');
  writeFileSync(file, 'resources:\n  infra: local\nsetup: echo set up\n');
  const created = await ok('schedule', 'create', 'dev', '-y', file, ...HOURS);
  const next = String.raw`\d{4}-\d\d-\d\d 09:00:00 Europe/Berlin \(0[78]:00:00 UTC\)`;
  expect(created.out).toMatch(
    new RegExp(
      `^Cluster dev\nup \\(launch\\): "0 9 \\* \\* MON-FRI" Europe/Berlin; next: ${next}, .*; 0 times so far\ndown \\(stop\\): "0 18`,
    ),
  );
  const taken = await styx('schedule', 'create', 'dev', '-y', ...HOURS);
  expect([taken.code, taken.out]).toEqual([3, '']);
  expect(taken.err).toContain("'dev'");
  expect(await json('status'), 'nothing is made ahead of its time').toEqual([]);

  const status = async () => ((await json('status')) as { name: string; status: string }[])[0]?.status;
  expect((await ok('schedule', 'trigger', 'dev', 'up')).out).toBe('Begun; see `styx status dev`.\n');
  await expect.poll(status, { timeout: 60_000 }).toBe('UP');
  await expect.poll(async () => (await ok('logs', 'dev', '--no-follow')).out, { timeout: 60_000 }).toContain('set up');
  expect(await json('schedule', 'trigger', 'dev', 'down')).toEqual({
    cluster: 'dev',
    side: 'down',
    outcome: 'started',
  });
  await expect.poll(status, { timeout: 60_000 }).toBe('STOPPED');
  const sideways = await styx('schedule', 'trigger', 'dev', 'left');
  expect([sideways.code, sideways.out, sideways.err]).toEqual([2, '', expect.stringContaining('must be up or down')]);

  const paused = await ok('schedule', 'pause', 'dev', '--note', 'on holiday');
  expect(paused.out.match(/PAUSED: on holiday/g)).toHaveLength(2);
  expect((await ok('schedule', 'list')).out).toMatch(/^CLUSTER +UP +DOWN +THEN\ndev +PAUSED: on holiday +PAUSED: /);
  expect((await ok('schedule', 'resume', 'dev')).out).not.toContain('PAUSED');
  const useless = await styx('schedule', 'update', 'dev', '-y');
  expect([useless.code, useless.err]).toEqual([2, expect.stringContaining('othing to change was given')]);
  expect(await json('schedule', 'update', 'dev', '--up', '0 7 * * *', '-y')).toMatchObject({
    cluster: 'dev',
    up: { does: 'launch', crons: ['0 7 * * *'], zone: 'Europe/Berlin', paused: false, started: 1 },
    down: { does: 'stop', crons: ['0 18 * * MON-FRI'], zone: 'Europe/Berlin', started: 1 },
  });
  expect(await json('schedule', 'show', 'dev')).toMatchObject({ up: { crons: ['0 7 * * *'] } });

  const typo = await styx('schedule', 'show', 'deb');
  expect([typo.code, typo.out]).toEqual([4, '']);
  expect(typo.err).toContain("'deb'");
  expect((await ok('schedule', 'delete', 'dev', '-y')).out).toBe(
    'Schedule of dev deleted; the cluster stays as it is.\n',
  );
  expect(await status()).toBe('STOPPED');
  expect(await json('schedule', 'list')).toEqual([]);
  await ok('down', 'dev', '-y');
  expect((await ok('doctor')).out).toContain('Nothing is wrong');
});
