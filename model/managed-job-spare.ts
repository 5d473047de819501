/**
 * The spare of a managed job: when the cloud says that it takes a machine back, the machines of the next copy are asked for at once, while
 * the present copy saves its state. Their job is held until the present machines are proved gone, so that no two copies ever run.
 */
import { isTerminalJob } from './job.ts';
import { marketRule, nextPlaces, rememberRegion } from './job-recovery.ts';
import { type Copy, copyCluster } from './managed-job.ts';
import type { JobDraft } from './managed-job-draft.ts';
import type { ClusterReport } from './owned-cluster.ts';
import { isPooled } from './pooled-job.ts';

/** The cloud took a machine, or said that it does. */
export function goes({ gone, interruption }: ClusterReport): boolean {
  return gone || interruption !== undefined;
}

/** The machines go, or are gone, whoever said so. */
export function isEnding({ operation, status }: ClusterReport): boolean {
  return operation === 'stop' || operation === 'down' || status === 'STOPPED' || status === 'TERMINATED';
}

/** Once for each copy that stood. A strategy that chooses its machines does so when it needs them; a job in a pool or with `replace_nodes` has others. */
export function askAhead(draft: JobDraft, report: ClusterReport): void {
  const { state, rules, now } = draft;
  const { copy, spare, outcome, paused, lastPlace, lostRegions, recoveries, pauses } = state;
  if (report.interruption === undefined || report.copy !== copy?.number || !copy.stood || spare !== null) return;
  if (outcome !== null || paused !== null || isPooled(draft) || marketRule(rules.recovery) !== null) return;
  if (rules.recovery.replaceNodes === true) return;
  if (state.askedAhead === copy.number) return;
  const number = state.copies + 1;
  const cluster = copyCluster(rules.workflowId, number);
  const left = copy.report?.place ?? lastPlace;
  const order = nextPlaces(
    rules.recovery.strategy,
    lastPlace,
    left === null ? lostRegions : rememberRegion(lostRegions, left),
  );
  const next: Copy = {
    number,
    cluster,
    market: null,
    // The present copy counts as lost from then on, which it may have been already.
    try: recoveries + pauses + (copy.why === '' ? 2 : 1),
    phase: 'live',
    phaseSince: now,
    startedAt: now,
    stood: false,
    report: null,
    logs: null,
    why: '',
  };
  draft.set({ copies: number, spare: next, askedAhead: copy.number });
  draft.tell(
    `launching copy ${number} on cluster ${cluster} ahead: its job waits until the machines of copy ${copy.number} are gone`,
  );
  draft.effect({
    type: 'startCluster',
    copy: number,
    cluster,
    try: next.try,
    held: true,
    ...(order === undefined ? {} : { order }),
  });
}

/** The present copy's machines are proved gone: the spare is the next one, where there is one that can be. */
export function takeOver(draft: JobDraft): boolean {
  const { spare, recoveries, pauses } = draft.state;
  if (spare === null || spare.phase !== 'live') return false;
  if (spare.try !== recoveries + pauses + 1) {
    endSpare(draft, 'it was made for another try');
    return false;
  }
  draft.set({ copy: { ...spare, phaseSince: draft.now }, spare: null, nextAt: null });
  draft.tell(`copy ${spare.number} takes over on cluster ${spare.cluster}`);
  if (draft.state.status === 'PENDING') draft.status('STARTING');
  draft.effect({ type: 'release', copy: spare.number, cluster: spare.cluster });
  return true;
}

export function onSpareReport(draft: JobDraft, report: ClusterReport): void {
  const { spare } = draft.state;
  if (spare === null) return;
  const place = report.place ?? spare.report?.place ?? null;
  draft.set({ spare: { ...spare, report: { ...report, place } } });
  const { launch, job } = report;
  if (launch !== null && launch.outcome !== 'succeeded') endSpare(draft, launch.failure?.message ?? 'its launch ended');
  else if (goes(report) || isEnding(report)) endSpare(draft, report.reason || 'its machines go');
  else if (job !== null && isTerminalJob(job.status)) endSpare(draft, job.reason ?? 'its job ended');
  if (report.status !== 'TERMINATED' || report.operation !== null) return;
  if (draft.state.spare?.phase !== 'fencing') spareGone(draft);
}

/** Its cluster's workflow closed without saying that its machines are gone. */
export function spareLost(draft: JobDraft): void {
  const { spare } = draft.state;
  if (spare === null || spare.phase === 'fencing') return;
  draft.tell(`the workflow of cluster ${spare.cluster} was ended from outside; its machines are ended`);
  draft.set({
    spare: { ...spare, phase: 'fencing', phaseSince: draft.now, why: 'its cluster was ended from outside' },
  });
  draft.effect({ type: 'fence', copy: spare.number, cluster: spare.cluster });
}

export function spareFenced(draft: JobDraft): void {
  if (draft.state.spare?.phase === 'fencing') spareGone(draft);
}

/** After each event: a job that has ended or is paused needs none. */
export function endVainSpare(draft: JobDraft): void {
  const { outcome, paused } = draft.state;
  if (outcome !== null || paused !== null) endSpare(draft, 'nobody needs it any more');
}

function endSpare(draft: JobDraft, why: string): void {
  const { spare } = draft.state;
  if (spare === null || spare.phase !== 'live') return;
  draft.tell(`copy ${spare.number} is given up: ${why}`);
  draft.set({ spare: { ...spare, phase: 'ending', phaseSince: draft.now, why: why.slice(0, 200) } });
  draft.effect({ type: 'endCluster', copy: spare.number, cluster: spare.cluster });
}

function spareGone(draft: JobDraft): void {
  const { spare } = draft.state;
  if (spare === null) return;
  draft.set({ spare: null });
  draft.past(spare);
  draft.tell(`the machines of copy ${spare.number} are gone`);
}
