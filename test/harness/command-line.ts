/** `bin/styx` as a user runs it: in a data directory of its own, with a server of its own and machines of the local cloud. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';

export const REPOSITORY = join(import.meta.dirname, '..', '..');

export interface Result {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** `bin/styx` in that environment. */
function startStyx(args: readonly string[], env: NodeJS.ProcessEnv) {
  const child = spawn(join(REPOSITORY, 'bin', 'styx'), args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  let err = '';
  child.stdout.on('data', (data) => {
    out += data;
  });
  child.stderr.on('data', (data) => {
    err += data;
  });
  const done = new Promise<Result>((resolve) => child.once('close', (code) => resolve({ code, out, err })));
  return { child, done, out: () => out };
}

/** `bin/styx` against the world that this process is in; `more` is added to its environment. */
export function runStyx(args: readonly string[], more: NodeJS.ProcessEnv = {}): Promise<Result> {
  return startStyx(args, { ...process.env, ...more }).done;
}

export class CommandLine {
  readonly home = mkdtempSync(join(tmpdir(), 'sx-'));
  readonly sshConfig = join(this.home, 'user-ssh-config');

  start(...args: string[]) {
    return startStyx(args, {
      ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('TEMPORAL_'))),
      TEMPORAL_CONFIG_FILE: '/nonexistent/temporal.toml',
      STYX_HOME: this.home,
      STYX_SSH_CONFIG: this.sshConfig,
      STYX_TIMING: 'test',
      NO_COLOR: '1',
    });
  }

  readonly styx = (...args: string[]): Promise<Result> => this.start(...args).done;

  /** Succeeds, or the test says with what words it did not. */
  readonly ok = async (...args: string[]): Promise<Result> => {
    const result = await this.styx(...args);
    expect(result.code, `styx ${args.join(' ')}: ${result.err}`).toBe(0);
    return result;
  };

  // biome-ignore lint/suspicious/noExplicitAny: the tests say what they expect of it.
  readonly json = async (...args: string[]): Promise<any> => {
    const { out, err, code } = await this.styx(...args, '-o', 'json');
    expect(out, `styx ${args.join(' ')}: ${code} ${err}`).not.toBe('');
    return JSON.parse(out);
  };

  async begin(): Promise<void> {
    await this.ok('server', 'start');
  }

  async end(): Promise<void> {
    await this.styx('server', 'stop');
    rmSync(this.home, { recursive: true, force: true });
  }
}
