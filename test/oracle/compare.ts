/** Tasks as both parsers understand them, in one form that can be compared. */
import type { TaskFile } from '../../model/spec/file.ts';
import type { Alternative } from '../../model/spec/resources.ts';
import { alternativeConfig } from '../../model/spec/resources-config.ts';
import { fileMountConfig } from '../../model/spec/storage.ts';
import type { TaskSpec } from '../../model/spec/task.ts';
import { timeSeconds } from '../../model/spec/values.ts';
import { volumes } from '../../model/spec/volumes.ts';

type Json = Record<string, unknown>;

/** What skypilot.py writes. */
export type Answer =
  | { readonly ok: false; readonly error: string }
  | {
      readonly ok: true;
      readonly group: boolean;
      readonly name: string | null;
      readonly header: Json | null;
      readonly tasks: readonly Json[];
    };

function amount(written: unknown): unknown {
  if (typeof written !== 'string') return written ?? null;
  return [Number(written.replace(/\+$/, '')), written.endsWith('+')];
}

function sorted(values: readonly unknown[]): unknown[] {
  return [...new Set(values.map((value) => JSON.stringify(value)))].sort().map((text) => JSON.parse(text));
}

/** Keys in one order, those without a value left out. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([, held]) => held !== undefined && held !== null);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, held]) => [key, plain(held)]));
}

function alternatives(order: unknown, list: readonly unknown[]): unknown {
  const all = list.map(plain);
  const distinct = sorted(all);
  return order === 'ordered' && distinct.length > 1 ? { ordered: all } : distinct;
}

function oursOf(one: Alternative): Json {
  const { accelerators: asked, imageId: image } = one;
  const config = Object.fromEntries(
    Object.entries(alternativeConfig(one)).filter(
      ([key]) => !['image_id', 'infra', 'cloud', 'region', 'zone'].includes(key),
    ),
  );
  return {
    ...config,
    infra:
      [one.cloud, one.region, one.zone]
        .map((part) => part ?? '*')
        .join('/')
        .replace(/(?:\/?\*)+$/, '') || null,
    cpus: one.cpus === null ? null : [one.cpus.count, one.cpus.atLeast],
    memory: one.memory === null ? null : [one.memory.count, one.memory.atLeast],
    accelerators:
      asked?.kind === 'memory'
        ? {
            [`memory/${asked.gib}/${asked.atLeast ? 'at-least' : 'exactly'}/${asked.manufacturer ?? 'any'}`]:
              asked.count,
          }
        : asked === null
          ? null
          : { [asked.name]: asked.count },
    image_id:
      image === null
        ? null
        : {
            ...Object.fromEntries(image.images.map(({ region, image: held }) => [region ?? '', held])),
            docker: image.docker,
          },
  };
}

/** A pool of SSH hosts is named `ssh-<pool>` inside there. */
function region(key: string, { infra }: Json): string {
  return String(infra).startsWith('ssh/') ? key.replace(/^ssh-/, '') : key;
}

function theirsOf(config: Json): Json {
  const { job_recovery: recovery, local_disk: disk, volumes: disks } = config as { [key: string]: Json | undefined };
  const codes = recovery?.recover_on_exit_codes;
  const image = config.image_id as Json | undefined;
  const kept = Object.entries(config).filter(([key]) => !key.startsWith('_'));
  return {
    ...Object.fromEntries(kept),
    image_id:
      image === undefined
        ? null
        : Object.fromEntries(Object.entries(image).map(([key, held]) => [region(key, config), held])),
    cpus: amount(config.cpus),
    memory: amount(config.memory),
    use_spot: config.use_spot === true ? true : null,
    labels: Object.keys((config.labels as Json | undefined) ?? {}).length === 0 ? null : config.labels,
    job_recovery:
      recovery === undefined
        ? null
        : { ...recovery, recover_on_exit_codes: typeof codes === 'number' ? [codes] : codes },
    local_disk:
      typeof disk === 'string'
        ? String(disk).replace(/:(.*?)(\+?)$/, (_, size, plus) => `:${Number(size)}${plus}`)
        : null,
    volumes: Array.isArray(disks) ? disks : null,
  };
}

