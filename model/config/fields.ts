/** Every key of a configuration file: SkyPilot's, and those of Styx alone. */
import { z } from 'zod';
import { nameProblem } from '../identity.ts';
import { autostop } from '../spec/autostop.ts';
import { doc, FieldError, field, shown } from '../spec/field.ts';
import { cloudName } from '../spec/place.ts';
import { writtenResources } from '../spec/resources.ts';
import { budgetField } from '../spec/styx-fields.ts';
import { amountField, flagField, text as textOf, wholeField, wordField } from '../spec/values.ts';
import { cloudSections } from './clouds.ts';
import { flag, free, keys, named, number, said, section, text, textOrTexts, texts, whole } from './forms.ts';
import { jobLogFields } from './job-logs.ts';
import { notifications } from './notifications.ts';

/** SkyPilot lists stores of files among the clouds. */
const STORES = ['cloudflare', 'coreweave', 'vastdata', 'huggingface'];

function allowedCloud(value: unknown): string {
  const name = typeof value === 'string' ? value.toLowerCase() : value;
  return typeof name === 'string' && STORES.includes(name) ? name : cloudName(value);
}

const workspace = field({ type: 'string' }, (value) => {
  const problem = nameProblem(textOf(value));
  if (problem !== null) throw new FieldError(`${shown(value)} ${problem}`);
  return value as string;
});

const controller = section({
  resources: doc(writtenResources, 'its machine'),
  high_availability: doc(flag, 'a deployment that outlives its node'),
  autostop: doc(autostop, 'when it stops'),
  consolidation_mode: doc(flag, 'inside the API server'),
  controller_logs_gc_retention_hours: doc(whole, 'how long its logs are kept'),
  task_logs_gc_retention_hours: doc(whole, 'how long logs of tasks are kept'),
});

const controlled = {
  controller: doc(controller, 'the machine that controls them'),
  bucket: doc(text, 'where local files go'),
  force_disable_cloud_bucket: doc(flag, 'never use a bucket'),
};

const daemon = section({ ...keys(text, 'log_level'), ...keys(number, 'interval_seconds') });
const DAEMONS = [
  ...['skypilot-status-refresh-daemon', 'skypilot-volume-status-refresh-daemon', 'sky-serve-status-refresh-daemon'],
  ...['pool-status-refresh-daemon', 'server-heartbeat-daemon', 'expired-token-cleanup-daemon', 'launch-metrics-daemon'],
].join(' ');

const kueue = section({ ...keys(text, 'local_queue_name'), ...keys(whole, 'admission_timeout') });
const workspaceCloud = section({
  ...keys(flag, 'disabled'),
  ...keys(
    text,
    'profile project_id namespace credentials_file_path tenant_id domain tenancy_ocid region config_profile vpc_name',
  ),
  ...keys(texts, 'capabilities allowed_node_pools'),
  ...keys(textOrTexts, 'allowed_contexts allowed_clusters'),
  ...keys(z.unknown(), 'remote_identity'),
  ...keys(free, 'context_configs cluster_configs sbatch_options quota'),
  ...keys(kueue, 'kueue'),
});
const CLOUDS_OF_WORKSPACES = [
  ...['aws', 'gcp', 'azure', 'kubernetes', 'ssh', 'slurm', 'nebius', 'ibm', 'lambda', 'scp', 'oci', 'runpod', 'vast'],
  ...['vsphere', 'cudo', 'fluidstack', 'paperspace', 'primeintellect', 'do', 'hyperbolic', 'seeweb', 'shadeform'],
  ...['yotta', 'mithril', 'verda', ...STORES],
].join(' ');

/** What the parts of Styx take, so that a wrong value of it is an error in whatever file. */
const taken = {
  allowed_clouds: doc(
    z.array(field({ type: 'string' }, allowedCloud)),
    'clouds that may be used: limits `check`, the plan that is shown, and launches',
    'all',
  ),
  active_workspace: doc(workspace, 'workspace of all commands', '`default`'),
  workspace: doc(workspace, 'another name of `active_workspace`', 'none'),
  codec: doc(
    wordField(['required', 'optional']),
    'Styx alone: `required` or `optional`, what of unsealed messages is taken with a Temporal server of your own',
    '`optional`',
  ),
  sweep: doc(
    section({
      fix: doc(flagField(), 'remove what is nobody’s at the clouds, and do not only report it', '`false`'),
      max: doc(wholeField(1), 'most things that one sweep removes', '10, and at most half of what is seen'),
    }),
    'Styx alone: the sweeps of the server, once an hour',
  ),
  budget: doc(budgetField, 'Styx alone: the `budget` of new clusters whose task has none', 'none'),
  notifications: doc(
    notifications,
    "Styx alone: who is told when a managed job changes its state; those of the worker's data directory count, and of no project",
  ),
  provision: doc(
    section({
      ssh_timeout: doc(wholeField(1), 'seconds that one try to connect to a machine that starts may take', '10'),
      install_conda: doc(flagField(), 'conda on the nodes', '`false`'),
    }),
    'how machines are made ready',
  ),
};

