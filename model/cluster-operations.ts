/** Operations begin and give way here: what changes which machines there are. One runs at a time. */
import type { ClusterSpec, Operation, OperationKind, Waiting } from './cluster.ts';
import { spentEarlier } from './cluster-budget.ts';
import type { Draft } from './cluster-draft.ts';
import { abandonJobs, submitJob } from './cluster-jobs.ts';
import { leaveRay, rayProblem, wantRay } from './cluster-ray.ts';
import { standingPlacements } from './cluster-repair.ts';
import { allNodesGone } from './cluster-state.ts';
import { assertNever, type Failure } from './errors.ts';
import { closedPorts, joinPorts, withoutPorts } from './machine-wants.ts';
import { stopProblem } from './unstoppable.ts';

export function newOperationId(draft: Draft, kind: OperationKind): string {
  const number = draft.state.nextOperation;
  draft.set({ nextOperation: number + 1 });
  return `${kind}-${number}`;
}

export function begin(
  draft: Draft,
  kind: OperationKind,
  opId: string,
  options: Pick<Operation, 'progress' | 'ports' | 'retryUntil'> & {
    auto?: boolean;
    why?: string | undefined;
    retryUntilUp?: boolean;
  },
): void {
  const operation: Operation = {
    id: opId,
    kind,
    since: draft.now,
    endedAt: null,
    outcome: null,
    failure: null,
    progress: options.progress,
    progressSince: draft.now,
    auto: options.auto ?? false,
    ...(options.why === undefined ? {} : { why: options.why }),
    child: 1,
    aborting: false,
    ...retries({ retryUntilUp: false, ...options }),
    ...(options.ports === undefined ? {} : { ports: options.ports }),
  };
  draft.set({ operation });
}

/** Records the end of an operation that never needed a child, or whose child had its last word. */
export function finish(
  draft: Draft,
  operation: Operation,
  outcome: 'succeeded' | 'failed' | 'aborted',
  failure: Failure | null,
): void {
  const ended: Operation = { ...operation, endedAt: draft.now, outcome, failure };
  draft.set({ operation: null, operations: [...draft.state.operations, ended] });
}

function finishAtOnce(
  draft: Draft,
  kind: OperationKind,
  opId: string,
  outcome: 'succeeded' | 'failed' | 'aborted',
  failure: Failure | null,
): void {
  begin(draft, kind, opId, { progress: '' });
  if (draft.state.operation !== null) finish(draft, draft.state.operation, outcome, failure);
}

/**
 * Takes back what waits and ends what runs early, because a stop or a down comes. A down always wins: it is neither taken back nor
 * ended early. Answers with the operation that does the same, or more, already; null: none does.
 */
export function preempt(draft: Draft, kind: 'stop' | 'down'): string | null {
  const { waiting, operation } = draft.state;
  const downs = waiting.slice(0, waiting.findLastIndex((one) => one.kind === 'down') + 1);
  dropWaiting(draft, waiting.slice(downs.length), `${kind} of cluster '${draft.state.name}' came before it.`);
  const down = downs.at(-1);
  if (down !== undefined) return down.opId;
  if (operation !== null && (operation.kind === 'down' || operation.kind === kind)) {
    abandonJobs(draft, 'CANCELLED', endReason(kind, false));
    return operation.id;
  }
  abortRunning(draft);
  return null;
}

/** Asks the running operation to end early; what was decided to come next is in `waiting`. */
function abortRunning(draft: Draft): void {
  const running = draft.state.operation;
  if (running === null || running.aborting) return;
  draft.set({ operation: { ...running, aborting: true, progress: 'ending early', progressSince: draft.now } });
  draft.effect({ type: 'abortOperation', kind: running.kind, opId: running.id, child: running.child });
}

function dropWaiting(draft: Draft, dropped: readonly Waiting[], why: string): void {
  for (const waiting of dropped) finishAtOnceKeepingCurrent(draft, waiting, { kind: 'aborted', message: why });
  draft.set({ waiting: draft.state.waiting.filter((one) => !dropped.includes(one)) });
}

function finishAtOnceKeepingCurrent(draft: Draft, waiting: Waiting, failure: Failure): void {
  const current = draft.state.operation;
  finishAtOnce(draft, waiting.kind, waiting.opId, 'aborted', failure);
  draft.set({ operation: current });
}

export function stopWatching(draft: Draft): void {
  const { watch } = draft.state;
  if (watch === null || watch.stopping) return;
  draft.effect({ type: 'stopWatch', child: watch.child });
  draft.set({ watch: { ...watch, stopping: true } });
}

export function startWatching(draft: Draft): void {
  const { placement, added, nodes, watches, autostop, relaunch } = draft.state;
  if (placement === null) return;
  const child = watches + 1;
  draft.set({ watch: { child, stopping: false }, watches: child });
  const beside = added === undefined || added.length === 0 ? {} : { added };
  const again = relaunch?.jobId == null ? {} : { owned: { copy: relaunch.copy, jobId: relaunch.jobId } };
  draft.effect({ type: 'startWatch', child, nodes, placement, ...beside, autostop, ...again });
}

