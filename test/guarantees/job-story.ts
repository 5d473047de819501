/** What tests of managed jobs do with a world, in few words. */
import { expect } from 'vitest';
import { Clusters } from '../../client/clusters.ts';
import { Jobs, type JobsContext } from '../../client/jobs.ts';
import { Link } from '../../client/link.ts';
import { Pipelines } from '../../client/pipelines.ts';
import type { JobLimits, ManagedJobView, ManagedStatus } from '../../model/managed-job.ts';
import { parseJob } from '../../model/parse-task.ts';
import { resourcesText } from '../../model/resources-text.ts';
import { TEST, type Timing } from '../../model/timing.ts';
import { connectConfig } from '../../workers/connection.ts';
import type { LocalWorld } from '../harness/local-world.ts';
import { Story, until } from './story.ts';

const BUDGET = { budget: 300_000 };

export class JobStory extends Story {
  readonly jobs: Jobs;
  readonly pipelines: Pipelines;
  private readonly link: Link;

  private constructor(world: LocalWorld, link: Link, clusters: Clusters, context: JobsContext) {
    super(world, clusters);
    this.link = link;
    this.jobs = new Jobs(context);
    this.pipelines = new Pipelines(context, this.jobs);
  }

  static async on(
    world: LocalWorld,
    { timing = TEST, fenceAfter = 6_000, limits }: { timing?: Timing; fenceAfter?: number; limits?: JobLimits } = {},
  ): Promise<JobStory> {
    const link = await Link.open(() => connectConfig(world.home), world.home);
    const common = { link, workspace: 'default', user: 'tester', timing, home: world.home };
    const context = { ...common, fenceAfter, ...(limits === undefined ? {} : { limits }) };
    return new JobStory(world, link, new Clusters(common), context);
  }

  async close(): Promise<void> {
    await this.link.close();
  }

  async submit(yaml: string, requestId?: string): Promise<string> {
    const { task, recovery } = parseJob(yaml, { file: 'test.yaml' });
    const request = { task, recovery, resourcesText: resourcesText(task) };
    const { id } = await this.jobs.launch(request, { ...BUDGET, ...(requestId === undefined ? {} : { requestId }) });
    return id;
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
