/** What the parts of Styx take of the configuration. */
import type { Budget } from '../cost-budget.ts';
import type { NotificationRule } from './notifications.ts';

/** Values of configuration, with their defaults where nothing says otherwise. */
export interface Config {
  /** Clouds that may be used, in lower case; null: all. */
  readonly allowedClouds: readonly string[] | null;
  readonly workspace: string;
  /** Seconds that one try to connect to a machine that starts may take. */
  readonly sshTimeout: number;
  readonly installConda: boolean;
  /** Whether a Temporal server that is not the embedded one takes unsealed messages; null: not said. */
  readonly codec: 'required' | 'optional' | null;
  /** Sweeps remove what is nobody's, and do not only report it. */
  readonly sweepFix: boolean;
  /** Most that one of them removes; null: see MOST_REMOVED. */
  readonly sweepMax: number | null;
  /** Of new clusters whose task has none; null: none. */
  readonly budget: Budget | null;
  /** Sections of the clouds by their names, as they are written: each cloud reads its own. */
  readonly clouds: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** Seconds that a node of a managed job may be silent before its machines are ended and the job starts elsewhere. */
  readonly jobSilence: number;
  /** Managed jobs of a workspace that may launch, and that may have machines, at the same time. */
  readonly maxLaunchingJobs: number;
  readonly maxRunningJobs: number;
  /** Where the output of managed jobs is kept; null: in the data directory. */
  readonly jobLogsDirectory: string | null;
  /** Or in this bucket (model/bucket-url.ts), on this server; null: in none, on AWS's. */
  readonly jobLogsStore: string | null;
  readonly jobLogsEndpoint: string | null;
  /** Days after a managed job's last word until its output is removed; 0: never. */
  readonly jobLogsKeep: number;
  /** Most that is kept of the output of one rank and phase of a try, in MB. */
  readonly jobLogsMaxMb: number;
  /** Who is told of the states of managed jobs. The worker's own counts. */
  readonly notifications: readonly NotificationRule[];
  /** The same of each user; null: no limit. */
  readonly maxLaunchingPerUser: number | null;
  readonly maxRunningPerUser: number | null;
  /** Dollars: no managed job is launched while the machines of those of the workspace cost this much in an hour; null: no limit. */
  readonly maxHourlyCost: number | null;
}

export const DEFAULT_CONFIG: Config = {
  allowedClouds: null,
  workspace: 'default',
  sshTimeout: 10,
  installConda: false,
  codec: null,
  sweepFix: false,
  sweepMax: null,
  budget: null,
  clouds: {},
  jobSilence: 300,
  maxLaunchingJobs: 16,
  maxRunningJobs: 2_000,
  jobLogsDirectory: null,
  jobLogsStore: null,
  jobLogsEndpoint: null,
  jobLogsKeep: 30,
  jobLogsMaxMb: 100,
  notifications: [],
  maxLaunchingPerUser: null,
  maxRunningPerUser: null,
  maxHourlyCost: null,
};

/** A cloud that may not be used, as messages have it; null: it may. */
export function cloudRefusal(cloud: string, allowed: readonly string[] | null): string | null {
  if (allowed === null || allowed.includes(cloud)) return null;
  return `cloud "${cloud}" is not among allowed_clouds (${allowed.join(', ') || 'none'})`;
}
