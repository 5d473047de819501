/** Kills parts of a world at random times, which a seed repeats. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { World } from './world.ts';

const FIRST_PAUSE = 1_000;

export type Killed = Record<'worker' | 'server' | 'host' | 'agents', number>;

export interface Killing {
  readonly kills: number;
  readonly roll: () => number;
  /** How many of the kills are theirs, of 1; the others are the worker's. */
  readonly shares: Readonly<Partial<Record<'server' | 'host' | 'agents', number>>>;
}

/** Each comes when all is up again and at work: at most as long after that as a worker takes to start here. */
export async function killAtRandom(world: World, { kills, roll, shares }: Killing): Promise<Killed> {
  const killed: Killed = { worker: 0, server: 0, host: 0, agents: 0 };
  const { server = 0, host = 0, agents = 0 } = shares;
  let longest = FIRST_PAUSE;
  for (let kill = 0; kill < kills; kill++) {
    await sleep(roll() * longest);
    const dealt = roll();
    const victim =
      dealt < server ? 'server' : dealt < server + host ? 'host' : dealt < server + host + agents ? 'agents' : 'worker';
    killed[victim] += 1;
    if (victim === 'server') await world.killServer();
    else if (victim === 'host') await world.killHost();
    else if (victim === 'agents') world.killAgents();
    else {
      await world.killWorker();
      const start = performance.now();
      await world.workerUpAgain();
      longest = performance.now() - start;
    }
  }
  return killed;
}
