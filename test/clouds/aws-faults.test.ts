/** What AWS does on bad days, and what is left afterwards: nothing. */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { AwsCloud } from '../../clouds/aws/aws.ts';
import type { CreateRequest } from '../../clouds/cloud.ts';
import type { StyxError } from '../../model/errors.ts';
import {
  ANY_MACHINE,
  type Instance,
  type InstanceState,
  type Placement,
  type ResourceRequest,
} from '../../model/machines.ts';
import { Account, motoPython } from '../stand-ins/aws/account.ts';
import type { Fault } from '../stand-ins/aws/fault-proxy.ts';
import { keyPair } from './local-lab.ts';

const python = motoPython();
if ('reason' in python) console.warn(`SKIPPED test/clouds/aws-faults: ${python.reason}`);
vi.setConfig({ testTimeout: 60_000, hookTimeout: 120_000 });

const PATIENCE_MS = 30_000;
const SMALL: ResourceRequest = { ...ANY_MACHINE, cloud: 'aws', region: 'us-east-1', instanceType: 'm5.large' };
const { public: authorizedKey } = keyPair();
const TAGS = { 'styx-cluster': 'faults', 'styx-installation': 'i' };

let account: Account;
let cloud: AwsCloud;
const made: Placement[] = [];

async function placement(numNodes = 1, request: ResourceRequest = SMALL): Promise<Placement> {
  const [offer] = await cloud.offers({ ...request, numNodes });
  if (offer === undefined) throw new Error('no offer');
  const one: Placement = { ...offer, key: randomBytes(16).toString('hex'), attempt: 1, numNodes };
  made.push(one);
  return one;
}

async function prepared(numNodes = 1, request: ResourceRequest = SMALL): Promise<CreateRequest> {
  return await cloud.prepare(await placement(numNodes, request), authorizedKey, TAGS);
}

async function failure(promise: Promise<unknown>): Promise<StyxError> {
  return await promise.then(
    () => {
      throw new Error('it did not fail');
    },
    (error: unknown) => cloud.classify(error),
  );
}

async function until<T>(what: string, look: () => Promise<T | null>): Promise<T> {
  for (const end = Date.now() + PATIENCE_MS; ; await sleep(50)) {
    const found = await look();
    if (found !== null) return found;
    if (Date.now() > end) throw new Error(`not yet: ${what}`);
  }
}

async function reach({ key, numNodes, ...place }: Placement, state: InstanceState): Promise<Instance[]> {
  return await until(`${numNodes} ${state}`, async () => {
    const seen = await cloud.list(place, { placementKey: key });
    return seen.length === numNodes && seen.every((one) => one.state === state) ? seen : null;
  });
}

/** As a teardown does it, errors and all: again until nothing is left. */
async function endWhole(one: Placement): Promise<void> {
  await until('nothing is left', async () => {
    const left = await cloud.terminate(one, one.key).catch((error: unknown) => [String(error)]);
    return left.length === 0 ? true : null;
  });
}

function faults(...list: Fault[]): void {
  account.proxy.faults = list;
}

