/** Ray over the nodes of a cluster on AWS. Its packages are in the image of the machines: nothing can be downloaded there. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { AwsWorld, whyNoAws } from '../harness/aws-world.ts';
import { packagesForMachines, spreadScript, withoutRay } from '../harness/ray.ts';

const without = whyNoAws() ?? withoutRay() ?? undefined;
const packages = without === undefined ? packagesForMachines() : { lacks: without };
const lacks = 'lacks' in packages ? packages.lacks : undefined;
if (lacks !== undefined) console.warn(`SKIPPED test/aws/ray: ${lacks}`);

const MS = 480_000;
/** Of Ray's own servers and of two workers on one node. */
const MEMORY_MB = 4096;

describe.skipIf(lacks !== undefined)('Ray on AWS', () => {
  let aws: AwsWorld;

  beforeAll(async () => {
    aws = await AwsWorld.start();
    if ('directory' in packages) await aws.machines.manner({ memoryMB: MEMORY_MB, shared: packages.directory });
  });
  afterAll(() => aws?.end());
  /** A second try begins with nothing of the first. */
  beforeEach(async () => {
    for (const { name } of await aws.story.clusters.list()) await aws.story.down(name);
  });

  function task(script: string): string {
    const cache = '~/.cache/styx/ray/env';
    const name = 'name' in packages ? packages.name : '';
    const setup = `mkdir -p ${cache} && ln -sfn /opt/shared ${cache}/${name}`;
    return aws.task(`num_nodes: 2\nsetup: ${setup}\nrun: |\n${script.replace(/^/gm, '  ')}\n`);
  }

  test('runs tasks on both nodes of a job, comes back after a stop and a start, and leaves nothing', {
    timeout: MS,
  }, async () => {
    const { story, account } = aws;
    const before = (await account.ledger()).created.length;
    const first = await story.up('pair', task('true'));
    await story.jobEnds('pair', first, 'SUCCEEDED');
    for (const round of ['first', 'second']) {
      const script = `${spreadScript('/tmp/found', 2)}\ncat /tmp/found\n`;
      const { jobId } = await story.exec('pair', `ray: true\n${task(script)}`);
      await story.jobEnds('pair', jobId, 'SUCCEEDED');
      expect((await aws.output('pair', jobId ?? 0)).trim(), round).toMatch(/(^|\s)2$/);
      if (round === 'first') await story.stopAndStart('pair');
    }
    await story.view('pair', 'has Ray', ({ ray }) => ray?.status === 'UP', MS);
    await story.down('pair');
    await aws.nothingLeft(before + 2);
  });
});
