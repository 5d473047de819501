/** Processes that are not our children: known by pid and start time, since pids are used again. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

export interface ProcessRef {
  readonly pid: number;
  /** Opaque; the same for the same process only, across reboots too. */
  readonly startTime: string;
}

let boot: string | undefined;

function bootId(): string {
  boot ??= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').slice(0, 8);
  return boot;
}

/** Start time of a living process; undefined when there is none with this pid, or only its zombie. */
export function startTimeOf(pid: number): string | undefined {
  if (process.platform !== 'linux') return startTimeByPs(pid);
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field, the name, may hold spaces and parentheses.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : `${bootId()}-${fields[19]}`;
  } catch {
    return undefined;
  }
}

function startTimeByPs(pid: number): string | undefined {
  try {
    const line = execFileSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim();
    const [state = '', ...start] = line.split(/\s+/);
    return state === '' || state.startsWith('Z') ? undefined : start.join('-');
  } catch {
    return undefined;
  }
}

export function self(): ProcessRef {
  return { pid: process.pid, startTime: startTimeOf(process.pid) ?? '' };
}

export function isRunning(ref: ProcessRef | null | undefined): ref is ProcessRef {
  return ref !== null && ref !== undefined && startTimeOf(ref.pid) === ref.startTime;
}

/** Sends a signal if the process still is the one meant. False when it is gone. */
export function signalProcess(ref: ProcessRef, signal: NodeJS.Signals): boolean {
  if (!isRunning(ref)) return false;
  try {
    process.kill(ref.pid, signal);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

/** True as soon as the process is gone, false when it still runs after `ms`. */
export async function waitForExit(ref: ProcessRef, ms: number): Promise<boolean> {
  for (const deadline = Date.now() + ms; isRunning(ref); await sleep(10)) {
    if (Date.now() >= deadline) return false;
  }
  return true;
}

/** Ends a process: `signal`, then SIGKILL after `graceMs`. Returns when it is gone. */
export async function endProcess(ref: ProcessRef, signal: NodeJS.Signals, graceMs: number): Promise<void> {
  if (!signalProcess(ref, signal) || (await waitForExit(ref, graceMs))) return;
  signalProcess(ref, 'SIGKILL');
  await waitForExit(ref, 5_000);
}
