/** SkyPilot's optimizer on our catalogues, and requests to ask it and ours: for the comparison of answers here, and of times in `bench/`. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import type { CatalogRow } from '../../catalogs/catalog.ts';
import { catalog } from '../../catalogs/load.ts';
import { layCatalogs } from './skypilot-catalogs.ts';

/** Those compared on, as SkyPilot prints their names. */
export const CLOUDS = { aws: 'AWS', azure: 'Azure', lambda: 'Lambda', nebius: 'Nebius', runpod: 'RunPod', do: 'DO' };
const TIMEOUT_MS = 280_000;

export interface Chosen {
  readonly cloud: string;
  readonly instanceType: string;
  readonly region: string;
  readonly useSpot: boolean;
  /** US dollars an hour of all nodes. */
  readonly cost: number;
}

export interface Answers {
  /** For each task; null: nothing fits. */
  readonly chosen: readonly (Chosen | null)[];
  /** For each task, from its YAML to the choice. */
  readonly seconds: readonly number[];
}

/** Numbers in [0, 1) that are the same in every run (Park and Miller's minimal standard generator). */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 0x7fff_ffff;
    return state / 0x7fff_ffff;
  };
}

const GPUS = ['A100', 'A100-80GB', 'H100', 'H200', 'L4', 'L40S', 'T4', 'V100', 'A10G', 'A10', 'RTX4090'];
const CPUS = ['2', '4', '8', '16', '2+', '4+', '8+', '16+', '32+'];
const MEMORY = ['16', '32', '64', '8+', '16+', '32+', '64+', '128+'];
const INFRA = [...Object.keys(CLOUDS), 'aws/us-east-1', 'aws/us-west-2', 'azure/eastus', 'aws/eu-central-1'];

function taskText(next: () => number): string {
  const pick = (from: readonly string[]) => from[Math.floor(next() * from.length)] ?? '';
  const fields: string[] = [];
  const kind = next();
  if (kind < 0.5) {
    fields.push(`accelerators: "${pick(GPUS)}:${pick(['1', '1', '2', '4', '8'])}"`);
    if (next() < 0.2) fields.push(`cpus: ${pick(CPUS.slice(5))}`);
    if (next() < 0.15) fields.push(`memory: ${pick(MEMORY.slice(5))}`);
  } else if (kind < 0.9) {
    if (next() < 0.8) fields.push(`cpus: ${pick(CPUS)}`);
    if (next() < 0.5) fields.push(`memory: ${pick(MEMORY)}`);
  }
  if (next() < 0.25) fields.push('use_spot: true');
  if (next() < 0.4) fields.push(`infra: ${pick(INFRA)}`);
  return `run: x\n${next() < 0.2 ? 'num_nodes: 2\n' : ''}resources: {${fields.join(', ')}}\n`;
}

/** YAML of tasks; the same in every run. */
export function taskTexts(count: number): string[] {
  const next = numbers(20_261_125);
  return Array.from({ length: count }, () => taskText(next));
}

/** Lays the catalogues below `home`, in SkyPilot's form. @returns the very same rows */
export async function layComparedRows(home: string): Promise<CatalogRow[]> {
  const rows: CatalogRow[] = [];
  for (const cloud of Object.keys(CLOUDS)) rows.push(...(await catalog(cloud, home)).rows());
  // SkyPilot reads nothing of what is not sold on demand.
  const sold = rows.filter(({ price }) => price !== null);
  layCatalogs(home, sold, CLOUDS);
  return sold;
}

/** One process answers all, without a network. @param warm asked before, untimed: what is asked first loads the catalogues */
export function askSkypilot(python: string, home: string, tasks: readonly string[], warm: readonly string[]): Answers {
  const { status, stdout, stderr, error } = spawnSync(python, [join(import.meta.dirname, 'optimizer.py')], {
    cwd: home,
    encoding: 'utf8',
    input: JSON.stringify({ clouds: Object.keys(CLOUDS), tasks, warm }),
    maxBuffer: 1 << 26,
    timeout: TIMEOUT_MS,
    env: { PATH: process.env.PATH, HOME: home, SKYPILOT_DISABLE_USAGE_COLLECTION: '1' },
  });
  if (status !== 0) throw new Error(`optimizer.py: ${error?.message ?? (stderr || `status ${status}`)}`);
  return JSON.parse(stdout) as Answers;
}
