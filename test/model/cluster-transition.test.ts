import { describe, expect, test } from 'vitest';
import { displayStatus } from '../../model/cluster.ts';
import { clusterIdleness, clusterMemo, clusterView } from '../../model/cluster-state.ts';
import { TEST } from '../../model/timing.ts';
import { aPlacement, RULE, Story } from './cluster-fixtures.ts';

const DOWN_RULE = { idleMinutes: 5, down: true, waitFor: 'jobs' } as const;

function jobsOf(story: Story): [number, string, string | null][] {
  return story.state.jobs.map(({ id, status, reason }) => [id, status, reason]);
}

function runs(story: Story, jobId: number): void {
  story.event({ type: 'jobChanged', jobId, status: 'RUNNING', reason: null, at: story.now, exitCodes: null });
}

describe('a launch', () => {
  test('brings machines up, then runs its job on them', () => {
    const story = new Story();
    const answer = story.command('launch', { nodes: 2 });
    expect(answer).toMatchObject({ operationId: 'launch-1', jobId: 1, generation: 'life-1' });
    expect(story.effects.map(({ type }) => type)).toEqual(['startJob', 'startProvision']);
    expect([story.state.status, displayStatus(story.state), story.job(1).status]).toEqual(['INIT', 'INIT', 'INIT']);
    const placement = story.placing();
    expect(story.state.intents).toEqual([placement]);
    story.stands(placement);
    expect(story.effects.map(({ type }) => type)).toEqual(['startWatch', 'runJob']);
    expect(story.did('runJob')[0]?.run.nodes.map(({ rank }) => rank)).toEqual([0, 1]);
    expect(story.state).toMatchObject({ status: 'UP', operation: null, cost: { hourly: 1 } });
  });

  test('that fails ends its jobs and what it made, and its reason is kept', () => {
    const story = new Story();
    story.command('launch');
    story.command('exec');
    const placement = story.placing();
    story.failed('there is no capacity');
    expect(jobsOf(story)).toEqual([
      [1, 'FAILED_DRIVER', 'there is no capacity'],
      [2, 'FAILED_DRIVER', 'there is no capacity'],
    ]);
    expect(story.state.operation).toMatchObject({ kind: 'down', auto: false });
    expect(story.did('startRetire')).toMatchObject([{ mode: 'terminate', placements: [placement] }]);
    story.gone(placement);
    story.ended('succeeded');
    expect(story.state).toMatchObject({ status: 'TERMINATED', statusReason: 'there is no capacity', operation: null });
    expect(story.operation('launch-1')).toMatchObject({ outcome: 'failed', failure: { kind: 'capacity' } });
  });

  test('that waited behind one that fails makes the cluster anew', () => {
    const story = new Story();
    story.command('launch', { nodes: 2 });
    const { jobId, operationId } = story.command('launch', { nodes: 1 });
    story.failed();
    expect(story.state.jobs.some(({ id }) => id === jobId)).toBe(false);
    story.ended('succeeded');
    expect(story.state).toMatchObject({ n: 2, spec: { numNodes: 1 }, operation: { id: operationId } });
    story.stands();
    expect(story.did('runJob')).toMatchObject([{ jobId, generation: 'life-2' }]);
  });

  test('during a down makes another generation, whose job numbers go on', () => {
    const story = new Story();
    story.up();
    story.command('down');
    expect(story.command('launch')).toMatchObject({ jobId: 2, generation: 'life-1' });
    expect(story.problem('exec')).toMatchObject({ kind: 'refused', hint: 'Run it again when launch-3 has ended.' });
    const late = { type: 'jobChanged', jobId: 2, status: 'FAILED', reason: null, at: 0, exitCodes: null } as const;
    story.ended('succeeded');
    expect([story.generation, story.state.jobs.map(({ id }) => id)]).toEqual(['life-2', [2]]);
    story.event({ ...late, generation: 'life-1' } as typeof late);
    expect(story.job(2).status).toBe('INIT');
    story.stands();
    expect(story.command('exec')).toMatchObject({ jobId: 3, generation: 'life-2' });
  });

  test('whose child was ended from outside fails as any other', () => {
    const story = new Story();
    story.command('launch');
    story.event({ type: 'crashed', operation: true, watch: false, jobs: [], duties: [] });
    expect(story.operation('launch-1')?.failure).toMatchObject({ kind: 'internal' });
    expect(story.state).toMatchObject({ status: 'TERMINATED', operation: null });
  });

  test('whose child was ended from outside after it had a placement takes that down', () => {
    const story = new Story();
    story.command('launch');
    const intent = story.placing();
    story.event({ type: 'crashed', operation: true, watch: false, jobs: [], duties: [] });
    expect(story.state.operation?.kind).toBe('down');
    expect(story.did('startRetire')).toMatchObject([{ mode: 'terminate', placements: [intent] }]);
  });

  test('that found no place at all has nothing to take down', () => {
    const story = new Story();
    const { jobId } = story.command('launch');
    story.failed();
    expect(story.state).toMatchObject({ status: 'TERMINATED', operation: null });
    expect(story.job(jobId ?? 0).status).toBe('FAILED_DRIVER');
    expect(story.did('startRetire')).toEqual([]);
  });

  test('that leaves failed placements behind has them proved gone while it runs, by one child at a time', () => {
    const story = new Story();
    story.command('launch');
    const failed = story.placing();
    story.stands();
    const [duty] = story.did('startRetire');
    expect(duty).toMatchObject({ mode: 'terminate', placements: [failed] });
    story.command('stop');
    story.ended('succeeded');
    story.command('start');
    story.stands();
    expect([story.did('startRetire'), story.state.duties]).toEqual([[], [duty?.opId]]);
    story.event({
      type: 'operationEnded',
      opId: duty?.opId ?? '',
      child: 1,
      outcome: 'failed',
      failure: null,
      stands: null,
    });
    const [again] = story.did('startRetire');
    expect(again).toMatchObject({ placements: [failed] });
    story.gone(failed);
    story.event({
      type: 'operationEnded',
      opId: again?.opId ?? '',
      child: 1,
      outcome: 'succeeded',
      failure: null,
      stands: null,
    });
    expect([story.state.duties, story.state.intents.length]).toEqual([[], 1]);
  });
});

