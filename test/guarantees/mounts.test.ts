/** File mounts outside of the home directory: on each node's own disk, as lasting as that, and nowhere on this machine. */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { askHost } from '../../clouds/local/control.ts';
import { localPaths } from '../../clouds/local/paths.ts';
import { World } from '../harness/world.ts';
import { Story } from './story.ts';

let world: World;
let story: Story;
/** A directory of this machine with something in it, beside which files are mounted. */
let host: string;

const TOP = `/styx-mounts-${process.pid}`;
const ONE = 'job_demand: {cpus: 1}\n';
const ROOT = join(import.meta.dirname, '..', '..');
/** As this process, where the kernel gives no namespaces. */
const marker = () => ({ ...process.env, STYX_LOCAL_CONTAINMENT: 'marker' });

beforeAll(async () => {
  world = await World.start();
  story = new Story(world, world.styx.clusters);
  host = mkdtempSync(join(world.home, 'host-'));
  mkdirSync(join(host, 'there'));
  writeFileSync(join(host, 'there', 'f'), 'of the machine\n');
});

afterAll(async () => {
  await story.nothingLeft();
  await world.end();
});

function directory(files: Readonly<Record<string, string>> = {}): string {
  const made = mkdtempSync(join(world.home, 'source-'));
  for (const [name, content] of Object.entries(files)) writeFileSync(join(made, name), content);
  return made;
}

async function output(name: string, id: number | null): Promise<string[]> {
  let text = '';
  for await (const { data } of world.styx.logs(name, { jobId: id ?? 0, tail: 0 })) text += data.toString();
  return text.split('\n').filter((line) => line !== '');
}

/** What a job of the cluster, launched with these mounts, writes on each of its nodes. */
async function launched(name: string, mounts: Readonly<Record<string, string>>, run: string): Promise<string[]> {
  const yaml = `num_nodes: 2\nresources: {cpus: 1}\n${ONE}file_mounts: ${JSON.stringify(mounts)}\nrun: ${JSON.stringify(run)}\n`;
  const id = await story.up(name, yaml);
  await story.jobEnds(name, id, 'SUCCEEDED');
  return await output(name, id);
}

async function executed(name: string, run: string): Promise<string[]> {
  const { jobId } = await story.exec(name, `num_nodes: 2\n${ONE}run: ${JSON.stringify(run)}\n`);
  await story.jobEnds(name, jobId, 'SUCCEEDED');
  return await output(name, jobId);
}

const count = (lines: readonly string[], word: string): number => lines.filter((line) => line.includes(word)).length;

