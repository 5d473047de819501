/** What a user waits for at the command line: from pressing Enter to the first line of output. */
import type { Lab } from './lab.ts';
import { add, type Report } from './report.ts';

export async function latency(lab: Lab, report: Report, rounds: number): Promise<void> {
  const launches: number[] = [];
  let name = '';
  for (let i = 0; i <= rounds; i++) {
    if (name !== '') await lab.down(name);
    name = lab.name('launch');
    const run = await lab.cli('launch', '-y', '-c', name, '--infra', 'local', 'echo first');
    // The first one warms up what a server that has just started has not done yet.
    if (i > 0 && run.firstMs !== null) launches.push(run.firstMs / 1_000);
  }
  add(report, { subject: 'launch to first line, new node', unit: 's', values: launches, target: 3 });

  const execs: number[] = [];
  const cpu: number[] = [];
  for (let i = 0; i <= rounds; i++) {
    const run = await lab.cli('exec', name, 'echo first');
    if (i === 0 || run.firstMs === null) continue;
    execs.push(run.firstMs / 1_000);
    cpu.push(run.cpuMs / 1_000);
  }
  add(report, { subject: 'exec to first line', unit: 's', values: execs, target: 1 });
  add(report, { subject: 'exec, CPU time of the CLI', unit: 's', values: cpu });
  await lab.down(name);
}
