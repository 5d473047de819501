/** How operations end: what the last word of a child, or its silence, makes of the cluster. */
import type { Operation } from './cluster.ts';
import type { Draft } from './cluster-draft.ts';
import { abandonJobs, admitJobs } from './cluster-jobs.ts';
import { forgetNotices } from './cluster-notices.ts';
import { begin, finish, newOperationId, next, retire, startWatching, stopWatching } from './cluster-operations.ts';
import { rayOnNodes, startRay } from './cluster-ray.ts';
import { disksHourlyOf, hourlyOf, standingPlacements, stillUsed } from './cluster-repair.ts';
import { allNodesGone, infraText, resourcesOf } from './cluster-state.ts';
import type { OperationEnded } from './commands.ts';
import { keepDisks, startCost, stopCost } from './cost.ts';
import { assertNever } from './errors.ts';

/** The running operation's child had its last word, or was found dead. */
export function operationEnded(draft: Draft, ended: Omit<OperationEnded, 'generation'>): void {
  const operation = draft.state.operation;
  if (operation === null || operation.id !== ended.opId || operation.child !== ended.child) return;
  switch (operation.kind) {
    case 'launch':
    case 'start':
      bringUpEnded(draft, operation, ended);
      break;
    case 'stop':
      stopEnded(draft, operation, ended);
      break;
    case 'down':
      downEnded(draft, operation, ended);
      break;
    case 'ports':
      portsEnded(draft, operation, ended);
      break;
    default:
      assertNever(operation.kind);
  }
  next(draft);
}

function bringUpEnded(draft: Draft, operation: Operation, ended: Omit<OperationEnded, 'generation'>): void {
  if (ended.stands !== null) {
    stopWatching(draft);
    const { placement, nodes } = ended.stands;
    const added = stillUsed(placement, ended.stands.added ?? []);
    const now = draft.now;
    const before = draft.state.nodes;
    const ports = draft.state.spec?.resources.wants?.ports;
    draft.set({
      placement,
      nodes,
      ...(added.length === 0 && draft.state.added === undefined ? {} : { added }),
      lost: [],
      sessions: 0,
      ...(ports === undefined ? {} : { ports }),
      upAt: now,
      cost: startCost(draft.state.cost, hourlyOf([placement, ...added]), now),
    });
    forgetNotices(draft);
    draft.status('UP');
    finish(draft, operation, ended.outcome, ended.failure);
    admitJobs(draft);
    startWatching(draft);
    rayOnNodes(draft, before);
    proveGone(draft);
    return;
  }
  const failure = ended.failure ?? { kind: 'internal', message: 'The launch ended without a reason.' };
  const overtaken = draft.state.waiting[0];
  finish(draft, operation, ended.outcome, failure);
  if (overtaken?.kind === 'down' || overtaken?.kind === 'stop') return;
  const { status } = draft.state;
  draft.status(status, failure.message);
  if (status === 'UNHEALTHY' || status === 'UP') {
    // Nothing was taken away: what runs goes on, and a new watch tells what the old one saw meanwhile.
    abandonJobs(draft, 'FAILED_DRIVER', failure.message, { which: (job) => job.status === 'INIT' });
    stopWatching(draft);
    startWatching(draft);
    proveGone(draft);
    return;
  }
  abandonJobs(draft, 'FAILED_DRIVER', failure.message);
  if (status === 'INIT' && draft.state.intents.length === 0 && overtaken === undefined) {
    // No placement was recorded, so none was asked for: there is nothing to take down. (A launch that waits begins after a down,
    // so that this one's jobs are seen to end.)
    terminated(draft, failure.message);
  } else if (status === 'INIT') {
    const opId = newOperationId(draft, 'down');
    draft.set({ waiting: [{ kind: 'down', opId, auto: false }, ...draft.state.waiting] });
  } else if (status === 'STOPPED') {
    undoStart(draft);
  }
}

/** Where it failed some may be open already; what is recorded is what was, and the next change or start sets them all. */
function portsEnded(draft: Draft, operation: Operation, ended: Omit<OperationEnded, 'generation'>): void {
  finish(draft, operation, ended.outcome, ended.failure);
  const { spec } = draft.state;
  if (spec === null) return;
  const ports = (ended.outcome === 'succeeded' ? operation.ports : draft.state.ports) ?? [];
  const { resources } = spec;
  draft.set({ ports, spec: { ...spec, resources: { ...resources, wants: { ...resources.wants, ports } } } });
}

/** A start that failed may have left machines running: they are stopped again, and nothing that the user had is ended. */
function undoStart(draft: Draft): void {
  const opId = newOperationId(draft, 'stop');
  begin(draft, 'stop', opId, { progress: 'stopping what a failed start left running' });
  if (draft.state.operation !== null) retire(draft, draft.state.operation);
}

