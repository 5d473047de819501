/** Machines for a stand-in of EC2, as a test sees them. Needs root, and a process in a network of its own (`pool.ts`). */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { testDir } from '../../harness/temporal.ts';
import type { MachineRow } from './keeper.ts';
import type { Manner } from './machine.ts';

const UP_MS = 30_000;

export class Machines {
  readonly #child: ChildProcess;
  readonly #directory: string;
  /** Orders go below it; see `keeper-main.ts`. */
  readonly url: string;

  private constructor(child: ChildProcess, directory: string, port: string) {
    this.#child = child;
    this.#directory = directory;
    this.url = `http://127.0.0.1:${port}/styx/`;
  }

  /** `ec2`: URL of the stand-in itself. */
  static async start(ec2: string): Promise<Machines> {
    const directory = testDir();
    const main = join(import.meta.dirname, 'keeper-main.ts');
    // Disks are mounted where nobody else sees them, and end with the keeper.
    const mounts = ['unshare', '--mount', '--propagation', 'private'];
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...mounts, process.execPath, main, ec2, directory], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let said = '';
    child.stderr?.on('data', (chunk) => {
      said = (said + chunk).slice(-4_000);
      if (process.env.STYX_TEST_DEBUG) process.stderr.write(chunk);
    });
    let port = '';
    child.stdout?.on('data', (chunk) => {
      port += chunk;
    });
    process.once('exit', () => child.kill('SIGKILL'));
    for (const end = Date.now() + UP_MS; !port.includes('\n'); await sleep(10)) {
      if (child.exitCode !== null || Date.now() > end) throw new Error(`the keeper of machines is not up: ${said}`);
    }
    return new Machines(child, directory, port.trim());
  }

  async order(what: string, body: object = {}): Promise<unknown> {
    const answer = await fetch(this.url + what, { method: 'POST', body: JSON.stringify(body) });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${what}: ${text}`);
    return JSON.parse(text);
  }

  async rows(): Promise<MachineRow[]> {
    return ((await this.order('machines')) as { machines: MachineRow[] }).machines;
  }

  /** What the machines have printed, and why some could not be made. */
  async consoles(): Promise<string> {
    const { machines, refused } = (await this.order('machines')) as { machines: MachineRow[]; refused: object };
    return (
      JSON.stringify(refused) +
      machines.map(({ id, state, console }) => `\n${id} ${state}: ${readFileSync(console, 'utf8')}`).join('')
    );
  }

  /** How all boot from now on; nothing: as they should. */
  async manner(given: Partial<Manner> = {}): Promise<void> {
    await this.order('manner', given);
  }

  /** Ends all of them, and whoever keeps them. */
  async end(): Promise<void> {
    const ended = once(this.#child, 'exit');
    if (this.#child.exitCode === null) {
      this.#child.kill('SIGKILL');
      await ended;
    }
    rmSync(this.#directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }
}