function service(task: TaskSpec): unknown {
  const { service: spec, pool } = task;
  if (pool !== null) {
    const { minWorkers, maxWorkers, queueLengthThreshold, upscaleDelaySeconds, downscaleDelaySeconds } = pool;
    return plain({
      pool: true,
      min: minWorkers,
      max: maxWorkers,
      queue_length_threshold: queueLengthThreshold,
      upscale_delay_seconds: upscaleDelaySeconds,
      downscale_delay_seconds: downscaleDelaySeconds,
    });
  }
  if (spec === null) return null;
  const { readinessProbe: probe, replicaPolicy: policy } = spec;
  return plain({
    pool: false,
    path: probe.path,
    initial_delay_seconds: probe.initialDelaySeconds,
    timeout_seconds: probe.timeoutSeconds,
    endpoint_probe_interval_seconds: probe.endpointProbeIntervalSeconds,
    consecutive_failure_threshold_timeout: probe.consecutiveFailureThresholdTimeout,
    post_data: probe.postData,
    headers: probe.headers,
    stream_timeout_seconds: spec.streamTimeoutSeconds,
    min: policy.minReplicas,
    max: policy.maxReplicas,
    num_overprovision: policy.numOverprovision,
    target_qps_per_replica: policy.targetQpsPerReplica,
    dynamic_ondemand_fallback: policy.dynamicOndemandFallback,
    base_ondemand_fallback_replicas: policy.baseOndemandFallbackReplicas,
    spot_placer: policy.spotPlacer,
    upscale_delay_seconds: policy.upscaleDelaySeconds,
    downscale_delay_seconds: policy.downscaleDelaySeconds,
    load_balancing_policy: spec.loadBalancingPolicy,
    ports: spec.port === null ? null : String(spec.port),
    tls: spec.tls === null ? null : [spec.tls.keyfile, spec.tls.certfile],
  });
}

function theirService(written: Json | null): unknown {
  if (written === null) return null;
  const { pool, min, max, queue_length_threshold, upscale_delay_seconds, downscale_delay_seconds } = written;
  return plain(
    pool === true
      ? { pool, min, max, queue_length_threshold, upscale_delay_seconds, downscale_delay_seconds }
      : written,
  );
}

export function ourView(file: TaskFile): unknown {
  const tasks = file.kind === 'task' ? [file.task] : file.tasks;
  return {
    header:
      file.kind === 'group'
        ? plain({ primary: file.primaryTasks, delay: file.terminationDelay, connection: file.interConnection })
        : null,
    name: file.kind === 'task' ? null : file.name,
    tasks: tasks.map((task) =>
      plain({
        name: task.name,
        num_nodes: task.numNodes,
        resources: alternatives(task.resources.order, task.resources.alternatives.map(oursOf)),
        workdir: task.workdir?.kind === 'git' ? { url: task.workdir.url, ref: task.workdir.ref } : task.workdir?.path,
        file_mounts: Object.fromEntries(
          Object.entries(task.fileMounts).map(([target, mount]) => [target, fileMountConfig(mount)]),
        ),
        volumes: task.volumes,
        envs: task.envs,
        secrets: task.secrets,
        managed: task.managedSecrets.map(({ name, scope, mountPath }) => [name, scope, mountPath]),
        setup: task.setup,
        run: task.run,
        service: service(task),
        inputs: task.inputs === null ? null : { [task.inputs.uri]: task.inputs.gigabytes },
        outputs: task.outputs === null ? null : { [task.outputs.uri]: task.outputs.gigabytes },
        callback: task.eventCallback,
        config: task.config,
        hooks: task.hooks.map(({ run, events, timeoutSeconds }) => ({ run, events, timeout: timeoutSeconds })),
        api: task.apiServerAccess ?? true,
      }),
    ),
  };
}

export function theirView(answer: Answer & { readonly ok: true }): unknown {
  const { header, group, tasks } = answer;
  const delay = header?.termination_delay;
  const seconds =
    typeof delay === 'object' && delay !== null
      ? Object.fromEntries(Object.entries(delay).map(([name, time]) => [name, timeSeconds(time, 1)]))
      : (delay ?? null) && timeSeconds(delay, 1);
  return {
    header: group
      ? plain({ primary: header?.primary_tasks, delay: seconds, connection: header?.inter_connection })
      : null,
    name: tasks.length === 1 && !group ? null : answer.name,
    tasks: tasks.map((task) => {
      const list = task.resources as Json[];
      return plain({
        name: task.name,
        num_nodes: task.num_nodes,
        resources: alternatives(task.order, list.map(theirsOf)),
        workdir: task.workdir,
        file_mounts: task.file_mounts,
        volumes: volumes.parse(task.volumes ?? {}),
        envs: task.envs ?? {},
        secrets: task.secrets,
        managed: task.managed_secrets,
        setup: task.setup,
        run: task.run,
        service: theirService(task.service as Json | null),
        inputs: task.inputs,
        outputs: task.outputs,
        callback: task.event_callback,
        config: list[0]?._cluster_config_overrides ?? {},
        hooks: (task.config as Json | undefined)?.hooks ?? [],
        api: task.api_server_access ?? true,
      });
    }),
  };
}
