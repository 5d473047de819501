/** The budget's part of a cluster's transitions: when it is due, what it forbids, and how people see it. */
import type { ClusterState } from './cluster.ts';
import { endsFirst } from './cluster-fit.ts';
import {
  type Budget,
  type BudgetView,
  budgetExceedsAt,
  budgetText,
  type ClusterBudget,
  isSpent,
  NOTHING_SPENT,
  type Spending,
  spending,
  spentText,
} from './cost-budget.ts';
import type { Failure } from './errors.ts';
import type { Placement } from './machines.ts';
import type { Timing } from './timing.ts';

/** What earlier clusters of this name had cost: a budget is about the present one. */
function before(state: Pick<ClusterState, 'earlier'>): Spending {
  return state.earlier ?? NOTHING_SPENT;
}

/** What another cluster of the same name finds spent. */
export function spentEarlier(state: Pick<ClusterState, 'cost'>, now: number): Spending {
  return spending(state.cost, NOTHING_SPENT, now);
}

function isEnding({ operation, waiting }: Pick<ClusterState, 'operation' | 'waiting'>): boolean {
  return [operation, ...waiting].some((one) => one?.kind === 'stop' || one?.kind === 'down');
}

/** The budget that has to be acted on, when it is spent; null: none. */
export function budgetToActOn(state: ClusterState, now: number): ClusterBudget | null {
  const { budget = null, cost } = state;
  if (budget === null || cost.since === null || isEnding(state)) return null;
  if (budget.onExceed === 'notify' && budget.exceeded !== undefined) return null;
  return isSpent(budget, cost, before(state), now) ? budget : null;
}

/** When the budget has to be acted on; null: not while nothing changes. What failed then is tried again after a while. */
export function budgetDueAt(state: ClusterState, timing: Pick<Timing, 'describeOpsEvery'>): number | null {
  const { budget = null, cost, upAt } = state;
  if (budget === null) return null;
  const at = budgetExceedsAt(budget, cost, before(state));
  if (at === null || budgetToActOn(state, at) === null) return null;
  const { exceeded } = budget;
  return exceeded === undefined || exceeded.at < upAt ? at : Math.max(at, exceeded.at + timing.describeOpsEvery);
}

/** What cannot be stopped is ended: a budget is there so that the cost has an end. */
export function budgetAct(
  { placement }: { readonly placement: Pick<Placement, 'noStop'> | null },
  { onExceed }: Budget,
): Budget['onExceed'] {
  return onExceed === 'stop' && placement?.noStop !== undefined ? 'down' : onExceed;
}

/** The budget as found to be spent. */
export function exceededBudget(state: ClusterState, budget: ClusterBudget, now: number): Required<ClusterBudget> {
  return { ...budget, exceeded: { at: now, why: spentText(budget, state.cost, before(state)) } };
}

/** Why machines may not be brought up, or work be given to them, for a budget that would end that at once; null: they may. */
export function budgetProblem(state: ClusterState, asked: Budget | undefined, now: number): Failure | null {
  if (endsFirst(state)) return null;
  const queued = state.waiting.findLast((one) => one.kind === 'launch' && one.budget !== undefined);
  const budget = asked ?? (queued?.kind === 'launch' ? queued.budget : undefined) ?? state.budget ?? null;
  if (budget === null || budget.onExceed === 'notify' || !isSpent(budget, state.cost, before(state), now)) return null;
  return {
    kind: 'refused',
    message: `The budget of cluster '${state.name}' (${budgetText(budget)}) is spent.`,
    hint: `Launch a task with a larger budget on it, or end it: \`styx down ${state.name}\`.`,
  };
}

/** Empty unless there is something that people should see and that nothing else tells. */
export function budgetNotice({ budget, cost }: Pick<ClusterState, 'budget' | 'cost'>): string {
  return budget?.onExceed === 'notify' && cost.since !== null ? (budget.exceeded?.why ?? '') : '';
}

/** Nothing when there is no budget. */
export function budgetView(state: ClusterState): { budget?: BudgetView } {
  const { budget = null, cost } = state;
  if (budget === null) return {};
  const { exceeded = null, ...limits } = budget;
  return { budget: { ...limits, exceedsAt: budgetExceedsAt(budget, cost, before(state)), exceeded } };
}
