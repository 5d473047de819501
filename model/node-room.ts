/** What is free on a node, in whole ten-thousandths so that fractions add up. */
import type { JobDemand } from './task.ts';

/** A machine as the queue sees it. Memory in GiB. */
export interface QueueNode {
  readonly rank: number;
  readonly cpus: number;
  readonly gpus: number;
  readonly memory: number;
}

const UNIT = 10_000;

/** A demand in units. */
export interface Need {
  readonly cpus: number;
  readonly memory: number;
  /** Whole GPUs. */
  readonly gpus: number;
  /** Units of one GPU, when less than one is asked. */
  readonly gpuPart: number;
}

/** Anything asked is at least one unit. */
function units(amount: number): number {
  return amount > 0 ? Math.max(1, Math.round(amount * UNIT)) : 0;
}

export function needOf(demand: JobDemand): Need {
  const part = demand.gpus < 1 ? units(demand.gpus) : UNIT;
  const shares = part > 0 && part < UNIT;
  return {
    cpus: units(demand.cpus),
    memory: units(demand.memory),
    gpus: shares ? 0 : Math.ceil(demand.gpus),
    gpuPart: shares ? part : 0,
  };
}

export class NodeRoom {
  readonly rank: number;
  #cpus: number;
  #memory: number;
  /** Free units of each GPU. */
  readonly #gpus: number[];

  constructor(node: QueueNode) {
    this.rank = node.rank;
    this.#cpus = Math.round(node.cpus * UNIT);
    this.#memory = Math.round(node.memory * UNIT);
    this.#gpus = new Array<number>(Math.max(0, Math.floor(node.gpus))).fill(UNIT);
  }

  copy(): NodeRoom {
    const copy = new NodeRoom({ rank: this.rank, cpus: 0, memory: 0, gpus: this.#gpus.length });
    copy.#cpus = this.#cpus;
    copy.#memory = this.#memory;
    for (let index = 0; index < this.#gpus.length; index++) copy.#gpus[index] = this.#gpus[index] ?? 0;
    return copy;
  }

  get freeCpus(): number {
    return this.#cpus / UNIT;
  }

  /** GPUs that nobody uses. */
  get freeGpus(): number {
    let free = 0;
    for (const units of this.#gpus) if (units === UNIT) free++;
    return free;
  }

  hasCpus(need: Need): boolean {
    return need.cpus === 0 || need.cpus <= this.#cpus;
  }

  hasMemory(need: Need): boolean {
    return need.memory === 0 || need.memory <= this.#memory;
  }

  hasGpus(need: Need): boolean {
    if (need.gpuPart > 0) return this.#gpus.some((free) => free >= need.gpuPart);
    return need.gpus === 0 || need.gpus <= this.freeGpus;
  }

  has(need: Need): boolean {
    return this.hasCpus(need) && this.hasMemory(need) && this.hasGpus(need);
  }

  /** Has room for `need` in every resource that `taken` takes some of. */
  hasWhere(need: Need, taken: Need): boolean {
    return (
      (taken.cpus === 0 || this.hasCpus(need)) &&
      (taken.memory === 0 || this.hasMemory(need)) &&
      ((taken.gpus === 0 && taken.gpuPart === 0) || this.hasGpus(need))
    );
  }

  /** GPU indices for `need`, which must fit: the fullest that still has room for a part, else the first free ones. */
  pickGpus(need: Need): number[] {
    if (need.gpuPart > 0) {
      let best = -1;
      this.#gpus.forEach((free, index) => {
        if (free >= need.gpuPart && (best < 0 || free < (this.#gpus[best] ?? 0))) best = index;
      });
      return [best];
    }
    const picked: number[] = [];
    for (let index = 0; index < this.#gpus.length && picked.length < need.gpus; index++) {
      if (this.#gpus[index] === UNIT) picked.push(index);
    }
    return picked;
  }

  take(need: Need, gpus: readonly number[]): void {
    this.#change(need, gpus, -1);
  }

  giveBack(need: Need, gpus: readonly number[]): void {
    this.#change(need, gpus, 1);
  }

  #change(need: Need, gpus: readonly number[], sign: 1 | -1): void {
    this.#cpus += sign * need.cpus;
    this.#memory += sign * need.memory;
    for (const index of gpus) {
      const free = this.#gpus[index];
      if (free !== undefined) this.#gpus[index] = free + sign * (need.gpuPart || UNIT);
    }
  }
}
