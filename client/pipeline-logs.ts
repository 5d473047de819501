/** The output of all tasks of a pipeline, as it comes: of each over all its tries, as that of any managed job. */
import { isManagedEnd } from '../model/managed-job.ts';
import type { TaskView } from '../model/pipeline.ts';
import type { ManagedLogOptions, ManagedLogPiece } from './job-logs.ts';
import { mergeOpening } from './merge.ts';
import type { Pipelines } from './pipelines.ts';

export interface PipelineLogPiece extends ManagedLogPiece {
  /** Whose it is. */
  readonly task: TaskView;
}

export interface PipelineLogOptions extends Omit<ManagedLogOptions, 'onWait' | 'onNote'> {
  readonly onWait?: ((text: string | null, task: TaskView) => void) | undefined;
  readonly onNote?: ((text: string, task: TaskView) => void) | undefined;
}

type JobLogs = (id: string, options: ManagedLogOptions) => AsyncIterable<ManagedLogPiece>;

/** `follow` (the default): all at once, until all have ended. Else task after task, what there is. @throws not-found, transient */
export async function* pipelineLogs(
  id: string,
  { pipelines, jobLogs }: { readonly pipelines: Pipelines; readonly jobLogs: JobLogs },
  options: PipelineLogOptions = {},
): AsyncGenerator<PipelineLogPiece, void, void> {
  const { follow = true, signal } = options;
  const waiting = signal === undefined ? {} : { signal };

  async function* ofTask(task: TaskView): AsyncGenerator<PipelineLogPiece, void, void> {
    const { onWait, onNote, ...reading } = options;
    const told = {
      ...(onWait === undefined ? {} : { onWait: (text: string | null) => onWait(text, task) }),
      ...(onNote === undefined ? {} : { onNote: (text: string) => onNote(text, task) }),
    };
    for await (const piece of jobLogs(task.id ?? '', { ...reading, ...told })) yield { ...piece, task };
  }

  /** Tasks as they begin. */
  async function* begun(): AsyncGenerator<AsyncIterable<PipelineLogPiece>, void, void> {
    const known = new Set<number>();
    for (let over = false; !over; ) {
      const next = await pipelines.until(
        id,
        ({ tasks, status }) => {
          const fresh = tasks.filter((task) => task.id !== null && !known.has(task.index));
          const ended = isManagedEnd(status);
          return fresh.length > 0 || ended ? { fresh, ended } : undefined;
        },
        waiting,
      );
      for (const task of next.fresh) {
        known.add(task.index);
        yield ofTask(task);
      }
      over = next.ended;
    }
  }

  if (follow) return yield* mergeOpening(begun());
  for (const task of (await pipelines.view(id)).tasks) if (task.id !== null) yield* ofTask(task);
}
