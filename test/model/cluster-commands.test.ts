import { describe, expect, test } from 'vitest';
import type { ClusterState, Waiting } from '../../model/cluster.ts';
import { type Disposition, disposition, WHEN_IDLE, WHILE_RUNNING } from '../../model/cluster-commands.ts';
import { newCluster } from '../../model/cluster-state.ts';
import {
  applyCommand,
  applyEvent,
  type ClusterEvent,
  type Command,
  commandProblem,
} from '../../model/cluster-transition.ts';
import type { CommandKind } from '../../model/commands.ts';
import { generationOf } from '../../model/identity.ts';
import { aCommand, aPlacement, nodesOf, Story } from './cluster-fixtures.ts';

const KINDS: CommandKind[] = ['launch', 'exec', 'cancel', 'stop', 'start', 'down', 'autostop', 'ray', 'ports'];

type Row = Disposition[];

/** The design's table, in the order of KINDS; by the status of an idle cluster, or the operation that a command has to reckon with. */
const LAW: Record<string, Row> = {
  NEW: ['act', 'refuse', 'refuse', 'refuse', 'refuse', 'refuse', 'refuse', 'refuse', 'refuse'],
  INIT: ['act', 'refuse', 'act', 'act', 'act', 'act', 'act', 'refuse', 'refuse'],
  UP: ['act', 'act', 'act', 'act', 'noop', 'act', 'act', 'act', 'act'],
  UNHEALTHY: ['act', 'act', 'act', 'act', 'act', 'act', 'act', 'act', 'act'],
  STOPPED: ['act', 'refuse', 'act', 'noop', 'act', 'act', 'refuse', 'refuse', 'refuse'],
  TERMINATED: ['act', 'refuse', 'refuse', 'refuse', 'refuse', 'refuse', 'refuse', 'refuse', 'refuse'],
  launch: ['queue', 'act', 'act', 'preempt', 'join', 'preempt', 'act', 'act', 'queue'],
  start: ['queue', 'act', 'act', 'preempt', 'join', 'preempt', 'act', 'act', 'queue'],
  stop: ['queue', 'refuse', 'act', 'join', 'queue', 'preempt', 'refuse', 'refuse', 'refuse'],
  down: ['queue', 'refuse', 'act', 'refuse', 'refuse', 'join', 'refuse', 'refuse', 'refuse'],
  ports: ['queue', 'act', 'act', 'preempt', 'queue', 'preempt', 'act', 'act', 'queue'],
};

function ends(one: { readonly kind: string }): boolean {
  return one.kind === 'stop' || one.kind === 'down';
}

function lawFor(state: ClusterState, kind: CommandKind): Disposition {
  const { operation, waiting } = state;
  const what = LAW[waiting.at(-1)?.kind ?? operation?.kind ?? state.status]?.[KINDS.indexOf(kind)] ?? 'refuse';
  // A job is not given to machines that are about to be taken away.
  const endsFirst = operation?.kind === 'down' || waiting.some(ends);
  return (kind === 'exec' || kind === 'ray') && endsFirst ? 'refuse' : what;
}

function signature(state: ClusterState): string {
  const { status, operation, waiting, placement } = state;
  const running = operation === null ? '-' : `${operation.kind}${operation.aborting ? '!' : ''}`;
  const live = state.jobs.some((job) => job.endedAt === null) ? 'jobs' : '';
  return [status, running, waiting.map(({ kind }) => kind).join('+'), placement !== null, live].join(' ');
}

/** All that children may say of the running operation, and what may happen to an idle cluster. */
function happenings(state: ClusterState): ClusterEvent[] {
  const { operation, watch, nodes, placement } = state;
  const generation = generationOf(state.life, state.n);
  if (operation !== null) {
    const ended = { type: 'operationEnded', generation, opId: operation.id, child: operation.child } as const;
    const failure = { kind: 'capacity', message: 'no room' } as const;
    const stands = placement ?? aPlacement(state, state.attempts + 1, 2);
    const up = operation.kind === 'launch' || operation.kind === 'start';
    return [
      { ...ended, outcome: 'failed', failure, stands: null },
      { ...ended, outcome: 'aborted', failure: { kind: 'aborted', message: 'Another command came.' }, stands: null },
      {
        ...ended,
        outcome: 'succeeded',
        failure: null,
        stands: up ? { placement: stands, nodes: nodesOf(stands) } : null,
      },
    ];
  }
  if (watch === null || watch.stopping) return [];
  const seen = { type: 'observed', generation, child: watch.child, at: 0 } as const;
  return [
    { ...seen, unreachable: [{ rank: 0, reason: 'silent' }] },
    { ...seen, gone: nodes.map(({ rank }) => ({ rank, state: 'stopped', reason: 'its lease' })) },
    { ...seen, gone: nodes.map(({ rank }) => ({ rank, state: 'terminated', reason: 'preempted' })) },
  ];
}

