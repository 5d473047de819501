/** The tasks of a group on AWS find each other by names, and their clusters let each other in, as long as they are of the group. */
import { writeFileSync } from 'node:fs';
import { DescribeSecurityGroupsCommand, EC2Client } from '@aws-sdk/client-ec2';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { parseSubmission } from '../../model/parse-pipeline.ts';
import { JobStory } from '../guarantees/job-story.ts';
import { until } from '../guarantees/story.ts';
import { AwsWorld, whyNoAws, whyNoDocker } from '../harness/aws-world.ts';
import { Registry } from '../stand-ins/registry/registry.ts';
import { Said } from './said.ts';

const lacks = whyNoAws();
if (lacks !== undefined) console.warn(`SKIPPED test/aws/group-hosts: ${lacks}`);
const noDocker = whyNoDocker();
if (noDocker !== undefined) console.warn(`SKIPPED containers of test/aws/group-hosts: ${noDocker}`);

describe.skipIf(lacks !== undefined)('the tasks of a group on AWS', () => {
  let aws: AwsWorld;
  let jobs: JobStory;
  let said: Said;
  let before = 0;
  let last = '';

  beforeAll(async () => {
    aws = await AwsWorld.start();
    jobs = await JobStory.on(aws.world);
    said = await Said.listen();
  });
  beforeEach(async () => {
    said.lines = [];
    before = (await aws.instances()).length;
  });
  // A try that failed leaves nothing to the next one.
  afterEach(async () => {
    await aws.account.order('capacity', {});
    await jobs.jobs.cancel(last).catch(() => undefined);
    await jobs.pipelines.wait(last, { gone: true });
  });
  afterAll(async () => {
    said?.close();
    await jobs?.close();
    await aws?.end();
  });

  async function submit(...documents: string[]): Promise<string> {
    const written = parseSubmission(documents.join('\n---\n'), { file: 'test.yaml' });
    if (written.kind !== 'pipeline') throw new Error('not a pipeline');
    last = (await jobs.pipelines.launch(written, { budget: 300_000 })).id;
    return last;
  }

  async function succeeds(id: string, machines: number): Promise<void> {
    const view = await jobs.pipelines.wait(id, { gone: true });
    expect(`${view.status} ${view.reason}`, JSON.stringify(view.events)).toBe('SUCCEEDED ');
    await aws.nothingLeft(before + machines);
  }

  /** Serves which try it is, on a port that nobody opened. */
  const serve =
    'cd $(mktemp -d); echo -n try$STYX_JOB_TRY >index.html; exec python3 -m http.server 8080 >/dev/null 2>&1';
  const fetch = (name: string) =>
    `$(python3 -c "import urllib.request as u; print(u.urlopen('http://${name}:8080/', timeout=5).read().decode())" 2>/dev/null || echo nothing)`;
  const named = (name: string, yaml: string, resources = '') => `name: ${name}\n${aws.task(yaml, resources)}`;

  /** Addresses that the cluster of a task's present copy lets in on all ports. */
  async function letIn(job: string): Promise<string[]> {
    const { copy } = await jobs.jobs.view(job);
    const { placement } = await jobs.look(copy?.cluster ?? '');
    const ec2 = new EC2Client({ region: 'us-east-1' });
    const Filters = [{ Name: 'group-name', Values: [`styx-${placement?.key}`] }];
    const { SecurityGroups = [] } = await ec2.send(new DescribeSecurityGroupsCommand({ Filters }));
    ec2.destroy();
    expect(SecurityGroups).toHaveLength(1);
    const rules = SecurityGroups[0]?.IpPermissions?.filter(({ IpProtocol }) => IpProtocol === '-1') ?? [];
    return rules.flatMap(({ IpRanges = [] }) => IpRanges.flatMap(({ CidrIp }) => CidrIp ?? []));
  }

  async function addressOf(job: string): Promise<string> {
    const { copy } = await jobs.jobs.view(job);
    const { nodes } = await jobs.look(copy?.cluster ?? '');
    return nodes[0]?.internalAddress ?? '';
  }

  test('talk by names over ports that nobody opened, the worker killed as it puts them there; one that is recovered is found anew, its old address is let in no more, and nothing is left', {
    timeout: 360_000,
  }, async () => {
    aws.world.arm('putHosts.called');
    const heard = said.say(`heard ${fetch('side-0.net')}`);
    const id = await submit(
      'name: net\nexecution: parallel\nprimary_tasks: [main]\ninter_connection: true',
      named('main', `run: until [ -e ~/enough ]; do ${heard}; sleep 1; done\n`),
      named('side', `run: |\n  ${said.say('side $STYX_JOB_TRY sees $(getent hosts main-0.net)')}\n  ${serve}\n`),
    );
    expect(await aws.world.hit('putHosts.called', 120_000)).toBe(true);
    await aws.world.killAt('putHosts.called', 'worker');
    await until('it is heard', () => said.count('heard try1') > 0, 60_000);
    const [main, side] = [`${id}/0`, `${id}/1`];
    const [mains, first] = [await addressOf(main), await addressOf(side)];
    expect(said.lines.map(({ text }) => text)).toContain(`side 1 sees ${mains} main-0.net`);
    expect([await letIn(main), await letIn(side)]).toEqual([[`${first}/32`], [`${mains}/32`]]);
    // In another zone, since EC2 may give the same address again in this one.
    const { copy } = await jobs.jobs.view(side);
    const { zone } = (await jobs.look(copy?.cluster ?? '')).placement ?? {};
    await aws.account.order('capacity', { 'm5.large': { [zone ?? '']: 0 } });
    await aws.account.order('preempt', { id: await jobs.machine(side) });
    await until('the new one is heard', () => said.count('heard try2') > 0, 120_000);
    const second = await addressOf(side);
    expect(second).not.toBe(first);
    expect([await letIn(main), await letIn(side)]).toEqual([[`${second}/32`], [`${mains}/32`]]);
    const machine = await jobs.machine(main);
    const { pid } = (await aws.machines.rows()).find((row) => row.id === machine) ?? {};
    writeFileSync(`/proc/${pid}/root/home/ubuntu/enough`, '');
    await succeeds(id, 3);
  });

  test.skipIf(noDocker !== undefined)(
    'talk by names also where one is in a container and the other is not',
    async () => {
      const registry = await Registry.start();
      try {
        // Each serves until the other has heard it: one that has ended has no name any more.
        const talk = (other: string) => `run: |
  (${serve}) &
  until [ "$word" = try1 ]; do word=${fetch(other)}; sleep 1; done
  ${said.say('$HOME heard $word')}
  sleep 300
`;
        const id = await submit(
          'name: net\nexecution: parallel\ninter_connection: true',
          named('inside', talk('plain-0.net'), `, image_id: 'docker:${registry.host}/styx/task:1'`),
          named('plain', talk('inside-0.net')),
        );
        await until('both heard', () => said.lines.length === 2, 90_000);
        expect(said.lines.map(({ text }) => text).toSorted()).toEqual(['/home/ubuntu heard try1', '/root heard try1']);
        await jobs.jobs.cancel(id);
        const view = await jobs.pipelines.wait(id, { gone: true });
        expect(view.status).toBe('CANCELLED');
        await aws.nothingLeft(before + 2);
      } finally {
        await registry.end();
      }
    },
    240_000,
  );
});
