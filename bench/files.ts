/** Files to nodes, first and unchanged: a snapshot and its way to all nodes, and rsync over ssh to the same nodes in the same run. */
import { execFile, execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { addressOf } from '../client/login.ts';
import { sshAlias, sshPaths, writeSshEntries } from '../client/ssh-config.ts';
import { DirectoryStore } from '../data/directory-store.ts';
import { takeSnapshot } from '../data/snapshot.ts';
import { StoreSource } from '../data/store-source.ts';
import { clusterWorkflowId } from '../model/identity.ts';
import type { NodeAddress } from '../nodes/node.ts';
import { createNodePool } from '../nodes/pool.ts';
import { installationSecret } from '../system/secret.ts';
import type { Lab } from './lab.ts';
import { add, median, type Report } from './report.ts';

const run = promisify(execFile);
const SMALL_FILES = 10_000;
const LARGE_BYTES = 1024 ** 3;
const NODES = [1, 4];

interface Case {
  readonly what: string;
  /**
   * Leave what came to the nodes until the end of the bench: ext4 gives out no inode that was deleted in the last minutes, and looks at
   * each of them for every new file, which made later rounds up to ten times slower than the first.
   */
  readonly leave: boolean;
  make(directory: string): void;
}

const CASES: readonly Case[] = [
  {
    what: '10,000 small files',
    leave: true,
    make(directory) {
      for (let i = 0; i < SMALL_FILES; i++) {
        const folder = join(directory, `d${i % 100}`);
        if (i < 100) mkdirSync(folder);
        writeFileSync(join(folder, `f${i}.txt`), randomBytes(500 + ((i * 37) % 4_000)));
      }
    },
  },
  {
    what: '1 GB',
    leave: false,
    make(directory) {
      const fd = openSync(join(directory, 'large'), 'w');
      for (let written = 0; written < LARGE_BYTES; written += 1 << 23) writeSync(fd, randomBytes(1 << 23));
      closeSync(fd);
    },
  },
];

export async function files(lab: Lab, report: Report, rounds: number, say: (text: string) => void): Promise<void> {
  try {
    await run('rsync', ['--version']);
  } catch {
    report.skips.push({ subject: 'files', why: 'rsync is not installed' });
    return;
  }
  const name = lab.name('files');
  const most = Math.max(...NODES);
  await lab.cli('launch', '-y', '-d', '-c', name, '--infra', 'local', '--num-nodes', String(most), 'true');
  const view = await lab.styx.clusters.view(name);
  await writeSshEntries(lab.styx, view);
  const secret = installationSecret(lab.home);
  const id = clusterWorkflowId(view.workspace, name);
  const addresses = await Promise.all(view.nodes.map((node) => addressOf(node, secret, id, view.generation)));
  const alias = sshAlias(view.workspace, name);
  const hosts = view.nodes.map(({ rank }) => (rank === 0 ? alias : `${alias}-worker${rank}`));
  for (const one of CASES) {
    const source = join(lab.home, `bench-${one.what.replace(/\W/g, '')}`);
    mkdirSync(source);
    one.make(source);
    await sleep(100);
    for (const nodes of NODES) {
      say(`${one.what} to ${nodes} nodes`);
      const bench = new FilesBench(lab, source, addresses.slice(0, nodes), hosts.slice(0, nodes));
      await bench.measure(one, nodes, rounds, report, say);
    }
    if (!one.leave) rmSync(source, { recursive: true });
  }
  await lab.down(name);
}

class FilesBench {
  readonly #lab: Lab;
  readonly #source: string;
  readonly #addresses: readonly NodeAddress[];
  readonly #hosts: readonly string[];
  #jobs = 0;

  constructor(lab: Lab, source: string, addresses: readonly NodeAddress[], hosts: readonly string[]) {
    this.#lab = lab;
    this.#source = source;
    this.#addresses = addresses;
    this.#hosts = hosts;
  }

  async measure(
    { what, leave }: Case,
    nodes: number,
    rounds: number,
    report: Report,
    say: (text: string) => void,
  ): Promise<void> {
    const seconds = { first: [] as number[], unchanged: [] as number[], rsync: [] as number[], again: [] as number[] };
    const pool = createNodePool();
    for (const address of this.#addresses) await pool.node(address);
    for (let round = 0; round < rounds; round++) {
      const target = `bench-${randomBytes(4).toString('hex')}`;
      const store = join(this.#lab.home, `${target}-store`);
      const ours = () => this.#ours(pool, store, `~/${target}`);
      const theirs = () => this.#rsync(`${target}-rsync`);
      seconds.rsync.push(await timed(theirs));
      seconds.first.push(await timed(ours));
      seconds.again.push(await timed(theirs));
      seconds.unchanged.push(await timed(ours));
      const last = Object.entries(seconds).map(([name, values]) => `${name} ${values.at(-1)?.toFixed(2)} s`);
      say(`  ${last.join(', ')}`);
      if (leave) continue;
      for (const address of this.#addresses) await pool.exec(address, ['rm', '-rf', target, `${target}-rsync`]);
      for (const ending of ['store', 'cache']) {
        rmSync(join(this.#lab.home, `${target}-${ending}`), { recursive: true, force: true });
      }
    }
    await pool.close();
    const subject = `${what} to ${nodes} node${nodes === 1 ? '' : 's'}`;
    const ratio = (values: readonly number[], by: readonly number[]) => values.map((value, i) => value / (by[i] ?? 1));
    add(report, { subject: `${subject}: rsync, first`, unit: 's', values: seconds.rsync });
    add(report, { subject: `${subject}: styx, first`, unit: 's', values: seconds.first });
    add(report, { subject: `${subject}: rsync, unchanged`, unit: 's', values: seconds.again });
    add(report, { subject: `${subject}: styx, unchanged`, unit: 's', values: seconds.unchanged });
    const first = ratio(seconds.first, seconds.rsync);
    const unchanged = ratio(seconds.unchanged, seconds.again);
    add(report, { subject: `${subject}: first / rsync`, unit: '', values: first, target: 1.5, judged: median(first) });
    add(report, {
      subject: `${subject}: unchanged / rsync`,
      unit: '',
      values: unchanged,
      target: 1,
      judged: median(unchanged),
    });
  }

  /** What a submission and the step before the job do. */
  async #ours(pool: ReturnType<typeof createNodePool>, root: string, target: string): Promise<void> {
    const store = new DirectoryStore(root);
    const { snapshot } = await takeSnapshot(store, this.#source, { cache: root.replace(/store$/, 'cache') });
    this.#jobs += 1;
    const request = {
      jobKey: `bench-${target.slice(2)}-${this.#jobs}`,
      trees: [{ target, manifest: snapshot.manifest }],
    };
    const source = new StoreSource(new DirectoryStore(root));
    await Promise.all(this.#addresses.map((address) => pool.receive(address, request, source)));
  }

  async #rsync(target: string): Promise<void> {
    const ssh = `ssh -F ${sshPaths(this.#lab.home).config}`;
    await Promise.all(
      this.#hosts.map((host) => run('rsync', ['-a', '-e', ssh, `${this.#source}/`, `${host}:${target}/`])),
    );
  }
}

/** Seconds; what was written before is on the disk first, so that nobody pays for another. */
async function timed(work: () => Promise<void>): Promise<number> {
  execFileSync('sync');
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1_000;
}
