/** What metrics cost: launches accepted a second by a worker that tells none, and by one that does and is asked for them every second. */
import { mapLimited } from '../client/pool.ts';
import { parseTask } from '../model/parse-task.ts';
import { resourcesText } from '../model/resources-text.ts';
import { ensureServer, serverStatus, stopServer } from '../workers/server.ts';
import type { Lab } from './lab.ts';
import { add, type Report } from './report.ts';

const ROUNDS = 3;
const LAUNCHES = 96;
const CALLERS = 16;
const SCRAPE_MS = 1_000;
const PACKED = parseTask('resources: {infra: local, cpus: 1000000}\nrun: echo never\n', { file: 'bench' });

/** In turns, so that what else the machine does meets both alike. */
export async function metrics(lab: Lab, report: Report, say: (text: string) => void): Promise<void> {
  const rates: Record<'off' | 'on', number[]> = { off: [], on: [] };
  const before = process.env.STYX_METRICS;
  let scrapes = 0;
  for (let round = 1; round <= ROUNDS; round++) {
    for (const setting of ['off', 'on'] as const) {
      say(`metrics ${setting}, ${round} of ${ROUNDS}`);
      await stopServer({});
      process.env.STYX_METRICS = setting === 'off' ? 'off' : '';
      await ensureServer({});
      const { metrics: url } = await serverStatus({});
      const timer = setInterval(() => {
        if (url === null) return;
        scrapes += 1;
        void fetch(url)
          .then((answer) => answer.text())
          .catch(() => undefined);
      }, SCRAPE_MS);
      try {
        rates[setting].push(await launchMany(lab));
      } finally {
        clearInterval(timer);
      }
    }
  }
  if (before === undefined) delete process.env.STYX_METRICS;
  else process.env.STYX_METRICS = before;
  add(report, { subject: 'launches accepted without metrics', unit: '/s', values: rates.off });
  add(report, { subject: 'launches accepted with metrics', unit: '/s', values: rates.on, note: `${scrapes} scrapes` });
}

async function launchMany(lab: Lab): Promise<number> {
  const names = Array.from({ length: LAUNCHES }, () => lab.name('counted'));
  const request = { task: PACKED, resourcesText: resourcesText(PACKED) };
  // The first of a worker is slower than the rest.
  await lab.styx.clusters.launch({ name: lab.name('warm'), ...request });
  const began = performance.now();
  await mapLimited(names, CALLERS, async (name) => {
    await lab.styx.clusters.launch({ name, ...request });
  });
  const rate = LAUNCHES / ((performance.now() - began) / 1_000);
  await mapLimited(names, CALLERS, async (name) => {
    // One that found no room has ended by itself.
    await lab.styx.clusters.down(name).then(
      (operation) => lab.styx.clusters.waitOperation(name, operation),
      () => undefined,
    );
  });
  return rate;
}
