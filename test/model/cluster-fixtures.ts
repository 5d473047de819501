/** Tasks, places and commands for tests of the cluster's state machine. */
import type { ClusterSpec, ClusterState, CommandAnswer } from '../../model/cluster.ts';
import type { QueuedEffect } from '../../model/cluster-effects.ts';
import { rankOf } from '../../model/cluster-repair.ts';
import { generation, newCluster } from '../../model/cluster-state.ts';
import {
  applyCommand,
  applyEvent,
  type ClusterEvent,
  type Command,
  commandProblem,
} from '../../model/cluster-transition.ts';
import type { CommandKind, OperationEnded } from '../../model/commands.ts';
import type { Failure } from '../../model/errors.ts';
import { ANY_MACHINE, type NodeInfo, type Placement } from '../../model/machines.ts';
import type { RayRequest } from '../../model/ray.ts';
import type { AutostopRule, Task } from '../../model/task.ts';

export const RULE: AutostopRule = { idleMinutes: 5, down: false, waitFor: 'jobs_and_ssh' };
export const NODE_CPUS = 4;

export function aTask(numNodes = 1, more: Partial<Task> = {}): Task {
  return {
    name: 'train',
    resources: { ...ANY_MACHINE, numNodes },
    numNodes,
    envs: {},
    secrets: {},
    setup: null,
    run: 'true',
    autostop: null,
    priority: 0,
    demand: { cpus: 1, gpus: 0, memory: 0 },
    maxDuration: null,
    queue: null,
    ...more,
  };
}

export function aSpec(numNodes: number): ClusterSpec {
  return { resources: aTask(numNodes).resources, numNodes, resourcesText: `${numNodes}x(cpus=1+)` };
}

export function aPlacement(state: Pick<ClusterState, 'life' | 'n'>, attempt: number, numNodes: number): Placement {
  return {
    cloud: 'local',
    region: 'local',
    zone: `local-${attempt % 3}`,
    instanceType: 'local-4x',
    cpus: NODE_CPUS,
    memory: 16,
    accelerators: null,
    useSpot: false,
    hourlyCost: 0.5,
    key: `${generation(state)}/${attempt}`,
    attempt,
    numNodes,
  };
}

export function nodesOf(placement: Placement): NodeInfo[] {
  return Array.from({ length: placement.numNodes }, (_, index) => ({
    instanceId: `${placement.key}/${index}`,
    rank: rankOf(placement, index),
    address: '127.0.0.1',
    port: 2200 + index,
    user: 'me',
    internalAddress: '127.0.0.1',
    hostKey: 'ssh-ed25519 AAAA',
    cpus: placement.cpus,
    memory: placement.memory,
    gpus: 0,
    gpuName: null,
  }));
}

let requests = 0;

export function base(): { requestId: string; user: string } {
  requests += 1;
  return { requestId: `request-${requests}`, user: 'ada' };
}

export interface Asked {
  readonly nodes?: number;
  readonly task?: Partial<Task>;
  readonly retryUntilUp?: boolean;
  readonly autostop?: AutostopRule | null;
  /** More of what the cluster is launched for. */
  readonly spec?: Partial<ClusterSpec>;
  readonly jobs?: readonly number[] | null;
  readonly ray?: RayRequest | null;
  readonly open?: readonly string[];
  readonly close?: readonly string[];
}

export const ANY_RAY: RayRequest = { version: null, extras: [], headResources: null, restartHead: null };

