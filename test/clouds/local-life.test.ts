import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LocalCloud } from '../../clouds/local/local.ts';
import { StyxError } from '../../model/errors.ts';
import type { Instance } from '../../model/machines.ts';
import { alive, Lab, MODES, processesOf, until } from './local-lab.ts';

const PLACE = { region: 'local', zone: 'local-a' };

/** Writes the time into a file of the home for ever, from a session of its own whose starter is gone. */
const DETACHED = "setsid sh -c 'while :; do date +%s%N > beat; sleep 0.05; done' >/dev/null 2>&1 </dev/null & disown";

/** A chain of processes, each of which forks the next and ends. */
const FORK_LOOP = `python3 -I -S -c '
import os
if os.fork(): os._exit(0)
os.setsid()
while True:
    if os.fork(): os._exit(0)
' >/dev/null 2>&1 </dev/null`;

describe.each(MODES)('the life of local instances (%s)', (mode) => {
  let lab: Lab;
  beforeEach(() => {
    lab = new Lab(mode);
  });
  afterEach(() => lab.dispose());

  const beats = async (instance: Instance): Promise<void> => {
    const beat = async (): Promise<string> => (await lab.run(instance, 'cat beat')).stdout;
    const first = await until(async () => {
      const text = await beat();
      if (text === '') throw new Error('no beat');
      return text;
    });
    await until(async () => {
      if ([first, ''].includes(await beat())) throw new Error('the job stands still');
    });
  };
  const gone = (instance: Instance) => until(() => expect(processesOf(instance.id)).toEqual([]));

  it('end detached jobs on stop, preemption and termination', async () => {
    const placement = { ...lab.placement(3), numNodes: 3 };
    const [a, b, c] = (await lab.create(placement)) as [Instance, Instance, Instance];
    for (const instance of [a, b, c]) {
      await lab.run(instance, DETACHED);
      await beats(instance);
    }
    await lab.cloud.stop(placement, [a.id]);
    await lab.cloud.preempt(b.id);
    await until(async () => {
      const states = (await lab.list(placement.key)).map(({ state }) => state);
      expect(states).toEqual(['stopped', 'terminated', 'running']);
    });
    expect([processesOf(a.id), processesOf(b.id)]).toEqual([[], []]);
    expect((await lab.list(placement.key))[1]?.stateReason).toBe('spot preemption');
    await lab.cloud.terminate(placement, placement.key);
    await lab.reach(placement, 'terminated');
    expect(processesOf(c.id)).toEqual([]);
    expect(readdirSync(lab.directory(c))).toEqual(['instance.json']);
  });

  it('end a job that forks faster than one can look', async () => {
    const placement = lab.placement();
    const [instance] = (await lab.create(placement)) as [Instance];
    await lab.run(instance, FORK_LOOP);
    await sleep(100);
    await lab.cloud.terminate(placement, placement.key);
    await lab.reach(placement, 'terminated');
    await sleep(100);
    // One look may miss a chain that forks faster than it is read.
    for (let look = 0; look < 100; look++) expect(processesOf(instance.id)).toEqual([]);
  });

  it('goes on at the same address with the same key when the host is killed', async () => {
    const instance = await lab.one();
    await lab.run(instance, DETACHED);
    await lab.killHost();
    await expect(lab.connect(instance)).rejects.toThrow();
    const [again] = await lab.list(instance.placementKey);
    expect(again).toMatchObject({ id: instance.id, state: 'running' });
    await until(() => beats(instance));
    expect(again).toEqual(instance);
  });

  it('can be powered off from inside with the host dead: stop keeps the home, terminate deletes it', async () => {
    const placement = lab.placement(2);
    const [stopping, ending] = (await lab.create(placement)) as [Instance, Instance];
    for (const [instance, action] of [
      [stopping, 'stop'],
      [ending, 'terminate'],
    ] as const) {
      const { command, identity } = lab.cloud.powerOff(instance, action);
      expect((await lab.run(instance, `cat ${identity.path}`)).stdout).toContain(identity.text);
      await lab.run(instance, DETACHED);
      await lab.run(
        instance,
        `echo kept > proof; (until [ -e go ]; do sleep 0.05; done; exec ${command.join(' ')}) >/dev/null 2>&1 </dev/null & disown`,
      );
    }
    await lab.killHost();
    for (const instance of [stopping, ending]) writeFileSync(join(lab.directory(instance), 'home', 'go'), '');
    await Promise.all([gone(stopping), gone(ending)]);
    await until(() => expect(existsSync(join(lab.directory(ending), 'home'))).toBe(false));
    expect(existsSync(join(lab.directory(stopping), 'home', 'proof'))).toBe(true);
    await until(async () => {
      expect((await lab.list(placement.key)).map(({ state }) => state)).toEqual(['stopped', 'terminated']);
    });
    const reasons = (await lab.list(placement.key)).map(({ stateReason }) => stateReason);
    expect(reasons).toEqual(['stopped from inside', 'terminated from inside']);
    await lab.cloud.start(PLACE, [stopping.id]);
    await until(async () => expect((await lab.list(placement.key))[0]?.state).toBe('running'));
    const [back] = (await lab.list(placement.key)) as [Instance];
    expect((await lab.run(back, 'cat proof')).stdout).toBe('kept\n');
  });

  it('cannot be powered off from outside', async () => {
    const instance = await lab.one();
    const [program, ...args] = lab.cloud.powerOff(instance, 'terminate').command as [string, ...string[]];
    await expect(promisify(execFile)(program, args)).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/nothing was done/),
    });
    expect((await lab.run(instance, 'echo alive')).stdout).toBe('alive\n');
  });

  it('end with exactly what was ordered when the host is killed again and again', async () => {
    const kept = Array.from({ length: 2 }, () => lab.placement(2));
    const ended = Array.from({ length: 2 }, () => lab.placement(2));
    let kills = 0;
    let working = true;
    const order = (async () => {
      for (const placement of [...kept, ...ended]) {
        await lab.cloud.create(await lab.cloud.prepare(placement, lab.keys.public, {}));
        await sleep(Math.random() * 60);
      }
      for (const placement of ended) {
        await lab.cloud.terminate(placement, placement.key);
        await sleep(Math.random() * 60);
      }
    })().finally(() => {
      working = false;
    });
    while (working) {
      await sleep(Math.random() * 250);
      const { pid } = await lab.cloud.host();
      process.kill(pid, 'SIGKILL');
      kills += 1;
    }
    await order;
    expect(kills).toBeGreaterThan(2);
    const running = (await Promise.all(kept.map((placement) => lab.reach(placement, 'running')))).flat();
    for (const placement of ended) await lab.reach(placement, 'terminated');
    expect(new Set(running.map(({ id }) => id)).size).toBe(4);
    expect(await lab.cloud.list(PLACE, {})).toHaveLength(8);
    for (const instance of running) {
      expect((await lab.run(instance, 'echo $STYX_INSTANCE')).stdout.trim()).toBe(instance.id);
      const inits = await promisify(execFile)('ps', ['-eo', 'args']).then(({ stdout }) =>
        stdout.split('\n').filter((line) => line.startsWith(`/bin/sh ${lab.directory(instance)}/init `)),
      );
      expect(inits).toHaveLength(1);
    }
    for (const placement of ended)
      for (const instance of await lab.list(placement.key)) expect(processesOf(instance.id)).toEqual([]);
  });

  it('has one host, whoever starts it, whose lock nothing that it started keeps', async () => {
    const clouds = Array.from(
      { length: 4 },
      () => new LocalCloud(lab.home, { ...process.env, STYX_LOCAL_CONTAINMENT: mode }),
    );
    const pids = await Promise.all(clouds.map(async (cloud) => (await cloud.host()).pid));
    expect(new Set(pids).size).toBe(1);
    const instance = await lab.one();
    await lab.run(instance, DETACHED);
    const lock = join(lab.home, 'local', 'host.lock');
    const holders = readdirSync('/proc').filter((pid) => {
      try {
        return (
          /^\d+$/.test(pid) &&
          readdirSync(`/proc/${pid}/fd`).some((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`) === lock)
        );
      } catch {
        return false;
      }
    });
    expect(holders).toEqual([String(pids[0])]);
  });

  it('takes names, tags and keys for what they are', async () => {
    const marker = join(lab.home, 'executed');
    const nasty = `$(touch ${marker}) \`touch ${marker}\`; touch ${marker}\n'"\\ \u{1f600}`;
    const placement = { ...lab.placement(), key: 'k\'$(id)`;&|<>"\\' };
    const [instance] = await lab.create(placement, { [nasty]: nasty });
    expect((await lab.cloud.list(PLACE, { tags: { [nasty]: nasty } })).map(({ id }) => id)).toEqual([instance?.id]);
    await expect(lab.cloud.prepare({ ...placement, key: '../x y' }, lab.keys.public, {})).rejects.toThrow(StyxError);
    await expect(lab.cloud.prepare(placement, `${lab.keys.public}\nssh-rsa x`, {})).rejects.toThrow(StyxError);
    await lab.cloud.terminate(placement, placement.key);
    await lab.reach(placement, 'terminated');
    expect(existsSync(marker)).toBe(false);
  });

  it('works below a directory whose path is too long for a socket', async () => {
    const home = join(lab.home, 'x'.repeat(80), 'y'.repeat(80));
    const cloud = new LocalCloud(home, { ...process.env, STYX_LOCAL_CONTAINMENT: mode });
    const { pid } = await cloud.host();
    expect(pid).not.toBe((await lab.cloud.host()).pid);
    expect(readdirSync(join(home, 'local'))).not.toContain('host.sock');
    process.kill(pid, 'SIGTERM');
    await until(() => expect(alive(pid)).toBe(false));
  });

  it('leaves nothing running when its data directory is deleted', async () => {
    const instance = await lab.one();
    await lab.run(instance, DETACHED);
    const { pid } = await lab.cloud.host();
    rmSync(lab.home, { recursive: true, force: true });
    await gone(instance);
    await until(() => expect(alive(pid)).toBe(false));
    lab = new Lab(mode);
  });
});