/** The watch's workflow is gone; another takes over when one is wanted. */
export function watchEnded(draft: Draft, child: number): void {
  if (draft.state.watch?.child !== child) return;
  const wanted = !draft.state.watch.stopping;
  draft.set({ watch: null });
  if (wanted && (draft.state.status === 'UP' || draft.state.status === 'UNHEALTHY')) startWatching(draft);
}

function retries({
  retryUntilUp,
  retryUntil,
}: Pick<Operation, 'retryUntilUp' | 'retryUntil'>): Pick<Operation, 'retryUntilUp' | 'retryUntil'> {
  return { retryUntilUp, ...(retryUntil === undefined ? {} : { retryUntil }) };
}

function provision(draft: Draft, operation: Operation): void {
  const { spec, placement, added = [], nodes, attempts, status } = draft.state;
  if (spec === null) return;
  const stopped = status === 'STOPPED' ? { stopped: true as const } : {};
  draft.effect({
    type: 'startProvision',
    opId: operation.id,
    child: operation.child,
    resources: spec.resources,
    numNodes: spec.numNodes,
    existing: placement,
    ...(placement === null ? {} : { standing: { placement, added, nodes, ...stopped } }),
    ...retries(operation),
    attempt: attempts + 1,
  });
}

export function retire(draft: Draft, operation: Operation): void {
  const { placement, intents } = draft.state;
  const stopOnly = operation.kind === 'stop' && placement !== null;
  draft.effect({
    type: 'startRetire',
    opId: operation.id,
    child: operation.child,
    mode: stopOnly ? 'stop' : 'terminate',
    placements: stopOnly ? standingPlacements(draft.state) : intents,
  });
}

function renew(draft: Draft): void {
  draft.set({
    n: draft.state.n + 1,
    placement: null,
    nodes: [],
    ...(draft.state.added === undefined ? {} : { added: [] }),
    intents: [],
    attempts: 0,
    tries: [],
    jobs: [],
    lost: [],
    watch: null,
    sessions: 0,
    autostop: null,
    queuePolicy: 'backfill',
    spec: null,
    stood: null,
    earlier: spentEarlier(draft.state, draft.now),
    budget: null,
    ...(draft.state.ray == null ? {} : { ray: null }),
    ...(draft.state.ports === undefined ? {} : { ports: [] }),
  });
}

/** Acts on a launch: makes or brings back the machines where needed, and queues the job. Nothing else may be running. */
export function actLaunch(draft: Draft, launch: Extract<Waiting, { kind: 'launch' }>): void {
  if (draft.state.status === 'TERMINATED') renew(draft);
  const fresh = draft.state.spec === null;
  const spec = draft.state.spec === null ? launch.spec : withPorts(draft.state.spec, launch.spec);
  const rule = launch.autostop;
  draft.set({
    spec,
    user: fresh ? launch.user : draft.state.user,
    lastUse: launch.commandLine,
    launchedAt: draft.now,
    queuePolicy: launch.job?.task.queue ?? draft.state.queuePolicy,
  });
  if (rule !== undefined) changeAutostop(draft, rule);
  const budget = launch.budget ?? (fresh ? launch.spec.budget : undefined);
  if (budget !== undefined) draft.set({ budget });
  const misfit = rayProblem(draft.state.ray, launch.ray);
  if (launch.ray !== undefined && misfit === null) wantRay(draft, launch.ray);
  const submit = () => {
    if (launch.job === null) return;
    submitJob(draft, launch.job);
    // What was fitting when it was accepted was replaced by a launch before it.
    if (misfit !== null) abandonJobs(draft, 'FAILED_SETUP', misfit, { which: (job) => job.id === launch.job?.id });
  };
  const closed = closedPorts(draft.state.ports ?? [], launch.spec.resources.wants?.ports ?? []);
  if (draft.state.status === 'UP' && closed.length === 0) {
    submit();
    finishAtOnce(draft, 'launch', launch.opId, 'succeeded', null);
    return;
  }
  if (fresh) draft.status('INIT');
  const progress = draft.state.status === 'UP' ? `opening ports ${closed.join(', ')}` : 'looking for a place';
  begin(draft, 'launch', launch.opId, { ...retries(launch), progress });
  submit();
  if (draft.state.operation !== null) provision(draft, draft.state.operation);
}

/** What the cluster is for, with the ports that a later launch asks for: they are opened on machines that stand. */
function withPorts(spec: ClusterSpec, { resources }: ClusterSpec): ClusterSpec {
  const asked = resources.wants?.ports ?? [];
  if (asked.length === 0) return spec;
  const { wants } = spec.resources;
  const ports = joinPorts(wants?.ports ?? [], asked);
  return { ...spec, resources: { ...spec.resources, wants: { ...wants, ports } } };
}

