/** Managed jobs on AWS whose machines do not answer: nothing is concluded from that, and no two copies ever run. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { JobStory } from '../guarantees/job-story.ts';
import { until } from '../guarantees/story.ts';
import { AwsWorld, whyNoAws } from '../harness/aws-world.ts';
import { run } from '../stand-ins/machines/commands.ts';

const lacks = whyNoAws();
if (lacks !== undefined) console.warn(`SKIPPED test/aws/managed-contact: ${lacks}`);

/** ms of silence after which the machines of a job are fenced: longer than any fault here, and of a job that is to be fenced. */
const PATIENT = 90_000;
const STRICT = 6_000;
/** Both are slow on a busy machine. */
const TIMEOUT = { timeout: 240_000 };
const SECOND_MS = 180_000;
const CONTACTS = 100;
/** Of nftables: what the worker sends to machines, while a fault lasts. */
const TABLE = 'styx-contacts';
const FAULTS = {
  /** Connects are refused, and what is connected is reset. */
  refused: 'reject with tcp reset',
  /** Nothing arrives, and nobody is told. */
  silent: 'drop',
} as const;

describe.skipIf(lacks !== undefined)('a managed job on AWS', () => {
  let aws: AwsWorld;
  let jobs: JobStory;
  let strict: JobStory;
  let made = 0;

  beforeAll(async () => {
    aws = await AwsWorld.start();
    jobs = await JobStory.on(aws.world, { fenceAfter: PATIENT });
    strict = await JobStory.on(aws.world, { fenceAfter: STRICT });
  });
  afterAll(async () => {
    await jobs?.close();
    await strict?.close();
    await aws?.end();
  });

  /** Machines of one try, by what EC2 says. */
  async function fresh(before: ReadonlySet<string>) {
    return (await aws.instances()).filter(({ id }) => !before.has(id));
  }

  async function known(): Promise<Set<string>> {
    const all = await aws.instances();
    made = all.length;
    return new Set(all.map(({ id }) => id));
  }

  /** A file of the user's on a machine, read past Styx; empty while it is not there. */
  async function onDisk(id: string, name: string): Promise<string> {
    const pid = (await aws.machines.rows()).find((row) => row.id === id)?.pid;
    try {
      return readFileSync(`/proc/${pid}/root/home/ubuntu/${name}`, 'utf8');
    } catch {
      return '';
    }
  }

  /** @returns how many connects to the addresses failed while `work` was done */
  async function during(
    fault: keyof typeof FAULTS,
    addresses: readonly string[],
    work: () => Promise<unknown>,
  ): Promise<number> {
    const machines = `ip daddr { ${addresses.join(', ')} } tcp dport 22`;
    const rules = [
      `add table inet ${TABLE}`,
      `add counter inet ${TABLE} connects`,
      `add chain inet ${TABLE} out { type filter hook output priority 0 ; }`,
      `add rule inet ${TABLE} out ${machines} tcp flags & (syn | ack) == syn counter name connects`,
      `add rule inet ${TABLE} out ${machines} ${FAULTS[fault]}`,
    ];
    await run('nft', rules.join('\n'));
    try {
      await work();
      return Number(/packets (\d+)/.exec(await run('nft', 'list', 'counter', 'inet', TABLE, 'connects'))?.[1]);
    } finally {
      await run('nft', 'delete', 'table', 'inet', TABLE);
    }
  }

  test(
    `runs once over ${CONTACTS} failed contacts and a silence, while EC2 says that its machines run`,
    TIMEOUT,
    async () => {
      const before = await known();
      const loop = 'echo begun >> ~/begun; while [ ! -e ~/go ]; do sleep 0.1; done';
      const id = await jobs.submit(aws.task(`num_nodes: 2\nrun: |\n  ${loop}\n`));
      await jobs.is(id, 'RUNNING');
      const machines = await fresh(before);
      const addresses = machines.flatMap(({ publicAddress, privateAddress }) =>
        [publicAddress, privateAddress].filter((one) => one != null),
      );
      await until('both nodes run it', async () =>
        (await Promise.all(machines.map((one) => onDisk(one.id, 'begun')))).every((text) => text !== ''),
      );
      let failed = 0;
      for (let outage = 0; failed < CONTACTS; outage++) {
        failed += await during('refused', addresses, () => sleep(1_500));
        await sleep(300);
        expect(outage, `${failed} contacts failed`).toBeLessThan(100);
      }
      const { copy } = await jobs.jobs.view(id);
      const asks = aws.account.proxy.count('DescribeInstances');
      await during('silent', addresses, async () => {
        await jobs.status(copy?.cluster ?? '', 'UNHEALTHY', PATIENT / 2);
        // The first word may be of a list from before the silence.
        await until('EC2 was asked', () => aws.account.proxy.count('DescribeInstances') > asks, PATIENT / 3);
      });
      await jobs.status(copy?.cluster ?? '', 'UP');
      expect(await jobs.jobs.view(id)).toMatchObject({ status: 'RUNNING', recoveries: 0, copies: 1 });
      for (const one of machines) expect(await onDisk(one.id, 'begun')).toBe('begun\n');
      for (const one of machines) await letGo(one.id);
      expect(await jobs.ends(id, 'SUCCEEDED')).toMatchObject({ recoveries: 0, copies: 1 });
      console.log(`${failed} failed contacts and a silence: no recovery`);
      await aws.nothingLeft(made + 2);
    },
  );

  async function letGo(id: string): Promise<void> {
    const pid = (await aws.machines.rows()).find((row) => row.id === id)?.pid;
    await run('touch', `/proc/${pid}/root/home/ubuntu/go`);
  }

  test(
    'whose machine stays silent has it terminated before the next one is made, though it runs on behind the cut cable',
    TIMEOUT,
    async () => {
      const before = await known();
      const beats = 'while :; do date +%s%3N >> ~/beats; sleep 0.1; done';
      const id = await strict.submit(
        aws.task(
          `run: |\n  date +%s%3N > ~/begun\n  if [ $STYX_JOB_TRY = 1 ]; then ${beats}; fi\n  while [ ! -e ~/go ]; do sleep 0.1; done\n`,
        ),
      );
      await strict.is(id, 'RUNNING');
      const [first] = await fresh(before);
      await until('it beats', async () => (await onDisk(first?.id ?? '', 'beats')) !== '');
      const cutAt = Date.now();
      await aws.machines.order('cut', { id: first?.id });
      let lastBeat = 0;
      const second = await until(
        'another machine is made',
        async () => {
          const lines = (await onDisk(first?.id ?? '', 'beats')).trim().split('\n');
          lastBeat = Math.max(lastBeat, Number(lines.at(-1)));
          const now = await fresh(before);
          const other = now.find((one) => one.id !== first?.id);
          // In one answer of EC2: when there is a second machine, the first one has ended.
          if (other !== undefined) expect(now.find((one) => one.id === first?.id)?.state).toBe('terminated');
          return other;
        },
        SECOND_MS,
      );
      expect(lastBeat - cutAt, 'it ran on unseen until it was fenced').toBeGreaterThan(STRICT / 2);
      const begun = await until('the second one runs it', async () => Number(await onDisk(second.id, 'begun')) || null);
      expect(begun).toBeGreaterThan(lastBeat);
      await letGo(second.id);
      expect(await strict.ends(id, 'SUCCEEDED')).toMatchObject({ recoveries: 1, copies: 2, cause: 'unreachable' });
      await aws.nothingLeft(made + 2);
    },
  );
});
