/** A job's files are those of its submission, whatever happens here, there and between. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sshPaths, writeSshEntries } from '../../client/ssh-config.ts';
import { storeRoot } from '../../data/store-paths.ts';
import { homePaths } from '../../system/home.ts';
import { World } from '../harness/world.ts';
import { Story } from './story.ts';

const STYX = join(import.meta.dirname, '..', '..', 'bin', 'styx');

let world: World;
let story: Story;

beforeAll(async () => {
  world = await World.start();
  story = new Story(world, world.styx.clusters);
  await story.up('two', 'num_nodes: 2\nresources: {cpus: 1}\n');
});

afterAll(async () => {
  await story.down('two');
  await story.nothingLeft();
  await world.end();
});

function directory(files: Readonly<Record<string, string>> = {}): string {
  const made = mkdtempSync(join(world.home, 'source-'));
  for (const [name, content] of Object.entries(files)) writeFileSync(join(made, name), content);
  return made;
}

async function output(name: string, id: number | null): Promise<string> {
  let text = '';
  for await (const { data } of world.styx.logs(name, { jobId: id ?? 0, tail: 0 })) text += data.toString();
  return text;
}

const ONE = 'job_demand: {cpus: 1}\n';

/** Holds the locks that it is given until its input ends. */
const HOLD = `
import fcntl, sys
files = [open(name, "w") for name in sys.argv[1:]]
for file in files:
    fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
`;

describe('the files of a job', () => {
  test('are those of its submission, for a job that waits and for one that runs', async () => {
    const source = directory({ f: 'first' });
    const gate = join(source, '..', 'gate');
    const wait = `until [ -e ${gate} ]; do sleep 0.05; done`;
    const blocker = await story.exec('two', `num_nodes: 2\n${ONE}run: ${wait}\n`);
    const yaml = `workdir: ${source}\nnum_nodes: 2\n${ONE}run: cat f; echo; sleep 0.3; cat f; echo\n`;
    const waiting = await story.exec('two', yaml);
    writeFileSync(join(source, 'f'), 'second');
    const later = await story.exec('two', yaml);
    rmSync(source, { recursive: true });
    writeFileSync(gate, '');
    await story.jobEnds('two', blocker.jobId, 'SUCCEEDED');
    await story.jobEnds('two', waiting.jobId, 'SUCCEEDED');
    await story.jobEnds('two', later.jobId, 'SUCCEEDED');
    expect((await output('two', waiting.jobId)).match(/first|second/g)).toEqual(Array(4).fill('first'));
    expect((await output('two', later.jobId)).match(/first|second/g)).toEqual(Array(4).fill('second'));
    rmSync(gate);
  });

  test('of a launch are its workdir and its mounts, of an exec its workdir alone', async () => {
    const source = directory({ f: 'workdir' });
    const mounted = directory({ g: 'mounted' });
    const files = `workdir: ${source}\nfile_mounts: {~/data/here: ${mounted}, inside: ${join(mounted, 'g')}}\n`;
    const show = `run: cat f ~/data/here/g inside\n`;
    const launched = await story.up('two', `${files}${ONE}${show}`);
    await story.jobEnds('two', launched, 'SUCCEEDED');
    expect(await output('two', launched)).toContain('workdirmountedmounted');
    writeFileSync(join(source, 'f'), 'WORKDIR');
    writeFileSync(join(mounted, 'g'), 'MOUNTED');
    const executed = await story.exec('two', `${files}${ONE}${show}`);
    await story.jobEnds('two', executed.jobId, 'SUCCEEDED');
    expect(await output('two', executed.jobId)).toContain('WORKDIRmountedmounted');
  });

  test('are brought by a launch that runs nothing', async () => {
    const id = await story.up('two', `workdir: ${directory({ only: 'files' })}\n`);
    await story.jobEnds('two', id, 'SUCCEEDED');
    const { jobId } = await story.exec('two', `${ONE}run: cat only\n`);
    await story.jobEnds('two', jobId, 'SUCCEEDED');
    expect(await output('two', jobId)).toContain('files');
  });

  test('can be a git repository at a ref', async () => {
    const repository = directory({ f: 'old' });
    const git = (...args: string[]) =>
      execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@t', '-C', repository, ...args], {
        stdio: 'ignore',
      });
    git('init', '-b', 'main');
    git('add', '.');
    git('commit', '-m', 'old');
    git('tag', 'v1');
    const commit = execFileSync('git', ['-C', repository, 'rev-parse', 'HEAD'], { encoding: 'utf8' }).trim();
    writeFileSync(join(repository, 'f'), 'new');
    git('commit', '-am', 'new');
    writeFileSync(join(repository, 'f'), 'not committed');
    const show = `${ONE}run: cat f; git rev-parse HEAD\n`;
    for (const [ref, wanted] of [
      ['v1', `old${commit}`],
      [commit, `old${commit}`],
      ['main', 'new'],
      [null, 'new'],
    ]) {
      const workdir = `workdir: {url: "file://${repository}"${ref === null ? '' : `, ref: ${ref}`}}\n`;
      const { jobId } = await story.exec('two', `${workdir}${show}`);
      await story.jobEnds('two', jobId, 'SUCCEEDED');
      expect((await output('two', jobId)).replaceAll(/\s/g, '')).toContain(wanted);
    }
    await expect(story.exec('two', `workdir: {url: ${repository}, ref: nothing}\n${show}`)).rejects.toMatchObject({
      kind: 'invalid',
      message: expect.stringContaining('nothing'),
    });
  });

  test('that cannot be had are refused by name, before anything is done', async () => {
    const refused = (yaml: string) => expect(story.exec('two', yaml)).rejects;
    await refused('workdir: /nowhere/at/all\nrun: x\n').toMatchObject({
      kind: 'invalid',
      message: expect.stringContaining('workdir: cannot read /nowhere/at/all'),
    });
    await refused(`workdir: ${join(directory({ f: '' }), 'f')}\nrun: x\n`).toMatchObject({ kind: 'invalid' });
    const missing = `file_mounts: {data: /nowhere/at/all}\nrun: x\n`;
    await expect(story.launch('never-made', missing)).rejects.toMatchObject({
      kind: 'invalid',
      message: expect.stringContaining('/nowhere/at/all'),
    });
    expect(await world.styx.clusters.summary('never-made')).toBeNull();
  });

  test('do not go where a link leads out of the home directory: the job ends and says so', async () => {
    const outside = directory();
    const made = await story.exec('two', `${ONE}run: rm -rf ~/out; ln -s ${outside} ~/out\n`);
    await story.jobEnds('two', made.jobId, 'SUCCEEDED');
    const id = await story.up('two', `file_mounts: {~/out/in: ${directory({ f: 'x' })}}\n${ONE}run: echo never\n`);
    const row = await story.jobEnds('two', id, 'FAILED_DRIVER');
    expect(row.reason).toContain('out of the home directory');
    expect(readdirSync(outside)).toEqual([]);
  });
});

