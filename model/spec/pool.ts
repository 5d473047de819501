/** `pool`: workers that are kept for managed jobs. */
import { attempt, doc, FieldError, mapOf } from './field.ts';
import { amountField, wholeField } from './values.ts';

export interface PoolSpec {
  readonly minWorkers: number;
  /** null: a fixed number. */
  readonly maxWorkers: number | null;
  /** Waiting jobs from which workers are added; null in a fixed pool. */
  readonly queueLengthThreshold: number | null;
  readonly upscaleDelaySeconds: number | null;
  readonly downscaleDelaySeconds: number | null;
}

export const writtenPool = mapOf({
  workers: doc(wholeField(0), 'workers, a fixed number'),
  min_workers: doc(wholeField(0), 'workers at least; needs `max_workers`', '`workers`, or 1'),
  max_workers: doc(wholeField(0), 'workers at most'),
  queue_length_threshold: doc(wholeField(1), 'waiting jobs from which workers are added; needs `max_workers`', '1'),
  upscale_delay_seconds: doc(amountField(), 'time before workers are added; needs `max_workers`'),
  downscale_delay_seconds: doc(amountField(), 'time before they are taken away; needs `max_workers`'),
});

export const pool = writtenPool.transform(
  (written, ctx): PoolSpec =>
    attempt(ctx, () => {
      const { workers, min_workers, max_workers: most = null, queue_length_threshold: threshold } = written;
      if (workers === undefined && min_workers === undefined && most === null) {
        throw new FieldError('must have "workers", or "min_workers" and "max_workers"');
      }
      for (const name of [
        'min_workers',
        'queue_length_threshold',
        'upscale_delay_seconds',
        'downscale_delay_seconds',
      ] as const) {
        if (written[name] !== undefined && most === null) throw new FieldError('needs "max_workers"', [name]);
      }
      const least = min_workers ?? workers ?? 1;
      if (most !== null && most < least)
        throw new FieldError(`must be at least ${least}, the workers at least`, ['max_workers']);
      return {
        minWorkers: least,
        maxWorkers: most,
        queueLengthThreshold: most === null ? null : (threshold ?? 1),
        upscaleDelaySeconds: written.upscale_delay_seconds ?? null,
        downscaleDelaySeconds: written.downscale_delay_seconds ?? null,
      };
    }),
);

export function poolConfig(spec: PoolSpec): Record<string, unknown> {
  const { minWorkers, maxWorkers, queueLengthThreshold, upscaleDelaySeconds, downscaleDelaySeconds } = spec;
  if (maxWorkers === null) return { workers: minWorkers };
  return {
    min_workers: minWorkers,
    max_workers: maxWorkers,
    queue_length_threshold: queueLengthThreshold,
    ...(upscaleDelaySeconds === null ? {} : { upscale_delay_seconds: upscaleDelaySeconds }),
    ...(downscaleDelaySeconds === null ? {} : { downscale_delay_seconds: downscaleDelaySeconds }),
  };
}
