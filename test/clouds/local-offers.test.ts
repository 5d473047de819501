import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { gpuName, type MachineSize, offersFor, typeSizes } from '../../clouds/local/offers.ts';
import { localSettings } from '../../clouds/local/settings.ts';
import { StyxError } from '../../model/errors.ts';
import { ANY_MACHINE, type ResourceRequest } from '../../model/machines.ts';

const EIGHT: MachineSize = { cpus: 8, memory: 30, gpus: { name: 'A100', count: 2 } };

const types = (request: Partial<ResourceRequest>, machine = EIGHT): string[] =>
  offersFor({ ...ANY_MACHINE, ...request }, machine).map(({ instanceType }) => instanceType);

describe('what the local cloud offers', () => {
  it('is the smallest size first, free of charge', () => {
    expect(types({})).toEqual(['local-1x', 'local-2x', 'local-4x', 'local-8x']);
    expect(typeSizes(6)).toEqual([1, 2, 4, 6]);
    expect(offersFor(ANY_MACHINE, EIGHT)[0]).toMatchObject({
      hourlyCost: 0,
      region: 'local',
      zone: 'local-a',
      cpus: 1,
      memory: 3.7,
    });
  });

  it('costs what a vCPU is said to cost', () => {
    expect(offersFor(ANY_MACHINE, EIGHT, 0.25).map(({ hourlyCost }) => hourlyCost)).toEqual([0.25, 0.5, 1, 2]);
  });

  it('takes its settings from a file, and refuses by name what it does not know', () => {
    const path = join(mkdtempSync(join(tmpdir(), 'styx-settings-')), 'limits.json');
    expect(localSettings(path)).toEqual({ maxInstances: 1000, vcpuHourlyCost: 0 });
    writeFileSync(path, '{"vcpuHourlyCost": 0.5}');
    expect(localSettings(path)).toEqual({ maxInstances: 1000, vcpuHourlyCost: 0.5 });
    writeFileSync(path, '{"maxSpotInstances": 0}');
    expect(localSettings(path)).toEqual({ maxInstances: 1000, maxSpotInstances: 0, vcpuHourlyCost: 0 });
    for (const text of ['{"vcpuHourlyCost": -1}', '{"maxInstances": 1.5}', '{"price": 1}', '[', '[]']) {
      writeFileSync(path, text);
      expect(() => localSettings(path), text).toThrow(/limits\.json must be JSON like/);
    }
    rmSync(dirname(path), { recursive: true });
  });

  it('takes cpus exactly or as at least, and memory as at least', () => {
    expect(types({ cpus: { count: 3, atLeast: false } })).toEqual(['local-3x']);
    expect(types({ cpus: { count: 3, atLeast: true } })).toEqual(['local-4x', 'local-8x']);
    expect(types({ memory: { count: 8, atLeast: false } })).toEqual(['local-4x', 'local-8x']);
    expect(types({ instanceType: 'local-5x' })).toEqual(['local-5x']);
  });

  it('has the GPUs of the machine, and spot for rehearsals', () => {
    const [offer] = offersFor({ ...ANY_MACHINE, accelerators: { name: 'a100', count: 1 }, useSpot: true }, EIGHT);
    expect(offer).toMatchObject({ accelerators: { name: 'A100', count: 1 }, useSpot: true });
    expect(gpuName('NVIDIA A100-SXM4-80GB')).toBe('A100-80GB');
    expect(gpuName('NVIDIA A100-SXM4-40GB')).toBe('A100');
    expect(gpuName('NVIDIA H100 80GB HBM3')).toBe('H100');
    expect(gpuName('Tesla V100-SXM2-16GB')).toBe('V100');
    expect(gpuName('NVIDIA GeForce RTX 4090')).toBe('RTX4090');
    expect(gpuName('NVIDIA L4')).toBe('L4');
  });

  it.each([
    [{ cpus: { count: 9, atLeast: true } }, /9 vCPUs.*has 8/],
    [{ memory: { count: 31, atLeast: true } }, /31 GiB.*has 30/],
    [{ cpus: { count: 1, atLeast: false }, memory: { count: 20, atLeast: true } }, /together/],
    [{ accelerators: { name: 'A100', count: 3 } }, /has 2 A100/],
    [{ accelerators: { name: 'H100', count: 1 } }, /has 2 A100/],
    [{ region: 'us-east-1' }, /one region is "local"/],
    [{ zone: 'local' }, /one zone is "local-a"/],
    [{ instanceType: 'local-16x' }, /local-1x, local-2x, local-4x, local-8x/],
    [{ instanceType: 'local-2x', cpus: { count: 4, atLeast: true } }, /has 2 vCPUs/],
  ] as const)('refuses what can never be met: %j', (request, message) => {
    expect(() => types(request)).toThrow(message);
  });

  it('never offers less than what was asked for, nor more than there is', () => {
    const amount = fc.record({ count: fc.double({ min: 0.1, max: 70, noNaN: true }), atLeast: fc.boolean() });
    const machine = fc.record({
      cpus: fc.integer({ min: 1, max: 64 }),
      memory: fc.double({ min: 0.5, max: 512, noNaN: true }),
      gpus: fc.constant(null),
    });
    fc.assert(
      fc.property(machine, fc.option(amount), fc.option(amount), (size, cpus, memory) => {
        let offers: ReturnType<typeof offersFor>;
        try {
          offers = offersFor({ ...ANY_MACHINE, cpus, memory }, size);
        } catch (error) {
          expect(error).toBeInstanceOf(StyxError);
          return;
        }
        expect(offers.length).toBeGreaterThan(0);
        for (const offer of offers) {
          expect(offer.cpus).toBeLessThanOrEqual(size.cpus);
          expect(offer.memory).toBeLessThanOrEqual(size.memory);
          expect(offer.cpus).toBeGreaterThanOrEqual(cpus?.count ?? 1);
          expect(offer.memory).toBeGreaterThanOrEqual(memory?.count ?? 0);
        }
      }),
    );
  });
});