describe('a sync', () => {
  test('that loses worker, host or server at any moment ends in exactly the right tree', {
    timeout: 300_000,
  }, async () => {
    const source = directory();
    const cleared = await story.exec('two', `num_nodes: 2\n${ONE}run: rm -rf ~/sky_workdir/*\n`);
    await story.jobEnds('two', cleared.jobId, 'SUCCEEDED');
    const { path, lines } = world.ledger('sync-kills');
    const victims = ['worker', 'host', 'server', 'worker', 'host', 'worker'] as const;
    for (const [turn, victim] of victims.entries()) {
      for (let i = 0; i < 300; i++) writeFileSync(join(source, `f${turn}-${i}`), randomBytes(2_000));
      writeFileSync(join(source, 'large'), randomBytes(20_000_000));
      if (turn > 0) for (let i = 0; i < 100; i++) rmSync(join(source, `f${turn - 1}-${i}`), { force: true });
      const sums = `${source}.sums-${turn}`;
      writeFileSync(sums, execFileSync('sha256sum', readdirSync(source).toSorted(), { cwd: source }));
      const check = `LC_ALL=C ls | xargs sha256sum | cmp - ${sums} && echo ${turn} >> ${path}`;
      const sent = story.exec('two', `workdir: ${source}\nnum_nodes: 2\n${ONE}run: ${check}\n`);
      await sleep(150 + turn * 60);
      if (victim === 'worker') {
        await world.killWorker();
        await world.startWorker();
      } else if (victim === 'host') await world.killHost();
      else await world.killServer();
      await story.jobEnds('two', (await sent).jobId, 'SUCCEEDED');
      expect(lines().slice(-2)).toEqual([`${turn}`, `${turn}`]);
    }
  });

  test('of a job that is cancelled ends, and the next job gets its own files', async () => {
    // Somebody else's sync is under way on both nodes.
    const instances = join(world.home, 'local', 'instances');
    const locks = readdirSync(instances).map((id) => join(instances, id, 'home/.styx-agent/files/lock'));
    const holder = spawn('python3', ['-c', HOLD, ...locks.filter((lock) => existsSync(lock))], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    await once(holder.stdout, 'data');
    const cancelled = directory({ cancelled: 'c' });
    const { jobId } = await story.exec('two', `workdir: ${cancelled}\nnum_nodes: 2\n${ONE}run: echo never\n`);
    await story.view('two', 'sets the job up', ({ jobs }) =>
      jobs.some(({ id, status }) => id === jobId && status === 'SETTING_UP'),
    );
    await world.styx.clusters.cancel('two', [jobId ?? 0]);
    await story.jobEnds('two', jobId, 'CANCELLED');
    holder.stdin.end();
    const next = await story.exec(
      'two',
      `workdir: ${directory({ f: 'next' })}\nnum_nodes: 2\n${ONE}run: cat f; echo; ls\n`,
    );
    await story.jobEnds('two', next.jobId, 'SUCCEEDED');
    expect(await output('two', next.jobId)).not.toContain('cancelled');
  });
});

describe('the store', () => {
  test('keeps what a job that waits needs, however old, and gives up what none does', {
    timeout: 120_000,
  }, async () => {
    const gate = join(world.home, 'store-gate');
    const blocker = await story.exec('two', `num_nodes: 2\n${ONE}run: until [ -e ${gate} ]; do sleep 0.05; done\n`);
    const source = directory({ f: 'needed' });
    writeFileSync(join(source, 'large'), Buffer.alloc(1_000_000, 'needed'));
    const waiting = await story.exec('two', `workdir: ${source}\n${ONE}run: cat f; wc -c < large\n`);
    const root = storeRoot(homePaths(world.home).store, await world.styx.installation());
    const age = () => {
      const long = Date.now() / 1_000 - 100 * 86_400;
      for (const room of ['packs', 'blobs', 'manifests'])
        for (const name of readdirSync(join(root, room))) utimesSync(join(root, room, name), long, long);
    };
    age();
    const first = await world.styx.collectFiles();
    expect(first.manifests).toBeGreaterThan(0);
    expect(readdirSync(join(root, 'manifests'))).toHaveLength(1);
    writeFileSync(gate, '');
    await story.jobEnds('two', blocker.jobId, 'SUCCEEDED');
    await story.jobEnds('two', waiting.jobId, 'SUCCEEDED');
    expect(await output('two', waiting.jobId)).toMatch(/needed[\s\S]*1000000/);
    age();
    expect(await world.styx.collectFiles()).toMatchObject({ manifests: 1, bytesLeft: 0 });
    // What is known of the directory does not mislead: its files are stored again.
    const again = await story.exec('two', `workdir: ${source}\n${ONE}run: cat f\n`);
    await story.jobEnds('two', again.jobId, 'SUCCEEDED');
  });

  test('keeps what a launch needs that waits behind an operation', { timeout: 120_000 }, async () => {
    world.limit(2);
    const source = directory({ f: 'held' });
    const first = await story.launch('held', 'run: "true"\n', { retryUntilUp: true });
    const second = await story.launch('held', `workdir: ${source}\nrun: cat f\n`);
    const root = storeRoot(homePaths(world.home).store, await world.styx.installation());
    const long = Date.now() / 1_000 - 100 * 86_400;
    for (const room of ['packs', 'manifests'])
      for (const name of readdirSync(join(root, room))) utimesSync(join(root, room, name), long, long);
    await world.styx.collectFiles();
    world.limit(1_000);
    await story.succeeds('held', first);
    await story.jobEnds('held', second.jobId, 'SUCCEEDED');
    expect(await output('held', second.jobId)).toContain('held');
    await story.down('held');
  });

  test('is tidied up by the command, which says what it did', async () => {
    const { stdout, status } = spawnSync(STYX, ['store', 'gc', '-o', 'json'], { encoding: 'utf8' });
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ manifests: expect.any(Number), bytesLeft: expect.any(Number) });
  });
});