/** Every combination that can come about with at most three commands waiting, one state of each. */
function reachable(): ClusterState[] {
  const first = newCluster({ workspace: 'default', name: 'c' }, 'life', 0);
  const found = new Map([[signature(first), first]]);
  for (const state of found.values()) {
    const next = happenings(state).map((event) => applyEvent(state, event, 1).state);
    for (const kind of KINDS) {
      const command = aCommand(kind, { nodes: 2 });
      if (commandProblem(state, command, 1) === null) next.push(applyCommand(state, command, 1).state);
    }
    for (const one of next) {
      const name = signature(one);
      if (one.waiting.length <= 3 && !found.has(name)) found.set(name, one);
    }
  }
  return [...found.values()];
}

const STATES = reachable();
const PAIRS = STATES.flatMap((state) =>
  KINDS.map((kind) => [`${kind} when ${signature(state)}`, state, kind] as const),
);

function each(check: (state: ClusterState, kind: CommandKind, command: Command) => void): void {
  for (const [title, state, kind] of PAIRS) {
    try {
      check(state, kind, aCommand(kind, { nodes: 2 }));
    } catch (error) {
      throw new Error(`${title}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
    }
  }
}

function ids(waiting: readonly Waiting[]): string[] {
  return waiting.map(({ opId }) => opId);
}

describe('in every state that can come about', () => {
  test('there are all statuses, all running operations and all last waiting ones', () => {
    expect(STATES.length).toBeGreaterThan(60);
    expect(new Set(STATES.map(({ status }) => status))).toEqual(new Set(Object.keys(WHEN_IDLE)));
    for (const last of ['launch', 'start', 'stop', 'down', 'ports'] as const) {
      expect(STATES.some(({ operation }) => operation?.kind === last)).toBe(true);
      expect(STATES.some(({ waiting }) => waiting.at(-1)?.kind === last)).toBe(true);
    }
  });

  test('the table says what the design says', () => {
    for (const [row, cells] of Object.entries(LAW)) {
      const table = { ...WHEN_IDLE, ...WHILE_RUNNING }[row as 'UP'];
      expect(KINDS.map((kind) => table[kind])).toEqual(cells);
    }
    each((state, kind) => expect(disposition(state, kind)).toBe(lawFor(state, kind)));
  });

  test('a command is refused exactly when the table says so, with the reason and what to do next', () => {
    each((state, kind, command) => {
      const problem = commandProblem(state, command, 1);
      expect(problem !== null).toBe(lawFor(state, kind) === 'refuse');
      if (problem === null) return;
      const absent = state.operation === null && (state.status === 'NEW' || state.status === 'TERMINATED');
      expect(problem.kind).toBe(absent ? 'not-found' : 'refused');
      expect(problem.message).toMatch(
        absent ? /^Cluster 'c' does not exist\.$/ : /^Cluster 'c' is .*: \w+ is not possible\.$/,
      );
      expect(problem.hint).toMatch(/`styx \w+.*`|Run it again when \w+-\d+ has ended\./);
    });
  });

  test('a refused command, or asking whether it would be, changes nothing', () => {
    each((state, _kind, command) => {
      const before = JSON.stringify(state);
      commandProblem(state, command, 1);
      expect(JSON.stringify(state)).toBe(before);
    });
  });

  test('a repeated request has the first answer and no effects, at once and in every later state', () => {
    each((state, kind, command) => {
      if (lawFor(state, kind) === 'refuse') return;
      const first = applyCommand(state, command, 1);
      const laters = [first.state, ...happenings(first.state).map((event) => applyEvent(first.state, event, 2).state)];
      for (const later of laters) {
        expect(commandProblem(later, command, 1)).toBeNull();
        expect(applyCommand(later, command, 3)).toEqual({ state: later, effects: [], answer: first.answer });
      }
    });
  });

  test('a change of ports acts at once when nothing runs, else it waits last; jobs go on', () => {
    each((state, kind, command) => {
      if (kind !== 'ports' || lawFor(state, kind) === 'refuse') return;
      const { state: after, effects, answer } = applyCommand(state, command, 1);
      expect(after.jobs).toEqual(state.jobs);
      if (lawFor(state, kind) === 'act') {
        expect(after.operation).toMatchObject({ id: answer.operationId, kind: 'ports' });
        expect(effects).toMatchObject([{ type: 'startPorts', ports: ['8080'] }]);
      } else {
        expect(effects).toEqual([]);
        expect(ids(after.waiting)).toEqual([...ids(state.waiting), answer.operationId]);
      }
    });
  });

  test('exec, cancel and autostop never wait, and leave operations as they are', () => {
    each((state, kind, command) => {
      if ((kind !== 'exec' && kind !== 'cancel' && kind !== 'autostop') || lawFor(state, kind) === 'refuse') return;
      const { state: after, answer } = applyCommand(state, command, 1);
      expect(answer.operationId).toBeNull();
      expect(after.operation).toEqual(state.operation);
      expect(ids(after.waiting)).toEqual(ids(state.waiting));
      if (kind === 'exec') expect(after.jobs.at(-1)?.id).toBe(answer.jobId);
      if (kind === 'autostop') expect(after.autostop).toEqual({ idleMinutes: 5, down: false, waitFor: 'jobs_and_ssh' });
    });
  });

  test('launch and start act at once when nothing runs, else they wait last; a start that is on its way is joined', () => {
    each((state, kind, command) => {
      if (kind !== 'launch' && kind !== 'start') return;
      const what = lawFor(state, kind);
      if (what === 'refuse') return;
      const { state: after, effects, answer } = applyCommand(state, command, 1);
      if (what === 'act') {
        const at = after.operation ?? after.operations.at(-1);
        expect(at?.id).toBe(answer.operationId);
        expect(effects.some(({ type }) => type === 'startProvision')).toBe(state.status !== 'UP');
      } else {
        expect(effects).toEqual([]);
        expect(after.operation).toEqual(state.operation);
        if (what === 'queue') expect(ids(after.waiting)).toEqual([...ids(state.waiting), answer.operationId]);
        if (what === 'join') expect(answer.operationId).toBe(state.waiting.at(-1)?.opId ?? state.operation?.id);
        if (what === 'noop') expect(answer).toMatchObject({ operationId: null, note: "Cluster 'c' is up already." });
      }
    });
  });

  test('a stop ends launches and starts early, and joins a stop or a down that is on its way', () => {
    each((state, kind, command) => {
      if (kind !== 'stop' || lawFor(state, kind) === 'refuse') return;
      const { state: after, answer } = applyCommand(state, command, 1);
      const { operation } = state;
      if (lawFor(state, kind) === 'noop') return expect(after.operation).toBeNull();
      if (operation === null) return expect(after.operation?.id).toBe(answer.operationId);
      const [only] = after.waiting;
      expect(after.waiting.length).toBeLessThanOrEqual(1);
      if (only === undefined) {
        expect(after.operation).toEqual(operation);
        expect(ends(operation)).toBe(true);
        expect(answer.operationId).toBe(operation.id);
        expect(after.jobs.every((job) => job.endedAt !== null)).toBe(true);
      } else {
        expect(only.opId).toBe(answer.operationId);
        expect(only.kind).toBe(state.waiting.some((one) => one.kind === 'down') ? 'down' : 'stop');
        expect(after.operation).toMatchObject({ id: operation.id, aborting: true });
      }
    });
  });

  test('a down comes next whatever runs or waits, and all that waited is aborted', () => {
    each((state, kind, command) => {
      if (kind !== 'down' || lawFor(state, kind) === 'refuse') return;
      const { state: after, answer } = applyCommand(state, command, 1);
      const downs = [
        ...(after.operation === null ? [] : [{ opId: after.operation.id, kind: after.operation.kind }]),
        ...after.waiting,
      ];
      expect(downs.find((one) => one.kind === 'down')?.opId).toBe(answer.operationId);
      expect(after.waiting.every((one) => one.kind === 'down')).toBe(true);
      if (after.operation !== null && after.operation.kind !== 'down') expect(after.operation.aborting).toBe(true);
      for (const dropped of state.waiting.filter((one) => one.opId !== answer.operationId)) {
        expect(after.operations.find(({ id }) => id === dropped.opId)).toMatchObject({ outcome: 'aborted' });
      }
    });
  });

  test('a running down is never ended early and a waiting one never taken back, by no command', () => {
    each((state, kind, command) => {
      if (lawFor(state, kind) === 'refuse') return;
      const { state: after, effects } = applyCommand(state, command, 1);
      if (state.operation?.kind === 'down') {
        expect(after.operation).toEqual(state.operation);
        expect(effects.some(({ type }) => type === 'abortOperation')).toBe(false);
      }
      const downs = ids(state.waiting.filter((one) => one.kind === 'down'));
      expect(ids(after.waiting)).toEqual(expect.arrayContaining(downs));
    });
  });

  test('every pair ends at rest when all children succeed', () => {
    each((state, kind, command) => {
      if (lawFor(state, kind) === 'refuse') return;
      let after = applyCommand(state, command, 1).state;
      const { answer } = applyCommand(state, command, 1);
      for (let step = 0; after.operation !== null && step < 20; step++) {
        const event = happenings(after).at(-1);
        if (event !== undefined) after = applyEvent(after, event, 2).state;
      }
      expect([after.operation, after.waiting]).toEqual([null, []]);
      if (kind === 'down') expect(after.status).toBe('TERMINATED');
      if (kind === 'launch') expect(after.status).toBe('UP');
      if (answer.operationId !== null) {
        const found = after.operations.find(({ id }) => id === answer.operationId);
        // What waits while a launch or a start that failed is undone finds nothing there.
        const stands = after.status === 'UP' || after.status === 'UNHEALTHY';
        const finds = kind === 'ports' ? stands : kind !== 'start' || after.status !== 'TERMINATED';
        expect(found?.outcome).toBe(finds ? 'succeeded' : 'failed');
      }
    });
  });
});

describe('a launch behind a down', () => {
  test('need not fit what goes down, and those behind it must fit what it asks for', () => {
    const story = new Story();
    story.up(2);
    expect(story.problem('launch', { nodes: 3 })).toMatchObject({ kind: 'invalid' });
    story.command('down');
    expect(story.problem('launch', { nodes: 3 })).toBeNull();
    story.command('launch', { nodes: 1 });
    expect(story.problem('launch', { nodes: 2 })).toMatchObject({ kind: 'invalid' });
    expect(story.problem('launch', { nodes: 1 })).toBeNull();
  });

  test('takes the autostop rule that is set while it waits', () => {
    const story = new Story();
    story.up();
    story.command('down');
    story.command('launch');
    story.command('autostop', { autostop: { idleMinutes: 7, down: true, waitFor: 'jobs' } });
    story.ended('succeeded');
    expect(story.state.autostop).toEqual({ idleMinutes: 7, down: true, waitFor: 'jobs' });
  });
});

test('what does not fit, unknown jobs and more work than a cluster can hold are refused with the reason', () => {
  const story = new Story();
  story.up(1);
  expect(story.problem('exec', { task: { demand: { cpus: 5, gpus: 0, memory: 0 } } })).toMatchObject({
    kind: 'invalid',
    message: "The task does not fit cluster 'c': it demands 5 CPUs a node, the cluster's nodes have 4.",
  });
  expect(story.problem('cancel', { jobs: [1, 9] })).toMatchObject({ kind: 'not-found', message: /has no job 9/ });
  story.command('exec');
  const row = story.job(1);
  story.state = {
    ...story.state,
    jobs: Array.from({ length: 999 }, (_, index) => ({ ...row, id: index + 1 })),
    nextJobId: 1_000,
  };
  expect(story.problem('exec')).toBeNull();
  story.command('exec');
  expect(story.problem('exec')).toMatchObject({ kind: 'refused', message: /1000 jobs that have not ended/ });
  expect(story.problem('cancel')).toBeNull();
});
