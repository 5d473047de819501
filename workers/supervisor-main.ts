/** The supervisor process: started detached, with the unit's lock, by `workers/server.ts`. */
import { parseArgs } from 'node:util';
import { styxHome } from '../system/home.ts';
import { resolveTarget } from './connection.ts';
import { Supervisor } from './supervisor.ts';
import { unitPaths } from './unit.ts';

const { values } = parseArgs({
  options: { temporal: { type: 'string' }, 'worker-main': { type: 'string' } },
});
const workerMain = values['worker-main'];
if (workerMain === undefined) throw new Error('--worker-main is missing');
const home = styxHome();
const target = await resolveTarget();
const supervisor = new Supervisor({
  home,
  target,
  paths: unitPaths(home, target),
  temporalPath: values.temporal ?? null,
  workerMain,
});
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => supervisor.stop());
await supervisor.run();
