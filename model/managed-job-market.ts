/**
 * A managed job whose strategy chooses between spot and on-demand machines: what it knows, when it decides, and how it moves. It moves by
 * ending its copy, with the time for its scripts that a cancel has, and starting the next when the machines are proved gone. While it runs
 * on on-demand machines a cluster without a job, the probe, is launched now and then to see whether spot is to be had.
 */
import { isTerminalJob } from './job.ts';
import { marketRule, nextPlaces, pauseAfter } from './job-recovery.ts';
import { copyCluster, type ManagedJobState } from './managed-job.ts';
import type { JobDraft } from './managed-job-draft.ts';
import { endGently, startCopy } from './managed-job-steps.ts';
import { decideMarket, type MarketDecision, type MarketFacts, type MarketRule } from './market.ts';
import type { MarketState } from './market-state.ts';
import type { ClusterReport } from './owned-cluster.ts';
import { type PlaceOrder, type RegionRef, sameRegion } from './place-order.ts';
import { readProgress } from './progress.ts';
import { type DeadlineRule, keptOf } from './uniform-progress.ts';

/** How long it is believed that spot machines are to be had, after some were. */
const THERE_MS = 10 * 60_000;
/** A decision is not asked for again sooner. */
const LEAST_WAIT_MS = 1_000;
const REMEMBERED_FAILURES = 20;

/** Makes the next copy, or waits for machines that are worth having. It holds a slot and has no copy. */
export function proceed(draft: JobDraft): void {
  const rule = marketRule(draft.rules.recovery);
  if (rule === null) return startCopy(draft, null);
  const decision = decide(draft, rule);
  const { seen, probe } = draft.state.market;
  const { want, until, why } = decision;
  if (want === 'wait' || (want === 'spot' && probe !== null)) {
    const again = want === 'wait' && seen !== null ? seen.until : null;
    const times = [until, again].filter((time) => time !== null);
    draft.set({ nextAt: times.length === 0 ? null : Math.max(draft.now + LEAST_WAIT_MS, Math.min(...times)) });
    // A probe holds machines that are wanted.
    return draft.status(draft.state.status, why || 'waits until the machines of its look for spot are gone');
  }
  if (why !== '') draft.tell(`${want}: ${why}`);
  settle(draft, rule);
  startCopy(draft, want, want === 'spot' ? spotPlaces(draft.state) : undefined);
}

/** After each event: whether its machines are still those that it should have, and whether to look for others. */
export function reconsider(draft: JobDraft): void {
  endVainProbe(draft);
  const rule = marketRule(draft.rules.recovery);
  const { copy, outcome } = draft.state;
  if (rule === null || outcome !== null || copy === null || copy.market === null || copy.phase !== 'live') return;
  const decision = decide(draft, rule);
  if (decision.want !== copy.market) return move(draft, decision);
  const { market, status } = draft.state;
  const times = [decision.until].filter((time) => time !== null);
  const looks = copy.market === 'on-demand' && market.hold !== 'until-done' && status === 'RUNNING';
  if (looks && market.probe === null) {
    const lookAt = Math.max(copy.startedAt, market.probedAt ?? 0) + rule.rule.backAfter;
    if (draft.now >= lookAt) startProbe(draft);
    else times.push(lookAt);
  }
  change(draft, { askAt: times.length === 0 ? null : Math.max(draft.now + LEAST_WAIT_MS, Math.min(...times)) });
}

/** Spot machines were taken away, or were not to be had. */
export function spotFailed(draft: JobDraft, pause: number): void {
  const failures = [...draft.state.market.failures, draft.now].slice(-REMEMBERED_FAILURES);
  change(draft, { failures, seen: { spot: 'missing', place: null, until: draft.now + pause } });
}

/** Its script runs for the first time on this copy. */
export function copyRuns(draft: JobDraft): void {
  const { copy, market } = draft.state;
  if (copy?.market !== 'on-demand') return;
  change(draft, { slowestStart: Math.max(market.slowestStart, draft.now - copy.startedAt) });
}

/** What its script says of itself. A line that cannot be read changes nothing, and the first of several in a row is told. */
export function hearProgress(draft: JobDraft, before: ClusterReport | null, { job }: ClusterReport): void {
  const last = before?.job?.progress;
  if (job?.progress === undefined || job.progress === last) return;
  const { fraction, problem } = readProgress(job.progress);
  if (problem === null) draft.set({ progress: fraction });
  else if (last === undefined || readProgress(last).problem === null) draft.tell(problem);
}

export function onProbeReport(draft: JobDraft, report: ClusterReport): void {
  const { probe } = draft.state.market;
  if (probe === null) return;
  change(draft, { probe: { ...probe, cost: report.cost } });
  if (probe.phase === 'live' && report.launch !== null) {
    const { outcome, failure } = report.launch;
    const { place } = report;
    const pause = pauseAfter(1, draft.rules.timing);
    const seen: MarketState['seen'] =
      outcome === 'succeeded'
        ? { spot: 'there', place: regionOf(place), until: draft.now + THERE_MS }
        : { spot: 'missing', place: null, until: draft.now + pause };
    change(draft, { seen });
    draft.tell(
      outcome === 'succeeded'
        ? `spot machines are to be had${place === null ? '' : ` in ${place.cloud}/${place.region}/${place.zone}`}`
        : `no spot machines: ${failure?.message ?? 'the look for them ended'}`,
    );
    endProbe(draft);
  }
  const now = draft.state.market.probe;
  if (report.status === 'TERMINATED' && report.operation === null && now?.phase !== 'fencing') probeGone(draft);
}

