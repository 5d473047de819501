import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { followUntil, type Glance } from '../../client/followed.ts';

const SECOND = 1_000;

/** Follows what `glances` say, one after the other, on a clock of its own; answers the glances at which it was looked at. */
async function looksAt(glances: readonly (Glance | null)[]): Promise<number[]> {
  vi.useFakeTimers({ toFake: ['Date'] });
  const looks: number[] = [];
  let at = -1;
  const glance = async () => {
    at += 1;
    vi.setSystemTime(at * SECOND);
    return glances[at] ?? null;
  };
  const look = async () => {
    looks.push(at);
    return at;
  };
  try {
    // A last one that is not there is always looked at.
    await followUntil({ glance, look }, (view) => (view >= glances.length ? true : undefined), {
      firstPause: 0,
      longestPause: 0,
    });
  } finally {
    vi.useRealTimers();
  }
  return looks.slice(0, -1);
}

const glances = fc.array(fc.record({ version: fc.constantFrom('a', 'b', 'c'), settled: fc.boolean() }), {
  maxLength: 12,
});

test('nothing is looked at while a workflow task is due, unless one was for two seconds, and nothing that has not changed', async () => {
  await fc.assert(
    fc.asyncProperty(glances, async (all) => {
      let seen = '';
      for (const index of await looksAt(all)) {
        const glance = all[index];
        expect(glance?.version).not.toBe(seen);
        const due = all.slice(Math.max(0, index - 2), index + 1).every(({ settled }) => !settled);
        expect(glance?.settled === true || (index >= 2 && due)).toBe(true);
        seen = glance?.version ?? '';
      }
    }),
  );
});

test('what has changed is looked at as soon as no task is due', async () => {
  const settled = (version: string) => ({ version, settled: true });
  const busy = (version: string) => ({ version, settled: false });
  expect(
    await looksAt([settled('1'), settled('1'), busy('2'), settled('3'), settled('3'), busy('4'), busy('5'), busy('6')]),
  ).toEqual([0, 3, 7]);
});