/** A command with a request id of its own. */
export function aCommand(kind: CommandKind, asked: Asked = {}): Command {
  const { nodes = 1, retryUntilUp = false, autostop } = asked;
  const task = aTask(nodes, asked.task);
  const rule = autostop === undefined ? {} : { autostop };
  switch (kind) {
    case 'launch': {
      const more = {
        spec: { ...aSpec(nodes), ...asked.spec },
        retryUntilUp,
        noSetup: false,
        commandLine: 'styx launch',
      };
      return { kind, payload: { ...base(), task, ...more, ...rule } };
    }
    case 'exec':
      return { kind, payload: { ...base(), task, commandLine: 'styx exec' } };
    case 'cancel':
      return { kind, payload: { ...base(), jobs: asked.jobs ?? null } };
    case 'start':
      return { kind, payload: { ...base(), retryUntilUp, ...rule } };
    case 'autostop':
      return { kind, payload: { ...base(), rule: autostop === undefined ? RULE : autostop } };
    case 'ports':
      return { kind, payload: { ...base(), open: asked.open ?? ['8080'], close: asked.close ?? [] } };
    case 'ray':
      return { kind, payload: { ...base(), ray: asked.ray === undefined ? ANY_RAY : asked.ray } };
    default:
      return { kind, payload: base() };
  }
}

type Without<T> = T extends { generation: string } ? Omit<T, 'generation'> : T;

/** A cluster led step by step through a story; each step moves the clock by a second. */
export class Story {
  state: ClusterState = newCluster({ workspace: 'default', name: 'c' }, 'life', 1_000);
  /** What the last step asked for. */
  effects: QueuedEffect[] = [];
  now = 1_000;

  get generation(): string {
    return generation(this.state);
  }

  /** @throws Error when the command is refused */
  command(kind: CommandKind, asked: Asked = {}): CommandAnswer {
    return this.give(aCommand(kind, asked));
  }

  give(command: Command): CommandAnswer {
    const problem = commandProblem(this.state, command, this.now);
    if (problem !== null) throw new Error(`${command.kind}: ${problem.message}`);
    this.now += 1_000;
    const { state, effects, answer } = applyCommand(this.state, command, this.now);
    this.state = state;
    this.effects = effects;
    return answer;
  }

  problem(kind: CommandKind, asked: Asked = {}): Failure | null {
    return commandProblem(this.state, aCommand(kind, asked), this.now);
  }

  event(event: Without<ClusterEvent>): void {
    this.now += 1_000;
    const { state, effects } = applyEvent(
      this.state,
      { generation: this.generation, ...event } as ClusterEvent,
      this.now,
    );
    this.state = state;
    this.effects = effects;
  }

  /** The running operation's child has its last word. */
  ended(outcome: OperationEnded['outcome'], more: Partial<OperationEnded> = {}): void {
    const operation = this.state.operation;
    if (operation === null) throw new Error('nothing runs');
    const { id: opId, child } = operation;
    this.event({ type: 'operationEnded', opId, child, outcome, failure: null, stands: null, ...more });
  }

  failed(message = 'there is no capacity'): void {
    this.ended('failed', { failure: { kind: 'capacity', message } });
  }

  /** The next placement is recorded, before its machines are asked for. */
  placing(): Placement {
    const { spec, operation, attempts } = this.state;
    if (operation === null) throw new Error('nothing runs');
    const placement = aPlacement(this.state, attempts + 1, spec?.numNodes ?? 1);
    this.event({ type: 'placing', opId: operation.id, placement });
    return placement;
  }

  gone(placement: Placement): void {
    this.event({ type: 'placementGone', placementKey: placement.key });
  }

  /** The running launch or start succeeds. */
  stands(placement: Placement = this.state.placement ?? this.placing()): Placement {
    this.ended('succeeded', { stands: { placement, nodes: nodesOf(placement) } });
    return placement;
  }

  /** Launches and brings up. */
  up(nodes = 1, asked: Asked = {}): Placement {
    this.command('launch', { nodes, ...asked });
    return this.stands();
  }

  job(id: number) {
    const found = this.state.jobs.find((row) => row.id === id);
    if (found === undefined) throw new Error(`no job ${id}`);
    return found;
  }

  did<T extends QueuedEffect['type']>(type: T): Extract<QueuedEffect, { type: T }>[] {
    return this.effects.filter((effect): effect is Extract<QueuedEffect, { type: T }> => effect.type === type);
  }

  operation(id: string) {
    return this.state.operations.find((one) => one.id === id);
  }
}
