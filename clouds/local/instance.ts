/** One instance's way through its states. Every state that is not at rest has a step that can be repeated from its beginning. */
import { spawn } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import ssh2 from 'ssh2';
import { StyxError } from '../../model/errors.ts';
import type { InstanceState } from '../../model/machines.ts';
import { writeAtomically } from '../../system/home.ts';
import { isRunning, type ProcessRef } from '../../system/processes.ts';
import { awaitInit, endInstance, NO_NAMESPACE, readInit, spawnHypervisor } from './containment.ts';
import type { FleetOptions } from './fleet.ts';
import { readText } from './paths.ts';
import { type InstanceRecord, instanceDirectory, loadInstance, runDirectory, saveInstance } from './records.ts';
import { makeRoot, openTargets } from './root.ts';
import { SshServer } from './sshd.ts';

const SCRIPTS = { init: 'init.sh', hypervisor: 'hypervisor.sh', 'power-off': 'power-off.sh' };

/** What a new home gets from /etc/skel, as useradd does. */
const SKELETON = ['.bashrc', '.profile', '.bash_logout', '.zshrc'];
const SKELETON_BYTES = 64 * 1024;

/** Pause before a step that failed is tried again. */
const RETRY_MS = 1000;

export class InstanceRunner {
  record: InstanceRecord;
  readonly #options: FleetOptions;
  readonly #directory: string;
  #server: SshServer | undefined;
  #init: ProcessRef | undefined;
  #working = false;
  #abandoned = false;

  constructor(record: InstanceRecord, options: FleetOptions) {
    this.record = record;
    this.#options = options;
    this.#directory = instanceDirectory(options.paths, record.id);
  }

  /** Writes the new state down, then makes it so. A second order while the first is carried out is carried out after it. */
  order(state: InstanceState, reason: string | null): void {
    this.#save({ state, stateReason: reason });
    this.kick();
  }

