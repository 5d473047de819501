/** Launches with the places of a plan, in the cluster's state machine. */
import { expect, test } from 'vitest';
import { parseClusterState } from '../../model/cluster-schema.ts';
import type { Command } from '../../model/cluster-transition.ts';
import { commandProblem } from '../../model/cluster-transition.ts';
import type { InstanceTypeOffer } from '../../model/machines.ts';
import { aSpec, aTask, Story } from './cluster-fixtures.ts';

const PLACE: InstanceTypeOffer = {
  ...{ cloud: 'local', region: 'local', zone: 'local-a', instanceType: 'local-4x', cpus: 4, memory: 16 },
  ...{ accelerators: null, useSpot: false, hourlyCost: 0.5 },
};

function planned(requestId = 'planned'): Command {
  const spec = aSpec(1);
  const resources = { ...spec.resources, clouds: ['local'], planned: [PLACE] };
  const payload = { requestId, user: 'me', task: aTask(), spec: { ...spec, resources } };
  return { kind: 'launch', payload: { ...payload, retryUntilUp: false, noSetup: false, commandLine: 'styx launch' } };
}

test('a launch by a plan asks for its places and no others, after a continue-as-new too', () => {
  const story = new Story();
  story.give(planned());
  const resources = { clouds: ['local'], planned: [PLACE] };
  expect(story.did('startProvision')).toMatchObject([{ resources }]);
  story.state = parseClusterState(JSON.parse(JSON.stringify(story.state)));
  expect(story.state.spec).toMatchObject({ resources });
});

test('a launch by a plan that waits behind a down keeps its places over a continue-as-new', () => {
  const story = new Story();
  story.up();
  story.command('down');
  story.give(planned());
  story.state = parseClusterState(JSON.parse(JSON.stringify(story.state)));
  story.ended('succeeded');
  expect(story.did('startProvision')).toMatchObject([{ resources: { planned: [PLACE] } }]);
});

test('a cluster that is there, or is being made, refuses a plan; a repeated request is not refused', () => {
  const story = new Story();
  story.give(planned());
  const problem = (command: Command) => commandProblem(story.state, command, story.now);
  const refused = { kind: 'refused', hint: expect.stringContaining('styx down c') };
  expect(problem(planned('other'))).toMatchObject(refused);
  story.stands();
  expect(problem(planned('other'))).toMatchObject(refused);
  expect(problem(planned())).toBe(null);
  expect(story.problem('launch')).toBe(null);
  story.command('stop');
  story.ended('succeeded');
  expect(problem(planned('other'))).toMatchObject(refused);
  story.command('down');
  expect(problem(planned('other'))).toBe(null);
});
