/** One machine: namespaces, an overlay above this machine's own files, limits, and a real SSH server on the address that EC2 tells. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bootsOf } from './cloud-config.ts';
import { run } from './commands.ts';
import { Groups } from './groups.ts';
import { BRIDGE, cut } from './network.ts';

/** What EC2 says of an instance. */
export interface Wanted {
  readonly id: string;
  readonly region: string;
  readonly zone: string;
  readonly type: string;
  readonly state: string;
  /** Code of why it is so, as far as EC2 says: `Client.InstanceInitiatedShutdown`. */
  readonly reason: string;
  readonly privateAddress: string;
  readonly publicAddress: string | null;
  readonly userData: string;
  readonly index: number;
  readonly spot: boolean;
  /** null: its metadata does not tell them. */
  readonly tags: Readonly<Record<string, string>> | null;
}

/** How a machine boots. */
export interface Manner {
  readonly ssh: 'answers' | 'never' | 'other-key';
  readonly bootSeconds: number;
  readonly memoryMB: number;
  /** Directory of this machine that it sees as /opt/shared, and cannot write to; empty: none. */
  readonly shared: string;
  /** Shell text that root runs at its first boot, before anybody may log in: how its image differs from others; empty: not at all. */
  readonly image: string;
  /** Names in /dev/disk/by-id of further disks, which are blank at each boot, as instance stores are. */
  readonly ownDisks: readonly string[];
}

export const USUAL: Manner = {
  ssh: 'answers',
  bootSeconds: 0,
  memoryMB: 1024,
  shared: '',
  image: '',
  ownDisks: [],
};

/** `ended`: by an order from outside. `powered-off`: from inside. `broken`: by itself. */
export type RunEnd = 'ended' | 'powered-off' | 'broken';

/** MB of a machine's disk, which is memory of this one as far as it is written to. */
const DISK_MB = 1024;
const POWERED_OFF = 64;

export class Machine {
  /** As it was when it last booted. */
  wanted: Wanted;
  readonly console: string;
  readonly #directory: string;
  readonly #disk: string;
  readonly #cable: string;
  #groups: Groups | null = null;
  #child: ChildProcess | null = null;
  /** No process of the last run is left, and whoever booted it knows. */
  #over: Promise<void> = Promise.resolve();
  #order = false;
  #cut = false;

  private constructor(wanted: Wanted, world: string) {
    this.wanted = wanted;
    this.#directory = join(world, 'machines', wanted.id);
    this.#disk = join(this.#directory, 'disk');
    this.console = join(this.#directory, 'console');
    // A device's name has at most 15 letters.
    this.#cable = `v${wanted.id.slice(-12)}`;
  }

  /** With an empty disk, switched off. `world` holds `image`. */
  static async make(wanted: Wanted, world: string): Promise<Machine> {
    const machine = new Machine(wanted, world);
    const disk = machine.#disk;
    mkdirSync(disk, { recursive: true });
    writeFileSync(machine.console, '');
    await run('mount', '-t', 'tmpfs', '-o', `size=${DISK_MB}m,mode=755`, 'none', disk);
    for (const name of ['work', 'root', 'home']) mkdirSync(join(disk, name), { mode: name === 'root' ? 0o700 : 0o755 });
    await run('cp', '-a', join(world, 'image'), join(disk, 'upper'));
    const instance = join(disk, 'upper', 'var', 'lib', 'cloud', 'instance');
    mkdirSync(instance, { recursive: true });
    const { always, prepare, commands } = bootsOf(wanted.userData);
    if (always !== '') writeFileSync(join(instance, 'every-boot'), always, { mode: 0o600 });
    writeFileSync(join(instance, 'first-boot'), prepare, { mode: 0o600 });
    if (commands !== '') writeFileSync(join(instance, 'commands'), commands, { mode: 0o600 });
    return machine;
  }

  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  /**
   * @param wanted with the addresses of this run: EC2 gives another public one at every start
   * @param ended is called once, when no process of the run is left
   */
  boot(wanted: Wanted, manner: Manner, ended: (how: RunEnd) => void): void {
    this.wanted = wanted;
    const { id, privateAddress, publicAddress } = this.wanted;
    const groups = new Groups(id, manner.memoryMB);
    this.#groups = groups;
    this.#order = false;
    const log = openSync(this.console, 'a');
    const child = spawn(
      'setpriv',
      ['--pdeathsig', 'KILL', 'sh', join(import.meta.dirname, 'machine.sh'), ...groups.paths],
      {
        stdio: ['ignore', log, log],
        cwd: '/',
        env: {
          PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
          HERE: import.meta.dirname,
          OUTER: `/proc/${process.pid}/ns/net`,
          BRIDGE,
          VETH: this.#cable,
          PRIVATE: privateAddress,
          PUBLIC: publicAddress ?? '',
          NAME: `ip-${privateAddress.replaceAll('.', '-')}`,
          ID: id,
          DISK: this.#disk,
          BOOT_SECONDS: String(manner.bootSeconds),
          SSH: manner.ssh,
          SHARED: manner.shared,
          IMAGE: manner.image,
          OWN_DISKS: manner.ownDisks.join(' '),
        },
      },
    );
    closeSync(log);
    this.#child = child;
    this.#over = once(child, 'exit').then(async ([code]) => {
      await groups.remove();
      this.#child = null;
      this.#groups = null;
      ended(this.#order ? 'ended' : code === POWERED_OFF ? 'powered-off' : 'broken');
    });
  }

  /** Ends all of its processes, as a pulled plug does. The disk stays. */
  async halt(): Promise<void> {
    const child = this.#child;
    if (child === null) return;
    this.#order = true;
    // One that is frozen does not even die.
    if (this.#groups?.canFreeze) this.#groups.freeze(false);
    child.kill('SIGKILL');
    await this.#over;
    if (this.#cut) await this.partition(false);
  }

  /** Leaves nothing. */
  async destroy(): Promise<void> {
    await this.halt();
    await run('umount', '-l', this.#disk);
    rmSync(this.#disk, { recursive: true });
  }

  freeze(frozen: boolean): void {
    if (this.#groups === null) throw new Error(`${this.wanted.id} does not run`);
    this.#groups.freeze(frozen);
  }

  async partition(isCut: boolean): Promise<void> {
    if (this.#cut === isCut) return;
    this.#cut = isCut;
    await cut(this.#cable, isCut, this.#directory);
  }

  /** Not a byte more fits on its disk; or as many as before. */
  async fill(full: boolean): Promise<void> {
    const { blocks, bfree, bsize } = statfsSync(this.#disk);
    const size = full ? `${Math.ceil(((blocks - bfree) * bsize) / 1024)}k` : `${DISK_MB}m`;
    await run('mount', '-o', `remount,size=${size}`, this.#disk);
  }
}
