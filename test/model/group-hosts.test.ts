/** When the names of a group are told, to whom, and which. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { groupHosts, hostName, nameProblem } from '../../model/group-hosts.ts';
import { isManagedEnd, type ManagedStatus } from '../../model/managed-job.ts';
import type { PipelineState, TaskRules } from '../../model/pipeline.ts';
import { parsePipelineState } from '../../model/pipeline-schema.ts';
import { applyPipeline, newPipeline, type PipelineEvent } from '../../model/pipeline-transition.ts';
import { holds } from './holds.ts';

const NAMES = ['a', 'b', 'c'];
const RULES = NAMES.map(
  (name): TaskRules => ({ name, after: [], continueOnFailure: false, needs: [], endsAfter: null }),
);

class Group {
  state: PipelineState = newPipeline({ tasks: RULES as never, submittedAt: 1, hosts: true });
  /** What the job of each task was told last. */
  readonly told = new Map<string, { version: number; hosts: readonly (readonly [string, string])[] }>();

  constructor() {
    this.apply({ type: 'numbered', number: 1 });
  }

  apply(event: PipelineEvent): number[] {
    const { state, effects } = applyPipeline(this.state, event, { tasks: RULES }, 2);
    this.state = parsePipelineState(JSON.parse(JSON.stringify(state)));
    const tasks = effects.flatMap((effect) => (effect.type === 'tellHosts' ? [effect.task] : []));
    for (const task of tasks) {
      const { group } = this.state;
      if (group === undefined) throw new Error('a group without its state');
      this.told.set(group.nodes[task]?.job ?? '', groupHosts(group, NAMES, 'g'));
    }
    return tasks;
  }

  stands(task: number, copy = 1): number[] {
    const addresses = [`10.${task}.${copy}.0`, `10.${task}.${copy}.1`];
    return this.apply({ type: 'nodes', nodes: { task, copy, job: `job-${task}-${copy}`, addresses } });
  }

  is(task: number, status: ManagedStatus): number[] {
    const report = { task, status, reason: '', startedAt: 1, endedAt: null, recoveries: 0, outputs: {}, cost: 0 };
    return this.apply({ type: 'report', report: { ...report, over: isManagedEnd(status) } });
  }
}

describe('the names of a group', () => {
  test('are told anew after a pause only when all that has not ended has new machines', () => {
    const group = new Group();
    for (const task of [0, 1, 2]) group.stands(task);
    group.apply({ type: 'pause', requestId: 'p', user: 'u' });
    group.is(2, 'SUCCEEDED');
    group.apply({ type: 'resume', requestId: 'r', user: 'u' });
    expect([group.stands(0, 2), group.stands(1, 2)]).toEqual([[], [0, 1]]);
    expect(group.told.get('job-0-2')?.hosts.map(([address, name]) => `${address} ${name}`)).toEqual([
      '10.0.2.0 a-0.g',
      '10.0.2.1 a-1.g',
      '10.1.2.0 b-0.g',
      '10.1.2.1 b-1.g',
    ]);
  });

  test('are told to all at once, when the last task has said where its machines are', () => {
    const group = new Group();
    expect([group.stands(2), group.stands(0), group.stands(0)]).toEqual([[], [], []]);
    expect(group.stands(1)).toEqual([0, 1, 2]);
    expect(group.told.get('job-0-1')).toEqual({
      version: 1,
      hosts: [
        ['10.0.1.0', 'a-0.g'],
        ['10.0.1.1', 'a-1.g'],
        ['10.1.1.0', 'b-0.g'],
        ['10.1.1.1', 'b-1.g'],
        ['10.2.1.0', 'c-0.g'],
        ['10.2.1.1', 'c-1.g'],
      ],
    });
  });

  test('are told again when a task has recovered, and what its old copy says late changes nothing', () => {
    const group = new Group();
    for (const task of [0, 1, 2]) group.stands(task);
    expect(group.is(1, 'RECOVERING')).toEqual([]);
    expect(group.stands(1, 2)).toEqual([0, 1, 2]);
    expect(group.told.get('job-0-1')?.hosts).toContainEqual(['10.1.2.0', 'b-0.g']);
    expect(group.told.get('job-0-1')).toEqual(group.told.get('job-1-2'));
    expect(group.stands(1, 1)).toEqual([]);
  });

  test('do not wait for a task that ended without machines, and are taken from one whose machines are gone', () => {
    const group = new Group();
    group.stands(0);
    group.stands(1);
    expect(group.is(2, 'FAILED_NO_RESOURCE')).toEqual([0, 1]);
    expect(group.told.get('job-0-1')?.hosts.map(([, name]) => name)).toEqual(['a-0.g', 'a-1.g', 'b-0.g', 'b-1.g']);
    expect(group.is(1, 'SUCCEEDED')).toEqual([0]);
    expect(group.told.get('job-0-1')).toMatchObject({
      version: 2,
      hosts: [
        ['10.0.1.0', 'a-0.g'],
        ['10.0.1.1', 'a-1.g'],
      ],
    });
  });

  test('are nobody’s business in a pipeline without them', () => {
    const group = new Group();
    group.state = newPipeline({ tasks: RULES as never, submittedAt: 1 });
    for (const task of [0, 1, 2]) expect(group.stands(task)).toEqual([]);
    expect(group.state.group).toBeUndefined();
  });

  test('whatever happens: who is told is told all names of the tasks that live, and in the end all of these know the same', () => {
    const acts = fc.array(fc.tuple(fc.nat(2), fc.constantFrom('stands', 'recovers', 'ends')), { maxLength: 25 });
    const law = fc.property(acts, (given) => {
      const group = new Group();
      const copies = [0, 0, 0];
      const ended = new Set<number>();
      for (const [task, what] of given) {
        if (ended.has(task)) continue;
        if (what === 'ends') ended.add(task);
        else if (what === 'recovers' || copies[task] === 0) copies[task] = (copies[task] ?? 0) + 1;
        if (what === 'ends') group.is(task, 'SUCCEEDED');
        else group.stands(task, copies[task]);
        const live = NAMES.flatMap((name, index) =>
          ended.has(index) ? [] : [{ name, index, copy: copies[index] ?? 0 }],
        );
        const expected = live.flatMap(({ name, index, copy }) =>
          [0, 1].map((rank) => [`10.${index}.${copy}.${rank}`, hostName(name, rank, 'g')]),
        );
        const known = live.map(({ index, copy }) => group.told.get(`job-${index}-${copy}`));
        if (live.some(({ copy }) => copy === 0)) expect(known).toEqual(live.map(() => undefined));
        else for (const hosts of known) expect(hosts?.hosts).toEqual(expected);
      }
    });
    holds(law, 500);
  });
});

test('a name that no resolver would take is a reason to have none', () => {
  const tasks = [{ name: 'task_1', numNodes: 2 }];
  expect(nameProblem('group-1', tasks)).toBeNull();
  for (const group of [null, '', 'a b', 'a.b', 'x'.repeat(64)])
    expect(nameProblem(group, tasks)).toContain('the group');
  expect(nameProblem('g', [{ name: 'x'.repeat(61), numNodes: 10 }])).toBeNull();
  expect(nameProblem('g', [{ name: 'x'.repeat(61), numNodes: 11 }])).toContain('more than 63');
});
