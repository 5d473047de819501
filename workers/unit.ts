/**
 * A unit is what `styx server` runs in the background for one Temporal server and namespace: a supervisor, a worker and,
 * unless the environment names a server, the embedded Temporal server. Its files are in one directory.
 */
import { join } from 'node:path';
import { z } from 'zod/mini';
import { stableHash } from '../model/identity.ts';
import { homePaths, readJson, writeAtomically } from '../system/home.ts';
import { isRunning, type ProcessRef } from '../system/processes.ts';

/** Which server the environment means. */
export interface Target {
  readonly embedded: boolean;
  /** Undefined for the embedded server: it is known when the server has started. */
  readonly address: string | undefined;
  readonly namespace: string;
}

export const PARTS = ['supervisor', 'temporal', 'worker'] as const;
export type Part = (typeof PARTS)[number];

const processRef = z.object({ pid: z.number(), startTime: z.string() });

const serverState = z.object({
  embedded: z.boolean(),
  address: z.string(),
  namespace: z.string(),
  /** Of the Web UI; null when the server is not ours. */
  ui: z.nullable(z.string()),
  supervisor: processRef,
  temporal: z.nullable(processRef),
  worker: z.nullable(processRef),
  /** Where the worker's metrics are; absent in what older versions wrote. */
  metrics: z.optional(z.nullable(z.string())),
  /** The worker polls. */
  ready: z.boolean(),
  /** Why it is not, when something keeps failing. */
  problem: z.nullable(z.string()),
});
export type ServerState = z.infer<typeof serverState>;

export interface WorkerReady extends ProcessRef {
  readonly metrics: string | null;
}

export interface UnitPaths {
  readonly dir: string;
  readonly state: string;
  /** Written by the worker when it polls: `WorkerReady`. */
  readonly workerReady: string;
  lock(part: Part): string;
  log(part: Part): string;
}

export function unitPaths(home: string, target: Target): UnitPaths {
  const server = homePaths(home).server;
  const dir = target.embedded ? server : join(server, stableHash([target.address ?? '', target.namespace], 12));
  return {
    dir,
    state: join(dir, 'state.json'),
    workerReady: join(dir, 'worker-ready.json'),
    lock: (part) => join(dir, `${part}.lock`),
    log: (part) => join(dir, `${part}.log`),
  };
}

export function readState(paths: UnitPaths): ServerState | null {
  const parsed = serverState.safeParse(readJson(paths.state));
  return parsed.success ? parsed.data : null;
}

export function writeState(paths: UnitPaths, state: ServerState): void {
  writeAtomically(paths.state, `${JSON.stringify(state, null, 2)}\n`);
}

/** All of the unit runs and the worker polls. */
export function isUp(state: ServerState): boolean {
  return (
    state.ready &&
    isRunning(state.supervisor) &&
    isRunning(state.worker) &&
    (!state.embedded || isRunning(state.temporal))
  );
}
