/** What tests of managed jobs do with a world, in few words. */
import { expect } from 'vitest';
import { Clusters } from '../../client/clusters.ts';
import { JobSchedules } from '../../client/job-schedules.ts';
import { type JobRequest, Jobs } from '../../client/jobs.ts';
import { Link } from '../../client/link.ts';
import { Pipelines } from '../../client/pipelines.ts';
import { Pools } from '../../client/pools.ts';
import type { JobLimits, ManagedJobView, ManagedStatus } from '../../model/managed-job.ts';
import { parseJob, parsePool, parsePooledJob } from '../../model/parse-task.ts';
import type { PoolAnswer, PoolView } from '../../model/pool.ts';
import { resourcesText } from '../../model/resources-text.ts';
import { TEST, type Timing } from '../../model/timing.ts';
import { connectConfig } from '../../workers/connection.ts';
import type { LocalWorld } from '../harness/local-world.ts';
import { Story, until } from './story.ts';

const BUDGET = { budget: 300_000 };

export class JobStory extends Story {
  readonly jobs: Jobs;
  readonly pipelines: Pipelines;
  readonly pools: Pools;
  readonly schedules: JobSchedules;
  private readonly link: Link;

  private constructor(
    world: LocalWorld,
    link: Link,
    clusters: Clusters,
    jobs: Jobs,
    pipelines: Pipelines,
    pools: Pools,
  ) {
    super(world, clusters);
    this.link = link;
    this.jobs = jobs;
    this.pipelines = pipelines;
    this.pools = pools;
    this.schedules = new JobSchedules(link, jobs);
  }

  static async on(
    world: LocalWorld,
    { timing = TEST, fenceAfter = 6_000, limits }: { timing?: Timing; fenceAfter?: number; limits?: JobLimits } = {},
  ): Promise<JobStory> {
    const link = await Link.open(() => connectConfig(world.home), world.home);
    const common = { link, workspace: 'default', user: 'tester', timing, home: world.home };
    const context = { ...common, fenceAfter, ...(limits === undefined ? {} : { limits }) };
    const jobs = new Jobs(context);
    return new JobStory(world, link, new Clusters(common), jobs, new Pipelines(context, jobs), new Pools(context));
  }

  async close(): Promise<void> {
    await this.link.close();
  }

  request(yaml: string): JobRequest {
    const { task, recovery } = parseJob(yaml, { file: 'test.yaml' });
    return { task, recovery, resourcesText: resourcesText(task) };
  }

  async submit(yaml: string, requestId?: string): Promise<string> {
    const { id } = await this.jobs.launch(this.request(yaml), {
      ...BUDGET,
      ...(requestId === undefined ? {} : { requestId }),
    });
    return id;
  }

  /** On a worker of a pool. */
  async submitTo(pool: string, yaml: string): Promise<string> {
    const { task, recovery } = parsePooledJob(yaml, { file: 'test.yaml' });
    return (await this.jobs.launch({ task, recovery, pool, resourcesText: resourcesText(task) }, BUDGET)).id;
  }

  async apply(name: string, yaml: string): Promise<PoolAnswer> {
    const { task, pool } = parsePool(yaml, { file: 'pool.yaml' });
    return await this.pools.apply({ name, size: pool, workers: { task, resourcesText: resourcesText(task) } }, BUDGET);
  }

  /** Waits until the pool is as `fits` says. */
  pool(name: string, what: string, fits: (view: PoolView) => boolean, ms = 150_000): Promise<PoolView> {
    return until(
      `pool ${name} ${what}`,
      async () => {
        const view = await this.pools.view(name, BUDGET);
        return fits(view) ? view : null;
      },
      ms,
    );
  }

  /** Takes it down, and waits until it is gone. */
  async poolGone(name: string): Promise<void> {
    await this.pools.down(name, BUDGET);
    await until(
      `pool ${name} is gone`,
      async () => !(await this.pools.list()).some((pool) => pool.name === name),
      150_000,
    );
  }

  /** Waits until the job is as `fits` says. */
  job(id: string, what: string, fits: (view: ManagedJobView) => boolean, ms = 90_000): Promise<ManagedJobView> {
    return until(
      `${id} ${what}`,
      async () => {
        const view = await this.jobs.view(id, BUDGET);
        return fits(view) ? view : null;
      },
      ms,
    );
  }

  is(id: string, status: ManagedStatus): Promise<ManagedJobView> {
    return this.job(id, `is ${status}`, (view) => view.status === status);
  }

  /** Waits until its life says so. */
  async told(id: string, text: string): Promise<void> {
    await this.job(id, `says "${text}"`, ({ events }) => events.some((event) => event.text.includes(text)));
  }

  /** Markets of the copies that had machines. */
  stood({ past, events }: ManagedJobView): (string | null)[] {
    const had = past.filter(({ number }) => events.some(({ text }) => text.startsWith(`copy ${number} stands`)));
    return had.map(({ market }) => market);
  }

  /** Ends so, and its machines are gone. */
  async ends(id: string, status: ManagedStatus): Promise<ManagedJobView> {
    const view = await this.jobs.wait(id, { gone: true });
    expect(`${view.status} ${view.reason}`, JSON.stringify(view.events)).toMatch(new RegExp(`^${status} `));
    return view;
  }

  /** The machines of its present copy. */
  async machine(id: string): Promise<string> {
    const { copy } = await this.jobs.view(id, BUDGET);
    const view = await this.look(copy?.cluster ?? '');
    return view.nodes[0]?.instanceId ?? '';
  }

  override async nothingLeft(): Promise<void> {
    expect(await this.world.machinesLeft()).toEqual([]);
    expect(this.world.processesLeft()).toEqual([]);
    await until('no cluster is listed', async () => (await this.clusters.list([], { managed: true })).length === 0);
  }
}
