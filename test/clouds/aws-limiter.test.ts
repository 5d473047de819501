/** How fast AWS is asked: by the limiter's own clock, and as the calls come to the cloud. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Api } from '../../clouds/aws/api.ts';
import { Limiter } from '../../clouds/aws/limiter.ts';
import { Account, motoPython } from '../stand-ins/aws/account.ts';

const python = motoPython();
if ('reason' in python) console.warn(`SKIPPED test/clouds/aws-limiter: ${python.reason}`);

/** A clock that a test moves; a sleep is remembered and ends at once. */
class Clock {
  at = 0;
  slept = 0;
  readonly now = () => this.at;
  readonly sleep = async (ms: number) => {
    this.slept = ms;
  };
}

/** Milliseconds that a call waits which is asked for now. */
async function wait(limiter: Limiter, clock: Clock, bucket = 'us-east-1 RunInstances'): Promise<number> {
  clock.slept = 0;
  await limiter.take(bucket);
  return clock.slept;
}

test('a burst goes at once, and those after it one by one at the rate, first come, first served', async () => {
  const clock = new Clock();
  const limiter = new Limiter({ burst: 3, perSecond: 2 }, clock);
  const waits: number[] = [];
  for (let call = 0; call < 7; call++) waits.push(await wait(limiter, clock));
  expect(waits).toEqual([0, 0, 0, 500, 1_000, 1_500, 2_000]);
});

test('what was not used comes back at the rate, and never more than a burst', async () => {
  const clock = new Clock();
  const limiter = new Limiter({ burst: 3, perSecond: 2 }, clock);
  for (let call = 0; call < 3; call++) await wait(limiter, clock);
  clock.at += 500;
  expect([await wait(limiter, clock), await wait(limiter, clock)]).toEqual([0, 500]);
  clock.at += 3_600_000;
  const waits: number[] = [];
  for (let call = 0; call < 4; call++) waits.push(await wait(limiter, clock));
  expect(waits).toEqual([0, 0, 0, 500]);
});

test('the calls of one region and action do not wait for those of another', async () => {
  const clock = new Clock();
  const limiter = new Limiter({ burst: 1, perSecond: 1 }, clock);
  expect([await wait(limiter, clock, 'a'), await wait(limiter, clock, 'a')]).toEqual([0, 1_000]);
  expect(await wait(limiter, clock, 'b')).toBe(0);
});

test('after AWS said that it was too much the next call waits, however long that answer took', async () => {
  const clock = new Clock();
  const limiter = new Limiter({ burst: 10, perSecond: 2 }, clock);
  await wait(limiter, clock);
  clock.at += 20_000;
  limiter.drained('us-east-1 RunInstances');
  expect([await wait(limiter, clock), await wait(limiter, clock)]).toEqual([500, 1_000]);
});

test('in any stretch of time no more calls go than a burst and what the rate gives for it', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 20 }),
      fc.integer({ min: 1, max: 20 }),
      fc.array(fc.integer({ min: 0, max: 2_000 }), { minLength: 2, maxLength: 60 }),
      async (burst, perSecond, pauses) => {
        const clock = new Clock();
        const limiter = new Limiter({ burst, perSecond }, clock);
        const went: number[] = [];
        for (const pause of pauses) {
          clock.at += pause;
          went.push(clock.at + (await wait(limiter, clock)));
        }
        expect(went).toEqual(went.toSorted((a, b) => a - b));
        for (const [first, from] of went.entries()) {
          for (const [last, to] of went.entries()) {
            if (last < first) continue;
            expect(last - first + 1).toBeLessThanOrEqual(burst + ((to - from) / 1_000) * perSecond + 1e-6);
          }
        }
      },
    ),
  );
});

describe.skipIf('reason' in python)('calls that change something', () => {
  test('come to the cloud 25 at once and 2.5 a second afterwards, and none fails of it', {
    timeout: 60_000,
  }, async () => {
    const account = await Account.start();
    try {
      account.enter();
      const api = new Api(process.env);
      // Whatever the first call loads and connects takes no part in the measure.
      await api.call('us-east-1', 'ec2:DescribeRegions', {});
      account.proxy.log.length = 0;
      const begun = Date.now();
      const input = { GroupName: 'styx-none', Strategy: 'cluster' as const, DryRun: true };
      const said = await Promise.all(
        Array.from({ length: 30 }, () =>
          api.call('us-east-1', 'ec2:CreatePlacementGroup', input).catch((error: Error) => error.message),
        ),
      );
      expect(new Set(said)).toEqual(new Set([expect.stringContaining('DryRunOperation')]));
      const came = account.proxy.log.map(({ at }) => at - begun);
      expect(came).toHaveLength(30);
      for (const [index, at] of came.slice(25).entries()) expect(at).toBeGreaterThanOrEqual((index + 1) * 400 - 5);
    } finally {
      await account.end();
    }
  });
});