describe('files go both ways through the SSH entries of a cluster', () => {
  const has = (program: string) => spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;
  let config: string;
  beforeAll(async () => {
    await writeSshEntries(world.styx, await story.look('two'));
    config = sshPaths(world.home).config;
  });

  test.runIf(has('scp'))('by scp, to every node', () => {
    const local = directory({ f: 'by scp' });
    execFileSync('scp', ['-q', '-F', config, join(local, 'f'), 'two:scp-file']);
    execFileSync('scp', ['-q', '-r', '-F', config, local, 'two-worker1:scp-directory']);
    execFileSync('scp', ['-q', '-r', '-F', config, 'two-worker1:scp-directory', join(local, 'back')]);
    execFileSync('scp', ['-q', '-F', config, 'two:scp-file', join(local, 'back-file')]);
    expect(readFileSync(join(local, 'back', 'f'), 'utf8')).toBe('by scp');
    expect(readFileSync(join(local, 'back-file'), 'utf8')).toBe('by scp');
  });

  test.runIf(has('scp'))('by styx cp, with modes and times, between clusters too', { timeout: 120_000 }, async () => {
    await story.up('other', 'resources: {cpus: 1}\n');
    const local = directory({ f: 'by cp' });
    mkdirSync(join(local, 'sub'));
    writeFileSync(join(local, 'sub', 'g'), 'below');
    chmodSync(join(local, 'f'), 0o750);
    const cp = (...paths: string[]) => spawnSync(STYX, ['cp', '-q', ...paths], { encoding: 'utf8' });
    const copies = (...paths: string[]) => {
      const { status, stderr } = cp(...paths);
      expect(status, stderr).toBe(0);
    };
    copies(join(local, 'f'), join(local, 'sub'), 'two:');
    copies(join(local, 'f'), 'two-worker1:~/on-the-worker');
    copies('two:f', 'two:sub', join(local, 'sub'));
    expect(readFileSync(join(local, 'sub', 'sub', 'g'), 'utf8')).toBe('below');
    const [there, here] = [statSync(join(local, 'sub', 'f')), statSync(join(local, 'f'))];
    expect([there.mode, Math.floor(there.mtimeMs / 1_000)]).toEqual([here.mode, Math.floor(here.mtimeMs / 1_000)]);
    copies('two-worker1:on-the-worker', 'other:came');
    copies('other:came', local);
    expect(readFileSync(join(local, 'came'), 'utf8')).toBe('by cp');
    await story.down('other');
    expect(cp(join(local, 'f'), 'other:')).toMatchObject({ status: 3, stderr: expect.stringContaining("'other'") });
    expect(cp('two:no-such-file', local).status).not.toBe(0);
    expect(cp('a', 'b')).toMatchObject({ status: 2, stderr: expect.stringContaining('CLUSTER:PATH') });
  });

  test.runIf(has('sftp'))('by sftp', () => {
    const local = directory({ f: 'by sftp' });
    const batch = `put ${local}/f sftp-file\nrename sftp-file sftp-moved\nget sftp-moved ${local}/back\nrm sftp-moved\n`;
    execFileSync('sftp', ['-q', '-F', config, '-b', '-', 'two'], {
      input: batch,
      stdio: ['pipe', 'ignore', 'inherit'],
    });
    expect(readFileSync(join(local, 'back'), 'utf8')).toBe('by sftp');
  });

  test.runIf(has('rsync'))('by rsync', () => {
    const local = directory({ f: 'by rsync' });
    mkdirSync(join(local, 'sub'));
    symlinkSync('f', join(local, 'link'));
    appendFileSync(join(local, 'sub', 'g'), randomBytes(1_000_000));
    const rsync = (from: string, to: string) => execFileSync('rsync', ['-a', '-e', `ssh -F ${config}`, from, to]);
    rsync(`${local}/`, 'two:rsynced/');
    rsync('two:rsynced/', `${local}.back/`);
    expect(execFileSync('diff', ['-r', local, `${local}.back`]).toString()).toBe('');
    expect(existsSync(join(`${local}.back`, 'link'))).toBe(true);
  });
});
