/** The queue of a workspace's managed jobs. Everything comes and goes as signals, of which thousands fit where updates would stop. */
import {
  allHandlersFinished,
  condition,
  continueAsNew,
  patched,
  setCurrentDetails,
  setHandler,
} from '@temporalio/workflow';
import {
  dropFromQueue,
  type JobQueueState,
  newJobQueue,
  parseJobQueue,
  type QueueAnswer,
  type QueueTold,
  refillQueue,
  tellQueue,
  wantsMore,
} from '../model/job-queue.ts';
import { type JobLimits, managedJobId } from '../model/managed-job.ts';
import type { Timing } from '../model/timing.ts';
import { Alarm } from './alarm.ts';
import { isHistoryFull } from './history-full.ts';
import { queueAnswerSignal, queueQuery, tellQueueSignal } from './messages.ts';
import { tell } from './parent.ts';
import { step } from './steps.ts';

export interface QueueInput {
  readonly version: 1;
  readonly workspace: string;
  readonly limits: JobLimits;
  readonly timing: Timing;
  /** JobQueueState of the run before, checked by its schema. */
  readonly state?: unknown;
  /** What the run before had heard and not taken in. */
  readonly inbox?: readonly QueueTold[];
}

const LOOKED_AT = 200;
/** Signals to jobs that are under way at a time: the server lets a workflow have 2,000 of them, and fails its task for one more. */
const PORTION = 400;
/** Characters of what a run hands on to the next as JSON; the server takes 2 MiB, sealed and in base64. */
const CARRIED = 1_000_000;

export async function queue(input: QueueInput): Promise<void> {
  await new Queue(input).run();
}

class Queue {
  private readonly input: QueueInput;
  private state: JobQueueState;
  private readonly inbox: QueueTold[];
  private readonly alarm = new Alarm('look again: what is due in the queue');
  private lookAt: number;
  /** Where the next look at live jobs begins. */
  private looked = 0;

  constructor(input: QueueInput) {
    this.input = input;
    this.state = input.state === undefined ? newJobQueue(input.limits) : parseJobQueue(input.state);
    this.inbox = [...(input.inbox ?? [])];
    this.lookAt = Date.now() + input.timing.describeOpsEvery;
  }

  async run(): Promise<void> {
    setHandler(tellQueueSignal, (told) => {
      this.inbox.push(told);
    });
    setHandler(queueQuery, () => {
      const { waiting, live, more, limits, users } = this.state;
      return { waiting, live, more, limits, users };
    });
    if (this.input.state === undefined) await this.remember();
    for (;;) {
      await this.takeIn();
      if (wantsMore(this.state)) await this.refill();
      if (this.inbox.length > 0) {
        if (this.mayCarry()) await this.continueAsNew();
        continue;
      }
      const { waiting, live } = this.state;
      setCurrentDetails(`${live.length} jobs hold a slot, ${waiting.length}${this.state.more ? '+' : ''} wait`);
      if (this.mustContinueAsNew()) await this.continueAsNew();
      if (live.length > 0) this.alarm.set(this.lookAt);
      await condition(() => this.inbox.length > 0 || this.alarm.rung);
      this.alarm.rung = false;
      if (Date.now() >= this.lookAt) await this.look();
    }
  }

  private async takeIn(): Promise<void> {
    const answers = new Map<string, QueueAnswer>();
    for (const told of this.inbox.splice(0, portion(this.inbox.length))) {
      const next = tellQueue(this.state, told);
      this.state = next.state;
      for (const answer of next.answers) {
        answers.set(answer.id, { ...answer, admitted: answer.admitted || answers.get(answer.id)?.admitted === true });
      }
    }
    await this.answer([...answers.values()]);
  }

  /** Until nobody is left who could be told. */
  private async answer(answers: readonly QueueAnswer[]): Promise<void> {
    for (let open = answers; open.length > 0; ) {
      const closed: string[] = [];
      const left = [...open];
      while (left.length > 0) {
        await Promise.all(
          left.splice(0, portion(left.length)).map(async (answer) => {
            const id = managedJobId(this.input.workspace, answer.id);
            if (!(await tell(id, queueAnswerSignal, answer))) closed.push(answer.id);
          }),
        );
      }
      open = closed.length === 0 ? [] : this.drop(closed);
    }
  }

  private drop(ids: readonly string[]): readonly QueueAnswer[] {
    const next = dropFromQueue(this.state, ids);
    this.state = next.state;
    return next.answers;
  }

  /** Whoever comes after a queue that was ended from outside learns from the lists what it knew. */
  private async remember(): Promise<void> {
    const { workspace, timing } = this.input;
    for (let after = 0; ; ) {
      const found = await step(timing, 'find the jobs that hold a slot').jobRows({ workspace, what: 'live', after });
      this.state = refillQueue(this.state, { ...found, live: true }).state;
      if (!found.more) break;
      after = found.rows.at(-1)?.[0] ?? after;
    }
    this.state = { ...this.state, more: true };
  }

  private async refill(): Promise<void> {
    const { workspace, timing } = this.input;
    const found = await step(timing, 'find jobs that wait').jobRows({ workspace, what: 'waiting', after: 0 });
    const next = refillQueue(this.state, { ...found, live: false });
    this.state = next.state;
    await this.answer(next.answers);
  }

  /** A job that was ended from outside gives back its slot. */
  private async look(): Promise<void> {
    const { workspace, timing } = this.input;
    this.lookAt = Date.now() + timing.describeOpsEvery;
    const ids = this.state.live.map((row) => row[1]);
    if (this.looked >= ids.length) this.looked = 0;
    const some = ids.slice(this.looked, this.looked + LOOKED_AT);
    this.looked += LOOKED_AT;
    if (some.length === 0) return;
    const byWorkflow = new Map(some.map((id) => [managedJobId(workspace, id), id]));
    const found = await step(timing, 'see that jobs which hold a slot run').describe({
      workflowIds: [...byWorkflow.keys()],
    });
    const dead = [...byWorkflow].filter(([workflowId]) => found[workflowId] !== 'running').map(([, id]) => id);
    if (dead.length > 0) await this.answer(this.drop(dead));
  }

  private mustContinueAsNew(): boolean {
    return isHistoryFull(this.input.timing) && allHandlersFinished();
  }

  /** Thousands of jobs that come and go without a pause leave no moment at which all is taken in. */
  private mayCarry(): boolean {
    const fits = () => JSON.stringify([this.state, this.inbox]).length <= CARRIED;
    return this.mustContinueAsNew() && fits() && patched('queue-inbox-carried');
  }

  private async continueAsNew(): Promise<void> {
    const { state, inbox } = this;
    await continueAsNew<typeof queue>({
      ...this.input,
      limits: state.limits,
      state,
      ...(inbox.length === 0 ? {} : { inbox }),
    });
  }
}

/** How many of so many come first. */
function portion(count: number): number {
  return count > PORTION && patched('queue-in-portions') ? PORTION : count;
}
