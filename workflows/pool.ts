/**
 * A pool of workers for managed jobs, from its first `apply` to the end of its last worker. Commands are updates that change the state at
 * once; jobs and clusters speak by signals. One pure function turns all of it into the next state and things to do.
 */
import {
  allHandlersFinished,
  condition,
  continueAsNew,
  setCurrentDetails,
  setHandler,
  upsertMemo,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import { FILES_MEMO, MEMO_KEY, SEARCH } from '../model/commands.ts';
import { type Failure, StyxError } from '../model/errors.ts';
import {
  type ApplyPoolCommand,
  POOL_KIND,
  type PoolAnswer,
  type PoolInput,
  type PoolRules,
  type PoolState,
  poolLife,
} from '../model/pool.ts';
import type { PoolEffect } from '../model/pool-draft.ts';
import { parsePoolState, validateApply } from '../model/pool-schema.ts';
import { applyPoolChange, isPoolOver, newPool, type PoolChange, poolDueAt } from '../model/pool-transition.ts';
import { poolDetails, poolMemo, poolView } from '../model/pool-view.ts';
import { manifestsOf } from '../model/task-files.ts';
import { Alarm } from './alarm.ts';
import { refuse } from './failures.ts';
import { isHistoryFull } from './history-full.ts';
import { applyPool, clusterReportSignal, downPool, poolQuery, tellPoolSignal } from './messages.ts';
import { PoolEffects } from './pool-effects.ts';

interface RunInput extends PoolInput {
  /** What the run before it had decided and not yet carried out. */
  readonly outbox?: readonly PoolEffect[];
}

export async function pool(input: RunInput): Promise<void> {
  await new Pool(input).run();
}

class Pool {
  private readonly input: RunInput;
  private readonly rules: PoolRules;
  private readonly effects: PoolEffects;
  private readonly outbox: PoolEffect[];
  private readonly alarm = new Alarm('look again: what is due of the pool');
  /** Null until the first `apply`. */
  private state: PoolState | null;
  private changes = 0;
  private changedAt = Date.now();
  private shown = { memo: '', search: '' };
  /** When workers and jobs are looked at in case a word got lost. */
  private lookAt: number;

  constructor(input: RunInput) {
    this.input = input;
    const { workflowId, firstExecutionRunId } = workflowInfo();
    const { fenceAfter, timing } = input;
    this.rules = { life: poolLife(workflowId, firstExecutionRunId), fenceAfter, timing };
    this.state = input.state === undefined ? null : parsePoolState(input.state);
    this.outbox = [...(input.outbox ?? [])];
    this.lookAt = Date.now() + timing.describeOpsEvery;
    this.effects = new PoolEffects(input, (change) => this.apply(change));
  }

  async run(): Promise<void> {
    this.listen();
    // The command that started this workflow comes with its first task; when it was refused there is nothing to be.
    for (let turn = 0; turn < 50 && this.state === null; turn++) await Promise.resolve();
    for (let state = this.state; state !== null; state = this.state) {
      this.show(state);
      await this.carryOut();
      this.show(this.state ?? state);
      if (this.over()) return;
      if (this.mustContinueAsNew()) await this.continueAsNew();
      else await this.nextChange();
    }
  }

  private over(): boolean {
    if (this.state === null || !isPoolOver(this.state)) return false;
    return this.outbox.length === 0 && this.effects.idle && allHandlersFinished();
  }

  private listen(): void {
    setHandler(poolQuery, () => {
      if (this.state === null) throw new StyxError('not-found', 'the pool was never applied');
      return poolView(this.input, this.state, Date.now());
    });
    setHandler(applyPool, (command) => this.answered({ type: 'apply', command }), {
      validator: (command) => {
        const problem = this.applyProblem(command);
        if (problem !== null) throw refuse(problem);
      },
    });
    setHandler(downPool, (command) => this.answered({ type: 'down', command }), {
      validator: (_command) => {
        if (this.state === null) throw refuse({ kind: 'not-found', message: 'The pool was never applied.' });
      },
    });
    setHandler(tellPoolSignal, (told) => this.apply({ type: 'told', told }));
    setHandler(clusterReportSignal, (report) => this.apply({ type: 'report', report }));
  }

  private applyProblem(command: ApplyPoolCommand): Failure | null {
    const { name } = this.input;
    try {
      validateApply(command);
    } catch (error) {
      if (error instanceof StyxError) return error.toFailure();
      throw error;
    }
    if (this.state === null && command.workers === null) {
      return {
        kind: 'not-found',
        message: `Pool '${name}' does not exist.`,
        hint: 'Apply a file that has a `pool` section.',
      };
    }
    if (this.state?.ending == null) return null;
    return {
      kind: 'refused',
      message: `Pool '${name}' is being taken down.`,
      hint: `Apply it again when \`styx jobs pool status ${name}\` shows it no more.`,
    };
  }

  private answered(change: Extract<PoolChange, { type: 'apply' | 'down' }>): PoolAnswer {
    if (this.state === null && change.type === 'apply') this.state = newPool(change.command, Date.now());
    this.apply(change);
    const { requestId } = change.command;
    return this.state?.requests.find(({ id }) => id === requestId)?.answer ?? { version: 0, note: '' };
  }

  private apply(change: PoolChange): void {
    if (this.state === null) return;
    const { state, effects } = applyPoolChange(this.state, change, this.rules, Date.now());
    this.state = state;
    this.changedAt = Date.now();
    this.outbox.push(...effects);
    this.changes += 1;
  }

  private async carryOut(): Promise<void> {
    for (let next = this.outbox.shift(); next !== undefined; next = this.outbox.shift()) {
      // Nobody is there who would say what came of it.
      if (!(await this.effects.carryOut(next))) this.lookAt = Date.now();
    }
  }

  /** Sleeps until a message or the alarm, and does what the alarm is for. */
  private async nextChange(): Promise<void> {
    const seen = this.changes;
    const dueAt = this.state === null ? null : poolDueAt(this.state, this.rules, this.changedAt);
    this.alarm.set(Math.min(this.lookAt, dueAt ?? this.lookAt));
    await condition(() => this.changes !== seen || this.outbox.length > 0 || this.alarm.rung);
    this.alarm.rung = false;
    const now = Date.now();
    if (dueAt !== null && now >= dueAt) this.apply({ type: 'due' });
    if (this.state === null || now < this.lookAt || this.outbox.length > 0) return;
    this.lookAt = now + this.input.timing.describeOpsEvery;
    this.effects.look(this.state);
  }

  private mustContinueAsNew(): boolean {
    return isHistoryFull(this.input.timing) && this.effects.idle && allHandlersFinished();
  }

  private async continueAsNew(): Promise<void> {
    const { state: _state, outbox: _outbox, ...input } = this.input;
    const outbox = this.outbox.length === 0 ? {} : { outbox: this.outbox };
    await continueAsNew<typeof pool>({ ...input, state: this.state, ...outbox });
  }

  /** Brings lists and the Web UI up to date; only what changed is written. */
  private show(state: PoolState): void {
    const { input } = this;
    const now = Date.now();
    const memo = poolMemo(input, state, now);
    const files = manifestsOf(state.current.task);
    const memoText = JSON.stringify({ ...memo, cost: 0, files });
    if (memoText !== this.shown.memo) {
      this.shown.memo = memoText;
      upsertMemo({ [MEMO_KEY]: memo, [FILES_MEMO]: files });
    }
    const search = {
      [SEARCH.kind]: [POOL_KIND],
      [SEARCH.name]: [input.name],
      [SEARCH.workspace]: [input.workspace],
      [SEARCH.user]: [input.user],
      [SEARCH.status]: [memo.status],
      [SEARCH.installation]: [input.installation],
    };
    const searchText = JSON.stringify(search);
    if (searchText !== this.shown.search) {
      this.shown.search = searchText;
      upsertSearchAttributes(search);
    }
    setCurrentDetails(poolDetails(input, state, now));
  }
}