function stopEnded(draft: Draft, operation: Operation, ended: Omit<OperationEnded, 'generation'>): void {
  const { placement, status, statusReason, cost } = draft.state;
  const overtaken = draft.state.waiting[0]?.kind === 'down';
  if (ended.outcome !== 'succeeded' && placement === null && !overtaken) return retireAgain(draft, operation);
  finish(draft, operation, ended.outcome, ended.failure);
  if (ended.outcome === 'succeeded') {
    const byItself = status === 'STOPPED' || (draft.state.nodes.length > 0 && allNodesGone(draft.state));
    const disks = disksHourlyOf(standingPlacements(draft.state));
    draft.set({ cost: keepDisks(cost, disks, draft.now), lost: [], sessions: 0 });
    forgetNotices(draft);
    draft.status('STOPPED', byItself ? statusReason : byRule(operation, 'stopped', ''));
    if (placement === null) draft.set({ intents: [] });
    // A repair that was overtaken may have made machines of which nothing stands.
    else if (!overtaken) proveGone(draft);
    return;
  }
  if (overtaken || placement === null) return;
  const hourly = hourlyOf(standingPlacements(draft.state));
  if (cost.since === null) draft.set({ cost: startCost(cost, hourly, draft.now) });
  draft.status('UNHEALTHY', ended.failure?.message ?? 'stopping was ended early');
  startWatching(draft);
  proveGone(draft);
  // It may have ended while the machines were to stop, when it could not be started again.
  startRay(draft);
}

/** Never given up: machines cost money until they are proved gone. */
function retireAgain(draft: Draft, operation: Operation): void {
  const again: Operation = { ...operation, child: operation.child + 1, progressSince: draft.now };
  draft.set({ operation: again });
  retire(draft, again);
}

function downEnded(draft: Draft, operation: Operation, ended: Omit<OperationEnded, 'generation'>): void {
  if (ended.outcome !== 'succeeded') return retireAgain(draft, operation);
  const reason = draft.state.statusReason;
  finish(draft, operation, 'succeeded', null);
  terminated(draft, byRule(operation, 'ended', reason));
}

/** Why it was done, where no person did it. */
function byRule({ auto, why }: Operation, done: string, otherwise: string): string {
  if (why !== undefined) return `${done}: ${why}`;
  return auto ? `${done} by its autostop rule` : otherwise;
}

function terminated(draft: Draft, reason: string): void {
  const infra = infraText(draft.state.placement);
  draft.set({
    ...(infra === null ? {} : { stood: { resources: resourcesOf(draft.state), infra } }),
    cost: stopCost(draft.state.cost, draft.now),
    placement: null,
    nodes: [],
    ...(draft.state.added === undefined ? {} : { added: [] }),
    intents: [],
    lost: [],
    duties: [],
    sessions: 0,
    autostop: null,
    ...(draft.state.ray == null ? {} : { ray: null }),
    ...(draft.state.ports === undefined ? {} : { ports: [] }),
  });
  forgetNotices(draft);
  draft.status('TERMINATED', reason);
}

/** Placements that do not stand and whose end was not yet seen are followed to it, while the cluster is there. */
function proveGone(draft: Draft): void {
  const { operation, duties } = draft.state;
  // What a launch or a start makes at the moment stands as soon as that has ended.
  if (duties.length > 0 || operation?.kind === 'launch' || operation?.kind === 'start') return;
  const standing = new Set(standingPlacements(draft.state).map(({ key }) => key));
  const left = draft.state.intents.filter(({ key }) => !standing.has(key));
  if (left.length === 0) return;
  const duty = `duty-${draft.state.nextOperation}`;
  draft.set({ nextOperation: draft.state.nextOperation + 1, duties: [...draft.state.duties, duty] });
  draft.effect({ type: 'startRetire', opId: duty, child: 1, mode: 'terminate', placements: left });
}

/** A duty's child closed; what it did not prove is asked for again. */
export function dutyEnded(draft: Draft, duty: string): void {
  if (!draft.state.duties.includes(duty)) return;
  draft.set({ duties: draft.state.duties.filter((id) => id !== duty) });
  if (draft.state.placement !== null && draft.state.operation?.kind !== 'down') proveGone(draft);
}

/** The child of an operation closed without a word. A bring-up fails; what takes machines away is done again. */
export function operationCrashed(draft: Draft): void {
  const operation = draft.state.operation;
  if (operation === null) return;
  const message = `The workflow of ${operation.id} was ended from outside.`;
  if (operation.kind === 'launch' || operation.kind === 'start' || operation.kind === 'ports') {
    operationEnded(draft, {
      opId: operation.id,
      child: operation.child,
      outcome: operation.aborting ? 'aborted' : 'failed',
      failure: { kind: 'internal', message },
      stands: null,
    });
    return;
  }
  if (!operation.aborting) return retireAgain(draft, operation);
  operationEnded(draft, {
    opId: operation.id,
    child: operation.child,
    outcome: 'aborted',
    failure: null,
    stands: null,
  });
}