describe('a stop', () => {
  test('during a launch ends it early and terminates what it made; a start then looks for a place anew', () => {
    const story = new Story();
    story.command('launch');
    const placement = story.placing();
    const { operationId } = story.command('stop');
    expect(story.did('abortOperation')).toMatchObject([{ opId: 'launch-1', child: 1 }]);
    expect(story.state.operation).toMatchObject({ id: 'launch-1', aborting: true });
    story.ended('aborted', { failure: { kind: 'aborted', message: 'Another command came.' } });
    expect(story.did('startRetire')).toMatchObject([{ opId: operationId, mode: 'terminate', placements: [placement] }]);
    expect(story.job(1)).toMatchObject({ status: 'CANCELLED', reason: 'the cluster was stopped' });
    story.gone(placement);
    story.ended('succeeded');
    expect(story.state).toMatchObject({ status: 'STOPPED', placement: null, intents: [] });
    story.command('start');
    expect(story.did('startProvision')).toMatchObject([{ existing: null, attempt: 2 }]);
    const second = story.placing();
    story.failed();
    expect(story.did('startRetire')).toMatchObject([{ mode: 'terminate', placements: [second] }]);
    story.ended('succeeded');
    expect(story.state).toMatchObject({ status: 'STOPPED', placement: null, intents: [] });
  });

  test('that comes too late for a launch stops what stands', () => {
    const story = new Story();
    story.command('launch');
    story.command('stop');
    const placement = story.stands();
    expect(story.effects.map(({ type }) => type)).toEqual(['startWatch', 'stopWatch', 'abandonJob', 'startRetire']);
    expect(story.did('startRetire')).toMatchObject([{ mode: 'stop', placements: [placement] }]);
    story.ended('succeeded');
    expect(story.state).toMatchObject({ status: 'STOPPED', placement: { key: placement.key }, cost: { since: null } });
  });

  test('that overtakes the start of a STOPPED cluster stops what it had started, and its jobs never run', () => {
    const story = new Story();
    const placement = story.up();
    story.command('stop');
    story.ended('succeeded');
    const { jobId } = story.command('launch');
    story.command('stop');
    story.ended('aborted');
    expect(story.did('startRetire')).toMatchObject([{ mode: 'stop', placements: [placement] }]);
    expect(story.job(jobId ?? 0).status).toBe('CANCELLED');
    story.ended('succeeded');
    expect(story.state).toMatchObject({ status: 'STOPPED', placement });
  });

  test('that fails leaves the cluster UNHEALTHY and watched; where nothing ever stood it is done again', () => {
    const story = new Story();
    story.up();
    story.command('stop');
    story.ended('failed', { failure: { kind: 'auth', message: 'the key has expired' } });
    expect(story.state).toMatchObject({ status: 'UNHEALTHY', statusReason: 'the key has expired', operation: null });
    expect(story.did('startWatch')).toHaveLength(1);
    const other = new Story();
    other.command('launch');
    const placement = other.placing();
    other.command('stop');
    other.ended('aborted');
    other.ended('failed', { failure: { kind: 'auth', message: 'the key has expired' } });
    expect(other.did('startRetire')).toMatchObject([{ child: 2, mode: 'terminate', placements: [placement] }]);
  });

  test('given again while a start waits takes the start back and goes on', () => {
    const story = new Story();
    story.up();
    const { operationId } = story.command('stop');
    const start = story.command('start');
    story.command('exec');
    expect(story.command('stop').operationId).toBe(operationId);
    expect(story.did('abortOperation')).toEqual([]);
    expect(story.operation(start.operationId ?? '')?.outcome).toBe('aborted');
    expect(story.job(2).status).toBe('CANCELLED');
  });
});

