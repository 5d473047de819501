/** Fields of a task with values that people write, nearly all of them right. */
import { Mapping } from './emit.ts';
import { type Fields, listOf, type Make, mapOf, oneOf, plain, with_ } from './make.ts';

/** A variable that is put in, in its longer form. */
const DIR = ['$', '{DIR}'].join('');
const YES_NO = oneOf(true, false, plain('yes'), plain('Off'), plain('on'), plain('NO'));
const SCALARS = [
  ...[
    'yes',
    'no',
    'On',
    'off',
    'true',
    'False',
    'y',
    'n',
    '0755',
    '0o17',
    '0x1F',
    '0b101',
    '12:30',
    '1:30.5',
    '3.10',
    '1e3',
  ],
  ...[
    '1.0e+20',
    '.5',
    '5.',
    '1_000',
    '08',
    '+4',
    '-0',
    '0.00001',
    '123456789012345678901234567890',
    'a b',
    'a:b',
    '~user',
  ],
  ...[
    '2024-01-01',
    '2001-12-14t21:59:43.10-05:00',
    '2001-12-14 21:59:43',
    '1.2.3',
    'None',
    '0',
    '1',
    '-1',
    '2.5e-3',
    '1__0',
  ],
];
const scalar: Make = (random) =>
  random.chance(0.7) ? plain(random.pick(SCALARS)) : random.pick(['text', '', '1', 'x y', '$A', 7]);
const texts = oneOf('echo hi', 'a\nb\n', 'x', plain(`echo $A $${'{B}'}`), '');
const sizes = oneOf(100, 256, '500GB', plain('1TB'), '2ti', '100', '1024MB', '300Gi');
const accelerator = oneOf(
  'A100',
  'A100:8',
  'H100:0.5',
  plain('T4:2'),
  '80GB+',
  '80GB',
  '24gb:2',
  'nvidia:80GB:2',
  'amd:64GB+',
  'V100:1.0',
);
const place = {
  infra: oneOf(
    'aws',
    'AWS/us-east-1',
    'gcp/us-central1/us-central1-a',
    plain('k8s/a/b/c'),
    'ssh/pool',
    '*',
    '*/us-east-1',
    'slurm/c/p',
    'kubernetes',
    'aws/*/z',
    'Lambda',
  ),
};
const older = { cloud: oneOf('aws', 'GCP', 'kubernetes'), region: oneOf('us-east-1', 'r'), zone: oneOf('z-1') };
const hook = with_(['run'], {
  run: oneOf('sync', 'x'),
  events: listOf(oneOf('stop', 'down', 'preemption'), 2, 1),
  timeout: oneOf(1, 60),
});

