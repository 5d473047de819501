/** What machines are asked for besides size and place: how ports add up, what fits a cluster that stands, and how more ports are opened on it. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  affordable,
  closedPorts,
  imageFor,
  joinPorts,
  type MachineWants,
  portRanges,
  withoutPorts,
} from '../../model/machine-wants.ts';
import { ANY_MACHINE } from '../../model/machines.ts';
import { parseTask } from '../../model/parse-task.ts';
import { aSpec, Story } from './cluster-fixtures.ts';

const range = fc
  .tuple(fc.integer({ min: 1, max: 200 }), fc.nat(20))
  .map(([from, more]) => (more === 0 ? `${from}` : `${from}-${from + more}`));
const ranges = fc.array(range, { maxLength: 8 });
const numbers = (ports: readonly string[]) =>
  new Set(portRanges(ports).flatMap(([from, to]) => Array.from({ length: to - from + 1 }, (_, at) => from + at)));

test('joined ports are those of both, and none of them is closed', () => {
  fc.assert(
    fc.property(ranges, ranges, (some, others) => {
      const all = joinPorts(some, others);
      expect([...numbers(all)].sort()).toEqual([...numbers([...some, ...others])].sort());
      expect(closedPorts(all, [...some, ...others])).toEqual([]);
      expect(joinPorts(all, some)).toEqual(all);
    }),
  );
});

test('what is left without some ports is all the others, as sorted ranges that do not touch', () => {
  fc.assert(
    fc.property(ranges, ranges, (some, closed) => {
      const gone = numbers(closed);
      const left = withoutPorts(some, closed);
      expect([...numbers(left)].sort()).toEqual([...numbers(some)].filter((port) => !gone.has(port)).sort());
      expect(joinPorts(left, [])).toEqual(left);
    }),
  );
});

test('a range is closed when a port of it is', () => {
  fc.assert(
    fc.property(ranges, range, (some, one) => {
      const open = joinPorts(some, []);
      const has = numbers(open);
      expect(closedPorts(open, [one])).toEqual([...numbers([one])].every((port) => has.has(port)) ? [] : [one]);
    }),
  );
});

test('a task file asks for what it says, and for nothing when it says the defaults', () => {
  const wants = (resources: string) => parseTask(`resources: {${resources}}\nrun: x\n`, { file: 'f' }).resources.wants;
  expect(
    wants('disk_size: 512, disk_tier: high, ports: [8080, 9000-9001], labels: {a: b}, network_tier: best'),
  ).toEqual({
    diskSize: 512,
    diskTier: 'high',
    ports: ['8080', '9000-9001'],
    labels: { a: 'b' },
    networkTier: 'best',
  });
  expect(wants('max_hourly_cost: 1.5')).toEqual({ maxHourlyCost: 1.5 });
  expect(wants('disk_size: 256, network_tier: standard, labels: {}')).toBeUndefined();
  const images = wants('image_id: {us-east-1: ami-1, eu-west-1: ami-2}') as MachineWants;
  expect([imageFor(images, 'US-East-1'), imageFor(images, 'eu-west-1'), imageFor(images, 'x')]).toEqual([
    'ami-1',
    'ami-2',
    undefined,
  ]);
  expect(imageFor({}, 'x')).toBeNull();
});

test('nothing dearer than what is asked for is left, and all else is, in its order', () => {
  const price = fc.double({ min: 0.01, max: 100, noNaN: true });
  fc.assert(
    fc.property(fc.array(price.map((hourlyCost) => ({ hourlyCost }))), price, (offers, maxHourlyCost) => {
      const left = affordable(offers, { maxHourlyCost });
      expect(left.every(({ hourlyCost }) => hourlyCost <= maxHourlyCost)).toBe(true);
      expect(left).toEqual(offers.filter((offer) => left.includes(offer)));
      expect(left.length).toBe(offers.filter(({ hourlyCost }) => hourlyCost <= maxHourlyCost).length);
      expect(affordable(offers, {})).toEqual(offers);
    }),
  );
});

function wanting(wants: MachineWants) {
  const resources = { ...ANY_MACHINE, wants };
  return { task: { resources }, spec: { ...aSpec(1), resources } };
}

describe('a cluster that stands', () => {
  test('opens the ports that a launch asks for before its job runs, and no job of before hears of it', () => {
    const story = new Story();
    story.up();
    story.command('launch', wanting({ ports: ['8080'] }));
    const { jobId } = story.state.jobs.at(-1) ? { jobId: story.state.nextJobId - 1 } : { jobId: 0 };
    const [provision] = story.did('startProvision');
    expect(provision).toMatchObject({ existing: story.state.placement, resources: { wants: { ports: ['8080'] } } });
    expect(story.did('runJob')).toEqual([]);
    expect(story.state.ports).toBeUndefined();
    story.stands();
    expect(story.state).toMatchObject({ status: 'UP', ports: ['8080'], operation: null });
    expect(story.did('runJob')).toMatchObject([{ jobId }]);
    story.command('launch', wanting({ ports: ['8080'] }));
    expect(story.did('startProvision')).toEqual([]);
    story.command('launch', wanting({ ports: ['8081-8090'] }));
    expect(story.did('startProvision')[0]?.resources.wants?.ports).toEqual(['8080-8090']);
  });

  test('whose ports cannot be opened stays up with what runs on it, and the next launch tries again', () => {
    const story = new Story();
    story.up();
    const before = story.state.jobs.map(({ id, status }) => [id, status]);
    story.command('launch', wanting({ ports: ['8080'] }));
    story.failed('the rights are missing');
    expect(story.state).toMatchObject({ status: 'UP', operation: null });
    expect(story.state.jobs.slice(0, before.length).map(({ id, status }) => [id, status])).toEqual(before);
    expect(story.state.jobs.at(-1)).toMatchObject({ status: 'FAILED_DRIVER', reason: 'the rights are missing' });
    story.command('launch', wanting({ ports: ['8080'] }));
    expect(story.did('startProvision')).toHaveLength(1);
  });

  test.each<[MachineWants, RegExp]>([
    [{ images: [{ region: null, image: 'ami-2' }] }, /asks for the image ami-2, the cluster has ami-1/],
    [{ container: { image: 'a:1' } }, /asks for the container a:1, the cluster's is none/],
    [{ diskSize: 600 }, /asks for disks of 600 GiB, the cluster's have 512/],
    [{ diskTier: 'ultra' }, /asks for disks of tier ultra, the cluster's have high/],
    [{ networkTier: 'best' }, /best network tier/],
    [{ labels: { team: 'other' } }, /label team/],
    [{ maxHourlyCost: 0.01 }, /asks for nodes of at most \$0.01 an hour, the cluster's cost \$/],
  ])('refuses a task that asks for other machines: %j', (wants, reason) => {
    const story = new Story();
    const has: MachineWants = {
      images: [{ region: null, image: 'ami-1' }],
      diskSize: 512,
      diskTier: 'high',
      labels: { team: 'core' },
    };
    story.command('launch', wanting(has));
    story.stands();
    expect(story.problem('launch', wanting(has))).toBeNull();
    expect(story.problem('launch', wanting({ diskSize: 100, diskTier: 'low' }))).toBeNull();
    expect(story.problem('launch', wanting(wants))?.message).toMatch(reason);
    expect(story.problem('exec', wanting({ ports: ['80'] }))?.message).toMatch(/ports 80, which a launch opens/);
  });
});