/** The workflow of the probe's cluster closed without saying that its machines are gone. */
export function probeLost(draft: JobDraft): void {
  const { probe } = draft.state.market;
  if (probe === null || probe.phase === 'fencing') return;
  draft.tell(`the workflow of cluster ${probe.cluster} was ended from outside; its machines are ended`);
  change(draft, { probe: { ...probe, phase: 'fencing' }, probedAt: draft.now });
  draft.effect({ type: 'fence', copy: probe.number, cluster: probe.cluster });
}

export function probeFenced(draft: JobDraft): void {
  if (draft.state.market.probe?.phase === 'fencing') probeGone(draft);
}

/** Its machines are proved gone. */
function probeGone(draft: JobDraft): void {
  const { market, spent, copy, outcome, queue } = draft.state;
  if (market.probe === null) return;
  draft.set({ spent: spent + market.probe.cost });
  change(draft, { probe: null, probedAt: draft.now });
  if (copy === null && outcome === null && (queue === 'launching' || queue === 'running')) proceed(draft);
}

export function factsOf(state: ManagedJobState, { kind, rule }: MarketRule, now: number): MarketFacts {
  const { market, copy, submittedAt } = state;
  return {
    now: now - submittedAt,
    ...(kind === 'deadline'
      ? workDone(state, rule, now)
      : { kept: ranMs(state, now), advancing: state.runningSince !== null }),
    overhead: kind === 'deadline' ? Math.max(rule.overhead, market.slowestStart) : 0,
    present: copy?.market ?? null,
    spot: market.seen !== null && now < market.seen.until ? market.seen.spot : 'unknown',
    hold: market.hold,
    failures: market.failures.map((at) => at - submittedAt),
  };
}

/**
 * What the job itself says counts alone, from its first word on: a try that has not spoken yet goes on from what the one before said, and
 * between two words nothing is taken for done. Of a job that says nothing, its running time.
 */
function workDone(
  state: ManagedJobState,
  rule: Pick<DeadlineRule, 'work' | 'checkpointEvery'>,
  now: number,
): Pick<MarketFacts, 'kept' | 'advancing'> {
  const { progress, market, runningSince } = state;
  if (progress !== null) return { kept: progress * rule.work, advancing: false };
  const ran = ranMs(state, now);
  const every = rule.checkpointEvery;
  return { kept: market.kept + keptOf(ran, rule), advancing: runningSince !== null && every !== null && ran >= every };
}

/** ms that the present copy, or the one that was last, ran. */
function ranMs({ ranMs: ran, runningSince, market }: ManagedJobState, now: number): number {
  return ran + (runningSince === null ? 0 : now - runningSince) - market.ranBefore;
}

function change(draft: JobDraft, changed: Partial<MarketState>): void {
  draft.set({ market: { ...draft.state.market, ...changed } });
}

/** `until` as a time of the clock: decisions count from the submission. */
function decide(draft: JobDraft, rule: MarketRule): MarketDecision {
  const decision = decideMarket(rule, factsOf(draft.state, rule, draft.now));
  const { hold, until } = decision;
  if (hold !== draft.state.market.hold) {
    change(draft, { hold, ...(hold === 'no' ? { failures: [] } : {}) });
    if (hold === 'until-done') draft.tell(`on-demand machines until it is done: ${decision.why}`);
  }
  return { ...decision, until: until === null ? null : draft.state.submittedAt + until };
}

/** What the copy before left behind is counted once. */
function settle(draft: JobDraft, rule: MarketRule): void {
  const { state, now } = draft;
  change(draft, { kept: factsOf(state, rule, now).kept, ranBefore: state.ranMs, askAt: null });
}

function spotPlaces({ market, lastPlace, lostRegions }: ManagedJobState): PlaceOrder | undefined {
  const place = market.seen?.spot === 'there' ? market.seen.place : null;
  const order = nextPlaces('EAGER_NEXT_REGION', lastPlace, lostRegions);
  if (place === null) return order;
  return { prefer: [place], avoid: (order?.avoid ?? []).filter((region) => !sameRegion(region, place)) };
}

function regionOf(place: RegionRef | null): RegionRef | null {
  return place === null ? null : { cloud: place.cloud, region: place.region };
}

function move(draft: JobDraft, { want, why }: MarketDecision): void {
  const { copy, recoveries, status } = draft.state;
  if (copy === null) return;
  const text = `moves to ${want === 'wait' ? 'no machines' : want}: ${why}`;
  draft.copy({ why: text.slice(0, 200) });
  draft.set({ cause: 'moved', recoveries: recoveries + (copy.stood ? 1 : 0), nextAt: draft.now });
  draft.status(copy.stood ? 'RECOVERING' : status, text);
  const job = copy.report?.job ?? null;
  endGently(draft, !copy.stood || job === null || isTerminalJob(job.status));
}

function startProbe(draft: JobDraft): void {
  const { state, rules } = draft;
  const number = state.copies + 1;
  const cluster = copyCluster(rules.workflowId, number);
  draft.set({ copies: number });
  change(draft, { probe: { number, cluster, phase: 'live', cost: 0 } });
  draft.tell(`looking for spot machines with cluster ${cluster}`);
  const order = spotPlaces(state);
  draft.effect({ type: 'startProbe', copy: number, cluster, ...(order === undefined ? {} : { order }) });
}

function endProbe(draft: JobDraft): void {
  const { probe } = draft.state.market;
  if (probe === null || probe.phase !== 'live') return;
  change(draft, { probe: { ...probe, phase: 'ending' }, probedAt: draft.now });
  draft.effect({ type: 'endCluster', copy: probe.number, cluster: probe.cluster });
}

/** Nobody waits for its answer any more. */
function endVainProbe(draft: JobDraft): void {
  const { copy, outcome } = draft.state;
  if (outcome !== null || copy === null || copy.phase !== 'live') endProbe(draft);
}
