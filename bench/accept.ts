/**
 * How long a launch takes to be accepted, which means: it is in Temporal's database, and nothing that dies loses it. The launches
 * are of new names, and ask for what no machine has, so that the making of machines does not compete with what is measured.
 */

import type { CommandAnswer } from '../model/cluster.ts';
import { mapLimited } from '../model/map-limited.ts';
import { parseTask } from '../model/parse-task.ts';
import { resourcesText } from '../model/resources-text.ts';
import type { Lab } from './lab.ts';
import { add, percentile, type Report } from './report.ts';

const ONE_CALLER = 20;
const CALLERS = 32;
const LAUNCHES = 160;
const PACKED = parseTask('resources: {infra: local, cpus: 1000000}\nrun: echo never\n', { file: 'bench' });

async function launch(lab: Lab, name: string): Promise<CommandAnswer> {
  return await lab.styx.clusters.launch({ name, task: PACKED, resourcesText: resourcesText(PACKED) });
}

export async function accept(lab: Lab, report: Report): Promise<void> {
  const alone: number[] = [];
  for (let i = 0; i <= ONE_CALLER; i++) {
    const started = performance.now();
    const name = lab.name('one');
    const answer = await launch(lab, name);
    if (i > 0) alone.push(performance.now() - started);
    await lab.styx.clusters.waitOperation(name, answer);
  }
  add(report, { subject: 'launch accepted, 1 caller', unit: 'ms', values: alone, target: 150 });

  let failures = 0;
  const many: number[] = [];
  const began = performance.now();
  await mapLimited(
    Array.from({ length: LAUNCHES }, () => lab.name('many')),
    CALLERS,
    async (name) => {
      const started = performance.now();
      try {
        await launch(lab, name);
        many.push(performance.now() - started);
      } catch {
        failures += 1;
      }
    },
  );
  const rate = LAUNCHES / ((performance.now() - began) / 1_000);
  const who = `${CALLERS} callers`;
  add(report, { subject: `launch accepted, ${who}`, unit: 'ms', values: many });
  const judged = percentile(many, 0.99);
  add(report, { subject: `launch accepted, ${who}, p99`, unit: 'ms', values: [judged], target: 3_000 });
  add(report, { subject: `launches accepted, ${who}`, unit: '/s', values: [rate], target: 20, least: true });
  add(report, { subject: `launches refused, ${who}`, unit: '', values: [failures], target: 0 });
}
