/** An instance has a root directory of its own: what is put outside of its home is on its disk, and nowhere on this machine. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Instance } from '../../model/machines.ts';
import { Lab, until } from './local-lab.ts';

const PLACE = { region: 'local', zone: 'local-a' };
const NAME = `styx-test-${process.pid}`;

describe.runIf(process.platform === 'linux')('the root of a local instance', () => {
  let lab: Lab;
  /** A directory of this machine with something in it. */
  let host: string;
  beforeEach(() => {
    lab = new Lab('namespace');
    host = mkdtempSync(join(tmpdir(), 'styx-host-'));
    mkdirSync(join(host, 'there', 'deep'), { recursive: true });
    writeFileSync(join(host, 'there', 'f'), 'of the machine');
  });
  afterEach(async () => {
    await lab.dispose();
    rmSync(host, { recursive: true, force: true });
  });

  async function open(instance: Instance, ...targets: string[]): Promise<Record<string, string>> {
    return { ...(await lab.cloud.openTargets(PLACE, [instance.id], targets))[instance.id] };
  }

  const show = async (instance: Instance, command: string) => (await lab.run(instance, command)).stdout;

  async function restarted({ id, placementKey }: Instance): Promise<Instance> {
    await lab.cloud.stop(PLACE, [id]);
    await lab.reach({ key: placementKey, numNodes: 1 }, 'stopped');
    await lab.cloud.start(PLACE, [id]);
    const [instance] = await lab.reach({ key: placementKey, numNodes: 1 }, 'running');
    return instance as Instance;
  }

  it('shows the machine, and keeps to itself what is made at its top, over stops too', async () => {
    const instance = await lab.one();
    const names = (await show(instance, 'ls -A /')).trim().split('\n');
    expect(names.sort()).toEqual(readdirSync('/').sort());
    await lab.run(instance, `mkdir /${NAME} && echo kept > /${NAME}/f`);
    expect(existsSync(`/${NAME}`)).toBe(false);
    expect(await show(await restarted(instance), `cat /${NAME}/f`)).toBe('kept\n');
  });

  it('makes room for targets beside what the machine has, which stays as it is', async () => {
    const instance = await lab.one();
    const [fresh, deep] = [`/${NAME}/a`, join(host, 'there', 'new', 'er')];
    const at = await open(instance, fresh, deep);
    for (const [target, path] of Object.entries(at)) {
      expect(path.startsWith(`${lab.directory(instance)}/disk/`)).toBe(true);
      await lab.run(instance, `mkdir -p ${target} && echo mine > ${target}/f`);
      expect(existsSync(target)).toBe(false);
      expect(execFileSync('cat', [join(path, 'f')]).toString()).toBe('mine\n');
    }
    const all = `cd ${host}/there && ls && cat f new/er/f && echo more > deep/by-job`;
    expect(await show(instance, all)).toBe('deep\nf\nnew\nof the machinemine\n');
    // What is bound is the machine's, as it is for everything else that a job writes to.
    expect(readdirSync(join(host, 'there', 'deep'))).toEqual(['by-job']);
    expect(await open(instance, fresh, deep)).toEqual(at);
    const again = await restarted(instance);
    expect(await show(again, `cat ${fresh}/f ${deep}/f ${host}/there/f`)).toBe('mine\nmine\nof the machine');
    expect(await open(again, fresh, deep)).toEqual(at);
  });

  it('has a target to itself where the machine has something, which is neither seen nor touched', async () => {
    const instance = await lab.one();
    const directory = join(host, 'there');
    const file = join(host, 'there-too');
    writeFileSync(file, 'of the machine');
    const link = join(host, 'link');
    symlinkSync('there', link);
    await open(instance, directory, file, link);
    const look = `cd ${host}; ls -A; mkdir there link; echo mine > there-too; ls there link`;
    expect(await show(instance, look)).toBe('link:\n\nthere:\n');
    expect(await show(await restarted(instance), `cat ${file}; ls ${directory} ${link}`)).toContain('mine\n');
    expect(execFileSync('cat', [file, join(directory, 'f'), join(link, 'f')]).toString()).toBe(
      'of the machine'.repeat(3),
    );
  });

  it('is what every session sees, those that run already included', async () => {
    const instance = await lab.one();
    const target = join(host, 'later');
    const waiting = lab.run(
      instance,
      `cd ${host}/there; until cat ${target}/f 2>/dev/null; do sleep 0.05; done; cat f`,
    );
    await open(instance, target);
    await lab.run(instance, `mkdir ${target}; echo seen > ${target}/f`);
    expect((await waiting).stdout).toBe('seen\nof the machine');
    const client = await lab.connect(instance);
    const names = await new Promise<string[]>((resolve, reject) => {
      client.sftp((error, sftp) => {
        if (error) reject(error);
        else
          sftp.readdir(target, (failed, list) =>
            failed ? reject(failed) : resolve(list.map(({ filename }) => filename)),
          );
      });
    });
    client.end();
    expect(names).toEqual(['f']);
  });

  it('is one a node, and gone with it', async () => {
    const placement = lab.placement(2);
    const [a, b] = (await lab.create(placement)) as [Instance, Instance];
    const target = join(host, 'each');
    await lab.cloud.openTargets(PLACE, [a.id, b.id], [target]);
    for (const one of [a, b]) await lab.run(one, `mkdir ${target} && echo $STYX_INSTANCE > ${target}/f`);
    for (const one of [a, b]) expect(await show(one, `cat ${target}/f`)).toBe(`${one.id}\n`);
    await lab.cloud.terminate(PLACE, placement.key);
    await lab.reach(placement, 'terminated');
    for (const one of [a, b]) expect(readdirSync(lab.directory(one))).toEqual(['instance.json']);
    expect(readdirSync(host)).toEqual(['there']);
    expect(readdirSync(join(host, 'there'))).toEqual(['deep', 'f']);
  });

  it('is the same when the host process is killed while it is made, or while places are opened', async () => {
    const placement = lab.placement();
    await lab.cloud.create(await lab.cloud.prepare(placement, lab.keys.public, {}));
    const targets = Array.from({ length: 8 }, (_, index) => join(host, `t${index}`, 'x'));
    for (let kill = 0; kill < 4; kill += 1) {
      await new Promise((resolve) => setTimeout(resolve, 30 * kill));
      await lab.killHost();
    }
    const [instance] = (await lab.reach(placement, 'running')) as [Instance];
    expect((await show(instance, 'ls -A /')).trim().split('\n').sort()).toEqual(readdirSync('/').sort());
    for (const target of targets) {
      const opening = open(instance, target).catch((error: unknown) => error);
      await lab.killHost();
      await opening;
      await until(() => open(instance, target));
      await lab.run(instance, `mkdir -p ${target} && echo ${target} > ${target}/f`);
    }
    expect(await show(instance, `cat ${targets.map((target) => `${target}/f`).join(' ')}`)).toBe(
      targets.map((target) => `${target}\n`).join(''),
    );
    expect(readdirSync(host)).toEqual(['there']);
  });

  it('refuses what leads elsewhere, lies below a file, or would hide the disks of instances', async () => {
    const instance = await lab.one();
    symlinkSync('there', join(host, 'link'));
    const refused = (target: string, message: string) =>
      expect(open(instance, target)).rejects.toMatchObject({
        kind: 'invalid',
        message: expect.stringContaining(message),
      });
    await refused(join(host, 'link', 'x'), `leads to ${join(host, 'there')}`);
    await refused(join(host, 'there', 'f', 'x'), 'is a file there');
    await refused(lab.home, 'disks of instances');
    await refused(join(lab.directory(instance), 'home', 'x'), 'disks of instances');
    await open(instance, join(host, 'there', 'x'));
    await refused(join(host, 'there'), 'is above a place');
    await lab.run(instance, `ln -s /etc /${NAME}`);
    await refused(`/${NAME}/x`, 'leads to /etc');
  });
});

describe('without mount namespaces', () => {
  it('a target outside of the home directory is refused, with the reason', async () => {
    const lab = new Lab('marker');
    const instance = await lab.one();
    expect((await lab.cloud.capabilities()).absoluteTargets).toContain('no mount namespaces');
    await expect(lab.cloud.openTargets(PLACE, [instance.id], [`/${NAME}`])).rejects.toMatchObject({
      kind: 'invalid',
      message: expect.stringContaining('no mount namespaces'),
    });
    await lab.dispose();
  });
});
