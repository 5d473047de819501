/** Capacity that is paid for already: reservations and blocks that `aws.specific_reservations` names by their ids. */
import type { Placement } from '../../model/machines.ts';
import type { Api } from './api.ts';
import { Remembered } from './remembered.ts';

const KEPT_MS = 30_000;

export interface Reservation {
  readonly id: string;
  readonly instanceType: string;
  readonly zone: string;
  /** Machines that it has room for. */
  readonly room: number;
  /** Bought for a time (a Capacity Block), which is asked for in a way of its own. */
  readonly block: boolean;
}

export class Reservations {
  readonly #api: Api;
  readonly #held = new Remembered<readonly Reservation[]>(KEPT_MS);

  constructor(api: Api) {
    this.#api = api;
  }

  /** Those of `ids` that are in a region and can be used now. */
  async in(region: string, ids: readonly string[]): Promise<readonly Reservation[]> {
    if (ids.length === 0) return [];
    return await this.#held.get(JSON.stringify([region, ids]), async () => {
      const found = await this.#api.all(
        region,
        'ec2:DescribeCapacityReservations',
        { Filters: [{ Name: 'state', Values: ['active'] }] },
        (answer) => answer.CapacityReservations,
      );
      return found.flatMap((one) => {
        const { CapacityReservationId: id = '', InstanceType: instanceType = '', AvailabilityZone: zone = '' } = one;
        const { AvailableInstanceCount: room = 0, ReservationType } = one;
        return ids.includes(id) ? [{ id, instanceType, zone, room, block: ReservationType === 'capacity-block' }] : [];
      });
    });
  }
}

/** One that has room for all nodes. Spot machines use none. */
export function fitting(
  reservations: readonly Reservation[],
  { instanceType, zone, useSpot, numNodes }: Pick<Placement, 'instanceType' | 'zone' | 'useSpot' | 'numNodes'>,
): Reservation | undefined {
  if (useSpot) return undefined;
  return reservations.find((one) => one.instanceType === instanceType && one.zone === zone && one.room >= numNodes);
}
