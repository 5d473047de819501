/** Snapshots to a node over SSH: what is sent, what is there afterwards, and what rsync would have made of it. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DirectoryStore } from '../../data/directory-store.ts';
import { takeSnapshot } from '../../data/snapshot.ts';
import { StoreSource } from '../../data/store-source.ts';
import type { FilesSource, Received } from '../../nodes/node.ts';
import { SshNodePool } from '../../nodes/pool.ts';
import { startTestNode, type TestNode, until } from './ssh-server.ts';

const FAST = { connectTimeout: 3_000, keepaliveInterval: 200, keepaliveCount: 3 };
const RSYNC = (() => {
  try {
    execFileSync('rsync', ['--version']);
    return true;
  } catch {
    console.warn('SKIPPED: rsync is not installed, trees are not compared with what it makes');
    return false;
  }
})();

let machine: TestNode;
let pool: SshNodePool;
let home: string;
let source: string;
let jobs = 0;

beforeEach(async () => {
  machine = await startTestNode();
  pool = new SshNodePool({ timing: FAST });
  home = mkdtempSync(join(tmpdir(), 'styx-f-'));
  source = join(home, 'source');
  mkdirSync(source);
});

afterEach(async () => {
  await pool.close();
  await machine.close();
  rmSync(home, { recursive: true, force: true });
});

const store = () => new DirectoryStore(join(home, 'store'));

interface Sent extends Received {
  /** Of file contents, that went over the connection. */
  readonly content: number;
  readonly manifests: number;
}

async function send(options: { job?: string; signal?: AbortSignal; slow?: () => Promise<void> } = {}): Promise<Sent> {
  const { snapshot } = await takeSnapshot(store(), source, { cache: join(home, 'cache') });
  const from = new StoreSource(store());
  const counts = { content: 0, manifests: 0 };
  const counted: FilesSource = {
    manifest(hash) {
      counts.manifests += 1;
      return from.manifest(hash);
    },
    async *content(manifest, ranges) {
      for await (const chunk of from.content(manifest, ranges)) {
        await options.slow?.();
        counts.content += chunk.length;
        yield chunk;
      }
    },
  };
  jobs += 1;
  const request = {
    jobKey: options.job ?? `job-${jobs}`,
    trees: [{ target: '~/sky_workdir', manifest: snapshot.manifest }],
  };
  return { ...(await pool.receive(machine.address, request, counted, options.signal)), ...counts };
}

/** Everything that a job could tell of a tree. */
function tree(top: string, path = ''): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of readdirSync(join(top, path))) {
    const at = path === '' ? name : `${path}/${name}`;
    const stat = lstatSync(join(top, at));
    const mode = (stat.mode & 0o777).toString(8);
    if (stat.isSymbolicLink()) found[at] = `-> ${readlinkSync(join(top, at))}`;
    else if (stat.isDirectory()) Object.assign(found, { [at]: `${mode}/` }, tree(top, at));
    else {
      // Microseconds are as good as Node tells them.
      found[at] = `${mode} ${Math.floor(stat.mtimeMs)} ${readFileSync(join(top, at), 'base64')}`;
    }
  }
  return found;
}

const workdir = () => join(machine.home, 'sky_workdir');

function fill(): void {
  mkdirSync(join(source, 'src/deep/er'), { recursive: true });
  mkdirSync(join(source, 'empty'), { mode: 0o700 });
  writeFileSync(join(source, 'run.sh'), 'echo', { mode: 0o755 });
  writeFileSync(join(source, 'src/deep/er/näme with space'), randomBytes(3_000));
  writeFileSync(join(source, 'zero'), '');
  writeFileSync(join(source, 'large'), randomBytes(3_000_000));
  writeFileSync(join(source, 'read-only'), 'r');
  chmodSync(join(source, 'read-only'), 0o444);
  symlinkSync('src/deep', join(source, 'link'));
  symlinkSync('/nowhere/at/all', join(source, 'dangling'));
  utimesSync(join(source, 'run.sh'), 1_000_000_000, 1_000_000_000);
  for (let i = 0; i < 200; i++) writeFileSync(join(source, `f${i}`), `content ${i}`);
}

