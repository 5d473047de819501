/** Answers of AWS that are lost, cut off or an error, of the calls that stop, start and end machines. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import type { CreateRequest } from '../../clouds/cloud.ts';
import { TAGS } from '../../model/cloud-resource.ts';
import type { Instance, InstanceState } from '../../model/machines.ts';
import { motoPython } from '../stand-ins/aws/account.ts';
import type { Fault } from '../stand-ins/aws/fault-proxy.ts';
import { AwsLab, asked } from './aws-lab.ts';

const python = motoPython();
if ('reason' in python) console.warn(`SKIPPED test/clouds/aws-lost-answers: ${python.reason}`);
vi.setConfig({ testTimeout: 60_000, hookTimeout: 120_000 });

const PATIENCE_MS = 30_000;
const PAIR = { ...asked('infra: aws/us-east-1, instance_type: m5.large'), numNodes: 2 };
const BROKEN: [string, Fault['do']][] = [
  ['lost before the work', 'drop-before'],
  ['lost after the work', 'drop-after'],
  ['cut off', 'truncate'],
  ['an internal error', { error: 'InternalError', status: 500 }],
];

let lab: AwsLab;

async function made(): Promise<{ request: CreateRequest; ids: string[] }> {
  const request = await lab.prepared(PAIR);
  await lab.cloud.create(request);
  return { request, ids: await reach(request, 'running') };
}

/** Ids of the two machines, once all of them are so. */
async function reach({ placement }: CreateRequest, state: InstanceState): Promise<string[]> {
  const { key: placementKey, numNodes, ...place } = placement;
  for (const end = Date.now() + PATIENCE_MS; ; await sleep(50)) {
    const seen: Instance[] = await lab.cloud.list(place, { placementKey });
    if (seen.length === numNodes && seen.every((one) => one.state === state)) return seen.map(({ id }) => id);
    if (Date.now() > end) throw new Error(`not ${state}: ${JSON.stringify(seen)}`);
  }
}

/** Breaks the next answers of an action. */
function breaking(action: string, fault: Fault['do'], times = 1): void {
  lab.account.proxy.log.length = 0;
  lab.account.proxy.faults = [{ action, times, do: fault }];
}

describe.skipIf('reason' in python)('answers of AWS that do not come', () => {
  beforeAll(async () => {
    lab = await AwsLab.start({ [TAGS.cluster]: 'lost', [TAGS.installation]: 'i' });
  });

  afterEach(async () => {
    await lab.account.calm();
    await lab.clear();
  });

  afterAll(async () => await lab?.end());

  test.each(BROKEN)('StopInstances, %s: the machines stop, and nothing more is asked of them', async (_, fault) => {
    const { request, ids } = await made();
    breaking('StopInstances', fault);
    await lab.cloud.stop(request.placement, ids);
    expect(lab.account.proxy.count('StopInstances')).toBe(2);
    expect(await reach(request, 'stopped')).toEqual(ids);
    await lab.cloud.stop(request.placement, ids);
    expect(lab.account.proxy.count('StopInstances')).toBe(2);
  });

  test.each(BROKEN)('StartInstances, %s: the same machines run again, and no others', async (_, fault) => {
    const { request, ids } = await made();
    await lab.cloud.stop(request.placement, ids);
    await reach(request, 'stopped');
    const before = (await lab.account.ledger()).created.length;
    breaking('StartInstances', fault);
    await lab.cloud.start(request.placement, ids);
    expect(lab.account.proxy.count('StartInstances')).toBe(2);
    expect(await reach(request, 'running')).toEqual(ids);
    expect((await lab.account.ledger()).created.length).toBe(before);
  });

  test.each(BROKEN)('TerminateInstances, %s: the machines end, and the end is told only then', async (_, fault) => {
    const { request } = await made();
    breaking('TerminateInstances', fault);
    await lab.endWhole(request.placement);
    expect(lab.account.proxy.count('TerminateInstances')).toBeGreaterThanOrEqual(fault === 'drop-before' ? 2 : 1);
    expect(await lab.account.ledger()).toMatchObject({ instances: [], groups: [], volumes: [] });
  });

  test.each(BROKEN)('DeleteSecurityGroup, %s: the group goes, and one that is gone is no error', async (_, fault) => {
    const { request } = await made();
    breaking('DeleteSecurityGroup', fault);
    await lab.endWhole(request.placement);
    expect(lab.account.proxy.count('DeleteSecurityGroup')).toBeGreaterThanOrEqual(2);
    expect(await lab.account.ledger()).toMatchObject({ instances: [], groups: [], volumes: [] });
  });

  test.each(['TerminateInstances', 'DeleteSecurityGroup'])(
    '%s that is never answered is an error of the teardown and never its end, and the next one ends it',
    async (action) => {
      const { request } = await made();
      breaking(action, 'drop-before', 1_000);
      const { placement: one } = request;
      const fails = async () => await lab.refusal(lab.cloud.terminate(one, one.key));
      const end = Date.now() + PATIENCE_MS;
      let said = await fails();
      for (; !said.startsWith('transient') && Date.now() < end; await sleep(50)) said = await fails();
      expect(said).toMatch(/^transient: /);
      expect((await lab.account.ledger()).groups).toHaveLength(1);
      lab.account.proxy.faults = [];
      await lab.endWhole(one);
      expect(await lab.account.ledger()).toMatchObject({ instances: [], groups: [], volumes: [] });
    },
  );
});
