/** Placements that a launch tried and gave up, for people and for programs. */
import type { Try } from '../model/cluster.ts';
import type { ClusterView } from '../model/commands.ts';
import { tryText } from '../model/try-text.ts';
import { formatAge, isoTime } from './format.ts';
import { plain } from './table.ts';

/** Those of one operation that failed later than `after`, oldest first, as far as they are remembered; none while it waits. */
export function triesOf(
  { operation, operations, tries }: Pick<ClusterView, 'operation' | 'operations' | 'tries'>,
  operationId: string | null,
  after = 0,
): readonly Try[] {
  const since = [...operations, operation].find((one) => one?.id === operationId)?.since;
  return since === undefined ? [] : tries.filter(({ at }) => at >= since && at > after);
}

/** A title, then one a line, oldest first; none without tries. `most`: that many of the last. */
export function triesLines(cluster: string, tries: readonly Try[], now = Date.now(), most = tries.length): string[] {
  if (tries.length === 0) return [];
  const left = Math.max(0, tries.length - most);
  return [
    `Places that could not give the machines of ${cluster}:`,
    ...(left === 0 ? [] : [`  ${left} before these: \`styx logs --provision ${cluster}\``]),
    ...tries.slice(left).map((tried) => plain(`  ${formatAge(tried.at, now)}  ${tryText(tried)}`)),
  ];
}

/** docs/cli.md describes this shape. */
export function tryJson({ at, cloud, region, zone, instanceType, useSpot, took, failure }: Try) {
  const seconds = took === undefined ? null : took / 1_000;
  return { at: isoTime(at), cloud, region, zone, instanceType, useSpot: useSpot === true, seconds, failure };
}
