/** A task whose image_id names a container runs in it, on machines of AWS that run a real Docker. */
import { execFile, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { sshPaths, writeSshEntries } from '../../client/ssh-config.ts';
import { until } from '../guarantees/story.ts';
import { AwsWorld, whyNoAws, whyNoDocker } from '../harness/aws-world.ts';
import { REGISTRY_LOGIN, Registry } from '../stand-ins/registry/registry.ts';

const STYX = join(import.meta.dirname, '..', '..', 'bin', 'styx');

const lacks = whyNoAws() ?? whyNoDocker();
if (lacks !== undefined) console.warn(`SKIPPED test/aws/containers: ${lacks}`);

describe.skipIf(lacks !== undefined)('a task in a container on AWS', () => {
  let aws: AwsWorld;
  let registry: Registry;
  let closed: Registry;
  /** Instances that were made before the test. */
  let before = 0;

  beforeAll(async () => {
    aws = await AwsWorld.start();
    registry = await Registry.start();
    closed = await Registry.start({ isPrivate: true });
  });
  afterAll(async () => {
    await registry?.end();
    await closed?.end();
    await aws?.end();
  });

  /** A second try begins with nothing of the first. */
  beforeEach(async () => {
    for (const { name } of await aws.story.clusters.list()) await aws.story.down(name);
    await aws.machines.manner();
    before = (await aws.instances()).length;
  });

  const inside = (image: string) => `, image_id: 'docker:${registry.host}/${image}'`;

  test('sees the files and variables of its image, its own variables and the machine, and finds them after a stop', async () => {
    const { story } = aws;
    const first = await story.up(
      'one',
      aws.task(
        'envs: {MINE: of the task}\nsetup: echo kept >~/proof\nrun: cat /of-the-image; echo $FROM_IMAGE, $MINE, $HOME, $PWD, $(hostname)\n',
        inside('styx/task:1'),
      ),
    );
    await story.jobEnds('one', first, 'SUCCEEDED');
    const said = await aws.output('one', first);
    expect(said).toContain('a file of the image\n');
    expect(said).toMatch(/a variable of the image, of the task, \/root, \/root\/sky_workdir, ip-172-31-/);
    await story.stopAndStart('one');
    const { jobId } = await story.exec('one', aws.task('run: cat ~/proof /of-the-image; exit 3\n'));
    await story.jobEnds('one', jobId, 'FAILED');
    expect(await aws.output('one', jobId ?? 0)).toContain('kept\na file of the image\n');
    expect((await story.look('one')).jobs.find(({ id }) => id === jobId)?.exitCodes).toEqual([3]);
    await story.down('one');
    await aws.nothingLeft(before + 1);
  });

  test("has its machine's own disks at /mnt/local-disks, blank ones after a stop", async () => {
    const { story } = aws;
    const own = ['AWS1', 'AWS2'].map((name) => `nvme-Amazon_EC2_NVMe_Instance_Storage_${name}`);
    await aws.machines.manner({ ownDisks: own });
    const mounted =
      'while read -r _ at type _; do [ "$at" != /mnt/local-disks/$n ] || echo $at $type; done </proc/mounts';
    const look = `run: for n in 0 1; do ${mounted}; ls /mnt/local-disks/$n; done\n`;
    const write = 'setup: for n in 0 1; do echo mine >/mnt/local-disks/$n/mine-$n; done\n';
    const first = await story.up('disks', aws.task(`${write}${look}`, inside('styx/task:1')));
    await story.jobEnds('disks', first, 'SUCCEEDED');
    expect(await aws.output('disks', first)).toContain(
      '/mnt/local-disks/0 ext4\nlost+found\nmine-0\n/mnt/local-disks/1 ext4\nlost+found\nmine-1\n',
    );
    await story.stopAndStart('disks');
    const { jobId } = await story.exec('disks', aws.task(look));
    await story.jobEnds('disks', jobId, 'SUCCEEDED');
    expect(await aws.output('disks', jobId ?? 0)).toContain(
      '/mnt/local-disks/0 ext4\nlost+found\n/mnt/local-disks/1 ext4\nlost+found\n',
    );
    await story.down('disks');
    await aws.nothingLeft(before + 1);
  });

  /** What OpenSSH does with the entries that Styx writes. */
  async function ssh(name: string, ...words: string[]) {
    await writeSshEntries(aws.world.styx, await aws.story.look(name));
    const { config } = sshPaths(aws.world.home);
    const { status, stdout, stderr } = spawnSync('ssh', ['-F', config, ...words], {
      encoding: 'utf8',
      timeout: 30_000,
    });
    return { code: status, out: stdout.replaceAll('\r', ''), err: stderr };
  }

  /** Processes with these words in their command line, on all machines of this computer. */
  function processesWith(words: string): string[] {
    return readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && commandLine(pid).includes(words));
  }

  test('has its workdir there, is followed by logins, and is ended by a cancel with all that it began', async () => {
    const { story, world } = aws;
    const yaml = `num_nodes: 2\nworkdir: ${world.home}/w\nrun: cat of-the-workdir; sleep 47114711 & sleep 47114711\n`;
    const files = join(world.home, 'w');
    mkdirSync(files, { recursive: true });
    writeFileSync(join(files, 'of-the-workdir'), 'a file of the workdir\n');
    const job = await story.up('two', aws.task(yaml, inside('styx/task:1')));
    await until('all of it runs', () => processesWith('sleep\x0047114711').length === 4);
    expect(await ssh('two', 'two', 'cat /of-the-image ~/sky_workdir/of-the-workdir; exit 7')).toMatchObject({
      code: 7,
      out: 'a file of the image\na file of the workdir\n',
    });
    const shell = await ssh('two', '-tt', 'two-worker1', 'cat /of-the-image; test -t 0 && echo a terminal; hostname');
    expect(shell.out).toMatch(/^a file of the image\na terminal\nip-172-31-/);
    await story.clusters.cancel('two', [job]);
    await story.jobEnds('two', job, 'CANCELLED');
    expect(processesWith('sleep\x0047114711')).toEqual([]);
    await story.down('two');
    await aws.nothingLeft(before + 2);
  });

  test("that has neither bash nor Python gets them of its image's own package manager, once", async () => {
    const { story } = aws;
    const first = await story.up(
      'bare',
      aws.task('run: cat /of-the-image; ls /usr/lib/packages\n', inside('styx/apk:1')),
    );
    await story.jobEnds('bare', first, 'SUCCEEDED');
    expect(await aws.output('bare', first)).toContain('a file of the image\n');
    await story.stopAndStart('bare');
    const { setUp } = JSON.parse(await provisionLog('bare', '-o', 'json'));
    expect(setUp[0].log.match(/installing python3 and bash in the container/g)).toHaveLength(1);
    await story.down('bare');
    await aws.nothingLeft(before + 1);
  });

  async function provisionLog(name: string, ...more: string[]): Promise<string> {
    return (await promisify(execFile)(STYX, ['logs', '--provision', name, ...more])).stdout;
  }

  test('tells of its set-up while that goes on, which a killed worker neither ends nor repeats', async () => {
    const { story, world } = aws;
    const letGo = registry.hold();
    try {
      const answer = await story.launch('held', aws.task('run: cat /of-the-image\n', inside('styx/task:1')));
      const begun = await until('the image is fetched', async () => {
        const said = await provisionLog('held');
        return said.includes('fetching the image') && said;
      });
      expect(begun).toMatch(/^Set-up of 0, i-[0-9a-f]+:\n {2}\S+Z setting up for 198\.18\.0\.1:\d+\/styx\/task:1$/m);
      expect(begun).not.toContain('making the container');
      await world.killWorker();
      await world.startWorker();
      letGo();
      await story.succeeds('held', answer);
      await story.jobEnds('held', answer.jobId, 'SUCCEEDED');
    } finally {
      letGo();
    }
    const { setUp } = JSON.parse(await provisionLog('held', '-o', 'json'));
    expect(setUp).toMatchObject([{ rank: 0, problem: null, log: expect.stringMatching(/Z ready\n$/) }]);
    expect(setUp[0].log.match(/making the container/g)).toHaveLength(1);
    await story.down('held');
    await aws.nothingLeft(before + 1);
  });

  test.each([
    [
      'there is none of that name',
      'styx/none:1',
      /the image 198\.18\.0\.1:\d+\/styx\/none:1 cannot be fetched: .*manifest unknown/,
    ],
    ['nobody may fetch it', 'styx/task:1', /the image .* cannot be fetched: .*(unauthorized|no basic auth|denied)/],
    ['it has no Python', 'styx/bare:1', /the image .* has no bash or no python3 of version 3\.8 or later/],
  ])('ends its launch in the first place when %s, with the reason', async (_, image, reason) => {
    const { story } = aws;
    const { host } = image === 'styx/task:1' ? closed : registry;
    const yaml = aws.task('run: echo no\n', `, image_id: 'docker:${host}/${image}'`);
    const answer = await story.launch('none', yaml, { retryUntilUp: true });
    const end = await story.clusters.waitOperation('none', answer);
    expect(end.outcome).toBe('failed');
    expect(end.operation?.failure).toMatchObject({ kind: 'invalid', message: expect.stringMatching(reason) });
    await story.down('none').catch(() => undefined);
    await aws.nothingLeft(before + 1);
  });

  test('of a private registry is fetched with its login, which is in no log, command line or history', async () => {
    const { story, world } = aws;
    const { username, password } = REGISTRY_LOGIN;
    const seen = new Set<string>();
    let over = false;
    const watching = (async () => {
      while (!over) {
        for (const pid of processesWith(password)) seen.add(commandLine(pid));
        await sleep(20);
      }
    })();
    const secrets = {
      SKYPILOT_DOCKER_USERNAME: username,
      SKYPILOT_DOCKER_PASSWORD: password,
      SKYPILOT_DOCKER_SERVER: closed.host,
    };
    const yaml = `secrets: ${JSON.stringify(secrets)}\nrun: cat /of-the-image\n`;
    const job = await story.up('own', aws.task(yaml, `, image_id: 'docker:styx/task:1'`));
    await story.jobEnds('own', job, 'SUCCEEDED');
    expect(await aws.output('own', job)).toContain('a file of the image');
    over = true;
    await watching;
    expect([...seen]).toEqual([]);
    const [machine] = await aws.machines.rows();
    const root = `/proc/${machine?.pid}/root`;
    const hidden = [password, Buffer.from(`${username}:${password}`).toString('base64')];
    const log = readFileSync(`${root}/var/log/styx/set-up.log`, 'utf8');
    expect(log).toContain('fetching the image');
    for (const text of hidden) {
      expect(log).not.toContain(text);
      expect(world.workerLog()).not.toContain(text);
      for (const place of ['etc', 'run', 'var/log', 'usr/local/lib/styx'])
        expect(filesWith(join(root, place), text)).toEqual([]);
    }
    await story.down('own');
    await aws.nothingLeft(before + 1);
    await world.stopServer();
    try {
      for (const text of hidden) expect(filesWith(world.server.directory, text)).toEqual([]);
    } finally {
      await world.killServer();
    }
  });
});

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1');
  } catch {
    return '';
  }
}

/** Files below a directory whose bytes hold the text. */
function filesWith(directory: string, text: string): string[] {
  const files = readdirSync(directory, { recursive: true, encoding: 'utf8' }).map((name) => join(directory, name));
  return files.filter((file) => {
    try {
      return statSync(file).isFile() && readFileSync(file).includes(text);
    } catch {
      return false;
    }
  });
}
