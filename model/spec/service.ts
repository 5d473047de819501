/** `service` and `pool`: how many replicas or workers, when they are ready, and how requests are shared among them. */
import { z } from 'zod';
import { attempt, doc, FieldError, field, isMap, jsonValue, mapOf, nested, shown } from './field.ts';
import { amountField, text, textField, wholeField, wordField } from './values.ts';

export interface ReadinessProbe {
  readonly path: string;
  readonly initialDelaySeconds: number;
  readonly timeoutSeconds: number;
  readonly endpointProbeIntervalSeconds: number;
  /** null: the default of services or of pools. */
  readonly consecutiveFailureThresholdTimeout: number | null;
  /** JSON that is sent by POST; null: GET. */
  readonly postData: unknown;
  readonly headers: Readonly<Record<string, string>> | null;
}

export interface ReplicaPolicy {
  readonly minReplicas: number;
  /** null: as many as the least. */
  readonly maxReplicas: number | null;
  readonly numOverprovision: number | null;
  /** Requests a second, or by GPU. */
  readonly targetQpsPerReplica: number | Readonly<Record<string, number>> | null;
  readonly dynamicOndemandFallback: boolean | null;
  readonly baseOndemandFallbackReplicas: number | null;
  readonly spotPlacer: (typeof SPOT_PLACERS)[number] | null;
  readonly upscaleDelaySeconds: number | null;
  readonly downscaleDelaySeconds: number | null;
}

export interface ServiceSpec {
  readonly readinessProbe: ReadinessProbe;
  readonly replicaPolicy: ReplicaPolicy;
  readonly port: number | null;
  readonly loadBalancingPolicy: (typeof POLICIES)[number] | null;
  readonly streamTimeoutSeconds: number;
  readonly tls: { readonly keyfile: string; readonly certfile: string } | null;
}

const POLICIES = ['round_robin', 'least_load', 'instance_aware_least_load'] as const;
const SPOT_PLACERS = ['dynamic_fallback'] as const;
const DEFAULTS = { initialDelay: 1200, timeout: 15, interval: 10, streamTimeout: 120 } as const;

const GPU_KEY = /^[A-Z0-9]+(?::[0-9]+)?$/;

function targetQps(value: unknown): ReplicaPolicy['targetQpsPerReplica'] {
  if (typeof value === 'number' && value >= 0) return value;
  if (!isMap(value)) throw new FieldError(`must be a number from 0, or a map of GPUs to numbers, not ${shown(value)}`);
  for (const [gpu, qps] of Object.entries(value)) {
    if (!GPU_KEY.test(gpu)) throw new FieldError('must be a GPU such as H100 or H100:2', [gpu]);
    if (typeof qps !== 'number' || !(qps >= 0))
      throw new FieldError(`must be a number from 0, not ${shown(qps)}`, [gpu]);
  }
  return value as Record<string, number>;
}

function postData(value: unknown): unknown {
  if (isMap(value)) {
    if (!jsonValue.safeParse(value).success) throw new FieldError('must be JSON; put dates in quotes');
    return value;
  }
  try {
    return JSON.parse(text(value));
  } catch (error) {
    if (error instanceof FieldError) throw error;
    throw new FieldError(`must be JSON, or a map, not ${shown(value)}`);
  }
}

export const probeFields = mapOf({
  path: doc(textField(), 'what is asked; begins with `/`', '(required)'),
  initial_delay_seconds: doc(
    amountField(),
    'time to come up in, before a failure counts',
    String(DEFAULTS.initialDelay),
  ),
  timeout_seconds: doc(amountField(), 'time for an answer', String(DEFAULTS.timeout)),
  endpoint_probe_interval_seconds: doc(amountField(), 'time between two questions', String(DEFAULTS.interval)),
  consecutive_failure_threshold_timeout: doc(
    amountField(),
    'seconds of failures after which a replica is replaced',
    '180',
  ),
  post_data: doc(field({ type: ['string', 'object'] }, postData), 'JSON to ask with, by POST'),
  headers: doc(z.record(z.string(), z.string()), 'a map of names to texts'),
});

