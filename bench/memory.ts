/** Memory of worker and Temporal server, idle and with many clusters up at once, and of what stands on each instance. */
import { setTimeout as sleep } from 'node:timers/promises';
import { LocalCloud } from '../clouds/local/local.ts';
import { mapLimited } from '../model/map-limited.ts';
import { commandTask } from '../model/parse-task.ts';
import { resourcesText } from '../model/resources-text.ts';
import type { Lab } from './lab.ts';
import { instanceProcesses, type Memory, memoryOf, sharedAgents } from './processes.ts';
import { add, type Report } from './report.ts';

const CALLERS = 32;
const SETTLE_MS = 5_000;
const TASK = commandTask('true', { infra: 'local' });

async function unit(lab: Lab, report: Report, when: string): Promise<void> {
  await sleep(SETTLE_MS);
  const { worker, temporal } = await lab.pids();
  const one = (subject: string, pid: number) =>
    add(report, { subject: `${subject}, ${when}`, unit: 'MiB', values: [memoryOf([pid]).rss], note: 'RSS' });
  one('memory of the worker', worker);
  one('memory of the Temporal server', temporal);
}

export async function idleMemory(lab: Lab, report: Report): Promise<void> {
  await unit(lab, report, 'idle');
}

/** Leaves the clusters standing. */
export async function memoryWith(lab: Lab, report: Report, count: number, say: (text: string) => void): Promise<void> {
  if (count === 0) {
    report.skips.push({ subject: 'memory with many clusters', why: '--clusters 0' });
    return;
  }
  const names = Array.from({ length: count }, () => lab.name('up'));
  const began = performance.now();
  const seconds: number[] = [];
  let accepted = 0;
  await mapLimited(names, CALLERS, async (name) => {
    const { clusters } = lab.styx;
    const answer = await clusters.launch({ name, task: TASK, resourcesText: resourcesText(TASK) });
    accepted = performance.now() - began;
    const { outcome, operation } = await clusters.waitOperation(name, answer);
    if (outcome !== 'succeeded') throw new Error(`${name}: ${operation?.failure?.message ?? outcome}`);
    seconds.push((performance.now() - began) / 1_000);
    if (seconds.length % 10 === 0) say(`${seconds.length} of ${count} clusters are up`);
  });
  const note = `${CALLERS} at a time; the last was accepted after ${Math.round(accepted / 1_000)} s`;
  add(report, { subject: `time until ${count} clusters are up`, unit: 's', values: [Math.max(...seconds)], note });
  await unit(lab, report, `${count} clusters up`);
  const { rss } = await new LocalCloud(lab.home).host();
  const of = { subject: `memory of the local cloud's host`, unit: 'MiB', note: 'RSS' };
  add(report, { ...of, values: [rss / 1024 ** 2] });
  instances(lab, report);
}

function instances(lab: Lab, report: Report): void {
  const byInstance = [...Map.groupBy(instanceProcesses(lab.home), ({ instance }) => instance).values()];
  const agent = memoryOf(sharedAgents(lab.home));
  const processes = byInstance.map((found) => memoryOf(found.map(({ pid }) => pid)));
  for (const [subject, found] of [
    ['memory of the agent of all instances', [agent]],
    ["memory of an instance's processes", processes],
  ] as const) {
    const pss = found.flatMap((memory: Memory) => memory.pss ?? []);
    add(report, { subject, unit: 'MiB', values: found.map(({ rss }) => rss), note: 'RSS' });
    if (pss.length > 0) add(report, { subject, unit: 'MiB', values: pss, note: 'PSS: its share of what is shared' });
  }
}
