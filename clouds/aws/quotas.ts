/** Quotas of vCPUs, a family of instance types each. Asked ahead, so that what can never be had is not asked for. */
import { StyxError } from '../../model/errors.ts';
import type { Placement } from '../../model/machines.ts';
import type { Api } from './api.ts';
import { Remembered } from './remembered.ts';

const KEPT_MS = 5 * 60_000;

interface Family {
  readonly name: string;
  readonly types: RegExp;
  readonly onDemand: string;
  readonly spot: string | null;
}

/** docs.aws.amazon.com/ec2/latest/instancetypes/ec2-instance-quotas.html. The last one is the rest. */
const FAMILIES: readonly Family[] = [
  { name: 'G and VT', types: /^(g|gr|vt)\d/, onDemand: 'L-DB2E81BA', spot: 'L-3819A6DF' },
  { name: 'P', types: /^p\d/, onDemand: 'L-417A185B', spot: 'L-7212CCBC' },
  { name: 'Inf', types: /^inf\d/, onDemand: 'L-1945791B', spot: 'L-B5D1601B' },
  { name: 'Trn', types: /^trn\d/, onDemand: 'L-2C3B7624', spot: 'L-6B0D517C' },
  { name: 'DL', types: /^dl\d/, onDemand: 'L-6E869C2A', spot: 'L-85EED4F7' },
  { name: 'F', types: /^f\d/, onDemand: 'L-74FC7D96', spot: 'L-88CF9481' },
  { name: 'X', types: /^x\d/, onDemand: 'L-7295265B', spot: 'L-E3A00192' },
  { name: 'High Memory', types: /^u-|^u7/, onDemand: 'L-43DA4232', spot: null },
  { name: 'HPC', types: /^hpc\d/, onDemand: 'L-F7808C92', spot: null },
  { name: 'Standard', types: /^(a|c|d|h|i|m|r|t|z|im|is)\d/, onDemand: 'L-1216C47A', spot: 'L-34B43A08' },
];

/** The quota that counts for a type; null where none is known. */
export function quotaOf(instanceType: string, useSpot: boolean): { name: string; code: string } | null {
  const family = FAMILIES.find(({ types }) => types.test(instanceType));
  const code = useSpot ? family?.spot : family?.onDemand;
  if (family === undefined || code === undefined || code === null) return null;
  return {
    name: `${useSpot ? 'All' : 'Running On-Demand'} ${family.name} ${useSpot ? 'Spot Instance Requests' : 'instances'}`,
    code,
  };
}

export class Quotas {
  readonly #api: Api;
  readonly #values = new Remembered<number | null>(KEPT_MS);

  constructor(api: Api) {
    this.#api = api;
  }

  /** @throws quota when the whole quota is less than what is asked; what others use of it is not known here */
  async mustAllow({ region, instanceType, useSpot, cpus, numNodes }: Placement): Promise<void> {
    const quota = quotaOf(instanceType, useSpot);
    if (quota === null) return;
    const value = await this.#values.get(`${region} ${quota.code}`, () => this.#value(region, quota.code));
    const asked = cpus * numNodes;
    if (value === null || asked <= value) return;
    throw new StyxError('quota', `${asked} vCPUs were asked for; the quota "${quota.name}" in ${region} is ${value}`, {
      hint: `Ask for more at ${quotaLink(region, quota.code)}, or use another region.`,
    });
  }

  /** The failure with the place where more is asked for. */
  explained(failure: StyxError, { region, instanceType, useSpot }: Placement): StyxError {
    const quota = quotaOf(instanceType, useSpot);
    if (failure.kind !== 'quota' || quota === null || !/Vcpu|MaxSpot|InstanceLimit/.test(failure.message))
      return failure;
    return new StyxError('quota', failure.message, {
      cause: failure.cause,
      hint: `Ask for more of "${quota.name}" at ${quotaLink(region, quota.code)}, or use another region.`,
    });
  }

  /** A hint only: null when it cannot be read, which is no reason not to try. */
  async #value(region: string, code: string): Promise<number | null> {
    try {
      const { Quota } = await this.#api.call(region, 'servicequotas:GetServiceQuota', {
        ServiceCode: 'ec2',
        QuotaCode: code,
      });
      return Quota?.Value ?? null;
    } catch (error) {
      if (error instanceof StyxError && error.kind === 'auth' && !/AccessDenied|Unauthorized/.test(error.message))
        throw error;
      return null;
    }
  }
}

function quotaLink(region: string, code: string): string {
  return `https://${region}.console.aws.amazon.com/servicequotas/home/services/ec2/quotas/${code}`;
}