describe('files sent to a node', () => {
  test.runIf(RSYNC)('make the tree that rsync makes, at first and after changes', async () => {
    fill();
    const other = join(home, 'rsynced');
    const same = async () => {
      await send();
      // As SkyPilot calls it, without its filters and without compression.
      execFileSync('rsync', ['-a', '--no-owner', '--no-group', `${source}/`, `${other}/`]);
      expect(tree(workdir())).toEqual(tree(other));
    };
    await same();
    writeFileSync(join(source, 'f3'), 'other content');
    chmodSync(join(source, 'f4'), 0o755);
    utimesSync(join(source, 'f5'), 1_100_000_000, 1_100_000_000);
    unlinkSync(join(source, 'link'));
    symlinkSync('empty', join(source, 'link'));
    mkdirSync(join(source, 'new/sub'), { recursive: true });
    writeFileSync(join(workdir(), 'made-by-job'), 'job');
    writeFileSync(join(other, 'made-by-job'), 'job');
    utimesSync(join(workdir(), 'made-by-job'), 1_200_000_000, 1_200_000_000);
    utimesSync(join(other, 'made-by-job'), 1_200_000_000, 1_200_000_000);
    await same();
  });

  test('are not sent again when they have not changed: not a byte, not even the list', async () => {
    fill();
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(await send()).toMatchObject({ files: 205, manifests: 1 });
    expect(await send()).toEqual({ files: 0, bytes: 0, content: 0, manifests: 0 });
    writeFileSync(join(source, 'f7'), 'changed');
    expect(await send()).toEqual({ files: 1, bytes: 7, content: 7, manifests: 1 });
  });

  test('of equal content are sent once', async () => {
    const content = randomBytes(100_000);
    for (const name of ['a', 'b', 'c']) writeFileSync(join(source, name), content);
    expect(await send()).toMatchObject({ files: 1, content: 100_000 });
    expect(tree(workdir())).toEqual(tree(source));
  });

  test('are right after the connection broke or the receiver was killed at any moment', {
    timeout: 120_000,
  }, async () => {
    fill();
    for (let turn = 0; turn < 12; turn++) {
      writeFileSync(join(source, 'large'), randomBytes(3_000_000));
      for (let i = 0; i < 40; i++) writeFileSync(join(source, `f${(turn * 40 + i) % 200}`), `turn ${turn} ${i}`);
      const job = `cut-${turn}`;
      const delay = turn * 7;
      const cut = setTimeout(() => {
        if (turn % 2 === 0) machine.drop();
        else killReceivers(machine.home);
      }, delay);
      await send({ job, slow: () => new Promise((resolve) => setTimeout(resolve, 5)) }).catch((error: unknown) => {
        expect(error).toMatchObject({ kind: 'unreachable' });
      });
      clearTimeout(cut);
      await until('no receiver is left', () => receivers(machine.home).length === 0);
      await send({ job });
      expect(tree(workdir())).toEqual(tree(source));
    }
  });

  test('stop when the one who sends gives up', async () => {
    fill();
    const stop = new AbortController();
    const sending = send({
      signal: stop.signal,
      slow: async () => {
        stop.abort(new Error('enough'));
        await new Promise((resolve) => setTimeout(resolve, 50));
      },
    });
    await expect(sending).rejects.toThrow('enough');
    await until('no receiver is left', () => receivers(machine.home).length === 0);
  });

  test('that the store has lost are missed by name, and nothing is taken for them', async () => {
    fill();
    const { snapshot } = await takeSnapshot(store(), source, { cache: join(home, 'cache') });
    rmSync(join(home, 'store', 'packs'), { recursive: true });
    const request = { jobKey: 'lost', trees: [{ target: '~/sky_workdir', manifest: snapshot.manifest }] };
    await expect(pool.receive(machine.address, request, new StoreSource(store()))).rejects.toMatchObject({
      kind: 'not-found',
      message: expect.stringContaining('store of files does not hold'),
    });
  });
});

function receivers(homeOf: string): number[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const command = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0');
      const environ = readFileSync(`/proc/${name}/environ`, 'utf8').split('\0');
      return command.includes('receive') && environ.includes(`STYX_TEST_HOME=${homeOf}`) ? [Number(name)] : [];
    } catch {
      return [];
    }
  });
}

function killReceivers(homeOf: string): void {
  for (const pid of receivers(homeOf)) process.kill(pid, 'SIGKILL');
}
