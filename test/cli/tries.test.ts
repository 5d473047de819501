/** What a follower is told of the tries of its launch, whatever of them the cluster remembers. */
import { expect, test } from 'vitest';
import { triesLines, triesOf } from '../../cli/tries.ts';
import { REMEMBERED_TRIES } from '../../model/budgets.ts';
import { Story } from '../model/cluster-fixtures.ts';

const TRIES = REMEMBERED_TRIES + 5;
const REFUSED = {
  ...{ cloud: 'aws', region: 'us-east-1', instanceType: 'm5.large' },
  failure: { kind: 'capacity', message: 'no room' },
} as const;

function refused(story: Story, zone: string, took?: number): void {
  const { key: placementKey } = story.placing();
  const tried = { ...REFUSED, zone, at: story.now, ...(took === undefined ? {} : { took, useSpot: true as const }) };
  story.event({ type: 'placementFailed', opId: story.state.operation?.id ?? '', placementKey, tried });
}

test('each try is told once, though more are made than are remembered, and none of another launch', () => {
  const story = new Story();
  const told: string[] = [];
  let after = 0;
  const follow = (operationId: string | null) => {
    for (const { at, zone } of triesOf(story.state, operationId, after)) {
      told.push(zone);
      after = at;
    }
  };
  story.command('launch');
  refused(story, 'of the launch before');
  story.stands();
  story.command('stop');
  story.ended('succeeded');
  const running = story.command('launch').operationId;
  const zones = Array.from({ length: TRIES }, (_, index) => `zone-${index}`);
  for (const zone of zones) {
    refused(story, zone);
    follow(running);
    follow(running);
  }
  expect(told).toEqual(zones);
  expect(triesOf(story.state, 'launch-9'), 'one that waits').toEqual([]);
  story.failed();
  expect(triesOf(story.state, running).map(({ zone }) => zone)).toEqual(zones.slice(-REMEMBERED_TRIES));
});

test('a list says of each try how long ago it was, where, whether of spot and how long it took, and what it leaves out', () => {
  const story = new Story();
  story.command('launch');
  refused(story, 'us-east-1a');
  refused(story, 'us-east-1b', 61_000);
  refused(story, 'us-east-1c', 1_840);
  expect(triesLines('mine', story.state.tries, story.now + 60_000, 2)).toEqual([
    'Places that could not give the machines of mine:',
    '  1 before these: `styx logs --provision mine`',
    '  1 min ago  aws/us-east-1/us-east-1b m5.large [spot] after 1m 1s: no room',
    '  1 min ago  aws/us-east-1/us-east-1c m5.large [spot] after 1.8s: no room',
  ]);
  const [, first] = triesLines('mine', story.state.tries, story.now);
  expect(first, 'of before durations were known').toBe('  5 secs ago  aws/us-east-1/us-east-1a m5.large: no room');
  expect(triesLines('mine', [])).toEqual([]);
});