describe.skipIf('reason' in python)('AWS on a bad day', () => {
  beforeAll(async () => {
    account = await Account.start();
    account.enter();
    cloud = new AwsCloud({ home: account.home, lookEvery: 50, settle: 400 });
  });

  afterEach(async () => {
    await account.calm();
    await Promise.all(made.splice(0).map(endWhole));
    const { created: _, ...left } = await account.ledger();
    expect(left).toEqual({ instances: [], groups: [], volumes: [] });
  });

  afterAll(async () => {
    await account?.end();
  });

  const broken: Fault['do'][] = ['drop-before', 'drop-after', 'truncate', { error: 'InternalError', status: 500 }];
  for (const action of ['RunInstances', 'CreateSecurityGroup', 'AuthorizeSecurityGroupIngress', 'DescribeSubnets']) {
    for (const fault of broken) {
      const name = typeof fault === 'string' ? fault : 'an internal error';
      test(`${action}: ${name} makes no machine more and no group more`, async () => {
        const before = (await account.ledger()).created.length;
        faults({ action, times: 1, do: fault });
        const request = await prepared(2);
        const instances = await cloud.create(request);
        expect(instances.map(({ index }) => index)).toEqual([0, 1]);
        const { created, groups } = await account.ledger();
        expect(created.slice(before)).toHaveLength(2);
        expect(groups).toHaveLength(1);
      });
    }
  }

  test('a worker that dies after RunInstances was answered to nobody finds the same machines', async () => {
    const before = (await account.ledger()).created.length;
    const request = await prepared(2);
    faults({ action: 'RunInstances', do: 'drop-after' });
    expect((await failure(cloud.create(request))).kind).toBe('transient');
    faults();
    // Another worker, which knows the recorded request and nothing else.
    const again = new AwsCloud({ home: account.home, lookEvery: 50, settle: 400 });
    const instances = await again.create(JSON.parse(JSON.stringify(request)) as CreateRequest);
    expect((await account.ledger()).created.slice(before)).toEqual(instances.map(({ id }) => id));
  });

  test('the recorded request holds no private key, and the machine is known by its own', async () => {
    const request = await prepared();
    expect(JSON.stringify(request)).not.toMatch(/PRIVATE KEY/);
    account.proxy.log.length = 0;
    const [one] = await cloud.create(request);
    const [asked] = account.proxy.log.filter(({ action }) => action === 'RunInstances');
    const form = new URLSearchParams(asked?.body);
    const userData = Buffer.from(form.get('UserData') ?? '', 'base64').toString();
    expect(userData).toMatch(/^#cloud-config\n/);
    const config = JSON.parse(userData.replace(/^#.*\n/, ''));
    expect(config.ssh_keys.ed25519_private).toMatch(/^-----BEGIN OPENSSH PRIVATE KEY-----\n/);
    expect(config.ssh_keys.ed25519_public).toBe(one?.hostKey);
    expect(config.ssh_authorized_keys).toEqual([authorizedKey.trim()]);
    expect(form.get('MetadataOptions.HttpTokens')).toBe('required');
    expect(form.get('ClientToken')).toBe(request.placement.key);
    expect([form.get('MinCount'), form.get('MaxCount')]).toEqual(['1', '1']);
    const kinds = [...form]
      .filter(([name]) => /^TagSpecification\.\d+\.ResourceType$/.test(name))
      .map(([, kind]) => kind);
    expect(kinds).toEqual(['instance', 'volume', 'network-interface']);
  });

  test('no capacity in a zone, a region or anywhere: capacity, asked for once, and no machine of the gang', async () => {
    const request = await prepared(3);
    await account.order('capacity', { 'm5.large': { [request.placement.zone]: 2 } });
    account.proxy.log.length = 0;
    expect((await failure(cloud.create(request))).kind).toBe('capacity');
    expect(account.proxy.count('RunInstances')).toBe(1);
    expect((await account.ledger()).instances).toEqual([]);
    const offers = await cloud.offers({ ...SMALL, numNodes: 3 });
    expect(new Set(offers.map(({ zone }) => zone)).size).toBeGreaterThan(2);
    expect(offers.every(({ disk }) => disk?.size === 256 && disk.hourlyCost > 0.02 && disk.hourlyCost < 0.04)).toBe(
      true,
    );
    const other = offers.find(({ zone }) => zone !== request.placement.zone) as Placement;
    const second: Placement = { ...other, key: randomBytes(16).toString('hex'), attempt: 2, numNodes: 3 };
    made.push(second);
    expect(await cloud.create(await cloud.prepare(second, authorizedKey, TAGS))).toHaveLength(3);
    await account.order('capacity', { '*': { '*': 0 } });
    expect((await failure(cloud.create(await prepared()))).kind).toBe('capacity');
  });

  test('a burst of errors and throttles is outlived', async () => {
    const error: Fault['do'] = { error: 'RequestLimitExceeded', status: 503 };
    faults(
      { times: 2, do: { error: 'ServiceUnavailable', status: 503 } },
      { action: 'RunInstances', times: 3, do: error },
    );
    expect(await cloud.create(await prepared())).toHaveLength(1);
    faults({ action: 'RunInstances', do: error });
    expect((await failure(cloud.create(await prepared()))).kind).toBe('throttled');
  });

  test.each([2, 5])('machines that no listing shows for %i s are ended all the same', async (seconds) => {
    await account.order('lag', { seconds });
    const request = await prepared(2);
    faults({ action: 'RunInstances', do: 'drop-after' });
    await failure(cloud.create(request));
    faults();
    const { placement: one } = request;
    expect(await cloud.list(one, { placementKey: one.key })).toEqual([]);
    expect(await cloud.terminate(one, one.key)).not.toEqual([]);
    await endWhole(one);
    expect((await account.ledger()).instances).toEqual([]);
  });

  test('a create call that comes after the end of its placement makes nothing', async () => {
    const before = (await account.ledger()).created.length;
    const request = await prepared(2);
    await endWhole(request.placement);
    expect((await failure(cloud.create(request))).kind).toBe('not-found');
    expect((await account.ledger()).created.length).toBe(before);
  });

  test('the end is told only when the security group is gone, which waits for the machines', async () => {
    await account.order('timing', { ending: 0.6 });
    const { placement: one } = await prepared(1).then(async (request) => {
      await cloud.create(request);
      return request;
    });
    await reach(one, 'running');
    expect(await cloud.terminate(one, one.key)).toEqual([expect.stringContaining('security group')]);
    expect((await account.ledger()).groups).toHaveLength(1);
    faults({
      action: 'DeleteSecurityGroup',
      times: 2,
      do: { error: 'DependencyViolation', message: 'has a dependent object' },
    });
    await endWhole(one);
    expect((await account.ledger()).groups).toEqual([]);
    expect(await cloud.terminate(one, one.key)).toEqual([]);
  });

  test('a quota is told before the asking where it is certain, with the place where more is had', async () => {
    await account.order('quota', { 'L-1216C47A': 4 });
    const fresh = new AwsCloud({ home: account.home, lookEvery: 50, settle: 400 });
    account.proxy.log.length = 0;
    const sure = await fresh.prepare(await placement(3), authorizedKey, TAGS).then(
      () => null,
      (error: unknown) => fresh.classify(error),
    );
    expect(sure).toMatchObject({ kind: 'quota', message: expect.stringContaining('6 vCPUs') });
    expect(sure?.hint).toContain('L-1216C47A');
    expect(account.proxy.count('CreateSecurityGroup')).toBe(0);
    await fresh.create(await fresh.prepare(await placement(2), authorizedKey, TAGS));
    const full = await failure(fresh.create(await fresh.prepare(await placement(1), authorizedKey, TAGS)));
    expect(full).toMatchObject({ kind: 'quota', hint: expect.stringContaining('L-1216C47A') });
  });

  test('expired credentials fail as auth, and renewed ones are used at once, in a teardown too', async () => {
    const { placement: one } = await prepared().then(async (request) => {
      await cloud.create(request);
      return request;
    });
    faults({ do: { error: 'ExpiredToken', message: 'The security token included in the request is expired' } });
    const refused = await failure(cloud.terminate(one, one.key));
    expect(refused).toMatchObject({ kind: 'auth', hint: expect.stringContaining('Renew') });
    expect((await account.ledger()).instances).toHaveLength(1);
    account.renew('AKIARENEWED');
    faults();
    account.proxy.log.length = 0;
    await endWhole(one);
    expect((await account.ledger()).instances).toEqual([]);
    expect(new Set(account.proxy.log.map(({ key }) => key))).toEqual(new Set(['AKIARENEWED']));
  });

  test('a clock that is wrong is set right by the answer, or told as such', async () => {
    const date = new Date(Date.now() + 60 * 60_000).toUTCString();
    const expired = { error: 'RequestExpired', message: 'Request has expired.', headers: { date } };
    faults({ action: 'DescribeInstances', times: 1, do: expired });
    const clockless = new AwsCloud({ home: account.home, lookEvery: 50, settle: 400 });
    expect(await clockless.list({ region: 'us-east-1', zone: 'us-east-1a' }, { placementKey: 'none' })).toEqual([]);
    faults({ do: { error: 'RequestExpired', message: 'Request has expired.' } });
    expect(await failure(cloud.offers({ ...SMALL, region: 'us-west-1' }))).toMatchObject({
      kind: 'auth',
      hint: expect.stringContaining('clock'),
    });
  });

  test('another request under the same token finds what the first one made', async () => {
    const request = await prepared(2);
    const first = await cloud.create(request);
    await reach(request.placement, 'running');
    const changed = { ...request, resolved: { ...request.resolved, diskSize: 300 } };
    expect((await cloud.create(changed)).map(({ id }) => id)).toEqual(first.map(({ id }) => id));
  });

  test('a token that was used for machines that nobody has is a placement that is over, after a while and never at once', async () => {
    const request = await prepared();
    const before = (await account.ledger()).created.length;
    faults({ action: 'RunInstances', do: { error: 'IdempotentParameterMismatch', message: 'another request' } });
    expect(await failure(cloud.create(request))).toMatchObject({
      kind: 'transient',
      message: expect.stringContaining('not listed yet'),
    });
    const last = await until('the placement is over', async () => {
      const said = await failure(cloud.create(request));
      return said.kind === 'transient' ? null : said;
    });
    expect(last).toMatchObject({ kind: 'not-found', message: expect.stringContaining('is over') });
    expect((await account.ledger()).created.length).toBe(before);
  });

  test('a token that was used for machines that are listed late finds them, and is not over before', async () => {
    await account.order('lag', { seconds: 1 });
    const patient = new AwsCloud({ home: account.home, lookEvery: 50, settle: 30_000 });
    const request = await prepared(2);
    const first = await patient.create(request);
    const changed = { ...request, resolved: { ...request.resolved, diskSize: 300 } };
    expect((await failure(patient.create(changed))).kind).toBe('transient');
    const found = await until('they are listed', () => patient.create(changed).catch(() => null));
    expect(found.map(({ id }) => id)).toEqual(first.map(({ id }) => id));
  });

  test('a create call whose token has machines that are shutting down is over, and makes no others', async () => {
    const request = await prepared(2);
    await cloud.create(request);
    const [one] = await reach(request.placement, 'running');
    await account.order('timing', { ending: 5 });
    await cloud.terminate(request.placement, request.placement.key);
    expect((await cloud.list(request.placement, { ids: [one?.id ?? ''] }))[0]?.state).toBe('shutting-down');
    account.proxy.log.length = 0;
    const before = (await account.ledger()).created.length;
    expect(await failure(cloud.create(request))).toMatchObject({
      kind: 'not-found',
      message: expect.stringContaining('is over'),
    });
    expect(account.proxy.count('RunInstances')).toBe(1);
    expect((await account.ledger()).created.length).toBe(before);
  });

  test('spot machines are made one-time, are told when they were taken back, and cannot be stopped', async () => {
    const request = await prepared(1, { ...SMALL, useSpot: true });
    account.proxy.log.length = 0;
    await cloud.create(request);
    const form = new URLSearchParams(account.proxy.log.find(({ action }) => action === 'RunInstances')?.body);
    expect(form.get('InstanceMarketOptions.SpotOptions.SpotInstanceType')).toBe('one-time');
    expect(form.get('InstanceInitiatedShutdownBehavior')).toBe('terminate');
    const [one] = await reach(request.placement, 'running');
    expect(await failure(cloud.stop(request.placement, [one?.id ?? '']))).toMatchObject({ kind: 'invalid' });
    await account.order('preempt', { id: one?.id });
    const [gone] = await reach(request.placement, 'terminated');
    expect(gone?.stateReason).toMatch(/[Ss]pot/);
    expect((await failure(cloud.create(request))).kind).toBe('not-found');
  });

  test('the shutdown behaviour follows the action that a machine may take by itself', async () => {
    const request = await prepared();
    const [one] = await cloud.create(request);
    for (const action of ['terminate', 'stop'] as const) {
      account.proxy.log.length = 0;
      await cloud.armPowerOff(request.placement, [one?.id ?? ''], action);
      const [asked] = account.proxy.log;
      expect(new URLSearchParams(asked?.body).get('InstanceInitiatedShutdownBehavior.Value')).toBe(action);
      expect(cloud.powerOff(one as Instance, action).identity.text).toBe(one?.id);
    }
  });

  test('many who look at one region at the same time share a call', async () => {
    const requests = await Promise.all(Array.from({ length: 4 }, () => prepared()));
    await Promise.all(requests.map((request) => cloud.create(request)));
    account.proxy.log.length = 0;
    const seen = await Promise.all(
      [...requests, ...requests].map(({ placement: one }) => cloud.list(one, { placementKey: one.key })),
    );
    expect(seen.map((list) => list.length)).toEqual(Array(8).fill(1));
    expect(account.proxy.count('DescribeInstances')).toBeLessThanOrEqual(2);
  });
});
