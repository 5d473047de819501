/** A Python that has Temporal's own SDK: installed once, into the cache of this machine. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { styxCache } from '../../system/home.ts';

const PACKAGES = ['temporalio==1.35.0', 'cryptography==50.0.2'];
const INSTALL_MS = 240_000;

/** Its path, or why there is none. */
export function pythonWithTemporal(): { python: string } | { reason: string } {
  const home = join(styxCache(), 'temporalio-1.35.0');
  const python = join(home, 'bin', 'python');
  if (existsSync(python)) return { python };
  if (process.env.STYX_TEST_OFFLINE === '1') return { reason: `temporalio is not in ${home}` };
  mkdirSync(styxCache(), { recursive: true });
  // Made beside and renamed: nobody may see half of it. Programs of a venv have its path in them, its python has not.
  const made = `${home}.${process.pid}`;
  try {
    for (const [command, args] of [
      ['python3', ['-m', 'venv', made]],
      [join(made, 'bin', 'python'), ['-m', 'pip', 'install', '--quiet', ...PACKAGES]],
    ] as const) {
      const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8', timeout: INSTALL_MS });
      if (status !== 0) return { reason: (stderr || error?.message || '').trim().split('\n').at(-1) ?? command };
    }
    if (!existsSync(python)) renameSync(made, home);
    return { python };
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
}
