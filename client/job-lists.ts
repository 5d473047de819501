/** The managed jobs of a workspace as the server lists them, without a worker. */
import type { WorkflowExecutionInfo } from '@temporalio/client';
import { MEMO_KEY, SEARCH } from '../model/commands.ts';
import { foreignReason } from '../model/envelope.ts';
import { isManagedEnd, JOB_KIND, type ManagedJobMemo, type ManagedStatus } from '../model/managed-job.ts';
import { PIPELINE_KIND, taskOf } from '../model/pipeline.ts';
import type { PipelineMemo } from '../model/pipeline-view.ts';
import type { Link } from './link.ts';

/** A job as lists know it. */
export interface JobSummary extends ManagedJobMemo, Partial<Pick<PipelineMemo, 'tasks' | 'primary'>> {
  /** Its workflow. */
  readonly id: string;
  readonly workspace: string;
}

export interface JobListOptions {
  /** Only those that have not ended. Default false. */
  readonly skipFinished?: boolean;
  readonly statuses?: readonly ManagedStatus[];
  readonly user?: string;
  /** Those that this schedule started; an id of Temporal's. */
  readonly schedule?: string;
  /** The newest; default: all. */
  readonly limit?: number;
}

export class JobLists {
  readonly #context: { readonly link: Link; readonly workspace: string };

  constructor(context: { readonly link: Link; readonly workspace: string }) {
    this.#context = context;
  }

  /** The newest first, by number and without a worker; ended ones too while the server keeps them. */
  async list(options: JobListOptions = {}): Promise<JobSummary[]> {
    const { skipFinished = false, statuses = [], user, schedule, limit = Number.POSITIVE_INFINITY } = options;
    const parts = [
      ...(statuses.length === 0 ? [] : [`${SEARCH.status} IN (${statuses.map((status) => `'${status}'`).join(', ')})`]),
      ...(user === undefined ? [] : [`${SEARCH.user} = '${user.replaceAll("'", "''")}'`]),
      ...(schedule === undefined ? [] : [`TemporalScheduledById = '${schedule}'`]),
    ];
    const wanted = (job: JobSummary) => !skipFinished || !isManagedEnd(job.status);
    const read = async (...more: string[]) => await this.where(...parts, ...more);
    const found = limit === Number.POSITIVE_INFINITY ? await read() : await this.#newest(limit, parts, read, wanted);
    return found.filter(wanted).toSorted(newestFirst).slice(0, limit);
  }

  /**
   * Not fewer than the newest `limit`, where there are so many, without reading all: the server cannot sort, so what is read are jobs
   * without a number and those with the highest.
   */
  async #newest(
    limit: number,
    conditions: readonly string[],
    read: (...more: string[]) => Promise<JobSummary[]>,
    wanted: (job: JobSummary) => boolean,
  ): Promise<JobSummary[]> {
    const numbered = (above: number) => `${SEARCH.number} > ${above}`;
    const countAbove = async (above: number) => {
      const query = this.#query(...conditions, numbered(above));
      return (await this.#context.link.read((workflow) => workflow.count(query))).count;
    };
    const unheard = await read(`${SEARCH.number} IS NULL`);
    for (let least = 2 * limit; ; least *= 8) {
      const above = await highestWith(least, countAbove);
      const jobs = await read(numbered(above));
      // Tasks of pipelines are counted with their pipeline, and are no job of a list.
      if (above > 0 && jobs.filter(wanted).length < limit) continue;
      // One may have been given its number meanwhile.
      return [...new Map([...unheard, ...jobs].map((job) => [job.id, job])).values()];
    }
  }

  #query(...conditions: string[]): string {
    const kinds = `${SEARCH.kind} IN ('${JOB_KIND}', '${PIPELINE_KIND}')`;
    const workspace = `${SEARCH.workspace} = '${this.#context.workspace}'`;
    return [kinds, workspace, `ExecutionStatus != 'ContinuedAsNew'`, ...conditions].join(' AND ');
  }

  /** In no order. */
  async where(...conditions: string[]): Promise<JobSummary[]> {
    const query = this.#query(...conditions);
    return await this.#context.link.read(async (workflow) => {
      const found: JobSummary[] = [];
      for await (const info of workflow.list({ query, pageSize: 1_000 })) {
        const job = whole(info);
        if (job !== null) found.push(job);
      }
      return found;
    });
  }
}

/** By number. Those that the queue has not heard of yet come first, and those that ended before it had, last. */
function newestFirst(a: JobSummary, b: JobSummary): number {
  const rank = ({ number, status }: JobSummary) => number ?? (isManagedEnd(status) ? 0 : Number.MAX_SAFE_INTEGER);
  return rank(b) - rank(a) || b.submittedAt - a.submittedAt;
}

/** Of a job by itself, or of a pipeline: not of a task of one. */
function whole(info: Pick<WorkflowExecutionInfo, 'workflowId' | 'memo' | 'startTime'>): JobSummary | null {
  return taskOf(info.workflowId) === null ? summaryOf(info) : null;
}

/** A number above which there are `least`, and not many more; 0 when there are fewer than that in all. */
async function highestWith(least: number, countAbove: (number: number) => Promise<number>): Promise<number> {
  let [low, high] = [0, 2 * least];
  while ((await countAbove(high)) >= least) [low, high] = [high, high * 2];
  while (high - low > 2 * least) {
    const middle = Math.floor((low + high) / 2);
    if ((await countAbove(middle)) >= least) low = middle;
    else high = middle;
  }
  return low;
}

export function summaryOf(info: Pick<WorkflowExecutionInfo, 'workflowId' | 'memo' | 'startTime'>): JobSummary | null {
  const memo = info.memo?.[MEMO_KEY] as ManagedJobMemo | undefined;
  const [kind, workspace] = info.workflowId.split('/');
  if (kind !== 'job' || workspace === undefined) return null;
  if (memo === undefined || memo === null || foreignReason(memo) !== null) return null;
  // A schedule gives all its jobs the same memo; each writes its own once a worker has it.
  const submittedAt = memo.submittedAt || info.startTime.getTime();
  return { ...memo, submittedAt, id: info.workflowId, workspace };
}
