/** One supervised process: adopted when it runs already, else started, and started again with growing pauses. */
import { closeSync, openSync } from 'node:fs';
import { lockHolder, spawnLocked } from '../system/lock.ts';
import type { Log } from '../system/log.ts';
import { isRunning, type ProcessRef } from '../system/processes.ts';

const BACKOFF_FIRST_MS = 200;
const BACKOFF_MAX_MS = 5_000;
const HEALTHY_AFTER_MS = 10_000;

export class Keeper {
  ref: ProcessRef | null;
  /** Ends and failed starts since it last ran for 10 s. */
  failures = 0;
  /** When it was started by this supervisor; 0 for one that was adopted. */
  since = 0;
  private nextStart = 0;
  private readonly lockFile: string;
  private readonly logFile: string;
  private readonly onExit: () => void;
  private readonly log: Log;

  constructor(lockFile: string, logFile: string, onExit: () => void, log: Log) {
    this.lockFile = lockFile;
    this.logFile = logFile;
    this.onExit = onExit;
    this.log = log;
    this.ref = lockHolder(lockFile);
  }

  /** True when it runs; else starts it, unless its backoff says later. */
  async keep(command: () => Promise<readonly string[]>, env: NodeJS.ProcessEnv): Promise<boolean> {
    if (isRunning(this.ref)) {
      if (Date.now() - this.since > HEALTHY_AFTER_MS) this.failures = 0;
      return true;
    }
    if (this.ref !== null) this.failed();
    if (Date.now() < this.nextStart) return false;
    const log = openSync(this.logFile, 'a', 0o600);
    try {
      const started = await spawnLocked(this.lockFile, await command(), {
        detached: true,
        stdio: ['ignore', log, log],
        cwd: '/',
        env,
      });
      this.since = Date.now();
      started?.child.once('exit', this.onExit);
      this.ref = started === null ? lockHolder(this.lockFile) : { pid: started.pid, startTime: started.startTime };
    } catch (error) {
      this.log.error({ error }, 'cannot start');
      this.failed();
    } finally {
      closeSync(log);
    }
    return isRunning(this.ref);
  }

  private failed(): void {
    this.ref = null;
    this.failures++;
    const wait = this.failures === 1 ? 0 : Math.min(BACKOFF_FIRST_MS * 2 ** (this.failures - 2), BACKOFF_MAX_MS);
    this.nextStart = Date.now() + wait;
  }
}
