/** Ray on a cluster: what a task asks for, and what there is of it. */

/** What `ray: true` means on a cluster that has none. */
export const DEFAULT_RAY_VERSION = '2.60.0';
/** The first that Styx knows to keep everybody out who has no token, and to give each node a temporary directory of its own. */
export const FIRST_RAY_VERSION = '2.55.0';
/** Of the package `ray`; `default` is always there. */
export const RAY_EXTRAS = ['data', 'train', 'tune', 'serve', 'rllib', 'llm', 'client', 'cgraph'] as const;
export type RayExtra = (typeof RAY_EXTRAS)[number];

/** What a task wants of its cluster's Ray. */
export interface RayRequest {
  /** Null: any that is there, else DEFAULT_RAY_VERSION. */
  readonly version: string | null;
  readonly extras: readonly RayExtra[];
  /** What the head offers to Ray's tasks, by Ray's names (`CPU`, `GPU` and own ones); null: as any node. */
  readonly headResources: Readonly<Record<string, number>> | null;
  /** Whether a head that ended is started again, without what it knew; null: no. */
  readonly restartHead: boolean | null;
}

export interface RaySpec extends RayRequest {
  readonly version: string;
}

/**
 * WAITING: for the cluster to be up. STARTING: it is installed or started, for the first time or again. UP: jobs can use it. FAILED: not
 * tried any more until somebody asks. ENDING: its processes are ended.
 */
export const RAY_STATUSES = ['WAITING', 'STARTING', 'UP', 'FAILED', 'ENDING'] as const;
export type RayStatus = (typeof RAY_STATUSES)[number];

export interface ClusterRay {
  readonly spec: RaySpec;
  /** Whether it is to be there: also while an older one ends, and while the cluster is stopped. */
  readonly wanted: boolean;
  readonly status: RayStatus;
  readonly since: number;
  /** What it is doing, or why it failed; for people. */
  readonly reason: string;
  /** The workflow that sees to it; null: none does. */
  readonly child: number | null;
  /** Of the head: `10.0.0.4:20000`. */
  readonly address: string | null;
  /** On the head's loopback interface. */
  readonly dashboardPort: number | null;
}

const VERSION = /^(\d{1,4})\.(\d{1,4})\.(\d{1,4})$/;

/** What is wrong with a version, to follow its name; null: nothing. */
export function rayVersionProblem(version: string): string | null {
  const parts = numbers(version);
  if (parts === null) return `must be a release such as "${DEFAULT_RAY_VERSION}", not ${JSON.stringify(version)}`;
  const first = numbers(FIRST_RAY_VERSION) ?? [];
  const differing = parts.findIndex((part, at) => part !== first[at]);
  if (differing < 0 || (parts[differing] ?? 0) > (first[differing] ?? 0)) return null;
  return `must be ${FIRST_RAY_VERSION} or later, not ${version}: older ones cannot be kept from strangers on the network`;
}

function numbers(version: string): number[] | null {
  return VERSION.exec(version)?.slice(1).map(Number) ?? null;
}

/** Why what stands cannot be what is asked for; null: it can. */
export function rayMisfit(there: RaySpec, asked: RayRequest): string | null {
  if (asked.version !== null && asked.version !== there.version) {
    return `it has Ray ${there.version}, and the task asks for ${asked.version}`;
  }
  const missing = asked.extras.filter((extra) => !there.extras.includes(extra));
  if (missing.length > 0) return `its Ray was installed without ${missing.join(', ')}`;
  const { headResources: head, restartHead } = asked;
  if (head !== null && !sameResources(head, there.headResources)) return 'its Ray has other head_resources';
  if (restartHead !== null && restartHead !== (there.restartHead ?? false)) return 'its Ray has another restart_head';
  return null;
}

function sameResources(one: Readonly<Record<string, number>>, other: RaySpec['headResources']): boolean {
  const text = (held: Readonly<Record<string, number>>) => JSON.stringify(Object.entries(held).toSorted());
  return other !== null && text(one) === text(other);
}
