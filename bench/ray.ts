/** Ray up on a cluster of two nodes that stands: with nothing installed on this machine, and with what that left. */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DEFAULT_RAY_VERSION } from '../model/ray.ts';
import { styxCache } from '../system/home.ts';
import type { Lab } from './lab.ts';
import { add, type Report } from './report.ts';

/** Nobody else's environment has this alone, so that it can be thrown away. */
const EXTRAS = 'client';
const CACHED_S = 20;

export async function ray(lab: Lab, report: Report, rounds: number, say: (text: string) => void): Promise<void> {
  const environments = join(styxCache(), 'ray', 'env');
  const ours = (name: string) => name.startsWith(`${DEFAULT_RAY_VERSION}-${EXTRAS}-py`);
  try {
    for (const name of readdirSync(environments).filter(ours)) rmSync(join(environments, name), { recursive: true });
  } catch {
    // There is none.
  }
  const up = async (): Promise<number> => {
    const name = lab.name('ray');
    await lab.cli('launch', '-y', '-c', name, '--infra', 'local', '--num-nodes', '2');
    const { wallMs } = await lab.cli('ray', 'up', name, '--extras', EXTRAS);
    await lab.cli('down', '-y', name);
    return wallMs / 1_000;
  };
  const subject = `Ray ${DEFAULT_RAY_VERSION} up on 2 nodes`;
  say('Ray, first');
  try {
    add(report, {
      subject: `${subject}, first`,
      unit: 's',
      values: [await up()],
      note: 'installed from the package index',
    });
  } catch (error) {
    report.skips.push({ subject, why: error instanceof Error ? error.message : String(error) });
    return;
  }
  const cached: number[] = [];
  for (let round = 0; round < rounds; round++) {
    say(`Ray, cached ${round + 1}`);
    cached.push(await up());
  }
  add(report, { subject: `${subject}, cached`, unit: 's', values: cached, target: CACHED_S });
}
