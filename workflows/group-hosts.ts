/** The host names of a job's group: asked for as soon as its machines are known, in place before its `run`, renewed while it runs. */
import { CancellationScope, condition, workflowInfo } from '@temporalio/workflow';
import type { GroupHosts, GroupSeat } from '../model/group-hosts.ts';
import type { RunJob } from '../model/job-messages.ts';
import { failureOf } from './failures.ts';
import type { JobInput } from './job.ts';
import { early } from './job-phase.ts';
import type { JobEnd, JobProgress } from './job-progress.ts';
import { groupNodesSignal } from './messages.ts';
import { tell } from './parent.ts';
import { step } from './steps.ts';

export class GroupNames {
  private readonly input: JobInput;
  private readonly progress: JobProgress;
  private readonly run: RunJob;
  private readonly scope = new CancellationScope();
  /** Version of the names that are in place; 0: none. */
  private placed = 0;
  private problem: string | null = null;

  private constructor(input: JobInput, progress: JobProgress, run: RunJob) {
    this.input = input;
    this.progress = progress;
    this.run = run;
  }

  /** Says where the job's machines are, and puts names there when they come, until `end`. Null: it is in no group with names. */
  static async ask(input: JobInput, progress: JobProgress, run: RunJob): Promise<GroupNames | null> {
    const { group } = input.task;
    if (group === undefined) return null;
    const names = new GroupNames(input, progress, run);
    await names.announce(group);
    void names.scope.run(() => names.renew()).catch(() => undefined);
    return names;
  }

  /** Null when all names are in place, else how the job ends. */
  async ready(deadline: number | null): Promise<JobEnd | null> {
    const settled = () => this.placed > 0 || this.problem !== null || this.progress.interrupted();
    if (deadline === null) await condition(settled);
    else await condition(settled, Math.max(1, deadline - Date.now()), { summary: 'max_duration' });
    if (this.progress.interrupted()) return await early(this.input, this.progress);
    if (this.placed > 0) return null;
    if (this.problem !== null) {
      const reason = `the host names of its group could not be put in place: ${this.problem}`;
      return { status: 'FAILED_DRIVER', reason, exitCodes: null };
    }
    const { maxDuration } = this.input.task;
    const reason = `ran longer than its max_duration of ${maxDuration} s, while it waited for the machines of its group`;
    return { status: 'FAILED', reason, exitCodes: null };
  }

  end(): void {
    this.scope.cancel();
  }

  private async announce({ pipeline, task, copy }: GroupSeat): Promise<void> {
    const addresses = this.run.nodes.map(({ internalAddress }) => internalAddress);
    await tell(pipeline, groupNodesSignal, { task, copy, job: workflowInfo().workflowId, addresses });
  }

  private async renew(): Promise<never> {
    for (let seen = 0; ; ) {
      await condition(() => (this.progress.hosts?.version ?? 0) > seen);
      const hosts = this.progress.hosts as GroupHosts;
      seen = hosts.version;
      try {
        await this.put(hosts);
        this.placed = seen;
        this.problem = null;
      } catch (error) {
        if (this.scope.consideredCancelled) throw error;
        this.problem = failureOf(error).message;
      }
    }
  }

  private async put(hosts: GroupHosts): Promise<void> {
    const { cluster, timing, jobId } = this.input;
    const what = `put the host names of the group of job ${jobId} on ${this.run.nodes.length} nodes`;
    await step(timing, what).putHosts({ cluster, nodes: this.run.nodes, place: this.run.clusterInfo, hosts });
  }
}