describe.runIf(process.platform === 'linux')('mounts outside of the home directory', () => {
  test('are on every node, its own, through stops and kills, sent once, and gone with the cluster', {
    timeout: 300_000,
  }, async () => {
    const source = directory({ f: 'mounted\n', g: 'stays\n' });
    const file = join(directory({ one: 'a file\n' }), 'one');
    const deep = join(host, 'there', 'not', 'yet');
    const mounts = { [`${TOP}/data`]: source, [deep]: source, [join(host, 'one')]: file, '~/home': source };
    const show = `cat ${TOP}/data/f ${deep}/f ${host}/one ~/home/g ${host}/there/f`;
    const seen = await launched('two', mounts, show);
    expect(count(seen, 'mounted')).toBe(4);
    for (const word of ['a file', 'stays', 'of the machine']) expect(count(seen, word), word).toBe(2);

    const own = `echo $SKYPILOT_NODE_RANK > ${TOP}/data/own; sleep 0.5; echo rank $(cat ${TOP}/data/own)`;
    const ranks = await executed('two', own);
    expect([count(ranks, 'rank 0'), count(ranks, 'rank 1')]).toEqual([1, 1]);

    // A file that is sent again is another one: it comes under another name and is renamed.
    const inodes = `stat -c '%n %i %z' ${TOP}/data/[fg] ${deep}/[fg] ${host}/one`;
    const before = (await executed('two', inodes)).toSorted();
    expect((await launched('two', mounts, inodes)).toSorted()).toEqual(before);
    writeFileSync(join(source, 'f'), 'changed\n');
    const after = await launched('two', mounts, inodes);
    expect(before.filter((line) => !after.includes(line)).every((line) => line.includes('/f '))).toBe(true);

    await story.stopAndStart('two');
    expect(count(await executed('two', `${show}; cat ${TOP}/data/own`), 'changed')).toBe(4);
    expect((await launched('two', mounts, inodes)).toSorted()).toEqual(after.toSorted());

    for (const [turn, victim] of (['worker', 'host', 'worker'] as const).entries()) {
      for (let i = 0; i < 200; i++) writeFileSync(join(source, `f-${i}`), randomBytes(2_000));
      writeFileSync(join(source, 'large'), randomBytes(20_000_000));
      const sum = (folder: string) => `cd ${folder} && LC_ALL=C ls | grep -v own | xargs sha256sum | sha256sum`;
      const wanted = spawnSync('sh', ['-c', sum(source)])
        .stdout.toString()
        .trim();
      const sent = launched('two', mounts, `${sum(`${TOP}/data`)}; ${sum(deep)}`);
      await sleep(200 + 100 * turn);
      if (victim === 'worker') {
        await world.killWorker();
        await world.startWorker();
      } else await world.killHost();
      expect(count(await sent, wanted), `kill ${turn}`).toBe(4);
    }

    const machines = await world.machinesLeft();
    expect(machines).toHaveLength(2);
    await story.down('two');
    for (const { id } of machines)
      expect(readdirSync(join(world.home, 'local', 'instances', id))).toEqual(['instance.json']);
    expect([existsSync(TOP), readdirSync(host), readdirSync(join(host, 'there'))]).toEqual([false, ['there'], ['f']]);
  });

  test('that would break the machine are refused by name, before anything is made', async () => {
    for (const target of ['/', '/etc/x', '/usr/bin/x', '/proc/x', '/tmp', '/var/run/x', '/data/../etc']) {
      expect(() => world.task(`file_mounts: {${target}: ${directory()}}\nrun: x\n`), target).toThrow(
        `file_mounts.${target}`,
      );
    }
  });

  test('that lead elsewhere on the node end the job, which says so', async () => {
    const lines = await launched(
      'two',
      {},
      `rm -rf ${TOP}/to-etc; mkdir -p ${TOP}; ln -s /etc ${TOP}/to-etc; echo made`,
    );
    expect(count(lines, 'made')).toBe(2);
    for (const target of [`${TOP}/to-etc`, `${TOP}/to-etc/x`, join(world.home, 'local', 'x')]) {
      const id = await story.up('two', `file_mounts: {${target}: ${directory({ f: '' })}}\n${ONE}run: echo never\n`);
      const { reason } = await story.jobEnds('two', id, 'FAILED_DRIVER');
      expect(reason).toContain(target);
    }
    await story.down('two');
  });
});

describe('without namespaces mounts outside of the home directory', () => {
  test('are refused by name at submission, with the reason and what to do, before anything is made', async () => {
    const program = `
      import { connect } from '${ROOT}/client/connect.ts';
      import { parseTask } from '${ROOT}/model/parse-task.ts';
      const styx = await connect({ home: process.env.STYX_HOME, startServer: false });
      const task = parseTask(process.argv[1], { file: 'task.yaml' });
      const failed = await styx.clusters.launch({ name: 'never', task, resourcesText: '-' }).catch((error) => error);
      console.log(JSON.stringify(failed.toFailure()));
      await styx.close();
    `;
    const yaml = `file_mounts: {/data/x: /nowhere/at/all}\nrun: x\n`;
    const args = ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', program, yaml];
    const { stdout, stderr } = spawnSync(process.execPath, args, { env: marker(), encoding: 'utf8' });
    expect(JSON.parse(stdout || stderr)).toEqual({
      kind: 'invalid',
      message: expect.stringMatching(
        /^file_mounts\.\/data\/x: a place outside of the home directory .*no mount namespaces/,
      ),
      hint: 'Use ~/data/x.',
    });
    expect(await world.styx.clusters.summary('never')).toBeNull();
  });

  test('end the job where the client could not know', async () => {
    await world.killHost();
    await askHost(localPaths(world.home), { op: 'info' }, marker());
    const target = `${TOP}/data`;
    const id = await story.up(
      'marked',
      `resources: {cpus: 1}\nfile_mounts: {${target}: ${directory()}}\n${ONE}run: x\n`,
    );
    const { reason } = await story.jobEnds('marked', id, 'FAILED_DRIVER');
    expect(reason).toContain(`${target} cannot be had: instances have no mount namespaces`);
    expect(existsSync(TOP)).toBe(false);
    await story.down('marked');
  });
});
