import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { mapLimited } from '../../model/map-limited.ts';
import { NORMAL, TEST } from '../../model/timing.ts';
import { sealedTemporalClient } from '../harness/client.ts';
import { LONG_FORM } from '../harness/long-form.ts';
import { World } from '../harness/world.ts';
import { Story } from './story.ts';

/** As many clusters as this says stand at once; 300 take about five minutes of two cores. */
const CLUSTERS = Number(process.env.STYX_TEST_CLUSTERS || (LONG_FORM ? 300 : 20));
const SAMPLES = 5;
const AT_ONCE = 6;

/** Idle clusters beat as slowly as they do for users; what a launch waits for is as short as in other tests. */
const TIMING = {
  ...TEST,
  heartbeatTimeout: NORMAL.heartbeatTimeout,
  heartbeatEvery: NORMAL.heartbeatEvery,
  contactEvery: NORMAL.contactEvery,
  contactLost: NORMAL.contactLost,
  describeOpsEvery: NORMAL.describeOpsEvery,
  watchLease: NORMAL.watchLease,
};

let world: World;
let story: Story & { close(): Promise<void> };
beforeAll(async () => {
  world = await World.start();
  story = await Story.timed(world, TIMING);
});
afterAll(async () => {
  await story.close();
  await world.end();
});

/** Milliseconds from a launch to the end of its first job, the median of some; each is taken down afterwards. */
async function launchTime(prefix: string): Promise<number> {
  const times: number[] = [];
  for (let sample = 0; sample < SAMPLES; sample++) {
    const name = `${prefix}${sample}`;
    const start = performance.now();
    const job = await story.up(name, "run: 'true'");
    await story.jobEnds(name, job, 'SUCCEEDED');
    times.push(performance.now() - start);
    await story.down(name);
  }
  return times.toSorted((a, b) => a - b)[Math.floor(SAMPLES / 2)] ?? 0;
}

/** MiB of resident memory. */
function memory(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Math.round(Number(kilobytes) / 1024);
}

/** Events of all workflows of these clusters. */
async function events(names: readonly string[]): Promise<number> {
  const client = await sealedTemporalClient(world.home);
  let total = 0;
  for await (const { workflowId } of client.workflow.list({ query: "ExecutionStatus = 'Running'" })) {
    if (!names.some((name) => `${workflowId}/`.startsWith(`cluster/default/${name}/`))) continue;
    total += (await client.workflow.getHandle(workflowId).describe()).historyLength;
  }
  await client.connection.close();
  return total;
}

test(`${CLUSTERS} idle clusters write nothing and do not make a launch slower`, {
  timeout: 60 * 60_000,
}, async () => {
  // The first one is slow: code is loaded, the host is started.
  await launchTime('warm');
  const before = await launchTime('before');
  const names = Array.from({ length: CLUSTERS }, (_, index) => `idle${index}`);
  const start = performance.now();
  await mapLimited(names, AT_ONCE, (name) => story.up(name, 'num_nodes: 1'));
  const launched = performance.now() - start;
  const listing = performance.now();
  expect((await story.clusters.list()).filter(({ status }) => status === 'UP').length).toBe(CLUSTERS);
  const listed = performance.now() - listing;
  const written = await events(names);
  const after = await launchTime('after');
  const host = await world.cloud.host();
  console.log(
    `launch to end of job: ${Math.round(before)} ms before, ${Math.round(after)} ms beside ${CLUSTERS} idle clusters ` +
      `(launched in ${Math.round(launched / 1000)} s, listed in ${Math.round(listed)} ms); ` +
      `MiB: worker ${memory(world.workerPid)}, server ${memory(world.server.pid)}, host ${memory(host.pid)}`,
  );
  expect(written).toBeGreaterThan(CLUSTERS * 10);
  expect(await events(names)).toBe(written);
  // Other tests come and go beside the short form, so that its times are not to be compared.
  if (LONG_FORM) expect(after).toBeLessThan(before * 2);
  await mapLimited(names, AT_ONCE, (name) => story.down(name));
  await story.nothingLeft();
});
