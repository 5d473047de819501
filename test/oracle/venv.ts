/** The SkyPilot that is compared with: installed once, into the cache of this machine. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';

const VERSION = '0.14.1';
const INSTALL_SECONDS = 300;

/** `python` of an environment that has it, or why there is none. */
export function skypilotPython(): { python: string } | { reason: string } {
  const cache = process.env.STYX_CACHE ?? join(homedir(), '.cache', 'styx');
  const home = join(cache, `skypilot-${VERSION}`);
  const python = join(home, 'bin', 'python');
  if (existsSync(python) && has(python)) return { python };
  if (process.env.STYX_TEST_OFFLINE === '1') return { reason: `skypilot==${VERSION} is not in ${home}` };
  mkdirSync(dirname(home), { recursive: true });
  const started = Date.now();
  const run = (command: string, ...args: string[]) => {
    const timeout = INSTALL_SECONDS * 1000 - (Date.now() - started);
    return spawnSync(command, args, { encoding: 'utf8', timeout: Math.max(1, timeout) });
  };
  if (existsSync(home)) renameSync(home, `${home}.broken-${process.pid}`);
  const made = run('python3', '-m', 'venv', home);
  const installed = made.status === 0 ? run(python, '-m', 'pip', 'install', '--quiet', `skypilot==${VERSION}`) : made;
  rmSync(`${home}.broken-${process.pid}`, { recursive: true, force: true });
  if (installed.status === 0 && has(python)) return { python };
  rmSync(home, { recursive: true, force: true });
  const said = (installed.stderr || installed.error?.message || '').trim().split('\n').at(-1) ?? '';
  return { reason: `skypilot==${VERSION} cannot be installed: ${said}` };
}

function has(python: string): boolean {
  const code = `from importlib.metadata import version; assert version("skypilot") == "${VERSION}"`;
  return spawnSync(python, ['-c', code]).status === 0;
}
