/** Packages of Python that tests need: each installed once, into the cache of this machine. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';

const INSTALL_SECONDS = 300;

/** `python` of an environment that has the package, or why there is none. `extra`: such as `[server]`. */
export function pythonWith(name: string, version: string, extra = ''): { python: string } | { reason: string } {
  const wanted = `${name}${extra}==${version}`;
  const has = (python: string) => hasPackage(python, name, version);
  const cache = process.env.STYX_CACHE ?? join(homedir(), '.cache', 'styx');
  const home = join(cache, `${name}-${version}`);
  const python = join(home, 'bin', 'python');
  if (existsSync(python) && has(python)) return { python };
  if (process.env.STYX_TEST_OFFLINE === '1') return { reason: `${wanted} is not in ${home}` };
  mkdirSync(dirname(home), { recursive: true });
  const waited = waitedForAnother(`${home}.lock`);
  const started = Date.now();
  const run = (command: string, ...args: string[]) => {
    const timeout = INSTALL_SECONDS * 1000 - (Date.now() - started);
    return spawnSync(command, args, { encoding: 'utf8', timeout: Math.max(1, timeout) });
  };
  if (waited && has(python)) {
    rmSync(`${home}.lock`, { force: true });
    return { python };
  }
  // Made beside and renamed: several test files may be here at once, and none may see half of it.
  const made = `${home}.${process.pid}`;
  const venv = run('python3', '-m', 'venv', made);
  const pip = join(made, 'bin', 'python');
  const installed = venv.status === 0 ? run(pip, '-m', 'pip', 'install', '--quiet', wanted) : venv;
  if (installed.status === 0 && has(pip)) {
    try {
      if (existsSync(home) && !has(python)) renameSync(home, `${made}.broken`);
      renameSync(made, home);
    } catch {
      // Another one was first.
    }
  }
  for (const left of [made, `${made}.broken`, `${home}.lock`]) rmSync(left, { recursive: true, force: true });
  if (has(python)) return { python };
  const said = (installed.stderr || installed.error?.message || '').trim().split('\n').at(-1) ?? '';
  return { reason: `${wanted} cannot be installed: ${said}` };
}

/** Takes the lock, or waits until whoever has it is done or dead. */
function waitedForAnother(lock: string): boolean {
  for (let second = 0; second < INSTALL_SECONDS; second++) {
    try {
      writeFileSync(lock, String(process.pid), { flag: 'wx' });
      return second > 0;
    } catch {
      if (isLeft(lock)) rmSync(lock, { force: true });
      else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000);
    }
  }
  return true;
}

/** Whoever took it was killed. */
function isLeft(lock: string): boolean {
  try {
    const pid = Number(readFileSync(lock, 'utf8'));
    // Empty until it has been written.
    if (pid > 0) process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}

function hasPackage(python: string, name: string, version: string): boolean {
  const code = `from importlib.metadata import version; assert version("${name}") == "${version}"`;
  return spawnSync(python, ['-c', code]).status === 0;
}