export const policyFields = mapOf({
  min_replicas: doc(wholeField(0), 'replicas at least', '(required)'),
  max_replicas: doc(wholeField(0), 'replicas at most; needs `target_qps_per_replica`', '`min_replicas`'),
  num_overprovision: doc(wholeField(0), 'replicas above what is needed', '0'),
  target_qps_per_replica: doc(
    field(
      {
        anyOf: [
          { type: 'number', minimum: 0 },
          { type: 'object', additionalProperties: { type: 'number' } },
        ],
      },
      targetQps,
    ),
    'requests a second that one replica serves: a number, or a map of GPUs to numbers',
  ),
  dynamic_ondemand_fallback: doc(z.boolean(), 'on-demand replicas in place of spot ones that are lost', '`false`'),
  base_ondemand_fallback_replicas: doc(wholeField(0), 'replicas that are always on demand', '0'),
  spot_placer: doc(wordField(SPOT_PLACERS), 'how spot replicas are spread: `dynamic_fallback`'),
  upscale_delay_seconds: doc(amountField(), 'time that the load must last before replicas are added', '300'),
  downscale_delay_seconds: doc(amountField(), 'time before they are taken away', '1200'),
});

const readinessProbe = z
  .unknown()
  .meta({ anyOf: [{ type: 'string' }, { $ref: '#/$defs/readinessProbe' }] })
  .transform((value, ctx): ReadinessProbe => {
    const parsed = nested(ctx, probeFields, typeof value === 'string' ? { path: value } : value);
    if (parsed === null) return z.NEVER;
    return attempt(ctx, () => probeOf(parsed, typeof value === 'string' ? [] : ['path']));
  });

function probeOf(written: z.infer<typeof probeFields>, at: readonly string[]): ReadinessProbe {
  const { path } = written;
  if (path === undefined) throw new FieldError('is missing', ['path']);
  if (!path.startsWith('/')) throw new FieldError(`must begin with "/", not ${shown(path)}`, at);
  return {
    path,
    initialDelaySeconds: written.initial_delay_seconds ?? DEFAULTS.initialDelay,
    timeoutSeconds: written.timeout_seconds ?? DEFAULTS.timeout,
    endpointProbeIntervalSeconds: written.endpoint_probe_interval_seconds ?? DEFAULTS.interval,
    consecutiveFailureThresholdTimeout: written.consecutive_failure_threshold_timeout ?? null,
    postData: written.post_data ?? null,
    headers: written.headers ?? null,
  };
}

export const writtenService = mapOf(
  {
    readiness_probe: doc(
      readinessProbe,
      'path that answers when a replica is ready, or a map of the fields below',
      '`/`',
    ),
    replicas: doc(wholeField(0), 'replicas, a fixed number; not together with `replica_policy`', '1'),
    replica_policy: doc(policyFields, 'a map of the fields below'),
    ports: doc(wholeField(1, 65_535), 'port that the service listens on', 'that of `resources.ports`'),
    load_balancing_policy: doc(
      z.enum(POLICIES),
      '`round_robin`, `least_load`, `instance_aware_least_load`',
      '`least_load`',
    ),
    load_balancer: doc(
      mapOf({
        stream_timeout_seconds: doc(amountField(), 'time that a stream may be silent', String(DEFAULTS.streamTimeout)),
      }),
      'a map of the field below',
    ),
    tls: doc(
      mapOf({
        keyfile: doc(textField(), 'file of the key', '(required)'),
        certfile: doc(textField(), 'file of the certificate', '(required)'),
      }),
      'a map of the fields below',
    ),
  },
  { nulls: 'absent' },
);

export const service = writtenService.transform((written, ctx): ServiceSpec => attempt(ctx, () => serviceOf(written)));

