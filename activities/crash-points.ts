/**
 * Named places where a test can stop the world, so that what follows a crash there is enumerated and not left to chance.
 * Without STYX_CRASH_POINTS in the environment every call is a no-op.
 *
 * STYX_CRASH_POINTS names a directory. A file `<point>.arm` in it arms a point; the one pass that renames it to `<point>.hit`
 * writes its process id there and holds its whole process there until `<point>.go` appears (or for a minute), while the test kills what it wants to kill.
 * Points are `<activity>.before`, `<activity>.called` (its effect is done, what follows is not), `<activity>.after` (all done,
 * not reported) and `<activity>.reported`, which is hit when the report has had the time to arrive, and holds nothing.
 */
import { existsSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const directory = process.env.STYX_CRASH_POINTS;
const HOLD_MS = 60_000;
const REPORT_MS = 150;

function claim(point: string): boolean {
  if (directory === undefined) return false;
  try {
    const hit = join(directory, `${point}.hit`);
    renameSync(join(directory, `${point}.arm`), hit);
    writeFileSync(hit, String(process.pid));
    return true;
  } catch {
    return false;
  }
}

export function crashPoint(point: string): void {
  if (directory === undefined || !claim(point)) return;
  const go = join(directory, `${point}.go`);
  const slice = new Int32Array(new SharedArrayBuffer(4));
  for (const end = Date.now() + HOLD_MS; Date.now() < end && !existsSync(go); ) Atomics.wait(slice, 0, 0, 10);
}

export function crashPointAfterReport(point: string): void {
  if (directory !== undefined) setTimeout(() => claim(point), REPORT_MS);
}

/** All points there are, by activity; what a crash matrix enumerates. */
export const CRASH_POINTS = {
  plan: ['before', 'after', 'reported'],
  prepare: ['before', 'after', 'reported'],
  createMachines: ['before', 'called', 'after', 'reported'],
  bootstrap: ['before', 'called', 'after', 'reported'],
  syncFiles: ['before', 'called', 'after', 'reported'],
  putHosts: ['before', 'called', 'after', 'reported'],
  startPhase: ['before', 'called', 'after', 'reported'],
  setLease: ['before', 'called', 'after', 'reported'],
  watchNodes: ['before', 'exit', 'told', 'after'],
  installRay: ['before', 'called', 'after', 'reported'],
  startRay: ['before', 'called', 'after', 'reported'],
  endRay: ['before', 'called', 'after', 'reported'],
  cancelJob: ['before', 'called', 'after', 'reported'],
  openPorts: ['before', 'called', 'after', 'reported'],
  stopMachines: ['before', 'called', 'after', 'reported'],
  reviveMachines: ['before', 'called', 'after', 'reported'],
  terminateMachines: ['before', 'called', 'after', 'reported'],
  describe: ['before', 'after', 'reported'],
  lookAtCluster: ['before', 'after', 'reported'],
  machinesStand: ['before', 'after', 'reported'],
  intentsOf: ['before', 'after', 'reported'],
  shipLogs: ['written'],
  collectLogs: ['before', 'called', 'after', 'reported'],
  receiversOf: ['before', 'after', 'reported'],
  sendNotice: ['before', 'called', 'after', 'reported'],
  jobRows: ['before', 'after', 'reported'],
  commandCluster: ['before', 'called', 'after', 'reported'],
} as const;
