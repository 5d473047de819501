/** Which keys of the configuration this version carries out. The one table that says so; all others are named in a warning. */
import { isMap } from '../spec/field.ts';
import { DEFAULT_CONFIG } from './values.ts';

/** With what holds where nothing says otherwise. A key below one of these is carried out too. */
export const CARRIED_OUT: Readonly<Record<string, unknown>> = {
  allowed_clouds: DEFAULT_CONFIG.allowedClouds,
  active_workspace: DEFAULT_CONFIG.workspace,
  budget: DEFAULT_CONFIG.budget,
  codec: DEFAULT_CONFIG.codec,
  'sweep.fix': DEFAULT_CONFIG.sweepFix,
  'sweep.max': DEFAULT_CONFIG.sweepMax,
  'provision.ssh_timeout': DEFAULT_CONFIG.sshTimeout,
  'provision.install_conda': DEFAULT_CONFIG.installConda,
  'aws.vpc_name': null,
  'aws.use_internal_ips': false,
  'aws.disk_encrypted': false,
  'aws.labels': null,
  'aws.remote_identity': null,
  'aws.specific_reservations': null,
  'aws.ssh_user': null,
  'aws.ssh_proxy_command': null,
  'jobs.status_check.min_elapsed_seconds': DEFAULT_CONFIG.jobSilence,
  'jobs.max_launching': DEFAULT_CONFIG.maxLaunchingJobs,
  'jobs.max_running': DEFAULT_CONFIG.maxRunningJobs,
  'jobs.logs.directory': DEFAULT_CONFIG.jobLogsDirectory,
  'jobs.logs.store': DEFAULT_CONFIG.jobLogsStore,
  'jobs.logs.endpoint': DEFAULT_CONFIG.jobLogsEndpoint,
  'jobs.logs.keep': DEFAULT_CONFIG.jobLogsKeep,
  'jobs.logs.max_mb': DEFAULT_CONFIG.jobLogsMaxMb,
  notifications: null,
  'jobs.max_launching_per_user': DEFAULT_CONFIG.maxLaunchingPerUser,
  'jobs.max_running_per_user': DEFAULT_CONFIG.maxRunningPerUser,
  'jobs.max_hourly_cost': DEFAULT_CONFIG.maxHourlyCost,
};

export function isCarriedOut(path: readonly string[]): boolean {
  if (path[0] === 'workspace') return isCarriedOut(['active_workspace']);
  return Object.keys(CARRIED_OUT).some((key) => key.split('.').every((step, index) => path[index] === step));
}

/** Of one of these names, wherever it stands. */
const SECRET = /^db$|password|token|secret/i;

/** The value as it may be shown. */
export function withoutSecrets(path: readonly string[], value: unknown): unknown {
  if (value === null || value === undefined) return value;
  if (path.some((step) => SECRET.test(step))) return '<redacted>';
  if (Array.isArray(value)) return value.map((item) => withoutSecrets([], item));
  if (!isMap(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, held]) => [key, withoutSecrets([key], held)]));
}
