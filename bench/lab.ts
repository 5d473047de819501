/** A Styx of its own for the time of a bench: data directory, server, worker and local cloud; gone afterwards. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type Styx } from '../client/index.ts';
import { ensureServer, serverStatus, stopServer } from '../workers/server.ts';
import { instanceProcesses } from './processes.ts';

export interface CliRun {
  readonly code: number | null;
  readonly output: string;
  /** From the start of the process, ms: to the first byte of standard output, and to its end. */
  readonly firstMs: number | null;
  readonly wallMs: number;
  /** CPU time of the process, user and system. */
  readonly cpuMs: number;
}

const STYX = join(import.meta.dirname, '..', 'bin', 'styx');
/** The shell's own count of what its children used goes to descriptor 3. */
const COUNTED = '"$@"; code=$?; times >&3; exit $code';

export class Lab {
  readonly home: string;
  readonly styx: Styx;
  #names = 0;

  private constructor(home: string, styx: Styx) {
    this.home = home;
    this.styx = styx;
  }

  /** Starts server and worker, or with the environment of a server that is up a worker alone, and leaves them a few seconds to settle. */
  static async start(given: Readonly<Record<string, string>> = {}): Promise<Lab> {
    const home = mkdtempSync(join(tmpdir(), 'styx-bench-'));
    for (const name of Object.keys(process.env)) if (/^(TEMPORAL_|STYX_TIMING)/.test(name)) delete process.env[name];
    Object.assign(process.env, given);
    process.env.STYX_HOME = home;
    // Not the user's own.
    process.env.STYX_SSH_CONFIG = join(home, 'ssh_config');
    try {
      await ensureServer({});
      return new Lab(home, await connect({ home, startServer: false }));
    } catch (error) {
      await stopServer({});
      rmSync(home, { recursive: true, force: true });
      throw error;
    }
  }

  /** A cluster name that this bench has not used. */
  name(what: string): string {
    this.#names += 1;
    return `${what}-${this.#names}`;
  }

  async cli(...args: string[]): Promise<CliRun> {
    const started = performance.now();
    const child = spawn('/bin/sh', ['-c', COUNTED, 'sh', STYX, ...args], {
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
      env: process.env,
    });
    let firstMs: number | null = null;
    const texts = ['', '', ''];
    for (const [at, stream] of [child.stdout, child.stderr, child.stdio[3]].entries()) {
      stream?.on('data', (data: Buffer) => {
        if (at === 0) firstMs ??= performance.now() - started;
        texts[at] += String(data);
      });
    }
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', resolve);
    });
    const [output = '', errors = '', times = ''] = texts;
    const wallMs = performance.now() - started;
    if (code !== 0) throw new Error(`styx ${args.join(' ')} ended with ${code}: ${errors}`);
    return { code, output, firstMs, wallMs, cpuMs: childrenCpu(times) };
  }

  async down(name: string): Promise<void> {
    const { clusters } = this.styx;
    await clusters.waitOperation(name, await clusters.down(name));
  }

  async pids(): Promise<{ worker: number; temporal: number }> {
    const { worker, temporal } = (await serverStatus({})).pids;
    if (worker === null || temporal === null) throw new Error('the server does not run');
    return { worker, temporal };
  }

  /** Ends everything. What clusters are left are taken down by the removal of the data directory. */
  async end(): Promise<void> {
    await this.styx.close();
    await stopServer({});
    rmSync(this.home, { recursive: true, force: true, maxRetries: 20, retryDelay: 200 });
    for (const until = Date.now() + 20_000; instanceProcesses(this.home).length > 0 && Date.now() < until; ) {
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}

/** Second line of `times`: `0m0.43s 0m0.11s`. */
function childrenCpu(times: string): number {
  const [, line = ''] = times.trim().split('\n');
  const seconds = [...line.matchAll(/(\d+)m([\d.]+)s/g)].map(([, m, s]) => Number(m) * 60 + Number(s));
  return seconds.reduce((sum, each) => sum + each, 0) * 1_000;
}
