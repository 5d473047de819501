/** What machines lack is installed by their set-up, once; by the real apt-get, of a repository that they see. */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { until } from '../guarantees/story.ts';
import { AwsWorld, whyNoAws, whyNoDocker } from '../harness/aws-world.ts';
import { testDir } from '../harness/temporal.ts';
import { NvidiaSite } from '../stand-ins/packages/nvidia-site.ts';
import { CARD, DRIVERS, docker, LACKS, OWN_PACKAGES, PYTHON, TOOLKIT } from '../stand-ins/packages/packages.ts';
import {
  imageWithout,
  installedOn,
  makeRepository,
  type Package,
  unfinishedOn,
} from '../stand-ins/packages/repository.ts';
import { Registry } from '../stand-ins/registry/registry.ts';

const lacks = whyNoAws() ?? whyNoDocker();
if (lacks !== undefined) console.warn(`SKIPPED test/aws/set-up: ${lacks}`);

const lacksSigning = ['gpg', 'openssl'].find((name) => spawnSync(name, ['--help']).error !== undefined);
if (lacksSigning !== undefined)
  console.warn(`SKIPPED a signed repository in test/aws/set-up: ${lacksSigning} is missing`);

/** Of a package whose configuration takes until the test lets it go on. */
const STEPS =
  'echo begun >>/var/log/steps; while [ ! -e /opt/shared/go ]; do sleep 0.1; done; echo ended >>/var/log/steps';

const ALL = [...DRIVERS, PYTHON, TOOLKIT];

