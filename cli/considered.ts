/** The table of what was considered, with SkyPilot's columns, and why other machines were not: one form for `launch`, `plan` and `optimize`. */
import type { LaunchPreview } from '../client/preview.ts';
import { StyxError } from '../model/errors.ts';
import type { InstanceTypeOffer } from '../model/machines.ts';
import { infraName } from './format.ts';
import { formatTable } from './table.ts';

type Ranking = NonNullable<LaunchPreview['ranking']>;

/** A row: a machine in a place, at a price. */
export interface Considered extends Pick<InstanceTypeOffer, 'cloud' | 'region' | 'instanceType' | 'useSpot'> {
  /** Null: any zone of the region. */
  readonly zone: string | null;
  readonly cpus: number | null;
  /** GiB. */
  readonly memory: number | null;
  readonly accelerators: InstanceTypeOffer['accelerators'];
  /** US dollars an hour for one node. */
  readonly hourlyCost: number;
}

const COLUMNS = ['INFRA', 'INSTANCE', 'vCPUs', 'Mem(GB)', 'GPUS', 'COST ($)', 'CHOSEN'];
/** Ways out of a request that nothing meets. */
const WAYS = 4;

/** `Considered resources (2 nodes):` */
export function consideredTitle(numNodes: number): string {
  return `Considered resources (${numNodes} node${numNodes === 1 ? '' : 's'}):`;
}

export function consideredTable(
  shown: readonly Considered[],
  numNodes: number,
  isChosen: (one: Considered) => boolean,
): string {
  const rows = shown.map((one) => [
    infraName([one.cloud, one.region, ...(one.zone === null ? [] : [one.zone])].join('/')),
    one.instanceType + (one.useSpot ? '[Spot]' : ''),
    amount(one.cpus),
    amount(one.memory),
    one.accelerators === null ? '-' : `${one.accelerators.name}:${one.accelerators.count}`,
    (one.hourlyCost * numNodes).toFixed(2),
    isChosen(one) ? '✔' : '',
  ]);
  return formatTable(COLUMNS, rows);
}

/** `machines` and `disks`: US dollars an hour of all nodes. */
export function estimateText(machines: number, disks: number): string {
  const share = disks > 0 ? `, of which $${disks.toFixed(disks < 0.1 ? 4 : 2)} for disks, while stopped too` : '';
  return `Estimated cost: $${(machines + disks).toFixed(2)} / hour${share}`;
}

/** How many offers each constraint keeps out. */
export function reasonLines({ excluded, considered, unchecked }: Ranking): string[] {
  const reasons = excluded.map(
    ({ constraint, asked, rows, alone }) =>
      `  ${constraint}: ${asked} keeps out ${rows}${alone > 0 ? `, ${alone} of them by itself` : ''}`,
  );
  const open = unchecked.length === 0 ? [] : [`Not checked, since catalogues do not say: ${unchecked.join(', ')}`];
  return [`Of ${considered} offers:`, ...reasons, ...open];
}

/** Why nothing meets a request, and what would come nearest. `which`: the task; `lookElsewhere`: where there may be more. */
export function nothingFits(ranking: Ranking, which = '', lookElsewhere = ''): StyxError {
  const message = [`${which}no machine that was considered meets the request`, ...reasonLines(ranking)].join('\n');
  const ways = [...ranking.relaxations].sort((a, b) => a.relax.length - b.relax.length);
  const lines = ways.map(({ relax, nearest }) => {
    const { cloud, region, instanceType, accelerators, hourlyCost, useSpot } = nearest;
    const gpus = accelerators === null ? '' : ` with ${accelerators.name}:${accelerators.count}`;
    const how = useSpot ? ', spot' : '';
    return `  without ${relax.join(' and ')}: ${instanceType}${gpus} of ${cloud} in ${region}, $${hourlyCost.toFixed(2)} an hour${how}`;
  });
  // Of several alternatives many may come to the same.
  const nearest =
    lines.length === 0
      ? ['`styx catalog status` shows what catalogues there are.']
      : ['What would fit best:', ...[...new Set(lines)].slice(0, WAYS)];
  return new StyxError('capacity', message, {
    hint: [...nearest, ...(lookElsewhere === '' ? [] : [lookElsewhere])].join('\n'),
  });
}

function amount(value: number | null): string {
  if (value === null) return '-';
  return Number.isInteger(value) ? String(value) : value.toFixed(1);
}
