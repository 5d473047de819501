/** Takes what workflows tell: says it in the log, counts it once. */
import { type InjectedSinks, Runtime } from '@temporalio/worker';
import { clusterOf } from '../model/identity.ts';
import { METRICS, meterName } from '../model/metrics.ts';
import type { Log } from '../system/log.ts';
import type { TelemetrySinks } from '../workflows/cluster-telemetry.ts';

/** A task that is carried out again comes soon. */
const REMEMBERED = 10_000;

export function telemetrySinks(log: Log): InjectedSinks<TelemetrySinks> {
  const meter = Runtime.instance().metricMeter;
  const known = new Set<string>();
  const isNew = (key: string): boolean => {
    if (known.has(key)) return false;
    known.add(key);
    const [oldest] = known;
    if (known.size > REMEMBERED && oldest !== undefined) known.delete(oldest);
    return true;
  };
  return {
    styx: {
      tell: {
        callDuringReplay: false,
        fn({ workflowId, runId }, { key, level, text, more, counts, measured }) {
          if (key !== null && !isNew(`${runId} ${key}`)) return;
          log[level]({ cluster: clusterOf(workflowId), workflow: workflowId, run: runId, ...more }, text);
          for (const [name, labels] of counts) {
            meter.createCounter(meterName(METRICS[name]), '', METRICS[name].help).add(1, { ...labels });
          }
          if (measured === undefined) return;
          const [name, seconds, labels] = measured;
          const histogram = meter.createHistogram(meterName(METRICS[name]), 'float', 'seconds', METRICS[name].help);
          histogram.record(seconds, { ...labels });
        },
      },
    },
  };
}