const machine: Fields = {
  cpus: oneOf(4, '4', '4+', plain('0.5'), plain('2+'), ' 3 ', '1e1', 8.0),
  memory: oneOf(16, '32+', '32GB+', plain('512MB'), '1tb', '0.5', '8 GB', '2ki'),
  instance_type: oneOf('m5.large', 'n1-standard-8'),
  use_spot: YES_NO,
  job_recovery: oneOf(
    'failover',
    'EAGER_NEXT_REGION',
    'none',
    Mapping.of({ strategy: null }),
    Mapping.of({ max_restarts_on_errors: 3, recover_on_exit_codes: [1, 33] }),
    Mapping.of({ strategy: 'Failover', recover_on_exit_codes: 7 }),
  ),
  disk_size: sizes,
  disk_tier: oneOf('low', 'HIGH', 'best'),
  network_tier: oneOf('best', 'Standard'),
  local_disk: oneOf('nvme', '1000+', 'ssd:500', 'NVME:300+', '250'),
  max_hourly_cost: oneOf(1, 0.5, plain('3.25')),
  ports: oneOf(8080, '8080', '80-90', [80, '81', '83-85'], '9000, 80', [], '70,71,72', [plain('10022')]),
  labels: oneOf(Mapping.of({ team: 'a' }), Mapping.of({}), Mapping.of({ 'a/b': 'c', d: '' })),
  image_id: oneOf(
    'ami-1',
    'docker:ubuntu',
    ' skypilot:gpu ',
    Mapping.of({ 'us-east-1': 'ami-1', 'us-west-2': 'ami-2' }),
    Mapping.of({ docker: 'docker:u', r: 'ami' }),
    Mapping.of({ docker: 'u' }),
  ),
  accelerator_args: mapOf({
    runtime_version: oneOf('v2'),
    tpu_name: oneOf('t'),
    tpu_vm: YES_NO,
    gcp_queued_resource: YES_NO,
  }),
  autostop: oneOf(
    true,
    false,
    10,
    '10h',
    plain('30'),
    '2d',
    Mapping.of({ idle_minutes: 5 }),
    Mapping.of({ idle_minutes: 0, down: true, wait_for: 'JOBS' }),
    Mapping.of({ hook: 'x', down: true }),
    Mapping.of({ hook: 'y', hook_timeout: 9 }),
    Mapping.of({}),
  ),
  priority: oneOf(0, -1000, 1000, 7),
  priority_class: oneOf('high', ' x ', ''),
  volumes: oneOf(
    [Mapping.of({ path: '/v', name: 'n', disk_size: 10 })],
    [
      Mapping.of({
        path: '/v',
        storage_type: 'instance',
        attach_mode: 'read_only',
        disk_tier: 'low',
        auto_delete: true,
      }),
    ],
    [],
  ),
};
const accelerators: Make = (random) =>
  random.pick([
    accelerator,
    oneOf(
      Mapping.of({ A100: 8 }),
      Mapping.of({ A100: 1, 'H100:2': null }),
      plain('{A100:1, T4}'),
      Mapping.of({ '80GB+': 2 }),
      'tpu-v5litepod-8',
      'tpu-v4-podslice:4',
      'tpu-v6e-1',
    ),
    listOf(accelerator, 3, 1),
  ])(random);
const oneAccelerator = oneOf('A100:2', 'L4', Mapping.of({ H100: 4 }), 'T4:0.5');

const alternative: Make = (random) =>
  mapOf(
    { ...(random.chance(0.7) ? place : older), ...machine, [random.pick(['accelerators', 'gpus'])]: oneAccelerator },
    3,
  )(random);
const resources: Make = (random) => {
  const base = mapOf(
    { ...(random.chance(0.7) ? place : older), ...machine, [random.pick(['accelerators', 'gpus'])]: accelerators },
    5,
  )(random) as Mapping;
  if (random.chance(0.3)) base.entries.push([random.pick(['any_of', 'ordered']), listOf(alternative, 3)(random)]);
  return base;
};

const mountCached = mapOf({
  transfers: oneOf(4),
  buffer_size: oneOf('64M', '1g'),
  vfs_cache_max_size: oneOf('20G'),
  vfs_cache_max_age: oneOf('1h30m', '10s'),
  vfs_read_ahead: oneOf('1M'),
  vfs_read_chunk_size: oneOf('8M'),
  vfs_read_chunk_streams: oneOf(0, 4),
  vfs_write_back: oneOf('5s'),
  read_only: YES_NO,
});
const storage: Make = (random) =>
  random.pick([
    with_(['name'], {
      name: oneOf('bucket', 'b-$A'),
      store: oneOf('s3', 'GCS', 'r2'),
      persistent: YES_NO,
      mode: oneOf('MOUNT', 'mount'),
      config: oneOf(Mapping.of({ mount: Mapping.of({ read_only: true }) })),
    }),
    with_(['name', 'source'], {
      name: oneOf('bucket'),
      source: oneOf('src', ['data.csv', 'src']),
      mode: oneOf('copy', 'MOUNT', 'Mount_Cached'),
      store: oneOf('azure', null),
    }),
    with_(['source'], {
      source: oneOf('s3://b', 'gs://b/', 'https://a.blob.core.windows.net/c', 'hf://m/n/o', 'cos://us/b', 'r2://b'),
      mode: oneOf('MOUNT', 'COPY'),
      persistent: YES_NO,
    }),
    with_(['source', 'mode'], {
      source: oneOf('s3://b'),
      mode: oneOf('MOUNT_CACHED'),
      type: oneOf('dataset_ro', 'MODEL_CHECKPOINT_RW'),
      config: (r) => Mapping.of({ mount_cached: mountCached(r) }),
    }),
    oneOf(Mapping.of({ store: 'volume', name: 'n', config: Mapping.of({ disk_size: 10, storage_type: 'network' }) })),
  ])(random);
