/** One process is the agent of all instances: what that must not change, and what becomes of it when any part dies. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { SharedAgents } from '../../clouds/local/agents.ts';
import type { Instance } from '../../model/machines.ts';
import { bundleOf } from '../../nodes/bundle.ts';
import { serveCommand } from '../../nodes/install.ts';
import type { AgentEvent, Lease, Node, NodeAddress, StartRequest } from '../../nodes/node.ts';
import { SshNodePool } from '../../nodes/pool.ts';
import { lockHolder, spawnLocked } from '../../system/lock.ts';
import { alive, exec, Lab, processesOf, until } from './local-lab.ts';

const AGENT = join(import.meta.dirname, '../../agent/');
const FAST = { connectTimeout: 3_000, keepaliveInterval: 200, keepaliveCount: 3 };

function job(jobKey: string, script: string, more: Partial<StartRequest> = {}): StartRequest {
  return { jobKey, phase: 'run', rank: 0, script, env: {}, owner: 'workflow', ...more };
}

async function exitOf(node: Node, jobKey: string): Promise<AgentEvent & { type: 'exited' }> {
  for await (const event of node.events(0, AbortSignal.timeout(20_000)))
    if (event.type === 'exited' && event.process.jobKey === jobKey) return event;
  throw new Error(`nothing is heard of the end of ${jobKey}`);
}

async function logOf(node: Node, jobKey: string): Promise<string> {
  const chunks: Buffer[] = [];
  const request = { jobKey, phase: 'run', rank: 0, from: { offset: 0 }, follow: true } as const;
  for await (const chunk of node.logs(request, AbortSignal.timeout(20_000))) chunks.push(chunk.data);
  return Buffer.concat(chunks).toString();
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return '';
  }
}

/** Agents that run in an instance, each a Python of its own. */
function ownAgents(instance: Instance): string[] {
  return processesOf(instance.id)
    .map(commandOf)
    .filter((text) => /styx-keep|main\.py/.test(text));
}

