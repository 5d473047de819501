/** What a machine's disk costs, for those who want it counted; SkyPilot does not count it. */

/** US dollars for a GiB and a month, by cloud. What is not here is free. */
export type DiskPrices = Readonly<Record<string, number>>;

/**
 * Rounded list prices of disks of tier `medium` in the US, without what faster ones ask for operations: gp3 (aws.amazon.com/ebs/pricing),
 * balanced (cloud.google.com/compute/disks-image-pricing), standard SSD (azure.microsoft.com/pricing/details/managed-disks). For comparing
 * clouds, not for bills.
 */
export const DISK_PRICES: DiskPrices = { aws: 0.08, gcp: 0.1, azure: 0.075 };

/** GiB; SkyPilot's default. */
const DEFAULT_SIZE = 256;
const HOURS_A_MONTH = 730;

/** US dollars an hour. `size`: GiB; null is the default. */
export function diskCost(prices: DiskPrices, cloud: string, size: number | null): number {
  return ((prices[cloud] ?? 0) * (size ?? DEFAULT_SIZE)) / HOURS_A_MONTH;
}
