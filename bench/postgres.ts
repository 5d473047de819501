/** The spine's figures on the production topology: PostgreSQL, Temporal's own server, TLS between all, one worker. Its tests start it in the same way. */
import { missing, startProduction } from '../test/harness/production.ts';
import { accept } from './accept.ts';
import { Lab } from './lab.ts';
import { latency } from './latency.ts';
import type { Report } from './report.ts';
import { status } from './status.ts';

/** After the same figures of the embedded server, whose subjects these have with a word more. */
export async function postgres(report: Report, rounds: number, say: (text: string) => void): Promise<void> {
  const why = missing();
  if (why !== null) {
    say(`SKIPPED: the spine on PostgreSQL: ${why}`);
    report.skips.push({ subject: 'the spine on PostgreSQL', why });
    return;
  }
  const here: Report = { figures: [], skips: [] };
  say('PostgreSQL: starting the topology');
  const server = await startProduction();
  try {
    const lab = await Lab.start(server.env);
    try {
      say('PostgreSQL: launch and exec');
      await latency(lab, here, rounds);
      say('PostgreSQL: status');
      await status(lab, here, rounds, undefined);
      say('PostgreSQL: acceptance of launches');
      await accept(lab, here);
    } finally {
      await lab.end();
    }
  } finally {
    await server.stop();
  }
  report.figures.push(...here.figures.map((figure) => ({ ...figure, subject: `${figure.subject}, on PostgreSQL` })));
}