export function actStart(draft: Draft, start: Extract<Waiting, { kind: 'start' }>): void {
  if (draft.state.status === 'UP') {
    finishAtOnce(draft, 'start', start.opId, 'succeeded', null);
    return;
  }
  if (draft.state.status === 'TERMINATED' || draft.state.spec === null) {
    const message = `Cluster '${draft.state.name}' is gone.`;
    finishAtOnce(draft, 'start', start.opId, 'failed', { kind: 'not-found', message });
    return;
  }
  begin(draft, 'start', start.opId, { ...retries(start), progress: 'starting machines' });
  if (draft.state.operation !== null) provision(draft, draft.state.operation);
}

function endReason(kind: 'stop' | 'down', auto: boolean, why?: string): string {
  const ended = kind === 'stop' ? 'stopped' : 'ended';
  if (why !== undefined) return `the cluster was ${ended}: ${why}`;
  if (auto) return `the cluster was ${ended} by its autostop rule`;
  return `the cluster was ${kind === 'stop' ? 'stopped' : 'taken down'}`;
}

export function actStop(draft: Draft, stop: Extract<Waiting, { kind: 'stop' }>): void {
  // A STOPPED cluster is stopped again: the start that this one overtook may have started machines.
  if (draft.state.status === 'TERMINATED') {
    finishAtOnce(draft, 'stop', stop.opId, 'succeeded', null);
    return;
  }
  const problem = allNodesGone(draft.state) ? null : stopProblem(draft.state);
  if (problem !== null) {
    finishAtOnce(draft, 'stop', stop.opId, 'failed', problem);
    draft.status(draft.state.status, problem.message);
    return;
  }
  stopWatching(draft);
  leaveRay(draft);
  abandonJobs(draft, 'CANCELLED', endReason('stop', stop.auto, stop.why));
  begin(draft, 'stop', stop.opId, { auto: stop.auto, why: stop.why, progress: 'stopping machines' });
  if (draft.state.operation !== null) retire(draft, draft.state.operation);
}

export function actDown(draft: Draft, down: Extract<Waiting, { kind: 'down' }>): void {
  if (draft.state.status === 'TERMINATED') {
    finishAtOnce(draft, 'down', down.opId, 'succeeded', null);
    return;
  }
  stopWatching(draft);
  leaveRay(draft);
  abandonJobs(draft, 'CANCELLED', endReason('down', down.auto, down.why));
  begin(draft, 'down', down.opId, { auto: down.auto, why: down.why, progress: 'terminating machines' });
  if (draft.state.operation !== null) retire(draft, draft.state.operation);
}

function actPorts(draft: Draft, asked: Extract<Waiting, { kind: 'ports' }>): void {
  const { status, placement, name } = draft.state;
  if (placement === null || (status !== 'UP' && status !== 'UNHEALTHY')) {
    const message = `Cluster '${name}' does not stand any more.`;
    finishAtOnce(draft, 'ports', asked.opId, 'failed', { kind: 'refused', message });
    return;
  }
  const wanted = withoutPorts(joinPorts(draft.state.ports ?? [], asked.open), asked.close);
  const progress = wanted.length === 0 ? 'closing all ports' : `opening ports ${wanted.join(', ')} and no others`;
  begin(draft, 'ports', asked.opId, { ports: wanted, progress });
  draft.effect({ type: 'startPorts', opId: asked.opId, child: 1, placement, ports: wanted });
}

function actNow(draft: Draft, waiting: Waiting): void {
  switch (waiting.kind) {
    case 'launch':
      return actLaunch(draft, waiting);
    case 'start':
      return actStart(draft, waiting);
    case 'stop':
      return actStop(draft, waiting);
    case 'down':
      return actDown(draft, waiting);
    case 'ports':
      return actPorts(draft, waiting);
    default:
      assertNever(waiting);
  }
}

/** Goes on with what waits, until something runs. */
export function next(draft: Draft): void {
  while (draft.state.operation === null) {
    const [first, ...rest] = draft.state.waiting;
    if (first === undefined) return;
    draft.set({ waiting: rest });
    actNow(draft, first);
  }
}

/** Enqueues or acts at once, as the command table said. */
export function enqueue(draft: Draft, waiting: Waiting): void {
  draft.set({ waiting: [...draft.state.waiting, waiting] });
  next(draft);
}

export function changeAutostop(draft: Draft, rule: Draft['state']['autostop']): void {
  draft.set({ autostop: rule, autostopSetAt: draft.now });
  const { waiting } = draft.state;
  draft.set({ waiting: waiting.map((one) => (one.kind === 'launch' ? { ...one, autostop: rule } : one)) });
  const { watch } = draft.state;
  if (watch !== null && !watch.stopping) draft.effect({ type: 'setAutostop', child: watch.child, autostop: rule });
}