describe('a cluster whose machines can only be ended', () => {
  const noStop = 'spot machines of the cloud cannot be stopped';

  function standing(more: Parameters<Story['command']>[1] = {}): Story {
    const story = new Story();
    story.command('launch', more);
    story.stands({ ...story.placing(), useSpot: true, noStop });
    runs(story, 1);
    return story;
  }

  test('refuses to be stopped, now and when it is idle, and says what can be done; its jobs go on', () => {
    const story = standing();
    const { state } = story;
    expect(story.problem('stop')).toEqual({
      kind: 'refused',
      message: `Cluster 'c' cannot be stopped: ${noStop}. Its machines and jobs go on.`,
      hint: expect.stringMatching(/`styx down c`.*`styx autostop c --down`/),
    });
    for (const kind of ['autostop', 'launch', 'start'] as const) {
      const { message, hint } = story.problem(kind, { autostop: RULE }) ?? {};
      expect([message, hint]).toEqual([
        `Cluster 'c' cannot be stopped when it is idle: ${noStop}.`,
        expect.stringMatching(/^`styx autostop c --down`/),
      ]);
      expect(story.problem(kind, { autostop: DOWN_RULE })).toBeNull();
    }
    expect(story.problem('launch', { task: { autostop: RULE } })?.kind).toBe('refused');
    for (const kind of ['launch', 'down'] as const) expect(story.problem(kind)).toBeNull();
    expect(story.state).toBe(state);
  });

  test('is not stopped by what was asked for while it was made: nothing is done to machines and jobs, and it says so', () => {
    const story = new Story();
    story.command('launch');
    const placement = { ...story.placing(), useSpot: true, noStop };
    const { operationId } = story.command('stop');
    story.stands(placement);
    expect(story.did('startRetire')).toEqual([]);
    expect(story.effects.map(({ type }) => type)).toEqual(['startWatch', 'runJob']);
    expect(story.operation(operationId ?? '')).toMatchObject({ outcome: 'failed', failure: { kind: 'refused' } });
    expect(story.state).toMatchObject({ status: 'UP', placement, operation: null });
    expect(story.state.statusReason).toMatch(/^Cluster 'c' cannot be stopped: /);
    expect(story.job(1).endedAt).toBeNull();
  });

  test('is not due to be stopped by a rule that came before its machines, and says so as long as it has that', () => {
    const { state, now } = standing({ autostop: RULE });
    const idle = { ...state, jobs: [], lastJobEndedAt: now };
    expect(clusterIdleness(idle, TEST, now)).toEqual({ idleSince: now, dueAt: null });
    expect(clusterIdleness({ ...idle, autostop: DOWN_RULE }, TEST, now).dueAt).toBeGreaterThan(now);
    const stoppable = { ...idle, placement: aPlacement(idle, 1, 1) };
    expect(clusterIdleness(stoppable, TEST, now).dueAt).toBeGreaterThan(now);
    const context = { installation: '', timing: TEST, now, waits: {} };
    const reason = `Cluster 'c' cannot be stopped when it is idle: ${noStop}. \`styx autostop c --down\` ends it when it is idle, disks included.`;
    expect(clusterView(idle, context).statusReason).toBe(reason);
    expect(clusterMemo(idle, now).statusReason).toBe(reason);
    expect(clusterMemo({ ...idle, autostop: DOWN_RULE }, now).statusReason).toBe('');
  });
});

