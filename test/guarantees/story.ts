/** What tests of guarantees do with a world, in few words. */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, vi } from 'vitest';
import { Clusters, type LaunchRequest } from '../../client/clusters.ts';
import type { OperationEnd } from '../../client/follow.ts';
import { Link } from '../../client/link.ts';
import type { ClusterView, CommandAnswer } from '../../model/commands.ts';
import type { JobRow, JobStatus } from '../../model/job.ts';
import type { Timing } from '../../model/timing.ts';
import { connectConfig } from '../../workers/connection.ts';
import type { LocalWorld } from '../harness/local-world.ts';

const UNTIL_MS = 60_000;
/** Of a command, while what carries it out is killed. */
const BUDGET = { budget: 300_000 };

// A machine that is busy with other things is slow, and not wrong.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

/** Resolves with the first answer that is neither false, null nor undefined. @throws when there is none within `ms` */
export async function until<T>(
  what: string,
  look: () => T | Promise<T>,
  ms = UNTIL_MS,
): Promise<Exclude<T, false | null | undefined>> {
  for (const end = Date.now() + ms; ; await sleep(40)) {
    const found = await look();
    if (found !== false && found !== null && found !== undefined) return found as Exclude<T, false | null | undefined>;
    if (Date.now() > end) throw new Error(`not within ${ms} ms: ${what}`);
  }
}

/** A story on one world; with `clusters` of another `Timing` where a test needs one. */
export class Story {
  readonly world: LocalWorld;
  readonly clusters: Clusters;

  constructor(world: LocalWorld, clusters: Clusters) {
    this.world = world;
    this.clusters = clusters;
  }

  /** With a `Timing` of its own for the clusters that it launches. */
  static async timed(world: LocalWorld, timing: Timing): Promise<Story & { close(): Promise<void> }> {
    const link = await Link.open(() => connectConfig(world.home), world.home);
    const story = new Story(
      world,
      new Clusters({ link, workspace: 'default', user: 'tester', timing, home: world.home }),
    );
    return Object.assign(story, { close: () => link.close() });
  }

  launch(name: string, yaml: string, more: Partial<LaunchRequest> = {}): Promise<CommandAnswer> {
    return this.clusters.launch({ name, ...this.world.task(yaml), ...more }, BUDGET);
  }

  exec(name: string, yaml: string): Promise<CommandAnswer> {
    return this.clusters.exec(name, this.world.task(yaml).task, BUDGET);
  }

  /** Launches and waits until the cluster is up; answers the job's id. */
  async up(name: string, yaml: string, more: Partial<LaunchRequest> = {}): Promise<number> {
    const answer = await this.launch(name, yaml, more);
    await this.succeeds(name, answer);
    return answer.jobId ?? 0;
  }

  async down(name: string): Promise<void> {
    await this.succeeds(name, await this.clusters.down(name, BUDGET));
  }

  async stopAndStart(name: string): Promise<void> {
    await this.succeeds(name, await this.clusters.stop(name, BUDGET));
    await this.succeeds(name, await this.clusters.start(name, BUDGET));
  }

  async succeeds(name: string, answer: CommandAnswer): Promise<OperationEnd> {
    const end = await this.clusters.waitOperation(name, answer);
    expect(end.outcome, `${answer.operationId} of ${name}: ${end.operation?.failure?.message}`).toBe('succeeded');
    return end;
  }

  async jobEnds(name: string, id: number | null, status: JobStatus): Promise<JobRow> {
    const job = await this.clusters.waitJob(name, id ?? 0);
    expect(`${job.status} ${job.reason ?? ''}`).toMatch(new RegExp(`^${status} `));
    return job;
  }

  /** The cluster's view, however long a busy machine takes to give it. */
  look(name: string): Promise<ClusterView> {
    return this.clusters.view(name, BUDGET);
  }

  /** Waits until the view of the cluster is as `fits` says. */
  view(name: string, what: string, fits: (view: ClusterView) => boolean, ms?: number): Promise<ClusterView> {
    return until(
      `${name} ${what}`,
      async () => {
        const view = await this.look(name);
        return fits(view) ? view : null;
      },
      ms,
    );
  }

  status(name: string, status: ClusterView['status'], ms?: number): Promise<ClusterView> {
    return this.view(name, `is ${status}`, (view) => view.status === status, ms);
  }

  /** Waits until lists show the cluster so. */
  async listed(name: string, status: ClusterView['status']): Promise<void> {
    await until(`${name} is listed as ${status}`, async () => (await this.clusters.summary(name))?.status === status);
  }

  /** No machine, no process, no cluster, no workflow that still runs. */
  async nothingLeft(): Promise<void> {
    expect(await this.world.machinesLeft()).toEqual([]);
    expect(this.world.processesLeft()).toEqual([]);
    // Lists are some moments behind, on PostgreSQL more than on SQLite.
    await until('no cluster is listed', async () => (await this.clusters.list()).length === 0, 15_000);
  }
}

export function sorted(lines: readonly (string | number)[]): string[] {
  return lines.map(String).toSorted();
}