const fileMounts: Make = (random) =>
  new Mapping(
    random
      .some(['/a', '~/b', '/c/$A', 'rel', '/d'], 3)
      .map((target) => [
        target,
        random.chance(0.5)
          ? random.pick(['src', 'data.csv', 's3://b/c', 'https://x.y/z', DIR, './src'])
          : storage(random),
      ]),
  );
const volumes: Make = (random) =>
  new Mapping(
    random.some(['/v', '~/w', '/x/$A'], 2).map((target) => [
      target,
      random.pick([
        'vol',
        Mapping.of({ name: 'vol' }),
        Mapping.of({ name: 'vol', sub_path: 'a/b' }),
        Mapping.of({ size: '10Gi' }),
        Mapping.of({ size: 5, type: 'k8s-pvc' }),
        Mapping.of({ size: 5, config: Mapping.of({ access_mode: 'ReadWriteOnce' }) }),
        Mapping.of({
          size: '1TB',
          labels: Mapping.of({ a: 'b' }),
          config: Mapping.of({ access_mode: 'ReadWriteMany' }),
        }),
      ]),
    ]),
  );

const probe = with_(['path'], {
  path: oneOf('/health', '/$A'),
  initial_delay_seconds: oneOf(1, 2.5),
  timeout_seconds: oneOf(9),
  endpoint_probe_interval_seconds: oneOf(10, 4),
  consecutive_failure_threshold_timeout: oneOf(60),
  post_data: oneOf('{"a": 1}', Mapping.of({ m: '$A' }), '[1]'),
  headers: oneOf(Mapping.of({ K: 'v' })),
});
const policy: Make = (random) =>
  random.pick([
    with_(['min_replicas'], {
      min_replicas: oneOf(0, 2),
      num_overprovision: oneOf(1),
      dynamic_ondemand_fallback: YES_NO,
      base_ondemand_fallback_replicas: oneOf(1),
      spot_placer: oneOf('dynamic_fallback'),
    }),
    with_(['min_replicas', 'max_replicas', 'target_qps_per_replica'], {
      min_replicas: oneOf(1, 2),
      max_replicas: oneOf(2, 5),
      target_qps_per_replica: oneOf(1, 0.5),
      upscale_delay_seconds: oneOf(3),
      downscale_delay_seconds: oneOf(4.5),
    }),
    oneOf(
      Mapping.of({ min_replicas: 2, max_replicas: 1 }),
      Mapping.of({ min_replicas: 1, max_replicas: 3 }),
      Mapping.of({ min_replicas: 1, target_qps_per_replica: 1 }),
    ),
  ])(random);