export const takenKeys = section(taken);
export const TAKEN: readonly string[] = Object.keys(taken);

export const configFile = section({
  ...taken,
  workspaces: doc(
    named(
      section({
        ...keys(flag, 'private'),
        ...keys(texts, 'allowed_users'),
        ...keys(text, 'read_access'),
        ...keys(workspaceCloud, CLOUDS_OF_WORKSPACES),
      }),
    ),
    'who may use a workspace, and what of each cloud',
  ),
  workspace_config: doc(section(said(text, { read_access: 'who may read' })), 'defaults of workspaces'),
  admin_policy: doc(text, 'Python path or address of what may change or refuse requests'),
  docker: doc(section({ run_options: doc(textOrTexts, 'options of `docker run`') }), 'containers'),
  nvidia_gpus: doc(section(said(flag, { disable_ecc: 'switch error correction off' })), 'GPUs'),
  jobs: doc(
    section({
      ...controlled,
      max_launching: doc(wholeField(1), 'Styx alone: managed jobs of a workspace that launch at the same time', '16'),
      max_running: doc(wholeField(1), 'Styx alone: those that have machines at the same time', '2000'),
      max_launching_per_user: doc(wholeField(1), 'Styx alone: as `max_launching`, of each user', 'any'),
      max_running_per_user: doc(wholeField(1), 'Styx alone: as `max_running`, of each user', 'any'),
      max_hourly_cost: doc(
        amountField(),
        'Styx alone: dollars; no managed job is launched while the machines of the others cost this much in an hour',
        'any',
      ),
      status_check: doc(
        section({
          min_elapsed_seconds: doc(
            wholeField(1),
            'seconds that a node may be silent before its machines are ended and the job starts elsewhere',
            '300',
          ),
          min_retries: doc(whole, 'and how often'),
        }),
        'when a job counts as lost',
      ),
      logs: doc(jobLogFields, 'Styx alone: the output of jobs'),
    }),
    'managed jobs',
  ),
  serve: doc(section(controlled), 'services'),
  api_server: doc(
    section({
      ...said(text, { endpoint: "address of SkyPilot's server", service_account_token: 'what it is asked with' }),
      ...said(number, {
        requests_retention_hours: 'how long requests are kept',
        logs_retention_hours: 'how long logs are kept',
        cluster_event_retention_hours: 'how long events are kept',
        cluster_debug_event_retention_hours: 'how long events for debugging are kept',
        cluster_terminal_event_retention_hours: 'how long the last events are kept',
        launch_attempt_retention_hours: 'how long tries of launches are kept',
        daemon_log_max_bytes: 'size of logs of daemons',
      }),
    }),
    "SkyPilot's server",
  ),
  db: doc(text, "SkyPilot's database"),
  rbac: doc(
    section({
      default_role: doc(text, '`admin`, `user` or `viewer`'),
      restrict_config_to_admins: doc(flag, 'only admins see the configuration'),
      roles: doc(free, 'what each may'),
    }),
    'rights of users',
  ),
  logs: doc(
    section({
      store: doc(text, '`gcp` or `aws`'),
      gcp: doc(free, 'Cloud Logging'),
      aws: doc(free, 'CloudWatch'),
    }),
    'where logs are sent',
  ),
  daemons: doc(section(keys(daemon, DAEMONS)), "SkyPilot's background work"),
  data: doc(section({ mount_cached: doc(section(keys(flag, 'sequential_upload')), 'mounts with a cache') }), 'buckets'),
  dashboard: doc(section({ external_links: doc(z.array(free), 'links on pages') }), 'the dashboard'),
  metrics: doc(
    section({
      prometheus: doc(section({ ...keys(text, 'namespace service'), ...keys(whole, 'port') }), 'where Prometheus is'),
    }),
    'metrics',
  ),
  ...cloudSections,
  plugins: doc(free, 'plugins of SkyPilot'),
});
