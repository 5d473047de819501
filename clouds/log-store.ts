/** The store of the output of managed jobs that a configuration names: a directory, or a bucket. */
import { LogBucket } from '../data/log-bucket.ts';
import { LogDirectory } from '../data/log-directory.ts';
import type { LogStore } from '../data/log-store.ts';
import type { Config } from '../model/config/values.ts';
import { logsDirectory } from '../system/home.ts';
import { objectStore } from './registry.ts';

const MB = 1_000_000;

export type LogConfig = Pick<Config, 'jobLogsDirectory' | 'jobLogsStore' | 'jobLogsEndpoint' | 'jobLogsMaxMb'>;

/** A bucket is not asked before it is used. */
export async function openLogStore(home: string, config: LogConfig): Promise<LogStore> {
  const { jobLogsDirectory, jobLogsStore, jobLogsEndpoint, jobLogsMaxMb } = config;
  if (jobLogsStore === null) return new LogDirectory(logsDirectory(home, jobLogsDirectory), jobLogsMaxMb * MB);
  return new LogBucket(await objectStore(jobLogsStore, jobLogsEndpoint), jobLogsMaxMb * MB);
}
