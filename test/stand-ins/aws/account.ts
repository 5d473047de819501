/** An AWS account of a test's own: moto behind a fault proxy, credentials that are nobody's, and a ledger of what there is and was. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../../../workers/temporal-server.ts';
import { testDir } from '../../harness/temporal.ts';
import { pythonWith } from '../../harness/venv.ts';
import { FaultProxy } from './fault-proxy.ts';

const UP_MS = 60_000;
const SETPRIV = '/usr/bin/setpriv';

/** `python` with moto, or why there is none. */
export function motoPython(): { python: string } | { reason: string } {
  return pythonWith('moto', '5.2.5', '[server]');
}

export interface Ledger {
  /** Every instance that was ever made. */
  readonly created: readonly string[];
  /** What is there now. */
  readonly instances: readonly string[];
  readonly groups: readonly string[];
  readonly volumes: readonly string[];
}

export class Account {
  readonly proxy: FaultProxy;
  readonly home = testDir();
  readonly #child: ChildProcess;
  readonly #upstream: string;

  private constructor(child: ChildProcess, upstream: string, proxy: FaultProxy) {
    this.#child = child;
    this.#upstream = upstream;
    this.proxy = proxy;
    mkdirSync(join(this.home, 'aws'));
    this.renew();
  }

  static async start(): Promise<Account> {
    const found = motoPython();
    if ('reason' in found) throw new Error(found.reason);
    const port = await freePort();
    // The server's own SDK must find nothing of anybody's.
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('AWS_')));
    // It ends with this process, however that ends.
    const command = existsSync(SETPRIV) ? [SETPRIV, '--pdeathsig', 'KILL'] : [];
    const [program = '', ...rest] = [...command, found.python, join(import.meta.dirname, 'server.py'), String(port)];
    const child = spawn(program, rest, { stdio: ['ignore', 'pipe', 'pipe'], env });
    let said = '';
    child.stderr?.on('data', (chunk) => {
      said = (said + chunk).slice(-4_000);
    });
    child.stdout?.resume();
    process.once('exit', () => child.kill('SIGKILL'));
    const upstream = `http://127.0.0.1:${port}`;
    for (const end = Date.now() + UP_MS; !(await answers(upstream)); await sleep(50)) {
      if (child.exitCode !== null || Date.now() > end) throw new Error(`moto is not up: ${said}`);
    }
    return new Account(child, upstream, await FaultProxy.start(upstream));
  }

  /** Points the SDK of this process at the account, and at nothing else. */
  enter(): void {
    for (const name of Object.keys(process.env)) if (name.startsWith('AWS_')) delete process.env[name];
    Object.assign(process.env, this.environment());
  }

  environment(): Record<string, string> {
    return {
      AWS_ENDPOINT_URL: this.proxy.url,
      AWS_SHARED_CREDENTIALS_FILE: this.#credentials,
      AWS_CONFIG_FILE: '/dev/null',
      AWS_EC2_METADATA_DISABLED: 'true',
      AWS_REGION: 'us-east-1',
    };
  }

  get #credentials(): string {
    return join(this.home, 'aws', 'credentials');
  }

  /** Writes other credentials, as a new log-in does. */
  renew(key = 'AKIASTANDIN'): void {
    writeFileSync(this.#credentials, `[default]\naws_access_key_id = ${key}\naws_secret_access_key = none\n`);
  }

  /** Takes the credentials away. */
  leave(): void {
    rmSync(this.#credentials);
  }

  /** URL of the stand-in itself, past the faults. */
  get direct(): string {
    return this.#upstream;
  }

  async order(what: string, body: object = {}): Promise<unknown> {
    const answer = await fetch(`${this.#upstream}/styx/${what}`, { method: 'POST', body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(`${what}: ${answer.status} ${await answer.text()}`);
    return await answer.json();
  }

  async ledger(): Promise<Ledger> {
    return (await this.order('ledger')) as Ledger;
  }

  /** Everything as it was at first, but for what has been made. */
  async calm(): Promise<void> {
    this.proxy.faults = [];
    this.proxy.log.length = 0;
    await this.order('capacity');
    await this.order('quota');
    await this.order('zones');
    await this.order('lag', { seconds: 0 });
    await this.order('timing', { pending: 0, stopping: 0, ending: 0 });
    this.renew();
  }

  async end(): Promise<void> {
    await this.proxy.close();
    const ended = once(this.#child, 'exit');
    if (this.#child.exitCode === null) {
      this.#child.kill('SIGKILL');
      await ended;
    }
    rmSync(this.home, { recursive: true, force: true });
  }
}

async function answers(upstream: string): Promise<boolean> {
  try {
    return (await fetch(`${upstream}/styx/ledger`, { method: 'POST', body: '{}' })).ok;
  } catch {
    return false;
  }
}
