/** What this machine can give: `local-Nx` is N vCPUs and its share of the memory. Neither is enforced: they are for placing jobs. */
import { execFile } from 'node:child_process';
import { availableParallelism, totalmem } from 'node:os';
import { promisify } from 'node:util';
import { StyxError } from '../../model/errors.ts';
import type { InstanceTypeOffer, ResourceRequest } from '../../model/machines.ts';

export const REGION = 'local';
export const ZONE = 'local-a';

export interface MachineSize {
  readonly cpus: number;
  /** GiB. */
  readonly memory: number;
  /** Null without GPUs. */
  readonly gpus: { readonly name: string; readonly count: number } | null;
}

let gpus: Promise<MachineSize['gpus']> | undefined;

export async function machineSize(): Promise<MachineSize> {
  gpus ??= findGpus();
  return { cpus: availableParallelism(), memory: totalmem() / 2 ** 30, gpus: await gpus };
}

async function findGpus(): Promise<MachineSize['gpus']> {
  try {
    const { stdout } = await promisify(execFile)('nvidia-smi', ['--query-gpu=name', '--format=csv,noheader'], {
      timeout: 10_000,
    });
    const names = stdout.split('\n').filter((line) => line.trim() !== '');
    return names[0] === undefined ? null : { name: gpuName(names[0]), count: names.length };
  } catch {
    return null;
  }
}

/** The short name that task files use for what nvidia-smi calls by its full one. */
export function gpuName(full: string): string {
  const name = full.replace(/^(NVIDIA|Tesla|GeForce|Quadro|\s)+/g, '').trim();
  const large = /^(A100|H100).*80GB/.exec(name);
  if (large !== null) return large[1] === 'A100' ? 'A100-80GB' : 'H100';
  return name.replace(/[- ](SXM\w*|PCIE?\w*|HBM\w*|\d+GB).*$/i, '').replace(/\s+/g, '');
}

/** The type's name is all there is to it. */
export function cpusOf(instanceType: string): number | undefined {
  const match = /^local-([1-9]\d{0,3})x$/.exec(instanceType);
  return match === null ? undefined : Number(match[1]);
}

function memoryOf(cpus: number, machine: MachineSize): number {
  return Math.floor((machine.memory * cpus * 10) / machine.cpus) / 10;
}

/** Powers of two, and the whole machine. */
export function typeSizes(machineCpus: number): number[] {
  const sizes: number[] = [];
  for (let cpus = 1; cpus < machineCpus; cpus *= 2) sizes.push(cpus);
  return [...sizes, machineCpus];
}

function invalid(message: string): StyxError {
  return new StyxError('invalid', message);
}

/**
 * Smallest first; `vcpuHourlyCost` is what a vCPU is said to cost in an hour. A memory demand is met by at least as much, since the share of a size is whatever the machine gives.
 * @throws invalid when this machine can never meet the request
 */
export function offersFor(request: ResourceRequest, machine: MachineSize, vcpuHourlyCost = 0): InstanceTypeOffer[] {
  const { region, zone, instanceType, cpus, memory, accelerators } = request;
  if (request.cloud !== null && request.cloud !== 'local') return [];
  if (region !== null && region !== REGION)
    throw invalid(`local has no region "${region}"; its one region is "${REGION}"`);
  if (zone !== null && zone !== ZONE) throw invalid(`local has no zone "${zone}"; its one zone is "${ZONE}"`);
  if (accelerators !== null) checkGpus(accelerators, machine);
  if (cpus !== null && cpus.count > machine.cpus) {
    throw invalid(`${cpus.count} vCPUs were asked for; this machine has ${machine.cpus}`);
  }
  const largest = memoryOf(machine.cpus, machine);
  if (memory !== null && memory.count > largest) {
    throw invalid(`${memory.count} GiB of memory were asked for; this machine has ${largest}`);
  }
  const sizes = sizesFor(instanceType, cpus, machine);
  const offers = sizes
    .filter((size) => memory === null || memoryOf(size, machine) >= memory.count)
    .map((size) => ({
      cloud: 'local',
      region: REGION,
      zone: ZONE,
      instanceType: `local-${size}x`,
      cpus: size,
      memory: memoryOf(size, machine),
      accelerators:
        accelerators === null || machine.gpus === null ? null : { ...accelerators, name: machine.gpus.name },
      useSpot: request.useSpot,
      hourlyCost: size * vcpuHourlyCost,
    }));
  if (offers.length === 0) {
    throw invalid(
      `no size of this machine (${machine.cpus} vCPUs, ${largest} GiB) meets the cpus and memory asked for together`,
    );
  }
  return offers;
}

function checkGpus(wanted: { readonly name: string; readonly count: number }, { gpus }: MachineSize): void {
  if (gpus === null)
    throw invalid(`${wanted.count} ${wanted.name} were asked for; this machine has no GPU that nvidia-smi shows`);
  if (wanted.name.toLowerCase() !== gpus.name.toLowerCase() || wanted.count > gpus.count) {
    throw invalid(`${wanted.count} ${wanted.name} were asked for; this machine has ${gpus.count} ${gpus.name}`);
  }
}

function sizesFor(instanceType: string | null, cpus: ResourceRequest['cpus'], machine: MachineSize): number[] {
  const fits = (size: number): boolean =>
    cpus === null || (cpus.atLeast ? size >= cpus.count : size === Math.ceil(cpus.count));
  if (instanceType !== null) {
    const size = cpusOf(instanceType);
    const all = typeSizes(machine.cpus).map((count) => `local-${count}x`);
    if (size === undefined || size > machine.cpus) {
      throw invalid(`local has no instance type "${instanceType}" on this machine; it has ${all.join(', ')}`);
    }
    if (!fits(size)) throw invalid(`${instanceType} has ${size} vCPUs, not the ${cpus?.count} asked for`);
    return [size];
  }
  const sizes = typeSizes(machine.cpus).filter(fits);
  return sizes.length === 0 && cpus !== null ? [Math.max(1, Math.ceil(cpus.count))] : sizes;
}
