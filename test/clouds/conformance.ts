/** What every cloud must keep to, run against each provider with its stand-in. */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Cloud, CreateRequest } from '../../clouds/cloud.ts';
import { TAGS } from '../../model/cloud-resource.ts';
import { StyxError } from '../../model/errors.ts';
import type { MachineWants } from '../../model/machine-wants.ts';
import { ANY_MACHINE, type Instance, type InstanceState, type Placement } from '../../model/machines.ts';

export interface CloudUnderTest {
  readonly cloud: Cloud;
  readonly authorizedKey: string;
  /** Longest wait for a change of state, milliseconds. */
  readonly patience: number;
  /** Allows so many machines from now on; null: as many as fit. */
  limit(machines: number | null): Promise<void>;
  /** Runs a shell command on a machine; undefined where the stand-in has no disk. */
  readonly run: ((instance: Instance, command: string) => Promise<string>) | undefined;
  /** Throws when the account holds anything; asked when all placements are ended. */
  readonly proveNothingLeft?: () => Promise<void>;
  dispose(): Promise<void>;
}

export function conformance(name: string, makeCloud: () => Promise<CloudUnderTest>): void {
  describe(`${name} as a cloud`, () => {
    let world: CloudUnderTest;
    let cloud: Cloud;
    const made: Placement[] = [];

    beforeAll(async () => {
      world = await makeCloud();
      cloud = world.cloud;
    });
    afterAll(async () => {
      try {
        await Promise.all(made.map((placement) => endsWhole(placement)));
        await world.proveNothingLeft?.();
      } finally {
        await world.dispose();
      }
    });

    async function request(
      numNodes: number,
      tags: Record<string, string> = {},
      wants: MachineWants = {},
    ): Promise<CreateRequest> {
      const [offer] = await cloud.offers({ ...ANY_MACHINE, cloud: cloud.name, numNodes, wants });
      if (offer === undefined) throw new Error('the cloud offers nothing');
      const placement: Placement = { ...offer, key: randomBytes(16).toString('hex'), attempt: 1, numNodes };
      made.push(placement);
      return cloud.prepare(placement, world.authorizedKey, tags, wants);
    }

    async function reach({ placement }: CreateRequest, ...states: InstanceState[]): Promise<Instance[]> {
      const end = Date.now() + world.patience;
      for (;;) {
        const seen = await cloud.list(placement, { placementKey: placement.key });
        if (seen.length === placement.numNodes && seen.every(({ state }) => states.includes(state))) return seen;
        if (Date.now() > end) throw new Error(`not ${states} but ${JSON.stringify(seen)}`);
        await sleep(20);
      }
    }

    /** As a teardown does it: until nothing is left, and no machine is seen. */
    async function endsWhole(placement: Placement): Promise<void> {
      for (const end = Date.now() + world.patience; ; await sleep(50)) {
        const left = await cloud.terminate(placement, placement.key);
        const seen = await cloud.list(placement, { placementKey: placement.key });
        if (left.length === 0 && seen.every(({ state }) => state === 'terminated')) return;
        if (Date.now() > end) throw new Error(`left: ${left} ${JSON.stringify(seen)}`);
      }
    }

    async function isGone({ placement }: CreateRequest): Promise<void> {
      const end = Date.now() + world.patience;
      for (;;) {
        const seen = await cloud.list(placement, { placementKey: placement.key });
        if (seen.every(({ state }) => state === 'terminated')) return;
        if (Date.now() > end) throw new Error(`still there: ${JSON.stringify(seen)}`);
        await sleep(20);
      }
    }

    const kindOf = (promise: Promise<unknown>): Promise<string> =>
      promise.then(
        () => 'no error',
        (error) => cloud.classify(error).kind,
      );

    const ids = (instances: readonly Instance[]): string[] => instances.map(({ id }) => id);

    it('shows all that an installation made, of whatever kind, until it is gone, and nothing else', {
      timeout: 120_000,
    }, async () => {
      const installation = randomBytes(8).toString('hex');
      const [workflowId, generation] = ['cluster/default/c', 'g-1'];
      const tags = { [TAGS.installation]: installation, [TAGS.workflow]: workflowId, [TAGS.generation]: generation };
      const [wanted, other] = [await request(2, tags), await request(1, { [TAGS.installation]: 'other' })];
      await cloud.create(wanted);
      await cloud.create(other);
      await reach(wanted, 'running');
      await reach(other, 'running');
      const owned = await cloud.owned(installation);
      expect(owned.filter(({ kind }) => kind === 'instance')).toHaveLength(2);
      for (const one of owned) {
        expect(one).toMatchObject({ cloud: cloud.name, workflowId, generation, placementKey: wanted.placement.key });
        expect(Math.abs((one.createdAt ?? 0) - Date.now())).toBeLessThan(world.patience + 60_000);
      }
      expect(await cloud.existing(owned)).toEqual(owned);
      const end = Date.now() + world.patience;
      for (let left = owned; left.length > 0; await sleep(50)) {
        expect(Date.now()).toBeLessThan(end);
        for (const one of left) {
          await cloud.remove(one).catch((error) => expect(cloud.classify(error).kind).toBe('transient'));
        }
        left = await cloud.existing(left);
      }
      for (const one of owned) await cloud.remove(one);
      expect(await cloud.owned(installation)).toEqual([]);
      expect((await cloud.owned('other')).length).toBeGreaterThan(0);
    });

    it('is ready, and says what it can do', async () => {
      const check = await cloud.check();
      expect(check.problems).toEqual([]);
      expect(check.ok).toBe(true);
      expect(check.account).not.toBe('');
      expect(check.capabilities).toEqual(await cloud.capabilities());
    });

    it('refuses a region that it does not have, and what is more than it has', async () => {
      const nothing = { cloud: cloud.name, zone: null, instanceType: null, memory: null, accelerators: null };
      const one = { ...nothing, region: null, cpus: null, useSpot: false, numNodes: 1 };
      expect(await kindOf(cloud.offers({ ...one, region: 'atlantis-1' }))).toBe('invalid');
      expect(await kindOf(cloud.offers({ ...one, instanceType: 'no-such-type' }))).toBe('invalid');
    });

    it('makes the machines of a placement once, however often and at once they are asked for', async () => {
      const wanted = await request(2, { 'styx-test': 'once' });
      const answers = await Promise.all(Array.from({ length: 8 }, () => cloud.create(wanted)));
      for (const answer of answers) expect(ids(answer)).toEqual(ids(answers[0] ?? []));
      const running = await reach(wanted, 'running');
      expect(running.map(({ index }) => index)).toEqual([0, 1]);
      expect(ids(await cloud.create(wanted))).toEqual(ids(running));
      expect(new Set(running.map(({ address, sshPort }) => `${address}:${sshPort}`)).size).toBe(2);
      for (const instance of running) {
        expect(instance).toMatchObject({ placementKey: wanted.placement.key, user: expect.any(String) });
        expect(instance.internalAddress).not.toBeNull();
        if ((await cloud.capabilities()).hostKeysKnown) expect(instance.hostKey).toMatch(/^ssh-/);
      }
    });

    it('opens and closes ports of machines that stand, once however often, and meets labels and ports from the start or says why not', async () => {
      const can = (await cloud.capabilities()).openPorts;
      if (can !== true) {
        expect(can).not.toBe('');
        return;
      }
      const wanted = await request(2, {}, { ports: ['8000-8010'], labels: { team: 'core' } });
      await cloud.create(wanted);
      await reach(wanted, 'running');
      const { placement } = wanted;
      const open = () => cloud.setPorts(placement, placement.key, ['8000-8010', '9000']);
      await Promise.all([open(), open()]);
      await open();
      await Promise.all([1, 2].map(() => cloud.setPorts(placement, placement.key, ['8005'])));
      await cloud.setPorts(placement, placement.key, []);
      expect(await cloud.list(placement, { tags: { team: 'core' } })).toHaveLength(2);
    });

    it('makes room for targets outside of the home directory, once however often, or says why it cannot', async () => {
      const can = (await cloud.capabilities()).absoluteTargets;
      const wanted = await request(1);
      await cloud.create(wanted);
      const [instance] = await reach(wanted, 'running');
      const [id, target] = [instance?.id ?? '', `/styx-conformance-${process.pid}/x`];
      const open = () => cloud.openTargets(wanted.placement, [id], [target]);
      if (can !== true) {
        expect(can).not.toBe('');
        expect(await kindOf(open())).toBe('invalid');
        return;
      }
      const at = (await open())[id]?.[target] ?? '';
      expect(at).toMatch(/^\//);
      expect((await open())[id]).toEqual({ [target]: at });
      expect(await world.run?.(instance as Instance, `mkdir -p ${at}; echo here > ${at}/f; cat ${target}/f`)).toBe(
        'here\n',
      );
    });

    it('makes the file of host names one that can be written, with what was in it, however often, or says why it cannot', async () => {
      const can = (await cloud.capabilities()).groupHosts;
      const wanted = await request(1);
      await cloud.create(wanted);
      const [instance] = await reach(wanted, 'running');
      const id = instance?.id ?? '';
      const join = () => cloud.joinGroup(wanted.placement, [id], ['10.9.8.7']);
      if (can !== true) {
        expect(can).not.toBe('');
        expect(await kindOf(join())).toBe('invalid');
        return;
      }
      const path = (await join())[id] ?? '';
      expect(path).toMatch(/^\//);
      const run = async (command: string) => await world.run?.(instance as Instance, command);
      if (world.run !== undefined) expect(await run(`grep -c localhost ${path}`)).toMatch(/^[1-9]/);
      await run(`echo 10.9.8.7 a-0.styx-conformance >> ${path}`);
      expect(await join()).toEqual({ [id]: path });
      if (world.run !== undefined) expect(await run('getent hosts a-0.styx-conformance')).toMatch(/^10\.9\.8\.7/);
    });

    it('lists by placement, by ids and by tags, and all of them must match', async () => {
      const [first, second] = [
        await request(1, { 'styx-test': 'a', x: '1' }),
        await request(1, { 'styx-test': 'b', x: '1' }),
      ];
      const [[a], [b]] = [await cloud.create(first), await cloud.create(second)] as [[Instance], [Instance]];
      const place = first.placement;
      const list = async (filter: Parameters<Cloud['list']>[1]): Promise<string[]> =>
        ids(await cloud.list(place, filter)).sort();
      expect(await list({ placementKey: first.placement.key })).toEqual([a.id]);
      expect(await list({ ids: [b.id, 'unheard-of'] })).toEqual([b.id]);
      expect(await list({ tags: { x: '1' } })).toEqual([a.id, b.id].sort());
      expect(await list({ tags: { x: '1', 'styx-test': 'b' } })).toEqual([b.id]);
      expect(await list({ placementKey: first.placement.key, ids: [b.id] })).toEqual([]);
      expect(await list({ tags: { x: '2' } })).toEqual([]);
    });

    it('ends a placement, also twice, also one that it never heard of, and never makes it again', async () => {
      const wanted = await request(2);
      await cloud.create(wanted);
      const { placement } = wanted;
      await Promise.all([cloud.terminate(placement, placement.key), cloud.terminate(placement, placement.key)]);
      await isGone(wanted);
      await cloud.terminate(placement, placement.key);
      await cloud.terminate(placement, randomBytes(16).toString('hex'));
      expect(await kindOf(cloud.create(wanted))).toBe('not-found');
      await isGone(wanted);
      expect(await kindOf(cloud.start(placement, ['unheard-of']))).toBe('not-found');
      await cloud.stop(placement, ['unheard-of']);
    });

    it('stops machines and starts them again, the same ones with their disks', async () => {
      if ((await cloud.capabilities()).stop !== true) return;
      const wanted = await request(1);
      await cloud.create(wanted);
      const [before] = (await reach(wanted, 'running')) as [Instance];
      await world.run?.(before, 'echo kept > proof && sync');
      await cloud.stop(wanted.placement, [before.id]);
      await cloud.stop(wanted.placement, [before.id]);
      const [stopped] = (await reach(wanted, 'stopped')) as [Instance];
      expect(stopped.id).toBe(before.id);
      await cloud.start(wanted.placement, [before.id]);
      const [after] = (await reach(wanted, 'running')) as [Instance];
      expect(after.id).toBe(before.id);
      expect(after.hostKey).toBe(before.hostKey);
      if (world.run !== undefined) expect(await world.run(after, 'cat proof')).toBe('kept\n');
      await cloud.stop(wanted.placement, [before.id]);
      await reach(wanted, 'stopped');
      await cloud.terminate(wanted.placement, wanted.placement.key);
      await isGone(wanted);
    });

    it('makes all nodes of a placement or none when there is no room', async () => {
      const exist = (await cloud.list(made[0] as Placement, {})).filter(({ state }) => state !== 'terminated').length;
      await world.limit(exist + 2);
      const wanted = await request(3);
      expect(await kindOf(cloud.create(wanted))).toBe('capacity');
      expect(await cloud.list(wanted.placement, { placementKey: wanted.placement.key })).toEqual([]);
      await world.limit(null);
      expect(await cloud.create(wanted)).toHaveLength(3);
      await reach(wanted, 'running');
    });

    it('keeps the kind of an error that has one', () => {
      expect(cloud.classify(new StyxError('quota', 'x')).kind).toBe('quota');
      expect(cloud.classify(new Error('x'))).toBeInstanceOf(StyxError);
    });
  });
}
