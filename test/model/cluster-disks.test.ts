/** Disks of a cluster's machines in its state machine: a node costs $0.50 an hour there, its disk $0.10. */
import { expect, test } from 'vitest';
import { parseClusterState } from '../../model/cluster-schema.ts';
import { clusterMemo } from '../../model/cluster-state.ts';
import { costAt } from '../../model/cost.ts';
import { leftOf } from '../../model/planned-offers.ts';
import { aPlacement, Story } from './cluster-fixtures.ts';

const HOUR = 3_600_000;
const DISK = { size: 256, hourlyCost: 0.1 };

/** Two nodes with disks that cost. */
function standing(): Story {
  const story = new Story();
  story.command('launch', { nodes: 2 });
  story.stands({ ...story.placing(), disk: DISK });
  return story;
}

function hourly(story: Story): number {
  return clusterMemo(story.state, story.now).costPerHour;
}

test('disks cost with running machines and with stopped ones, until the cluster is taken down', () => {
  const story = standing();
  expect(hourly(story)).toBeCloseTo(1.2);
  story.now += 10 * HOUR;
  story.command('stop');
  story.ended('succeeded');
  expect([story.state.status, hourly(story)]).toEqual(['STOPPED', 0.2]);
  const atStop = costAt(story.state.cost, story.now);
  expect(atStop).toBeCloseTo(12, 2);
  story.now += 100 * HOUR;
  expect(costAt(story.state.cost, story.now)).toBeCloseTo(atStop + 20, 6);
  story.command('down');
  expect(hourly(story)).toBe(0.2);
  story.ended('succeeded');
  expect(hourly(story)).toBe(0);
  const atEnd = costAt(story.state.cost, story.now);
  expect(costAt(story.state.cost, story.now + 100 * HOUR)).toBe(atEnd);
});

test('a start that follows charges machines with their disks, once', () => {
  const story = standing();
  story.command('stop');
  story.ended('succeeded');
  story.command('start');
  expect(hourly(story)).toBe(0.2);
  story.stands();
  expect(hourly(story)).toBeCloseTo(1.2);
});

test('machines that are found stopped cost their disks from then on, machines that are gone nothing', () => {
  for (const [state, rest] of [
    ['stopped', 0.2],
    ['terminated', 0],
  ] as const) {
    const story = standing();
    const gone = [0, 1].map((rank) => ({ rank, state, reason: 'somebody else did it' }));
    story.event({ type: 'observed', child: 1, at: story.now, gone });
    expect(hourly(story), state).toBe(rest);
    story.ended('succeeded');
    expect(hourly(story), state).toBe(rest);
  }
});

test('what disks cost while a cluster is stopped counts against its budget, which forbids a start when it is spent', () => {
  const story = standing();
  story.command('launch', { nodes: 2, task: { budget: { maxCost: 10, maxDuration: null, onExceed: 'stop' } } });
  story.command('stop');
  story.ended('succeeded');
  story.now += 49 * HOUR;
  expect(story.problem('start')).toBeNull();
  story.now += 2 * HOUR;
  expect(story.problem('start')).toMatchObject({ kind: 'refused' });
});

test('comes through continue-as-new; a state and a placement without disks are read as they were', () => {
  const story = standing();
  story.command('stop');
  story.ended('succeeded');
  const again = () => parseClusterState(JSON.parse(JSON.stringify(story.state)));
  expect(story.state.cost.disks).toEqual({ since: story.now, hourly: 0.2 });
  expect(again()).toEqual(story.state);
  const older = new Story();
  older.up();
  older.command('stop');
  older.ended('succeeded');
  expect(older.state.cost).not.toHaveProperty('disks');
  expect(parseClusterState(JSON.parse(JSON.stringify(older.state)))).toEqual(older.state);
});

test('an offer that was planned without its disk can be had as planned; a dearer or another disk cannot', () => {
  const bare = aPlacement({ life: 'life', n: 1 }, 1, 1);
  const now = { ...bare, disk: DISK };
  expect(leftOf([bare], [now])).toEqual([now]);
  expect(leftOf([now], [now])).toEqual([now]);
  expect(leftOf([{ ...bare, disk: { ...DISK, hourlyCost: 0.05 } }], [now])).toEqual([]);
  expect(leftOf([{ ...bare, disk: { ...DISK, size: 128 } }], [now])).toEqual([]);
});