const service: Make = (random) => {
  if (random.chance(0.1)) {
    return Mapping.of({
      load_balancing_policy: random.pick(['instance_aware_least_load', 'round_robin']),
      replica_policy: Mapping.of({
        min_replicas: 1,
        max_replicas: 2,
        target_qps_per_replica: Mapping.of({ 'H100:1': 2 }),
      }),
    });
  }
  const fields: Fields = {
    readiness_probe: (r) => (r.chance(0.4) ? '/ready' : probe(r)),
    ports: oneOf(8080, 1),
    load_balancing_policy: oneOf('round_robin', 'least_load', 'Round_Robin'),
    load_balancer: oneOf(Mapping.of({ stream_timeout_seconds: 9 }), Mapping.of({})),
    tls: oneOf(Mapping.of({ keyfile: 'k', certfile: 'c' })),
  };
  return mapOf({ ...fields, ...(random.chance(0.5) ? { replicas: oneOf(0, 3) } : { replica_policy: policy }) })(random);
};
const pool = oneOf(
  Mapping.of({ workers: 3 }),
  Mapping.of({ min_workers: 1, max_workers: 4 }),
  Mapping.of({ max_workers: 2 }),
  Mapping.of({ workers: 1, max_workers: 3, queue_length_threshold: 2, upscale_delay_seconds: 3 }),
  Mapping.of({ min_workers: 5, max_workers: 4 }),
  Mapping.of({ min_workers: 1 }),
  Mapping.of({}),
  Mapping.of({ workers: 2, upscale_delay_seconds: 1 }),
);
const pods: Fields = {
  pod_config: oneOf(Mapping.of({ spec: Mapping.of({ a: [1, 'b', null] }) })),
  custom_metadata: oneOf(Mapping.of({ labels: Mapping.of({ a: 'b' }) }), Mapping.of({ name: 'x' })),
  provision_timeout: oneOf(10, -1),
};
const config = mapOf({
  docker: oneOf(Mapping.of({ run_options: '-v' }), Mapping.of({ run_options: ['-a', '-b'] })),
  nvidia_gpus: oneOf(Mapping.of({ disable_ecc: true })),
  kubernetes: mapOf(
    {
      ...pods,
      kueue: oneOf(Mapping.of({ local_queue_name: 'q' })),
      dws: oneOf(Mapping.of({ enabled: true, max_run_duration: '1h' })),
      quota: oneOf(Mapping.of({ queue: 'q', other: 1 })),
      remote_identity: oneOf('sa', Mapping.of({ c: 'sa' })),
      enable_docker: oneOf(true, 'ALL', Mapping.of({ mode: 'BUILD' })),
      set_pod_resource_limits: oneOf(true, 2),
    },
    3,
  ),
  ssh: mapOf(pods),
  slurm: oneOf(
    Mapping.of({ sbatch_options: Mapping.of({ a: 'b', c: 1, d: true, e: null }), cpu_partition: 'p' }),
    Mapping.of({ quota: Mapping.of({ account: 'x' }) }),
  ),
  gcp: oneOf(
    Mapping.of({ vpc_name: 'a/b', subnet_names: ['x'] }),
    Mapping.of({ managed_instance_group: Mapping.of({ run_duration: 1 }) }),
    Mapping.of({ vpc_name: null, enable_gvnic: true }),
    Mapping.of({ managed_instance_group: Mapping.of({}) }),
  ),
  azure: oneOf(Mapping.of({ vpc_name: 'v' }), Mapping.of({ remote_identity: [Mapping.of({ a: 'b' })] })),
  vast: oneOf(Mapping.of({ datacenter_only: true, create_instance_kwargs: Mapping.of({ a: 1 }) })),
  active_workspace: oneOf('w'),
  hooks: listOf(hook, 2),
});

export const task: Fields = {
  name: oneOf('train', 'a-b_c.d', '1a', 'x--y', plain('abc')),
  num_nodes: oneOf(1, 2, plain('0x10'), plain('1_0')),
  resources,
  workdir: oneOf(
    'src',
    '.',
    Mapping.of({ url: 'https://g/r.git' }),
    Mapping.of({ url: 'https://g/$A', ref: 'main' }),
    DIR,
  ),
  file_mounts: fileMounts,
  volumes,
  envs: (random) =>
    new Mapping(
      random
        .some(['A', 'B', 'DIR', '_x', 'LONG_NAME'], 4)
        .map((name) => [name, name === 'DIR' ? 'src' : name === 'A' ? random.pick(['a', 'bc', 1]) : scalar(random)]),
    ),
  secrets: (random) =>
    random.chance(0.3)
      ? ['secrets:TOKEN', 'secrets:personal.K']
      : new Mapping(
          random
            .some(['S', 'T', 'secrets:U', 'workspace.W'], 3)
            .map((name) => [name, name === 'S' ? scalar(random) : null]),
        ),
  managed_secrets: oneOf(
    ['X', 'global.Y', Mapping.of({ Z: Mapping.of({ mount_path: '/z' }) })],
    [],
    ['secrets:Q'],
    [Mapping.of({ P: Mapping.of({}) })],
  ),
  setup: texts,
  run: texts,
  service,
  pool,
  inputs: oneOf(Mapping.of({ 's3://in': 10 }), Mapping.of({ 'gs://in': 0.5 })),
  outputs: oneOf(Mapping.of({ 's3://out': 1 })),
  event_callback: oneOf('echo done'),
  config,
  api_server_access: YES_NO,
};