describe.skipIf(process.platform !== 'linux')('the agents of local instances', () => {
  let lab: Lab;
  let pool: SshNodePool;

  beforeEach(() => {
    lab = new Lab('namespace');
    pool = new SshNodePool({ timing: FAST });
  });
  afterEach(async () => {
    await pool.close();
    await lab.dispose();
  });

  const address = (instance: Instance): NodeAddress => ({
    instanceId: instance.id,
    host: instance.address ?? '',
    port: instance.sshPort,
    user: instance.user,
    hostKey: instance.hostKey,
    privateKey: lab.keys.private,
  });
  const nodeOf = (instance: Instance) => pool.node(address(instance));

  const folder = () => {
    const agents = join(lab.home, 'local', 'agents');
    return join(agents, readdirSync(agents)[0] ?? '');
  };
  const served = () => readdirSync(join(folder(), 'instances')).sort();

  /** The process that is the agent of all instances. */
  const theShared = (): number => {
    const holder = lockHolder(join(folder(), 'lock'));
    if (holder === null) throw new Error('there is none');
    return holder.pid;
  };
  const killShared = async () => {
    const pid = theShared();
    process.kill(pid, 'SIGKILL');
    await until(() => {
      if (alive(pid)) throw new Error('it lives');
    });
  };
  const descriptors = () => readdirSync(`/proc/${theShared()}/fd`).length;

  test('are one process, and nothing but the shells of a job stands in its instance', async () => {
    const instances = await lab.create(lab.placement(3));
    const nodes = await Promise.all(instances.map(nodeOf));
    await Promise.all(nodes.map((node, at) => node.start(job('1.1', `echo $HOME; exec sleep 60.${at}`))));
    expect(served()).toEqual(instances.map(({ id }) => id).sort());
    theShared();
    for (const [at, instance] of instances.entries()) {
      await until(() => {
        const commands = processesOf(instance.id).map(commandOf);
        const others = commands.filter((text) => !/^\/bin\/sh .*\/init |^unshare |^\/bin\/sh -c |^sleep /.test(text));
        expect(others).toEqual([]);
        expect(commands.filter((text) => text === `sleep 60.${at} `)).toHaveLength(1);
        // The channel that is open has no process.
        expect(commands.filter((text) => text.includes('styx-channel'))).toEqual([]);
      });
    }
    for (const node of nodes) await node.cancel('1.1', 0);
    for (const [at, node] of nodes.entries()) {
      expect((await exitOf(node, '1.1')).process.cancelled).toBe(true);
      expect(await logOf(node, '1.1')).toBe(`${join(lab.directory(instances[at] as Instance), 'home')}\n`);
    }
  });

  test('kill -9: jobs go on, what ends meanwhile is known, and the next process goes on with every instance by itself', async () => {
    const [one, two] = (await lab.create(lab.placement(2))) as [Instance, Instance];
    const node = await nodeOf(one);
    await node.start(job('1.1', 'for i in 1 2 3 4 5 6; do echo $i; sleep 0.1; done; echo x >> ledger; exit 4'));
    await (await nodeOf(two)).start(job('1.2', 'sleep 2; exit 5'));
    await killShared();
    await until(async () => expect((await node.stats().catch((error) => error)).kind).toBe('unreachable'));
    const again = await nodeOf(one);
    expect((await exitOf(again, '1.1')).process).toMatchObject({ exitCode: 4, lost: false, cancelled: false });
    expect(await logOf(again, '1.1')).toBe('1\n2\n3\n4\n5\n6\n');
    expect((await lab.run(one, 'cat sky_workdir/ledger')).stdout).toBe('x\n');
    const later = await nodeOf(two);
    expect((await exitOf(later, '1.2')).process).toMatchObject({ exitCode: 5, lost: false });
    await until(() => expect([one, two].flatMap(ownAgents)).toEqual([]));
    theShared();
  });

  test('kill -9 with nobody there: a lease is kept by the next process, without a client and without the host', async () => {
    const [instance] = (await lab.create()) as [Instance];
    const powerOff = lab.cloud.powerOff(instance, 'stop');
    const lease: Lease = {
      idle: { after: 4_000, waitFor: 'jobs', powerOff },
      deadman: null,
      contactLost: 100,
      notices: null,
    };
    await (await nodeOf(instance)).setLease(lease);
    await pool.close();
    await killShared();
    await lab.killHost();
    await until(() => expect(processesOf(instance.id)).toEqual([]), 20_000);
    await until(async () =>
      expect((await lab.list(instance.placementKey))[0]).toMatchObject({
        state: 'stopped',
        stateReason: 'stopped from inside',
      }),
    );
    await until(() => expect(served()).toEqual([]));
  });

  test('a cancel reaches all that a job left in its instance, and nothing of the same numbers outside', async () => {
    const instance = await lab.one();
    const node = await nodeOf(instance);
    const before = processesOf(instance.id);
    const outside = spawn('sleep', ['60']);
    await once(outside, 'spawn');
    await node.start(
      job(
        '1.1',
        "trap '' TERM; (trap '' TERM; sleep 61 & wait) & setsid sh -c 'sleep 62 & wait' & echo up; wait; sleep 63",
      ),
    );
    await until(() =>
      expect(processesOf(instance.id).filter((pid) => commandOf(pid).startsWith('sleep 6'))).toHaveLength(2),
    );
    await node.cancel('1.1', 300);
    expect((await exitOf(node, '1.1')).process.cancelled).toBe(true);
    await until(() =>
      expect(
        processesOf(instance.id).filter((pid) => !before.includes(pid) && !/^sleep 30/.test(commandOf(pid))),
      ).toEqual([]),
    );
    expect(outside.exitCode).toBeNull();
    outside.kill();
    theShared();
  });

  test('the end of an instance is the end of its part, and a start has it anew with the events of before', async () => {
    const placement = lab.placement(2);
    const [one, two] = (await lab.create(placement)) as [Instance, Instance];
    const other = await nodeOf(two);
    await other.start(job('2.1', 'sleep 60'));
    const before = descriptors();
    for (let turn = 1; turn <= 4; turn += 1) {
      const [instance] = (await until(async () => {
        const found = (await lab.list(placement.key)).filter(({ id, state }) => id === one.id && state === 'running');
        if (found.length === 0) throw new Error('not yet');
        return found;
      })) as [Instance];
      const node = await nodeOf(instance);
      if (turn > 1) expect((await exitOf(node, `9.${turn - 1}`)).process).toMatchObject({ exitCode: 137, lost: true });
      await node.start(job(`1.${turn}`, 'exit 7'));
      // After those of before: its own, and of the job that ended with the machine.
      expect((await exitOf(node, `1.${turn}`)).seq).toBe(2 * turn - 1);
      await node.start(job(`9.${turn}`, 'sleep 60'));
      await lab.cloud.stop(placement, [one.id]);
      await until(() => expect(served()).toEqual([two.id]));
      await until(async () =>
        expect((await lab.list(placement.key)).map(({ state }) => state).sort()).toEqual(['running', 'stopped']),
      );
      if (turn < 4) await lab.cloud.start(placement, [one.id]);
    }
    await until(() => expect(descriptors()).toBeLessThanOrEqual(before));
    expect(await other.processes('2.1')).toMatchObject([{ state: 'running' }]);
  });

  test('a fault in one of them disturbs no other, and is mended', async () => {
    const [one, two] = (await lab.create(lab.placement(2))) as [Instance, Instance];
    const [faulty, other] = await Promise.all([nodeOf(one), nodeOf(two)]);
    await faulty.start(job('1.1', 'sleep 3; exit 3'));
    await other.start(job('2.1', 'sleep 3; exit 4'));
    const listening = exitOf(other, '2.1');
    const client = await lab.connect(one);
    const channel = await exec(client, serveCommand(bundleOf(AGENT).version));
    channel.write('{"id": 1, "op": ["no name at all"]}\n');
    await once(channel.resume(), 'close');
    client.end();
    await until(() =>
      expect(readFileSync(join(lab.directory(one), 'home/.styx-agent/agent.log'), 'utf8')).toContain('TypeError'),
    );
    expect((await listening).process.exitCode).toBe(4);
    const { process: ended } = await until(async () => await exitOf(await nodeOf(one), '1.1'));
    expect(ended).toMatchObject({ exitCode: 3, lost: false });
    await until(() => expect(ownAgents(one)).toEqual([]));
  });

  test('a client of another version has an agent of its own there, and takes jobs over and gives them back', async () => {
    const instance = await lab.one();
    const text = JSON.parse(bundleOf(AGENT).payload.toString()) as Record<string, string>;
    const other = join(lab.home, 'other');
    mkdirSync(other);
    for (const [name, code] of Object.entries(text)) writeFileSync(join(other, name), `${code}# another version\n`);
    const strange = new SshNodePool({ timing: FAST, bundle: bundleOf(`${other}/`) });
    try {
      await (await nodeOf(instance)).start(job('1.1', 'sleep 2; exit 6'));
      const theirs = await strange.node(address(instance));
      expect(await theirs.processes('1.1')).toMatchObject([{ state: 'running' }]);
      await theirs.start(job('1.2', 'sleep 2; exit 7'));
      expect(ownAgents(instance)).not.toEqual([]);
      expect(served()).toEqual([]);
      const node = await nodeOf(instance);
      for (const [key, exitCode] of [
        ['1.1', 6],
        ['1.2', 7],
      ] as const)
        expect((await exitOf(node, key)).process).toMatchObject({ exitCode, lost: false });
      expect(served()).toEqual([instance.id]);
    } finally {
      await strange.close();
    }
  });

  test('where the one process cannot be had, each instance has its own agent', async () => {
    // A process that holds its lock and does not serve.
    await lab.one();
    const [keeper] = readFileSync(join(folder(), 'keeper.lock'), 'utf8').split(' ');
    process.kill(Number(keeper), 'SIGKILL');
    await killShared();
    const holder = await spawnLocked(join(folder(), 'lock'), ['sleep', '60'], { stdio: 'ignore' });
    try {
      execFileSync('rm', ['-f', join(folder(), 'socket')]);
      const instance = await lab.one();
      const node = await nodeOf(instance);
      await node.start(job('1.1', 'echo own; exit 2'));
      expect((await exitOf(node, '1.1')).process.exitCode).toBe(2);
      expect(
        processesOf(instance.id)
          .map(commandOf)
          .filter((text) => text.includes('styx-keep')),
      ).toHaveLength(1);
    } finally {
      holder?.child.kill('SIGKILL');
    }
  });

  test('one that nobody reaches is begun anew', async () => {
    const [instance, other] = (await lab.create(lab.placement(2))) as [Instance, Instance];
    await (await nodeOf(instance)).start(job('1.1', 'sleep 3; exit 8'));
    const undisturbed = await nodeOf(other);
    execFileSync('rm', [join(lab.directory(instance), 'home/.styx-agent/socket')]);
    const late = new SshNodePool({ timing: FAST });
    try {
      expect((await exitOf(await late.node(address(instance)), '1.1')).process.exitCode).toBe(8);
    } finally {
      await late.close();
    }
    expect((await undisturbed.stats()).running).toBe(0);
    theShared();
  });

  test('one that is stuck is ended by the host, and the next goes on', async () => {
    const instance = await lab.one();
    await (await nodeOf(instance)).start(job('1.1', 'sleep 3; exit 9'));
    const pid = theShared();
    // As the host does, whose looks are seconds apart.
    const agents = new SharedAgents(join(lab.home, 'local'), () => {});
    agents.watch();
    process.kill(pid, 'SIGSTOP');
    await until(() => {
      agents.watch();
      expect(alive(pid)).toBe(false);
    });
    // Whoever was connected may not have heard of it yet.
    const { process: ended } = await until(async () => await exitOf(await nodeOf(instance), '1.1'));
    expect(ended).toMatchObject({ exitCode: 9, lost: false });
    theShared();
  });

  test('ends with the data directory', async () => {
    await nodeOf(await lab.one());
    const pid = theShared();
    execFileSync('mv', [folder(), `${folder()}.gone`]);
    await until(() => expect(alive(pid)).toBe(false));
  });
});