describe.skipIf(lacks !== undefined)('the set-up of machines on AWS', () => {
  let aws: AwsWorld;
  let registry: Registry;
  /** Of the machines of one test. */
  let shared: string;
  let before = 0;

  beforeAll(async () => {
    aws = await AwsWorld.start();
    registry = await Registry.start();
  });
  afterAll(async () => {
    await registry?.end();
    await aws?.end();
    if (shared !== undefined) rmSync(shared, { recursive: true, force: true });
  });

  /** A second try begins with nothing of the first. */
  beforeEach(async () => {
    for (const { name } of await aws.story.clusters.list()) await aws.story.down(name);
    before = (await aws.instances()).length;
    shared = testDir();
    await aws.machines.manner({ shared, image: imageWithout(LACKS, OWN_PACKAGES) });
  });

  const repository = (packages: readonly Package[]) => makeRepository(join(shared, 'packages'), packages);
  const image = () => `image_id: 'docker:${registry.host}/styx/task:1'`;
  const gpuTask = (run: string, more = '') =>
    `resources: {infra: aws/us-east-1, accelerators: T4:1${more === '' ? '' : `, ${more}`}}\nrun: ${run}\n`;

  async function root(): Promise<string> {
    const [machine] = await aws.machines.rows();
    return `/proc/${machine?.pid}/root`;
  }

  /** A file of the first machine; empty when it is not there. */
  async function read(path: string): Promise<string> {
    const file = join(await root(), path);
    return existsSync(file) ? readFileSync(file, 'utf8') : '';
  }

  const log = () => read('var/log/styx/set-up.log');
  const steps = () => read('var/log/steps');

  test('gives a task of cards in a container Python, the driver, Docker and the container toolkit, once, and a start installs nothing', async () => {
    const { story } = aws;
    await repository([...ALL, docker(shared)]);
    const first = await story.up('cards', gpuTask('nvidia-smi -L; cat /of-the-image', image()));
    await story.jobEnds('cards', first, 'SUCCEEDED');
    expect(await aws.output('cards', first)).toContain(`${CARD}\na file of the image\n`);
    const installed = installedOn(await root());
    expect(installed.toSorted()).toEqual([...ALL.map(({ name }) => name), 'docker.io'].toSorted());
    await story.stopAndStart('cards');
    const { jobId } = await story.exec('cards', gpuTask('nvidia-smi -L'));
    await story.jobEnds('cards', jobId, 'SUCCEEDED');
    expect(await aws.output('cards', jobId ?? 0)).toContain(CARD);
    expect(installedOn(await root())).toEqual(installed);
    expect((await log()).match(/Z setting up/g)).toHaveLength(2);
    expect((await log()).match(/Z (installing|making|fetching) /g)).toHaveLength(8);
    await story.down('cards');
    await aws.nothingLeft(before + 1);
  });

  /** Processes of this world's machines and no others: the test's own namespace ends at them. */
  function endProcessesWith(...words: string[]): void {
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)) {
      if (words.some((word) => commandLine(pid).includes(word))) endProcess(Number(pid));
    }
  }

  test('goes on where it was when the worker, the script, apt and dpkg are killed in the middle of a package', async () => {
    const { story, world } = aws;
    await repository([PYTHON, docker(shared, STEPS)]);
    const answer = await story.launch('cut', aws.task('run: cat /of-the-image\n', `, ${image()}`));
    await until('a package is half installed', async () => (await steps()) === 'begun\n');
    await world.killWorker();
    endProcessesWith('styx-set-up', 'apt-get', 'dpkg', 'docker.io.postinst');
    expect(unfinishedOn(await root())).not.toEqual([]);
    writeFileSync(join(shared, 'go'), '');
    await world.startWorker();
    await story.succeeds('cut', answer);
    await story.jobEnds('cut', answer.jobId, 'SUCCEEDED');
    expect(unfinishedOn(await root())).toEqual([]);
    expect(installedOn(await root())).toEqual(['python3', 'docker.io']);
    expect(await steps()).toBe('begun\nbegun\nended\n');
    await story.down('cut');
    await aws.nothingLeft(before + 1);
  });

  test('waits while the machine itself installs packages, as images do at their first boot', async () => {
    const { story } = aws;
    await repository([PYTHON, docker(shared), { name: 'of-the-image', postinst: STEPS }]);
    const atBoot =
      '(apt-get -q update && apt-get -q -y install of-the-image) >/dev/null 2>&1 &\nuntil [ -e /var/log/steps ]; do sleep 0.1; done';
    await aws.machines.manner({ shared, image: `${imageWithout(LACKS, OWN_PACKAGES)}\n${atBoot}` });
    const answer = await story.launch('busy', aws.task('run: cat /of-the-image\n', `, ${image()}`));
    await until('both are at work', async () => (await log()).includes('setting up'));
    // One try of the set-up to mend what is not broken at the least.
    await sleep(2_000);
    expect(await log()).not.toMatch(/installing|mending/);
    writeFileSync(join(shared, 'go'), '');
    await story.succeeds('busy', answer);
    await story.jobEnds('busy', answer.jobId, 'SUCCEEDED');
    expect(await steps()).toBe('begun\nended\n');
    expect(installedOn(await root())).toEqual(['of-the-image', 'python3', 'docker.io']);
    expect(await log()).not.toMatch(/mending|failed/);
    await story.down('busy');
    await aws.nothingLeft(before + 1);
  });

  const BROKEN = 'NVIDIA-SMI has failed because it could not communicate with the NVIDIA driver';

  test.each([
    [
      'have none that can be installed',
      '',
      /ubuntu-drivers could not be installed .* locate package ubuntu-drivers-common/,
    ],
    [
      'have one that does not work',
      `printf '#!/bin/sh\necho ${BROKEN}; exit 9\n' >/usr/bin/nvidia-smi; chmod 755 /usr/bin/nvidia-smi`,
      new RegExp(`the driver of the NVIDIA cards does not work: ${BROKEN}`),
    ],
  ])('ends the launch of machines whose cards %s, with the reason', async (_, more, reason) => {
    const { story } = aws;
    await repository([PYTHON]);
    await aws.machines.manner({ shared, image: `${imageWithout(LACKS, OWN_PACKAGES)}\n${more}` });
    const answer = await story.launch('no-driver', gpuTask('nvidia-smi'), { retryUntilUp: true });
    const end = await story.clusters.waitOperation('no-driver', answer);
    expect(end.outcome).toBe('failed');
    expect(end.operation?.failure).toMatchObject({ kind: 'invalid', message: expect.stringMatching(reason) });
    await story.down('no-driver').catch(() => undefined);
    await aws.nothingLeft(before + 1);
  });

  test.skipIf(lacksSigning !== undefined)(
    "takes the container toolkit of NVIDIA's signed repository where the machine's own have none, as soon as it can be reached and is signed by its key",
    async () => {
      const { story } = aws;
      await repository([...DRIVERS, PYTHON, docker(shared)]);
      const nvidia = await NvidiaSite.make([TOOLKIT]);
      try {
        await aws.machines.manner({ shared, image: `${imageWithout(LACKS, OWN_PACKAGES)}\n${nvidia.trusted}` });
        const answer = await story.launch('nvidia', gpuTask('nvidia-smi -L', image()));
        const refused = /failed \(transient the NVIDIA container toolkit cannot be had: https:\S+\/gpgkey: .*refused/;
        await until('the set-up says why it waits', async () => refused.test(await log()));
        nvidia.isForged = true;
        await nvidia.open();
        const unsigned = /NO_PUBKEY.*failed \(transient nvidia-ctk could not be installed/s;
        await until('an index that another key signed is refused', async () => unsigned.test(await log()));
        nvidia.isForged = false;
        await story.succeeds('nvidia', answer);
        await story.jobEnds('nvidia', answer.jobId, 'SUCCEEDED');
        expect(await aws.output('nvidia', answer.jobId ?? 0)).toContain(CARD);
        expect(installedOn(await root())).toContain('nvidia-container-toolkit');
        await story.down('nvidia');
        await aws.nothingLeft(before + 1);
      } finally {
        await nvidia.end();
      }
    },
  );
});

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1');
  } catch {
    return '';
  }
}

function endProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}
