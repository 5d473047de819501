/** Processes of tests: each dies with the test run that started it. */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const UP_MS = 30_000;
const STOP_MS = 45_000;

/** A directory for one test; its path is short, since sockets are made below. */
export function testDir(): string {
  return mkdtempSync(join(tmpdir(), 'styx-'));
}

/** Both outputs are appended to `log`. */
export function spawnLogged(
  argv: readonly string[],
  log: string,
  env: NodeJS.ProcessEnv,
  user: Pick<SpawnOptions, 'uid' | 'gid' | 'cwd'> = {},
): ChildProcess {
  const fd = openSync(log, 'a');
  const [command = '', ...rest] = dyingWithParent(argv);
  const child = spawn(command, rest, { stdio: ['ignore', fd, fd], env: { ...process.env, ...env }, ...user });
  closeSync(fd);
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

/** A test run that is itself killed leaves no server behind, where util-linux can see to it. */
function dyingWithParent(argv: readonly string[]): string[] {
  const setpriv = '/usr/bin/setpriv';
  return existsSync(setpriv) ? [setpriv, '--pdeathsig', 'KILL', ...argv] : [...argv];
}

const children = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});

/** Resolves when the condition holds. @throws with the end of the log when the process ends first or is too slow */
export async function until(condition: () => Promise<boolean>, child: ChildProcess, log: string): Promise<void> {
  for (const deadline = Date.now() + UP_MS; !(await condition()); await sleep(20)) {
    if (child.exitCode === null && child.signalCode === null && Date.now() < deadline) continue;
    throw new Error(`${child.spawnfile} is not up: ${readFileSync(log, 'utf8').slice(-2_000)}`);
  }
}

export async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill(signal);
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
  await ended;
  clearTimeout(timer);
}
