import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CRASH_POINTS } from '../../activities/crash-points.ts';
import { parseSubmission } from '../../model/parse-pipeline.ts';
import { TEST } from '../../model/timing.ts';
import { LONG_FORM } from '../harness/long-form.ts';
import { World } from '../harness/world.ts';
import { JobStory } from './job-story.ts';
import { until } from './story.ts';

/** The tasks of a group find each other by names, on real machines of the local cloud. */
let world: World;
let story: JobStory;
beforeAll(async () => {
  world = await World.start();
  story = await JobStory.on(world, { timing: TEST, fenceAfter: 120_000 });
});
afterAll(async () => {
  await story.close();
  await world.end();
});

async function submit(...documents: string[]): Promise<string> {
  const written = parseSubmission(documents.join('\n---\n'), { file: 'test.yaml' });
  if (written.kind !== 'pipeline') throw new Error('not a pipeline');
  return (await story.pipelines.launch(written, { budget: 300_000 })).id;
}

async function succeeds(id: string): Promise<void> {
  const view = await story.pipelines.wait(id, { gone: true });
  expect(`${view.status} ${view.reason}`, JSON.stringify(view.events)).toBe('SUCCEEDED ');
  await story.nothingLeft();
}

/** A script that talks to another task by name as its first act, once; the port is that machine's own. */
const serve = (name: string, port: number) =>
  `python3 -m http.server ${port} --bind ${name} --directory $(mktemp -d) & sleep 600`;
const fetch = (name: string, port: number) =>
  `python3 -c "import urllib.request as u; u.urlopen('http://${name}:${port}/', timeout=20)"`;

test('each machine of a group is <task>-<rank>.<group> to all others before anything runs, and nothing of that is on this machine', async () => {
  const ledger = world.ledger('names');
  const all = ['wide-0.net_1', 'wide-1.net_1', 'one-0.net_1'];
  const look = all
    .map((name) => `getent hosts ${name} > /dev/null && echo $SKYPILOT_NODE_RANK sees ${name}`)
    .join('; ');
  const id = await submit(
    'name: net_1\nexecution: parallel\nprimary_tasks: [one]',
    `name: wide\nnum_nodes: 2\nsetup: sleep 1\nrun: |\n  (${look}) >> ${ledger.path}\n  ${serve('wide-$SKYPILOT_NODE_RANK.net_1', 18_080)}`,
    `name: one\nrun: |\n  (${look}) >> ${ledger.path}\n  getent hosts localhost\n  sleep 2\n  ${fetch(all[0] ?? '', 18_080)} && ${fetch(all[1] ?? '', 18_080)}`,
  );
  await succeeds(id);
  const expected = ['0', '0', '1'].flatMap((rank) => all.map((name) => `${rank} sees ${name}`));
  expect(ledger.lines().toSorted()).toEqual(expected.toSorted());
  expect(readFileSync('/etc/hosts', 'utf8')).not.toContain('net_1');
});

test('when a task is recovered the others find its new machine under the old name', async () => {
  const ledger = world.ledger('renewed');
  const id = await submit(
    'name: net\nexecution: parallel\nprimary_tasks: [main]',
    `name: main\nrun: |\n  until [ -e ${world.home}/enough ]; do getent hosts side-0.net | cut -d' ' -f1 >> ${ledger.path}; sleep 0.2; done`,
    `name: side\nrun: |\n  getent hosts main-0.net || touch ${world.home}/unknown\n  sleep 600`,
  );
  await until('names are there', () => ledger.lines().length > 0);
  const lost = await story.machine(`${id}/1`);
  await world.cloud.preempt(lost);
  const [before] = ledger.lines();
  await until('its name leads elsewhere', () => ledger.lines().at(-1) !== before, 60_000);
  const machines = await world.machinesLeft();
  const addresses = machines.map(({ internalAddress }) => internalAddress);
  expect(addresses).toContain(ledger.lines().at(-1));
  expect(addresses).not.toContain(before);
  writeFileSync(`${world.home}/enough`, '');
  await succeeds(id);
  expect(existsSync(`${world.home}/unknown`)).toBe(false);
}, 180_000);

test.each(CRASH_POINTS.putHosts.filter((place) => place === 'called' || LONG_FORM))(
  'a worker killed at putHosts.%s: all names are there before each task runs once',
  async (place) => {
    const ledger = world.ledger(`crash-${place}`);
    // Each waits for the other: one that has ended has no name any more.
    const say = (own: string, other: string) =>
      `name: ${own}\nrun: |\n  getent hosts ${other}-0.net > /dev/null && echo ${own} >> ${ledger.path}\n  until grep -q ${other} ${ledger.path}; do sleep 0.1; done`;
    const point = `putHosts.${place}`;
    world.arm(point);
    const id = await submit('name: net\nexecution: parallel', say('a', 'b'), say('b', 'a'));
    expect(await world.hit(point, 60_000)).toBe(true);
    await world.killAt(point, 'worker');
    await succeeds(id);
    expect(ledger.lines().toSorted()).toEqual(['a', 'b']);
  },
  180_000,
);

test('without names nothing waits for the others, and what cannot have them is refused when they are asked for', async () => {
  world.limit(1);
  const id = await submit(
    'name: net\nexecution: parallel\ninter_connection: false',
    'name: a\nrun: "! getent hosts b-0.net"',
    'name: b\nrun: "! getent hosts a-0.net"',
  );
  await succeeds(id);
  world.limit(64);
  const group = (infra: string, name = 'a') =>
    submit(
      'name: net\nexecution: parallel\ninter_connection: true',
      `name: ${name}\nresources: {infra: local}\nrun: "true"`,
      `name: b\nresources: {infra: ${infra}}\nrun: "true"`,
    );
  await expect(group('aws/us-east-1')).rejects.toMatchObject({
    kind: 'invalid',
    message: expect.stringMatching(/different places \(local\/local, aws\/us-east-1\)/),
  });
  await expect(group('local', 'x'.repeat(80))).rejects.toMatchObject({
    message: expect.stringContaining('63 characters'),
  });
}, 120_000);
