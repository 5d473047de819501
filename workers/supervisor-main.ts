/** The supervisor process: started detached, with the unit's lock, by `workers/server.ts`. */
import { parseArgs } from 'node:util';
import { styxHome } from '../system/home.ts';
import { createLog } from '../system/log.ts';
import { resolveTarget } from './connection.ts';
import { Supervisor } from './supervisor.ts';
import { unitPaths } from './unit.ts';

const { values } = parseArgs({
  options: { temporal: { type: 'string' }, 'worker-main': { type: 'string' } },
});
const workerMain = values['worker-main'];
if (workerMain === undefined) throw new Error('--worker-main is missing');
const log = createLog('supervisor');
for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
  process.on(event, (error: unknown) => {
    log.error({ error }, 'the supervisor ends');
    process.exit(1);
  });
}
const home = styxHome();
const target = await resolveTarget();
const supervisor = new Supervisor({
  home,
  target,
  paths: unitPaths(home, target),
  temporalPath: values.temporal ?? null,
  workerMain,
  log,
});
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => supervisor.stop());
await supervisor.run();
