/** What the SDK says goes where Styx' own words go, by the same names. */
import {
  DefaultLogger,
  type LogEntry,
  makeTelemetryFilterString,
  Runtime,
  type RuntimeOptions,
} from '@temporalio/worker';
import { clusterOf } from '../model/identity.ts';
import type { Log } from '../system/log.ts';
import type { LogLevel } from '../system/log-levels.ts';

export type MetricsOptions = NonNullable<NonNullable<RuntimeOptions['telemetryOptions']>['metrics']>;

/** Before any connection, once a process. @throws when the address of the metrics is taken; it may be called again then */
export function installRuntime(log: Log, metrics: MetricsOptions | null): void {
  const core = log.isLevelEnabled('trace') ? 'DEBUG' : log.isLevelEnabled('debug') ? 'INFO' : 'WARN';
  Runtime.install({
    logger: new DefaultLogger(log.level.toUpperCase() as LogEntry['level'], (entry) => writeEntry(log, entry)),
    shutdownSignals: [],
    telemetryOptions: {
      logging: { forward: {}, filter: makeTelemetryFilterString({ core, other: 'ERROR' }) },
      ...(metrics === null ? {} : { metrics }),
    },
  });
}

/** Without what a worker of one kind says about the kinds of tasks that it does not serve. */
function writeEntry(log: Log, { level, message, meta = {} }: LogEntry): void {
  if (/^No .* registered, not polling/.test(message)) return;
  log[level.toLowerCase() as LogLevel](named(meta), message);
}

/** What is the same in every line is left out. */
function named(meta: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { sdkComponent, namespace, isLocal, taskQueue, workflowType, activityId, taskToken, updateId, ...kept } = meta;
  const { workflowId, runId, activityType, attempt, ...rest } = kept;
  const cluster = typeof workflowId === 'string' ? clusterOf(workflowId) : null;
  return {
    ...(cluster === null ? {} : { cluster }),
    ...(workflowId === undefined ? {} : { workflow: workflowId, run: runId }),
    ...(activityType === undefined ? {} : { activity: activityType }),
    ...(attempt === undefined || attempt === 1 ? {} : { attempt }),
    ...rest,
  };
}