function serviceOf(written: z.infer<typeof writtenService>): ServiceSpec {
  if (written.replicas !== undefined && written.replica_policy !== undefined) {
    throw new FieldError('cannot be given together with "replica_policy"', ['replicas']);
  }
  const replicaPolicy = policyOf(written.replica_policy ?? { min_replicas: written.replicas ?? 1 });
  const loadBalancingPolicy = written.load_balancing_policy ?? null;
  const byGpu = isMap(replicaPolicy.targetQpsPerReplica);
  if (byGpu && loadBalancingPolicy !== 'instance_aware_least_load') {
    throw new FieldError('by GPU needs "load_balancing_policy: instance_aware_least_load"', [
      'replica_policy',
      'target_qps_per_replica',
    ]);
  }
  if (!byGpu && loadBalancingPolicy === 'instance_aware_least_load') {
    throw new FieldError('needs a map of GPUs to numbers as "target_qps_per_replica"', ['load_balancing_policy']);
  }
  const { tls } = written;
  for (const key of ['keyfile', 'certfile'] as const) {
    if (tls !== undefined && tls[key] === undefined) throw new FieldError('is missing', ['tls', key]);
  }
  return {
    readinessProbe: written.readiness_probe ?? probeOf({ path: '/' }, []),
    replicaPolicy,
    port: written.ports ?? null,
    loadBalancingPolicy,
    streamTimeoutSeconds: written.load_balancer?.stream_timeout_seconds ?? DEFAULTS.streamTimeout,
    tls: tls === undefined ? null : { keyfile: tls.keyfile ?? '', certfile: tls.certfile ?? '' },
  };
}

function policyOf(written: z.infer<typeof policyFields>): ReplicaPolicy {
  const { min_replicas: least, max_replicas: most = null, target_qps_per_replica: qps = null } = written;
  const at = (name: string) => ['replica_policy', name];
  if (least === undefined) throw new FieldError('is missing', at('min_replicas'));
  if (most !== null && most < least)
    throw new FieldError(`must be at least min_replicas, ${least}`, at('max_replicas'));
  if (qps !== null && most === null) throw new FieldError('needs "max_replicas"', at('target_qps_per_replica'));
  if (qps === null && most !== null && most !== least) {
    throw new FieldError('differs from min_replicas, so "target_qps_per_replica" is needed', at('max_replicas'));
  }
  return {
    minReplicas: least,
    maxReplicas: most,
    numOverprovision: written.num_overprovision ?? null,
    targetQpsPerReplica: qps,
    dynamicOndemandFallback: written.dynamic_ondemand_fallback ?? null,
    baseOndemandFallbackReplicas: written.base_ondemand_fallback_replicas ?? null,
    spotPlacer: written.spot_placer ?? null,
    upscaleDelaySeconds: written.upscale_delay_seconds ?? null,
    downscaleDelaySeconds: written.downscale_delay_seconds ?? null,
  };
}

function given(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null));
}

export function serviceConfig(spec: ServiceSpec): Record<string, unknown> {
  const { readinessProbe: probe, replicaPolicy: policy } = spec;
  return given({
    readiness_probe: given({
      path: probe.path,
      initial_delay_seconds: probe.initialDelaySeconds,
      timeout_seconds: probe.timeoutSeconds,
      endpoint_probe_interval_seconds: probe.endpointProbeIntervalSeconds,
      consecutive_failure_threshold_timeout: probe.consecutiveFailureThresholdTimeout,
      post_data: isMap(probe.postData) || probe.postData === null ? probe.postData : JSON.stringify(probe.postData),
      headers: probe.headers,
    }),
    replica_policy: given({
      min_replicas: policy.minReplicas,
      max_replicas: policy.maxReplicas,
      num_overprovision: policy.numOverprovision,
      target_qps_per_replica: policy.targetQpsPerReplica,
      dynamic_ondemand_fallback: policy.dynamicOndemandFallback,
      base_ondemand_fallback_replicas: policy.baseOndemandFallbackReplicas,
      spot_placer: policy.spotPlacer,
      upscale_delay_seconds: policy.upscaleDelaySeconds,
      downscale_delay_seconds: policy.downscaleDelaySeconds,
    }),
    ports: spec.port,
    load_balancing_policy: spec.loadBalancingPolicy,
    load_balancer: { stream_timeout_seconds: spec.streamTimeoutSeconds },
    tls: spec.tls,
  });
}
