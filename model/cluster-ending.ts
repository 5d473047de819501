/** A stop or a down, by a command or by a rule: done, joined with one that is under way, or not needed. */
import type { CommandAnswer } from './cluster.ts';
import { disposition } from './cluster-commands.ts';
import type { Draft } from './cluster-draft.ts';
import { enqueue, newOperationId, preempt } from './cluster-operations.ts';

/** Answers with the operation that does it already. */
export function join(draft: Draft): Partial<CommandAnswer> {
  return joined(draft.state.waiting.at(-1)?.opId ?? draft.state.operation?.id ?? null);
}

export function joined(opId: string | null): Partial<CommandAnswer> {
  return { operationId: opId, note: `${opId ?? 'That'} is doing that already.` };
}

export function end(draft: Draft, kind: 'stop' | 'down', auto: boolean, why?: string): Partial<CommandAnswer> {
  const what = disposition(draft.state, kind);
  if (what === 'noop') return { note: `Cluster '${draft.state.name}' is stopped already.` };
  if (what === 'join') return join(draft);
  const same = what === 'preempt' ? preempt(draft, kind) : null;
  if (same !== null) return joined(same);
  const opId = newOperationId(draft, kind);
  enqueue(draft, { kind, opId, auto, ...(why === undefined ? {} : { why }) });
  return { operationId: opId };
}
