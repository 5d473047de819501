/** What managed jobs write is kept while they run, whoever is killed: no line twice, none missing but the last ones of a machine that is gone. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Link } from '../../client/link.ts';
import { LogDirectory } from '../../data/log-directory.ts';
import { jobLogFolder } from '../../model/managed-job.ts';
import { homePaths } from '../../system/home.ts';
import { connectConfig } from '../../workers/connection.ts';
import { removeOldLogs } from '../../workers/old-logs.ts';
import { World } from '../harness/world.ts';
import { JobStory } from './job-story.ts';
import { until } from './story.ts';

let world: World;
let story: JobStory;
beforeAll(async () => {
  world = await World.start();
  story = await JobStory.on(world);
});
afterAll(async () => {
  await story.close();
  await world.end();
});

/** A line now and then: its number and the time, also in a file of the machine that stays. */
function talks(ledger: string, lines: number): string {
  return `  for i in $(seq ${lines}); do echo "$STYX_JOB_TRY.$i" | tee -a ${ledger}; sleep 0.05; done\n`;
}

/** What the store has of a rank of a copy, and nobody else. */
async function kept(id: string, copy = 1, rank = 0): Promise<string> {
  const store = new LogDirectory(homePaths(world.home).jobLogs, 100e6);
  const parts: Buffer[] = [];
  const name = { folder: jobLogFolder(id, copy), rank, phase: 'run' } as const;
  for await (const { data } of store.read(name, 0)) parts.push(data);
  return Buffer.concat(parts).toString();
}

async function logsOf(id: string): Promise<string> {
  const parts: Buffer[] = [];
  for await (const { data } of world.styx.jobLogs(id, { follow: false })) parts.push(data);
  return Buffer.concat(parts).toString();
}

function upTo(tried: number, last: number): string[] {
  return Array.from({ length: last }, (_, index) => `${tried}.${index + 1}`);
}

test('of a machine that vanishes all is kept but the last seconds, over kills of worker and server before that', async () => {
  const ledger = world.ledger('vanishes');
  const id = await story.submit(
    `run: |\n  if [ $STYX_JOB_TRY = 1 ]; then\n  ${talks(ledger.path, 3_000)}  fi\n  echo done\n`,
  );
  const grown = async (what: string): Promise<number> => {
    const before = (await kept(id)).length;
    await until(`its output grows in the store ${what}`, async () => (await kept(id)).length > before + 50);
    return before;
  };
  await grown('while it runs');
  world.arm('shipLogs.written');
  expect(await world.hit('shipLogs.written', 60_000)).toBe(true);
  await world.killAt('shipLogs.written', 'worker');
  await grown('after a kill of the worker');
  await world.killServer();
  await grown('after a kill of the server');
  const written = ledger.lines().length;
  await until('a few seconds pass', async () => (await kept(id)).split('\n').length > written);
  await world.cloud.preempt(await story.machine(id));
  const view = await story.ends(id, 'SUCCEEDED');
  expect(view).toMatchObject({ recoveries: 1, past: [{ logs: 'lost' }, { logs: 'kept' }] });
  const lines = (await logsOf(id)).split('\n').filter(Boolean);
  expect(lines.at(-1)).toBe('done');
  const first = lines.slice(0, -1);
  // The last line may have been cut where the machine ended.
  const whole = first.slice(0, -1);
  expect(whole.length).toBeGreaterThan(written - 2);
  expect(whole).toEqual(upTo(1, whole.length));
  await story.nothingLeft();
});

test('a job with secrets is masked in the store as it is for readers, over a kill in the middle of a secret', async () => {
  const ledger = world.ledger('secret');
  const id = await story.submit(
    [
      'secrets: {TOKEN: hunter2-hunter2}',
      'run: |',
      '  for i in 1 2 3; do echo "$i $TOKEN end"; done',
      '  printf "half hunter2-"',
      `  while [ ! -e ${ledger.path}.go ]; do sleep 0.1; done`,
      '  echo "hunter2 whole"',
    ].join('\n'),
  );
  const head = '1 ***** end\n2 ***** end\n3 ***** end\nhalf ';
  await until('the beginning is kept', async () => (await kept(id)) === head);
  await world.killWorker();
  writeFileSync(`${ledger.path}.go`, '');
  await world.startWorker();
  await story.ends(id, 'SUCCEEDED');
  expect(await kept(id)).toBe(`${head}***** whole\n`);
  expect(await logsOf(id)).toBe(`${head}***** whole\n`);
});

test('all ranks of a job are kept while they run, setup and run apart', async () => {
  const ledger = world.ledger('ranks');
  const id = await story.submit(
    `num_nodes: 2\nsetup: echo set up $STYX_NODE_RANK\nrun: |\n  echo rank $STYX_NODE_RANK\n  while [ ! -e ${ledger.path}.go ]; do sleep 0.1; done\n`,
  );
  await until(
    'both are kept',
    async () => (await kept(id, 1, 0)) === 'rank 0\n' && (await kept(id, 1, 1)) === 'rank 1\n',
  );
  writeFileSync(`${ledger.path}.go`, '');
  await story.ends(id, 'SUCCEEDED');
  expect(await logsOf(id)).toBe('set up 0\nrank 0\nset up 1\nrank 1\n');
});

test('of output that is longer than may be kept the middle is left out, with a mark', async () => {
  writeFileSync(join(world.home, 'config.yaml'), 'jobs: {logs: {max_mb: 3}}\n');
  try {
    const id = await story.submit('run: seq 1 1000000\n');
    await story.ends(id, 'SUCCEEDED');
    const text = await logsOf(id);
    expect(text.length).toBeLessThan(3.1e6);
    expect(text.startsWith('1\n2\n')).toBe(true);
    expect(text.endsWith('\n999999\n1000000\n')).toBe(true);
    expect(text).toMatch(
      /\n\[\d+ bytes of output were left out here: it was longer than is kept \(jobs\.logs\.max_mb\)\]\n/,
    );
  } finally {
    rmSync(join(world.home, 'config.yaml'));
  }
});

test('output of jobs that ended is removed after the days of the configuration; that of a job that runs never, but for forgotten tries', async () => {
  const store = new LogDirectory(homePaths(world.home).jobLogs, 100e6);
  const ended = await story.submit('run: echo old\n');
  const running = await story.submit('run: echo here; sleep 300\n');
  await story.ends(ended, 'SUCCEEDED');
  await until('its output is kept', async () => (await kept(running)) === 'here\n');
  for (let copy = 2; copy <= 23; copy++) {
    await store.append({ folder: jobLogFolder(running, copy), rank: 0, phase: 'run' }, 0, Buffer.from(`${copy}\n`));
  }
  const link = await Link.open(() => connectConfig(world.home), world.home);
  const removed = (now: number) => link.read((workflow) => removeOldLogs(workflow, world.home, now));
  try {
    const day = 24 * 60 * 60_000;
    await removed(Date.now() + 29 * day);
    expect(await logsOf(ended)).toBe('old\n');
    expect([await kept(running, 1), await kept(running, 3), await kept(running, 4)]).toEqual(['', '', '4\n']);
    await removed(Date.now() + 31 * day);
    expect(await logsOf(ended)).toBe('');
    expect(await kept(running, 23)).toBe('23\n');
  } finally {
    await link.close();
  }
  await story.jobs.cancel(running);
  await story.ends(running, 'CANCELLED');
  await story.nothingLeft();
});