  /** Goes on until the instance is at rest. */
  kick(): void {
    if (this.#working) return;
    this.#working = true;
    void this.#work();
  }

  /** Notices an end that nobody here ordered. */
  watch(): void {
    if (this.#working || this.record.state !== 'running') return;
    if (!isRunning(this.#init)) this.#endedByItself();
  }

  /** @throws invalid, transient */
  async openTargets(targets: readonly string[]): Promise<Record<string, string>> {
    const { state, mode, id } = this.record;
    if (mode !== 'namespace') throw new StyxError('invalid', `${targets[0]} cannot be had: ${NO_NAMESPACE}`);
    if (state !== 'running' || !isRunning(this.#init)) throw new StyxError('transient', `instance ${id} does not run`);
    return await openTargets(this.#directory, id, this.#init, targets);
  }

  closeServer(): void {
    this.#server?.close();
    this.#server = undefined;
  }

  async abandon(): Promise<void> {
    this.#abandoned = true;
    this.closeServer();
    if (this.record.boot > 0)
      await endInstance(runDirectory(this.#options.paths, this.record), this.record.id, this.record.mode);
  }

  async #work(): Promise<void> {
    try {
      while (!this.#abandoned && !(await this.#step())) {}
    } finally {
      this.#working = false;
    }
  }

  /** @returns true when there is nothing to do */
  async #step(): Promise<boolean> {
    const { state } = this.record;
    try {
      if (state === 'pending') await this.#boot();
      else if (state === 'running') return await this.#serve();
      else if (state === 'stopping') await this.#halt('stopped');
      else if (state === 'shutting-down') await this.#halt('terminated');
      else return true;
    } catch (error) {
      if (!existsSync(this.#directory)) return true;
      this.#options.log(`while ${state}`, { instance: this.record.id, error });
      await sleep(RETRY_MS);
    }
    return false;
  }

  async #boot(): Promise<void> {
    const { paths, mode } = this.#options;
    const { id } = this.record;
    this.#furnish();
    let run = runDirectory(paths, this.record);
    const underWay = this.record.boot > 0 && this.#isFresh(run);
    if (!underWay) {
      this.#save({ boot: this.record.boot + 1, mode });
      run = runDirectory(paths, this.record);
      writeAtomically(join(this.#directory, 'boot'), `${this.record.boot}\n`);
      mkdirSync(run, { recursive: true, mode: 0o700 });
    }
    if (readInit(run) === undefined) spawnHypervisor(this.#directory, run, this.record.mode, id);
    const init = await awaitInit(run);
    if (this.record.state !== 'pending') return;
    if (init === undefined) {
      await endInstance(run, id, this.record.mode);
      rmSync(run, { recursive: true, force: true });
      throw new Error('the start did not come to its first process');
    }
    if (this.record.mode === 'namespace') {
      const without = await makeRoot(this.#directory, id, init);
      if (without !== null) this.#options.log(`it has no root of its own: ${without}`, { instance: id });
      if (this.record.state !== 'pending') return;
    }
    await this.#listen(init);
    if (this.record.state !== 'pending') return;
    this.#save({ state: 'running', stateReason: null });
  }

  /** A start that a killed host ordered, and that is not known to be over. */
  #isFresh(run: string): boolean {
    if (!existsSync(run) || existsSync(join(run, 'ended'))) return false;
    const init = readInit(run);
    return init === undefined || isRunning(init);
  }

  /** For an instance that was running when the last host died. */
  async #serve(): Promise<boolean> {
    if (this.#server !== undefined) return true;
    const init = readInit(runDirectory(this.#options.paths, this.record));
    if (!isRunning(init)) {
      this.#endedByItself();
      return false;
    }
    await this.#listen(init);
    return false;
  }

  async #listen(init: ProcessRef): Promise<void> {
    this.closeServer();
    const agents = this.record.mode === 'namespace' ? this.#options.agents : null;
    const server = new SshServer({
      directory: this.#directory,
      record: this.record,
      init,
      hostKey: readFileSync(join(this.#directory, 'host_key'), 'utf8'),
      agents: agents !== null && (await agents.ensure()) ? agents.directory : null,
      log: this.#options.log,
    });
    // One that runs keeps its address: whoever knows it finds it there again.
    const place = await server.listen(() => this.record.state === 'running');
    if (this.record.state !== 'pending' && this.record.state !== 'running') {
      server.close();
      return;
    }
    this.#server = server;
    this.#init = init;
    if (place.address !== this.record.address || place.port !== this.record.sshPort) {
      this.#save({ address: place.address, internalAddress: place.address, sshPort: place.port });
    }
  }

  #endedByItself(): void {
    const run = runDirectory(this.#options.paths, this.record);
    const order = readText(join(run, 'order'))?.trim();
    if (order === 'terminate') this.order('shutting-down', 'terminated from inside');
    else if (order === 'stop') this.order('stopping', 'stopped from inside');
    else this.order('stopping', 'its first process ended, or the machine under it was restarted');
  }

  async #halt(end: 'stopped' | 'terminated'): Promise<void> {
    const { paths } = this.#options;
    const before = this.record.state;
    if (this.record.boot > 0) await endInstance(runDirectory(paths, this.record), this.record.id, this.record.mode);
    this.closeServer();
    this.#init = undefined;
    const leftovers = readdirSync(this.#directory).filter((name) =>
      end === 'terminated' ? name !== 'instance.json' : name === 'tmp' || name.startsWith('run-'),
    );
    await removeAll(leftovers.map((name) => join(this.#directory, name)));
    // Overtaken by a terminate.
    if (this.record.state !== before) return;
    this.#save({ state: end, ...(end === 'terminated' ? { terminatedAt: Date.now() } : {}) });
  }

  /** Everything that outlives a stop, and the programs of this version. */
  #furnish(): void {
    const home = join(this.#directory, 'home');
    if (!existsSync(home)) {
      const fresh = join(this.#directory, 'home.new');
      mkdirSync(fresh, { recursive: true, mode: 0o700 });
      for (const name of SKELETON) {
        const source = join('/etc/skel', name);
        if (existsSync(source) && statSync(source).size <= SKELETON_BYTES) copyFileSync(source, join(fresh, name));
      }
      renameSync(fresh, home);
    }
    mkdirSync(join(this.#directory, 'tmp'), { recursive: true, mode: 0o700 });
    for (const [name, source] of Object.entries(SCRIPTS)) {
      writeAtomically(join(this.#directory, name), readFileSync(join(import.meta.dirname, source), 'utf8'), 0o500);
    }
    writeAtomically(join(this.#directory, 'identity'), `${this.record.id}\n`, 0o400);
    const keyFile = join(this.#directory, 'host_key');
    let key = readText(keyFile);
    if (this.record.hostKey !== null && key !== undefined) return;
    let parsed = ssh2.utils.parseKey(key ?? '');
    // About one in 750 of the keys that ssh2 makes cannot be read by it.
    while (parsed instanceof Error) {
      key = ssh2.utils.generateKeyPairSync('ed25519').private;
      parsed = ssh2.utils.parseKey(key);
      if (!(parsed instanceof Error)) writeAtomically(keyFile, key);
    }
    const one = Array.isArray(parsed) ? parsed[0] : parsed;
    this.#save({ hostKey: `${one.type} ${one.getPublicSSH().toString('base64')}` });
  }

  #save(change: Partial<InstanceRecord>): void {
    // A directory that somebody deleted is not made again.
    if (loadInstance(this.#options.paths, this.record.id) === undefined) throw new Error('its directory is gone');
    const next = { ...this.record, ...change };
    saveInstance(this.#options.paths, next);
    this.record = next;
  }
}

/** With all below, never across a mount: what a job mounted there is not ours to delete. */
async function removeAll(paths: readonly string[]): Promise<void> {
  if (paths.length === 0) return;
  const oneFileSystem = process.platform === 'darwin' ? '-x' : '--one-file-system';
  if ((await run('rm', ['-rf', oneFileSystem, '--', ...paths])) === 0) return;
  await run('chmod', ['-R', 'u+rwX', ...paths]);
  if ((await run('rm', ['-rf', oneFileSystem, '--', ...paths])) !== 0) throw new Error('its files cannot be deleted');
}

function run(program: string, args: readonly string[]): Promise<number | null> {
  return new Promise((resolve, reject) => {
    spawn(program, args, { stdio: 'ignore' }).on('error', reject).on('close', resolve);
  });
}
