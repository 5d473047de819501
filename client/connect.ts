/** Where programs begin: `const styx = await connect()`. */
import { userInfo } from 'node:os';
import type { Collected } from '../data/store.ts';
import type { ClusterView } from '../model/commands.ts';
import { type Config, DEFAULT_CONFIG } from '../model/config/values.ts';
import { StyxError } from '../model/errors.ts';
import { nameProblem } from '../model/identity.ts';
import type { JobLimits } from '../model/managed-job.ts';
import type { SweepReport } from '../model/sweep.ts';
import { NORMAL, TEST, type Timing } from '../model/timing.ts';
import type { NodePool } from '../nodes/node.ts';
import { loadConfig } from '../system/config.ts';
import { styxHome } from '../system/home.ts';
import { proxyCommand } from '../system/proxy-command.ts';
import { installationSecret } from '../system/secret.ts';
import { connectConfig, startsWorkers } from '../workers/connection.ts';
import type { TemporalCall } from './calls.ts';
import { CatalogSchedule } from './catalog-schedule.ts';
import { ClusterSchedules } from './cluster-schedules.ts';
import { Clusters } from './clusters.ts';
import { type CostOptions, type CostReport, costReport } from './costs.ts';
import type { Diagnosis } from './doctor.ts';
import { type ManagedLogOptions, type ManagedLogPiece, managedJobLogs } from './job-logs.ts';
import { JobSchedules } from './job-schedules.ts';
import { Jobs, type JobsContext } from './jobs.ts';
import { Link } from './link.ts';
import { jobLogs, type LogOptions, type LogPiece } from './logs.ts';
import { Pipelines } from './pipelines.ts';
import { Pools } from './pools.ts';
import { repeat } from './repeat.ts';
import type { SetUpLog } from './set-up-logs.ts';
import type { SweepOptions } from './sweep.ts';

const COLLECT_MS = 30 * 60_000;

export interface ConnectOptions {
  /** Data directory; default STYX_HOME, else ~/.styx. */
  readonly home?: string;
  /** In place of what configuration files say, which are not read then; what it leaves out has its default. */
  readonly config?: Partial<Config>;
  /** Default: that of the configuration. */
  readonly workspace?: string;
  /** Whose name commands carry; default the operating system's user. */
  readonly user?: string;
  /** Start server and worker when none runs. Default true; never with STYX_WORKERS=elsewhere. */
  readonly startServer?: boolean;
  /** What is being started or waited for. */
  readonly onProgress?: (text: string) => void;
  /** Each call to Temporal when it has ended, for whoever looks for what is slow or wrong. */
  readonly onCall?: (call: TemporalCall) => void;
}

export interface Styx {
  readonly home: string;
  readonly workspace: string;
  readonly user: string;
  readonly clusters: Clusters;
  /** When catalogues are updated by themselves. */
  readonly catalogSchedule: CatalogSchedule;
  readonly jobs: Jobs;
  /** Several managed jobs as one; they are found, listed and cancelled with `jobs`. */
  readonly pipelines: Pipelines;
  readonly pools: Pools;
  /** Clusters that are brought up and taken away at given times. */
  readonly clusterSchedules: ClusterSchedules;
  /** Managed jobs that are submitted at given times. */
  readonly jobSchedules: JobSchedules;
  /** The namespace's UUID. */
  installation(): Promise<string>;
  /** What clusters of all workspaces have cost, ended ones too while the server keeps them. */
  costs(options?: CostOptions): Promise<CostReport>;
  /** What is wrong with this installation, and what to do about it. Changes nothing. */
  doctor(): Promise<Diagnosis>;
  /** What stands at the clouds and is nobody's; removes it when asked to. */
  sweep(options?: SweepOptions): Promise<SweepReport>;
  /** Takes out of the store of files what no job needs; `graceMs` spares what is younger, by default a day. */
  collectFiles(options?: { graceMs?: number }): Promise<Collected>;
  /** A job's output as it comes; see LogOptions. */
  logs(name: string, options?: LogOptions): AsyncIterable<LogPiece>;
  /** What the set-up of the cluster's machines said, by rank; those that needed none are left out. */
  setUpLogs(view: ClusterView): Promise<SetUpLog[]>;
  /** A managed job's output over all its tries, as it comes; see ManagedLogOptions. `id`: of `jobs.find` or `jobs.launch`. */
  jobLogs(id: string, options?: ManagedLogOptions): AsyncIterable<ManagedLogPiece>;
  /** Ends all connections; a process can exit after it. */
  close(): Promise<void>;
}