describe('a start', () => {
  test('of a STOPPED cluster that fails ends nothing and goes back to STOPPED', () => {
    const story = new Story();
    const placement = story.up();
    story.command('stop');
    story.ended('succeeded');
    story.command('start');
    expect(story.did('startProvision')).toMatchObject([{ existing: placement }]);
    story.failed('no room to start again');
    expect(story.did('startRetire')).toMatchObject([{ mode: 'stop', placements: [placement] }]);
    story.ended('succeeded');
    expect(story.state).toMatchObject({ status: 'STOPPED', statusReason: 'no room to start again', placement });
    expect(story.state.intents).toEqual([placement]);
    expect(story.state.cost.since).toBeNull();
  });

  test('of an UNHEALTHY cluster that fails leaves running jobs alone', () => {
    const story = new Story();
    story.up(2, { task: { numNodes: 1 } });
    runs(story, 1);
    story.command('exec', { nodes: 2, task: { demand: { cpus: 4, gpus: 0, memory: 0 } } });
    story.event({ type: 'observed', child: 1, at: 0, unreachable: [{ rank: 1, reason: 'silent' }] });
    const launch = story.command('launch');
    expect(story.did('startProvision')).toHaveLength(1);
    story.failed('still silent');
    expect(story.state).toMatchObject({ status: 'UNHEALTHY', statusReason: 'still silent', operation: null });
    expect(jobsOf(story)).toEqual([
      [1, 'RUNNING', null],
      [2, 'PENDING', null],
      [launch.jobId, 'FAILED_DRIVER', 'still silent'],
    ]);
    expect(story.state.watch).toEqual({ child: 2, stopping: false });
  });
});

describe('a down', () => {
  test('found dead is done again by another child, and the dead one is not listened to', () => {
    const story = new Story();
    const placement = story.up();
    const { operationId } = story.command('down');
    story.event({ type: 'crashed', operation: true, watch: false, jobs: [], duties: [] });
    expect(story.did('startRetire')).toMatchObject([{ opId: operationId, child: 2, placements: [placement] }]);
    const last = { opId: operationId ?? '', outcome: 'succeeded', failure: null, stands: null } as const;
    story.event({ type: 'operationEnded', child: 1, ...last });
    expect(story.state.operation?.id).toBe(operationId);
    story.event({ type: 'operationEnded', child: 2, ...last });
    expect(story.state).toMatchObject({ status: 'TERMINATED', intents: [], placement: null, autostop: null });
  });

  test('is neither ended early nor taken back by a stop', () => {
    const story = new Story();
    story.up();
    const { operationId } = story.command('down');
    const launch = story.command('launch');
    expect(story.command('stop').operationId).toBe(operationId);
    expect(story.effects).toEqual([]);
    expect(story.state).toMatchObject({ operation: { id: operationId, aborting: false }, waiting: [] });
    expect(story.operation(launch.operationId ?? '')?.outcome).toBe('aborted');
    story.ended('succeeded');
    expect(story.state.jobs.some(({ id }) => id === launch.jobId)).toBe(false);
  });

  test('overtakes a launch that retries for ever, a stop, and all that waits', () => {
    const story = new Story();
    story.command('launch', { retryUntilUp: true });
    const stop = story.command('stop');
    const start = story.command('start');
    const { operationId } = story.command('down');
    expect(story.state.waiting.map(({ opId }) => opId)).toEqual([operationId]);
    for (const { operationId: id } of [stop, start]) expect(story.operation(id ?? '')?.outcome).toBe('aborted');
    story.ended('aborted');
    story.ended('succeeded');
    expect(story.state.status).toBe('TERMINATED');
  });
});

/** The watch sees that the cloud took a node. */
function preempted({ now: at }: Story, rank: number) {
  return { type: 'observed', child: 1, at, gone: [{ rank, state: 'terminated', reason: 'preempted' }] } as const;
}

