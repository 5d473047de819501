import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { isLocked, lockHolder, spawnLocked } from '../../system/lock.ts';
import { endProcess, isRunning, startTimeOf, waitForExit } from '../../system/processes.ts';
import { testDir } from '../harness/temporal.ts';

let dir: string;
beforeEach(() => {
  dir = testDir();
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const IDLE = [process.execPath, '-e', 'setTimeout(() => {}, 60000)'];

test('of ten processes that want one lock at once exactly one runs', async () => {
  const lock = join(dir, 'lock');
  const started = await Promise.all(Array.from({ length: 10 }, () => spawnLocked(lock, IDLE, { stdio: 'ignore' })));
  const [holder, ...others] = started.filter((process) => process !== null);
  expect(others).toEqual([]);
  expect(lockHolder(lock)).toEqual({ pid: holder?.pid, startTime: holder?.startTime });
  if (holder !== undefined) await endProcess(holder, 'SIGKILL', 0);
});

test('a lock is free as soon as its process is killed', async () => {
  const lock = join(dir, 'lock');
  for (let round = 0; round < 3; round++) {
    const holder = await spawnLocked(lock, IDLE, { stdio: 'ignore' });
    expect(holder).not.toBeNull();
    if (holder === null) return;
    process.kill(holder.pid, 'SIGKILL');
    expect(await waitForExit(holder, 5_000)).toBe(true);
    expect(isLocked(lock)).toBe(false);
  }
});

test('a child that outlives the holder does not keep the lock', async () => {
  const lock = join(dir, 'lock');
  const script = `
    const { spawn } = require('node:child_process');
    const child = spawn('sleep', ['60'], { detached: true, stdio: 'ignore' });
    require('node:fs').writeFileSync(${JSON.stringify(join(dir, 'child'))}, String(child.pid));
    process.kill(process.pid, 'SIGKILL');`;
  const holder = await spawnLocked(lock, [process.execPath, '-e', script], { stdio: 'ignore' });
  if (holder !== null) await waitForExit(holder, 5_000);
  const { readFileSync } = await import('node:fs');
  const child = Number(readFileSync(join(dir, 'child'), 'utf8'));
  try {
    expect(startTimeOf(child)).toBeDefined();
    const next = await spawnLocked(lock, IDLE, { stdio: 'ignore' });
    expect(next).not.toBeNull();
    if (next !== null) await endProcess(next, 'SIGKILL', 0);
  } finally {
    process.kill(child, 'SIGKILL');
  }
});

test('a program that cannot be run is an error, not a lock', async () => {
  await expect(spawnLocked(join(dir, 'lock'), [join(dir, 'absent')], { stdio: 'ignore' })).rejects.toThrow(/absent/);
  expect(isLocked(join(dir, 'lock'))).toBe(false);
});

test('a process is not taken for a later one with its pid', async () => {
  const child = spawn('sleep', ['60'], { stdio: 'ignore' });
  const pid = child.pid as number;
  const ref = { pid, startTime: startTimeOf(pid) ?? '' };
  expect(isRunning(ref)).toBe(true);
  expect(isRunning({ ...ref, startTime: `${ref.startTime}1` })).toBe(false);
  const exit = once(child, 'exit');
  child.kill('SIGKILL');
  await exit;
  expect(isRunning(ref)).toBe(false);
});