/** @throws invalid for a bad workspace name or configuration; unreachable, transient when there is no server */
export async function connect(options: ConnectOptions = {}): Promise<Styx> {
  const home = options.home ?? styxHome();
  const config = { ...DEFAULT_CONFIG, ...(options.config ?? (await configOfFiles(home))) };
  const workspace = options.workspace ?? config.workspace;
  const problem = nameProblem(workspace);
  if (problem !== null) throw new StyxError('invalid', `workspace name '${workspace}' ${problem}`);
  if ((options.startServer ?? true) && startsWorkers()) {
    const { ensureServer } = await import('../workers/server.ts');
    await ensureServer({
      env: { ...process.env, STYX_HOME: home },
      ...(options.onProgress === undefined ? {} : { onProgress: options.onProgress }),
    });
  }
  const link = await Link.open(() => connectConfig(home, process.env, config.codec), home, options.onCall);
  const user = options.user ?? userName();
  const { allowedClouds, installConda, budget } = config;
  const timing = timingOf(process.env.STYX_TIMING === 'test' ? TEST : NORMAL, config);
  const clusters = new Clusters({ link, workspace, user, timing, home, allowedClouds, installConda, budget });
  const jobsContext: JobsContext = {
    link,
    workspace,
    user,
    timing,
    home,
    allowedClouds,
    installConda,
    fenceAfter: config.jobSilence * 1_000,
    limits: limitsOf(config),
  };
  const jobs = new Jobs(jobsContext);
  let pool: Promise<NodePool> | undefined;
  async function* clusterLogs(name: string, logOptions: LogOptions): AsyncGenerator<LogPiece, void, void> {
    pool ??= openPool(home);
    const cluster = clusters.followed(name);
    const secretValues = (generation: string, jobId: number) => clusters.secretValues(name, generation, jobId);
    const lifeOfJob = (generation: string, jobId: number) => clusters.lifeOfJob(name, generation, jobId);
    const secret = installationSecret(home);
    yield* jobLogs({ workspace, name, cluster, pool: await pool, secret, secretValues, lifeOfJob }, logOptions);
  }
  /** Where the worker keeps them: its configuration is that of the data directory, and of no project. */
  const logStore = async () => {
    const said = options.config === undefined ? (await loadConfig({ home, project: null })).config : config;
    const { openLogStore } = await import('../clouds/log-store.ts');
    return await openLogStore(home, said);
  };
  return {
    home,
    workspace,
    user,
    clusters,
    catalogSchedule: new CatalogSchedule(link, timing),
    jobs,
    pipelines: new Pipelines(jobsContext, jobs),
    pools: new Pools(jobsContext),
    clusterSchedules: new ClusterSchedules({ link, clusters, workspace, user, timing }),
    jobSchedules: new JobSchedules(link, jobs),
    installation: () => link.installation(),
    costs: (costOptions = {}) => costReport(link, costOptions),
    async doctor() {
      const { examine } = await import('./doctor.ts');
      return await examine(link, home);
    },
    async sweep(sweepOptions = {}) {
      const { sweep } = await import('./sweep.ts');
      return await sweep(link, timing, sweepOptions);
    },
    async collectFiles(collectOptions = {}) {
      const { collectFiles } = await import('../workers/collect-files.ts');
      const installation = await link.installation();
      const collect = () =>
        link.call(Date.now() + COLLECT_MS, (workflow) => collectFiles(workflow, home, installation, collectOptions));
      return await repeat(collect, { budget: 30_000 });
    },
    async setUpLogs(view) {
      pool ??= openPool(home);
      const { setUpLogs } = await import('./set-up-logs.ts');
      return await setUpLogs({ home, pool: await pool, secret: installationSecret(home) }, view);
    },
    logs: (name, logOptions = {}) => clusterLogs(name, logOptions),
    jobLogs: (id, logOptions = {}) => managedJobLogs({ id, store: logStore, jobs, clusterLogs }, logOptions),
    async close() {
      await (await pool)?.close();
      await link.close();
    },
  };
}

function limitsOf(config: Config): JobLimits {
  const { maxLaunchingPerUser, maxRunningPerUser, maxHourlyCost } = config;
  return {
    launching: config.maxLaunchingJobs,
    running: config.maxRunningJobs,
    ...(maxLaunchingPerUser === null ? {} : { userLaunching: maxLaunchingPerUser }),
    ...(maxRunningPerUser === null ? {} : { userRunning: maxRunningPerUser }),
    ...(maxHourlyCost === null ? {} : { hourlyCost: maxHourlyCost }),
  };
}

function timingOf(timing: Timing, { sshTimeout }: Config): Timing {
  return { ...timing, connectTimeout: Math.min(sshTimeout * 1_000, timing.bootstrapBudget) };
}

async function configOfFiles(home: string): Promise<Config> {
  const { config, warning } = await loadConfig({ home });
  if (warning !== null) process.emitWarning(warning);
  return config;
}

async function openPool(home: string): Promise<NodePool> {
  const { createNodePool } = await import('../nodes/pool.ts');
  return createNodePool({ anyAgent: true, proxyOf: (place) => proxyCommand(home, place) });
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return process.env.USER || 'unknown';
  }
}
