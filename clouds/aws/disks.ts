/** The disk that a machine's system is on: what it is made of for a size and a tier, and what it costs. */
import type { EbsBlockDevice } from '@aws-sdk/client-ec2';
import { z } from 'zod';
import { StyxError } from '../../model/errors.ts';
import { DEFAULT_DISK_GIB, type MachineWants } from '../../model/machine-wants.ts';
import type { Disk } from '../../model/machines.ts';
import { DISK_PRICES, diskCost } from '../../optimizer/disk.ts';

/** What a tier adds to the size. Absent: what EBS gives by itself. */
export const speedSchema = z.object({
  type: z.enum(['standard', 'gp3', 'io2']),
  iops: z.number().exactOptional(),
  /** MiB a second. */
  throughput: z.number().exactOptional(),
});
export type Speed = z.infer<typeof speedSchema>;

type Tier = NonNullable<MachineWants['diskTier']>;

const ULTRA: Speed = { type: 'io2', iops: 20_000 };
/** SkyPilot's figures. Without a tier it is the gp3 that costs nothing more than its size. */
const TIERS: Readonly<Record<Tier, Speed>> = {
  low: { type: 'standard' },
  medium: { type: 'gp3', iops: 3_500, throughput: 218 },
  high: { type: 'gp3', iops: 7_000, throughput: 437 },
  ultra: ULTRA,
  best: ULTRA,
};

/** GiB: docs.aws.amazon.com/ebs/latest/userguide/ebs-volume-types.html. */
const LARGEST: Readonly<Record<Speed['type'], number>> = { standard: 1_024, gp3: 65_536, io2: 65_536 };
/** gp3 and io2 give at most so many for each GiB. */
const IOPS_A_GIB = { gp3: 500, io2: 1_000, standard: 0 } as const;
const GP3_FREE = { iops: 3_000, throughput: 125 };

export function speedOf(tier: Tier | undefined, size: number): Speed {
  const { type, iops, throughput } = tier === undefined ? { type: 'gp3' as const } : TIERS[tier];
  if (iops === undefined) return { type };
  // Small disks are not that fast, and gp3 needs 4 operations for each MiB.
  const most = Math.min(iops, Math.max(type === 'gp3' ? GP3_FREE.iops : 100, size * IOPS_A_GIB[type]));
  return { type, iops: most, ...(throughput === undefined ? {} : { throughput }) };
}

/** @throws invalid for a size that such a disk cannot have */
export function mustHaveSize({ diskSize, diskTier }: MachineWants): void {
  if (diskSize === undefined) return;
  const { type } = speedOf(diskTier, diskSize);
  if (diskSize <= LARGEST[type]) return;
  throw new StyxError(
    'invalid',
    `disk_size is ${diskSize} GiB, and disks of AWS (${type}) have ${LARGEST[type]} at most`,
  );
}

/** US dollars for a month at list prices in the US (aws.amazon.com/ebs/pricing), for a GiB, an operation a second, a MiB a second. */
const PRICES = { standard: 0.05, io2: 0.125, gp3Iops: 0.005, gp3Throughput: 0.04, io2Iops: 0.065 };
const HOURS_A_MONTH = 730;

/** What is counted for it. */
export function diskFor({ diskSize = DEFAULT_DISK_GIB, diskTier }: MachineWants): Disk {
  const { type, iops = 0, throughput = 0 } = speedOf(diskTier, diskSize);
  if (type === 'standard') return { size: diskSize, hourlyCost: (PRICES.standard * diskSize) / HOURS_A_MONTH };
  if (type === 'io2') {
    return { size: diskSize, hourlyCost: (PRICES.io2 * diskSize + PRICES.io2Iops * iops) / HOURS_A_MONTH };
  }
  const faster =
    PRICES.gp3Iops * Math.max(0, iops - GP3_FREE.iops) +
    PRICES.gp3Throughput * Math.max(0, throughput - GP3_FREE.throughput);
  return { size: diskSize, hourlyCost: diskCost(DISK_PRICES, 'aws', diskSize) + faster / HOURS_A_MONTH };
}

export function ebsOf(size: number, { type, iops, throughput }: Speed, encrypted: boolean): EbsBlockDevice {
  return {
    VolumeSize: size,
    VolumeType: type,
    DeleteOnTermination: true,
    ...(iops === undefined ? {} : { Iops: iops }),
    ...(throughput === undefined ? {} : { Throughput: throughput }),
    ...(encrypted ? { Encrypted: true } : {}),
  };
}