describe('nodes that stop or vanish', () => {
  test('of a STOPPED cluster, found running: it says so until they do not, or until it is started', () => {
    const story = new Story();
    story.up(2);
    story.command('stop');
    story.ended('succeeded');
    const seen = (running: readonly number[]) =>
      story.event({ type: 'machinesMissing', at: story.now, gone: [], running });
    seen([1]);
    expect(story.state).toMatchObject({ status: 'STOPPED', running: [1], lost: [] });
    expect(story.state.statusReason).toContain('the machine of node 1 was started elsewhere and costs');
    seen([]);
    expect(story.state).toMatchObject({ status: 'STOPPED', running: [], statusReason: '' });
    seen([0, 1]);
    story.command('start');
    seen([0]);
    expect(story.state.running, 'a start goes on').toEqual([0, 1]);
    story.stands();
    expect(story.state).toMatchObject({ status: 'UP', statusReason: '' });
  });

  test('all by their lease: the cluster is STOPPED, by itself', () => {
    const story = new Story();
    const placement = story.up(2);
    const gone = [0, 1].map((rank) => ({ rank, state: 'stopped', reason: 'idle for 5 minutes' }) as const);
    story.event({ type: 'observed', child: 1, at: story.now, gone });
    expect(story.did('startRetire')).toMatchObject([{ mode: 'stop', placements: [placement] }]);
    expect(story.job(1).status).toBe('FAILED_DRIVER');
    story.ended('succeeded');
    expect(story.state).toMatchObject({ status: 'STOPPED', statusReason: 'idle for 5 minutes', placement, lost: [] });
  });

  test('all terminated: what is left is taken down', () => {
    const story = new Story();
    story.up();
    story.event(preempted(story, 0));
    expect(story.state.operation?.kind).toBe('down');
    expect(story.state.cost.since).toBeNull();
    story.ended('succeeded');
    expect(story.state).toMatchObject({ status: 'TERMINATED', statusReason: 'preempted' });
  });

  test('with the word of a job that had ended well there: it SUCCEEDED, whatever its workflow says later', () => {
    const story = new Story();
    story.up();
    const { generation, now: at } = story;
    const ended = [{ generation, jobId: 1, status: 'SUCCEEDED', reason: null, at, exitCodes: [0] }] as const;
    story.event({ ...preempted(story, 0), ended });
    expect(story.job(1)).toMatchObject({ status: 'SUCCEEDED', exitCodes: [0] });
    expect(story.did('abandonJob')).toEqual([]);
    expect(story.state.operation?.kind).toBe('down');
  });

  test('one of two: the jobs there end, the others run on, and no job is given to it', () => {
    const story = new Story();
    story.up(2);
    story.event({ type: 'jobChanged', jobId: 1, status: 'SUCCEEDED', reason: null, at: story.now, exitCodes: [0, 0] });
    const four = { demand: { cpus: 4, gpus: 0, memory: 0 } };
    for (let job = 0; job < 3; job++) story.command('exec', { task: four });
    expect([2, 3, 4].map((id) => story.job(id).allotment?.nodes ?? null)).toEqual([[0], [1], null]);
    story.event(preempted(story, 1));
    expect(story.state).toMatchObject({ status: 'UNHEALTHY', statusReason: 'node 1: terminated: preempted' });
    expect(story.did('abandonJob')).toMatchObject([{ jobId: 3, end: { killRest: true, status: 'FAILED_DRIVER' } }]);
    expect([2, 3, 4].map((id) => story.job(id).status)).toEqual(['PENDING', 'FAILED_DRIVER', 'PENDING']);
    expect(story.did('runJob')).toEqual([]);
  });
});

describe('autostop', () => {
  test('with down goes AUTOSTOPPING, then TERMINATED, and says why', () => {
    const story = new Story();
    story.up(1, { autostop: DOWN_RULE });
    story.event({ type: 'autostopDue' });
    expect([displayStatus(story.state), story.state.operation?.auto]).toEqual(['AUTOSTOPPING', true]);
    expect(story.job(1)).toMatchObject({ status: 'CANCELLED', reason: 'the cluster was ended by its autostop rule' });
    story.ended('succeeded');
    expect(story.state).toMatchObject({ status: 'TERMINATED', statusReason: 'ended by its autostop rule' });
  });

  test('does nothing without a rule, while an operation runs, or when a node is lost', () => {
    const story = new Story();
    story.up();
    story.event({ type: 'autostopDue' });
    expect(story.state.operation).toBeNull();
    story.command('autostop', { autostop: DOWN_RULE });
    expect(story.did('setAutostop')).toMatchObject([{ child: 1, autostop: DOWN_RULE }]);
    story.event({ type: 'observed', child: 1, at: 0, unreachable: [{ rank: 0, reason: 'silent' }] });
    story.event({ type: 'autostopDue' });
    expect(story.state).toMatchObject({ status: 'UNHEALTHY', operation: null });
  });
});

test('a cancelled job ends once: at once when it waits, by its own workflow when it runs', () => {
  const story = new Story();
  story.up(1, { task: { demand: { cpus: 4, gpus: 0, memory: 0 } } });
  story.command('exec');
  expect(story.command('cancel').jobIds).toEqual([1, 2]);
  expect(story.did('cancelJob').map(({ jobId }) => jobId)).toEqual([1, 2]);
  expect([story.job(1).status, story.job(2).status]).toEqual(['PENDING', 'CANCELLED']);
  story.event({ type: 'jobChanged', jobId: 1, status: 'CANCELLED', reason: null, at: story.now, exitCodes: [143] });
  const { endedAt } = story.job(1);
  story.event({ type: 'jobChanged', jobId: 1, status: 'FAILED', reason: null, at: story.now + 5, exitCodes: [1] });
  expect(story.job(1)).toMatchObject({ status: 'CANCELLED', exitCodes: [143], endedAt });
  expect(story.state.finishedJobs).toBe(2);
});
