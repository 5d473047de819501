/** Which machines of others those of a cluster let in, for the host names of a job group, as EC2's security groups have it. */
import { DescribeSecurityGroupsCommand } from '@aws-sdk/client-ec2';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import type { CreateRequest } from '../../clouds/cloud.ts';
import type { Instance } from '../../model/machines.ts';
import { motoPython } from '../stand-ins/aws/account.ts';
import { AwsLab, asked } from './aws-lab.ts';

const python = motoPython();
if ('reason' in python) console.warn(`SKIPPED test/clouds/aws-group-hosts: ${python.reason}`);
vi.setConfig({ testTimeout: 60_000, hookTimeout: 120_000 });

const PAIR = asked('infra: aws/us-east-1, instance_type: m5.large', 'num_nodes: 2\n');

describe.skipIf('reason' in python)('machines of AWS that others of their job group reach', () => {
  let lab: AwsLab;
  beforeAll(async () => {
    lab = await AwsLab.start({});
  });
  afterEach(async () => await lab.clear());
  afterAll(async () => await lab?.end());

  async function running(request: CreateRequest): Promise<Instance[]> {
    const { placement } = request;
    await lab.cloud.create(request);
    return await vi.waitUntil(
      async () => {
        const all = await lab.cloud.list(placement, { placementKey: placement.key });
        return all.length === placement.numNodes && all.every(({ state }) => state === 'running') && all;
      },
      { timeout: 30_000, interval: 100 },
    );
  }

  /** Ranges from which all ports of the placement's group are reached. */
  async function letIn({ placement }: CreateRequest): Promise<string[]> {
    const Filters = [{ Name: 'group-name', Values: [`styx-${placement.key}`] }];
    const { SecurityGroups } = await lab.ec2.send(new DescribeSecurityGroupsCommand({ Filters }));
    const rules = (SecurityGroups ?? []).flatMap(({ IpPermissions = [] }) => IpPermissions);
    return rules
      .filter(({ IpProtocol }) => IpProtocol === '-1')
      .flatMap(({ IpRanges = [] }) => IpRanges.flatMap(({ CidrIp }) => CidrIp ?? []))
      .toSorted();
  }

  test('let in the addresses that are named and no other ones, once however often it is said, and ports stay as they are', async () => {
    const request = await lab.prepared({ ...PAIR, wants: { ports: ['8080'] } });
    const machines = await running(request);
    const { placement } = request;
    const own = machines.map(({ internalAddress }) => internalAddress ?? '');
    const ids = machines.map(({ id }) => id);
    const join = (...addresses: string[]) => lab.cloud.joinGroup(placement, ids, [...own, ...addresses]);
    const files = Object.fromEntries(ids.map((id) => [id, '/etc/hosts']));
    expect(await Promise.all([join('10.0.0.1', '10.0.0.2'), join('10.0.0.1', '10.0.0.2')])).toEqual([files, files]);
    expect(await letIn(request)).toEqual(['10.0.0.1/32', '10.0.0.2/32']);
    await join('10.0.0.2', '10.0.0.3');
    expect(await letIn(request)).toEqual(['10.0.0.2/32', '10.0.0.3/32']);
    await lab.cloud.setPorts(placement, placement.key, []);
    expect(await letIn(request)).toEqual(['10.0.0.2/32', '10.0.0.3/32']);
    await Promise.all([join(), join()]);
    expect(await letIn(request)).toEqual([]);
  });

  test('are let in where machines of a repair are too, once, and a group can go while others still let its machines in', async () => {
    const first = await lab.prepared(PAIR);
    const [kept, lost] = await running(first);
    await lab.account.order('preempt', { id: lost?.id });
    const [offer] = await lab.cloud.offers({ ...PAIR, numNodes: 1 });
    if (offer === undefined) throw new Error('no offer');
    const placed = { ...lab.placement(offer, 1), joins: first.placement.key };
    const added = await lab.cloud.prepare(placed, lab.authorizedKey, {}, {});
    const [repaired] = await running(added);
    const ids = [kept?.id ?? '', repaired?.id ?? ''];
    const other = await lab.prepared({ ...PAIR, numNodes: 1 });
    const [one] = await running(other);
    await lab.cloud.joinGroup(first.placement, ids, [one?.internalAddress ?? '']);
    expect(await letIn(first)).toEqual([`${one?.internalAddress}/32`]);
    expect(await letIn(added)).toEqual([]);
    await lab.endWhole(other.placement);
    expect((await lab.account.ledger()).groups).toHaveLength(2);
  });

  test('are waited for while one of them does not run', async () => {
    const request = await lab.prepared(PAIR);
    const [one, gone] = await running(request);
    await lab.account.order('preempt', { id: gone?.id });
    const ids = [one?.id ?? '', gone?.id ?? ''];
    expect(await lab.refusal(lab.cloud.joinGroup(request.placement, ids, ['10.0.0.1']))).toMatch(/^transient: /);
    expect(await letIn(request)).toEqual([]);
  });
});
