/** Keeps a machine for every instance that EC2 says is pending or running, and none for any other. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from './commands.ts';
import { removeLeftGroups } from './groups.ts';
import { Machine, type Manner, USUAL, type Wanted } from './machine.ts';
import { type Notices, serveMetadata } from './metadata.ts';
import { makeNetwork } from './network.ts';

const LOOK_MS = 200;

interface Kept {
  readonly machine: Machine;
  readonly notices: Notices;
  isOn: boolean;
  /** It ended by itself: nobody switches it on again before EC2 has seen it stopped. */
  broken: boolean;
  /** What was seen before is no longer true. */
  changedAt: number;
  busy: boolean;
}

export interface MachineRow {
  readonly id: string;
  readonly state: 'on' | 'off' | 'broken';
  readonly address: string;
  readonly pid: number | null;
  readonly console: string;
}

export class Keeper {
  readonly #ec2: string;
  readonly #world: string;
  readonly #kept = new Map<string, Kept>();
  readonly #refused = new Map<string, string>();
  #manner = USUAL;

  private constructor(ec2: string, world: string) {
    this.#ec2 = ec2;
    this.#world = world;
  }

  /** `ec2`: URL of the stand-in itself, past the fault proxy. `world`: an empty directory. */
  static async start(ec2: string, world: string): Promise<Keeper> {
    const keeper = new Keeper(ec2, world);
    mkdirSync(join(world, 'machines'), { recursive: true });
    removeLeftGroups();
    await makeNetwork();
    await run('sh', join(import.meta.dirname, 'image.sh'), join(world, 'image'));
    await serveMetadata((address) => {
      for (const { machine, notices } of keeper.#kept.values()) {
        const { publicAddress, privateAddress } = machine.wanted;
        if ((publicAddress ?? privateAddress) === address) return { wanted: machine.wanted, notices };
      }
      return undefined;
    });
    return keeper;
  }

  /** For ever. @throws Error when EC2 is gone */
  async follow(): Promise<never> {
    for (;;) {
      const seenAt = performance.now();
      const wanted = (await this.#order('machines')) as Wanted[];
      const present = new Set<string>();
      for (const one of wanted) {
        present.add(one.id);
        this.#meet(one, seenAt);
      }
      for (const [id, kept] of this.#kept)
        if (!present.has(id)) this.#meet({ ...kept.machine.wanted, state: 'terminated' }, seenAt);
      await sleep(LOOK_MS);
    }
  }

  rows(): MachineRow[] {
    return [...this.#kept.values()].map(({ machine, isOn, broken }) => ({
      id: machine.wanted.id,
      state: isOn ? 'on' : broken ? 'broken' : 'off',
      address: machine.wanted.publicAddress ?? machine.wanted.privateAddress,
      pid: machine.pid,
      console: machine.console,
    }));
  }

  /** Instances whose user data no machine here carries out, and why. */
  get refused(): Record<string, string> {
    return Object.fromEntries(this.#refused);
  }

  /** Of all that boot from now on. */
  manner(given: Partial<Manner>): void {
    this.#manner = { ...USUAL, ...given };
  }

  /** @throws Error for an id that there is no machine of */
  machine(id: string): Machine {
    return this.#find(id).machine;
  }

  /** A spot machine learns that it ends in so many seconds, and then it does. */
  interrupt(id: string, seconds: number): void {
    const kept = this.#find(id);
    if (!kept.machine.wanted.spot) throw new Error(`${id} is no spot machine`);
    kept.notices.interruptedAt = new Date(Date.now() + seconds * 1_000).toISOString().replace(/\.\d+/, '');
    setTimeout(() => void this.#order('preempt', { id }), seconds * 1_000);
  }

  rebalance(id: string): void {
    this.#find(id).notices.rebalanceAt = new Date().toISOString().replace(/\.\d+/, '');
  }

  #find(id: string): Kept {
    const kept = this.#kept.get(id);
    if (kept === undefined) throw new Error(`there is no machine ${id}`);
    return kept;
  }

  #meet(wanted: Wanted, seenAt: number): void {
    const { id, state } = wanted;
    const on = state === 'pending' || state === 'running';
    const kept = this.#kept.get(id);
    if (kept === undefined) {
      if (on && !this.#refused.has(id)) void this.#make(wanted);
      return;
    }
    if (kept.busy || kept.changedAt > seenAt) return;
    if (state === 'terminated') return void this.#busy(kept, () => this.#destroy(id, kept));
    if (state === 'stopped') kept.broken = false;
    if (!on && kept.isOn) return void this.#busy(kept, () => kept.machine.halt());
    if (on && !kept.isOn && !kept.broken) this.#boot(kept, wanted);
  }

  /** One change at a time of one machine. */
  async #busy(kept: Kept, change: () => Promise<void>): Promise<void> {
    kept.busy = true;
    try {
      await change();
    } finally {
      kept.changedAt = performance.now();
      kept.busy = false;
    }
  }

  async #make(wanted: Wanted): Promise<void> {
    // At once, so that the next look does not make a second one.
    this.#refused.set(wanted.id, 'is being made');
    try {
      const machine = await Machine.make(wanted, this.#world);
      const kept: Kept = { machine, notices: {}, isOn: false, broken: false, changedAt: 0, busy: false };
      this.#kept.set(wanted.id, kept);
      this.#refused.delete(wanted.id);
      this.#boot(kept, wanted);
    } catch (error) {
      this.#refused.set(wanted.id, (error as Error).message);
      console.error(`${wanted.id}: ${(error as Error).message}`);
    }
  }

  #boot(kept: Kept, wanted: Wanted): void {
    kept.isOn = true;
    kept.machine.boot(wanted, this.#manner, (how) => {
      kept.isOn = false;
      kept.changedAt = performance.now();
      if (how === 'broken') {
        kept.broken = true;
        console.error(`${kept.machine.wanted.id} broke; see ${kept.machine.console}`);
      }
      // As AWS does it: the machine stops or is terminated, as its shutdown behaviour says.
      if (how === 'powered-off') {
        void this.#busy(kept, async () => void (await this.#order('powered-off', { id: kept.machine.wanted.id })));
      }
    });
  }

  async #destroy(id: string, kept: Kept): Promise<void> {
    await kept.machine.destroy();
    this.#kept.delete(id);
  }

  async #order(what: string, body: object = {}): Promise<unknown> {
    const answer = await fetch(`${this.#ec2}/styx/${what}`, { method: 'POST', body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(`${what}: ${answer.status} ${await answer.text()}`);
    return await answer.json();
  }
}
