/** What managed jobs write is kept in a bucket, whoever is killed: no line twice and none missing, and it can be read when the machines are gone. */
import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { Link } from '../../client/link.ts';
import { openLogStore } from '../../clouds/log-store.ts';
import { DEFAULT_CONFIG } from '../../model/config/values.ts';
import { jobLogFolder } from '../../model/managed-job.ts';
import { connectConfig } from '../../workers/connection.ts';
import { removeOldLogs } from '../../workers/old-logs.ts';
import { World } from '../harness/world.ts';
import { Account, motoPython } from '../stand-ins/aws/account.ts';
import { makeBucket } from '../stand-ins/aws/bucket.ts';
import { JobStory } from './job-story.ts';
import { until } from './story.ts';

const python = motoPython();
if ('reason' in python) console.warn(`SKIPPED test/guarantees/managed-logs-bucket: ${python.reason}`);
vi.setConfig({ testTimeout: 180_000, hookTimeout: 120_000 });

const STORE = 's3://outputs/of/jobs';

describe.skipIf('reason' in python)('the store of logs is a bucket', () => {
  let account: Account;
  let world: World;
  let story: JobStory;
  beforeAll(async () => {
    account = await Account.start();
    account.enter();
    // Not by the environment: the configuration says where the bucket is.
    delete process.env.AWS_ENDPOINT_URL;
    await makeBucket(account, 'outputs');
    world = await World.start();
    const said = `allowed_clouds: [local]\njobs: {logs: {store: '${STORE}', endpoint: '${account.proxy.url}'}}\n`;
    writeFileSync(join(world.home, 'config.yaml'), said);
    story = await JobStory.on(world);
  });
  beforeEach(() => account.calm());
  afterAll(async () => {
    await story?.close();
    await world?.end();
    await account?.end();
  });

  const config = () => ({ ...DEFAULT_CONFIG, jobLogsStore: STORE, jobLogsEndpoint: account.proxy.url });

  /** What the bucket has, and nobody else. */
  async function kept(id: string, copy = 1): Promise<string> {
    const store = await openLogStore(world.home, config());
    const parts: Buffer[] = [];
    const name = { folder: jobLogFolder(id, copy), rank: 0, phase: 'run' } as const;
    for await (const { data } of store.read(name, 0)) parts.push(data);
    return Buffer.concat(parts).toString();
  }

  async function logsOf(id: string): Promise<string> {
    const parts: Buffer[] = [];
    for await (const { data } of world.styx.jobLogs(id, { follow: false })) parts.push(data);
    return Buffer.concat(parts).toString();
  }

  test('of a job that loses its worker twice and its machine once, each line is there once', async () => {
    const ledger = world.ledger(`bucket-${randomUUID()}`);
    const go = `${ledger.path}.go`;
    const id = await story.submit(
      [
        'run: |',
        // Several pieces, then lines.
        '  seq -f "$STYX_JOB_TRY.%06g" 60000',
        `  for i in $(seq 60001 69999); do [ -e ${go}.$STYX_JOB_TRY ] && break; printf '%s.%06d\\n' $STYX_JOB_TRY $i | tee -a ${ledger.path}; sleep 0.05; done`,
        '  [ $STYX_JOB_TRY = 1 ] && sleep 300',
        '  echo done',
      ].join('\n'),
    );
    const grows = async (what: string) => {
      const before = (await kept(id)).length;
      await until(`its output grows in the bucket ${what}`, async () => (await kept(id)).length > before + 50);
    };
    await grows('while it runs');
    world.arm('shipLogs.written');
    expect(await world.hit('shipLogs.written', 60_000)).toBe(true);
    await world.killAt('shipLogs.written', 'worker');
    await grows('after a kill in the middle of a write');
    await world.killWorker();
    await world.startWorker();
    await grows('after another one');
    const written = ledger.lines().length;
    const last = ledger.lines().at(-1) ?? '';
    await until('what was written is there', async () => (await kept(id)).includes(`${last}\n`));
    await world.cloud.preempt(await story.machine(id));
    writeFileSync(`${go}.2`, '');
    const view = await story.ends(id, 'SUCCEEDED');
    expect(view).toMatchObject({ recoveries: 1, past: [{ logs: 'lost' }, { logs: 'kept' }] });
    await story.nothingLeft();
    const first = (await kept(id)).split('\n').slice(0, -1);
    const line = (tried: number, index: number) => `${tried}.${String(index + 1).padStart(6, '0')}`;
    expect(first.length).toBeGreaterThanOrEqual(60_000 + written);
    expect(first).toEqual(first.map((_, index) => line(1, index)));
    const second = (await kept(id, 2)).split('\n');
    expect(second.slice(0, 60_000)).toEqual(Array.from({ length: 60_000 }, (_, index) => line(2, index)));
    expect(second.slice(-2)).toEqual(['done', '']);
    const all = await logsOf(id);
    expect(all.endsWith('\ndone\n')).toBe(true);
    expect(all.startsWith(`${first.join('\n')}\n`)).toBe(true);
  });

  test('a job with secrets is masked in the bucket, over a kill in the middle of a secret', async () => {
    const ledger = world.ledger(`bucket-secret-${randomUUID()}`);
    const id = await story.submit(
      [
        'secrets: {TOKEN: hunter2-hunter2}',
        'run: |',
        '  echo "1 $TOKEN end"',
        '  printf "half hunter2-"',
        `  while [ ! -e ${ledger.path}.go ]; do sleep 0.1; done`,
        '  echo "hunter2 whole"',
      ].join('\n'),
    );
    await until('the beginning is kept', async () => (await kept(id)) === '1 ***** end\nhalf ');
    await world.killWorker();
    writeFileSync(`${ledger.path}.go`, '');
    await world.startWorker();
    await story.ends(id, 'SUCCEEDED');
    expect(await kept(id)).toBe('1 ***** end\nhalf ***** whole\n');
    expect(await logsOf(id)).toBe('1 ***** end\nhalf ***** whole\n');
  });

  test('a bucket that refuses fails no job and holds no machine for ever', async () => {
    account.proxy.faults = [{ action: 'PUT', do: { error: 'AccessDenied', status: 403 } }];
    const id = await story.submit('run: echo unheard\n');
    const view = await story.ends(id, 'SUCCEEDED');
    await account.calm();
    expect(view.past).toMatchObject([{ logs: 'lost' }]);
    expect(view.events.map(({ text }) => text).join('\n')).toContain(
      'could not be kept: rank 0: bucket outputs: AWS: AccessDenied',
    );
    await story.nothingLeft();
    expect(await kept(id)).toBe('');
  });

  test('output of jobs that ended is removed from it after the days of the configuration', async () => {
    const id = await story.submit('run: echo old\n');
    await story.ends(id, 'SUCCEEDED');
    const link = await Link.open(() => connectConfig(world.home), world.home);
    const day = 24 * 60 * 60_000;
    try {
      await link.read((workflow) => removeOldLogs(workflow, world.home, Date.now() + 29 * day));
      expect(await logsOf(id)).toBe('old\n');
      await link.read((workflow) => removeOldLogs(workflow, world.home, Date.now() + 31 * day));
      expect(await logsOf(id)).toBe('');
    } finally {
      await link.close();
    }
  });
});
