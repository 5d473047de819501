/** What a machine's disk costs, for those who want it counted; SkyPilot does not count it. */

/** US dollars for a GiB and a month, by cloud. What is not here is free. */
export type DiskPrices = Readonly<Record<string, number>>;

/**
 * List prices of the disks of tier `medium` in the US, without what faster ones ask for operations.
 * AWS gp3: https://aws.amazon.com/ebs/pricing/. GCP balanced: https://cloud.google.com/compute/disks-image-pricing.
 * Azure standard SSD E15: https://azure.microsoft.com/en-us/pricing/details/managed-disks/.
 */
export const DISK_PRICES: DiskPrices = { aws: 0.08, gcp: 0.1, azure: 0.075 };

/** GiB; SkyPilot's default. */
const DEFAULT_SIZE = 256;
const HOURS_A_MONTH = 730;

/** US dollars an hour. `size`: GiB; null is the default. */
export function diskCost(prices: DiskPrices, cloud: string, size: number | null): number {
  return ((prices[cloud] ?? 0) * (size ?? DEFAULT_SIZE)) / HOURS_A_MONTH;
}
