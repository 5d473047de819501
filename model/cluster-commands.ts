/**
 * The command table: what a cluster does with a command, by the state it is in and the operation that runs or waits last.
 *
 * act: at once. queue: when the running operation has ended. preempt: end the running operation, then act. join: the same is on its
 * way already, answer with that operation. noop: it is so already. refuse: with the reason.
 */
import type { ClusterState, ClusterStatus, OperationKind } from './cluster.ts';
import type { CommandKind } from './commands.ts';
import type { Failure } from './errors.ts';

export type Disposition = 'act' | 'queue' | 'preempt' | 'join' | 'noop' | 'refuse';

/** `down` pre-empts everything and always wins; exec, cancel, autostop and ray never wait. */
export const WHILE_RUNNING: Readonly<Record<OperationKind, Readonly<Record<CommandKind, Disposition>>>> = {
  launch: {
    launch: 'queue',
    exec: 'act',
    cancel: 'act',
    stop: 'preempt',
    start: 'join',
    down: 'preempt',
    autostop: 'act',
    ray: 'act',
    ports: 'queue',
  },
  start: {
    launch: 'queue',
    exec: 'act',
    cancel: 'act',
    stop: 'preempt',
    start: 'join',
    down: 'preempt',
    autostop: 'act',
    ray: 'act',
    ports: 'queue',
  },
  stop: {
    launch: 'queue',
    exec: 'refuse',
    cancel: 'act',
    stop: 'join',
    start: 'queue',
    down: 'preempt',
    autostop: 'refuse',
    ray: 'refuse',
    ports: 'refuse',
  },
  down: {
    launch: 'queue',
    exec: 'refuse',
    cancel: 'act',
    stop: 'refuse',
    start: 'refuse',
    down: 'join',
    autostop: 'refuse',
    ray: 'refuse',
    ports: 'refuse',
  },
  ports: {
    launch: 'queue',
    exec: 'act',
    cancel: 'act',
    stop: 'preempt',
    start: 'queue',
    down: 'preempt',
    autostop: 'act',
    ray: 'act',
    ports: 'queue',
  },
};

export const WHEN_IDLE: Readonly<Record<ClusterStatus, Readonly<Record<CommandKind, Disposition>>>> = {
  NEW: {
    launch: 'act',
    exec: 'refuse',
    cancel: 'refuse',
    stop: 'refuse',
    start: 'refuse',
    down: 'refuse',
    autostop: 'refuse',
    ray: 'refuse',
    ports: 'refuse',
  },
  INIT: {
    launch: 'act',
    exec: 'refuse',
    cancel: 'act',
    stop: 'act',
    start: 'act',
    down: 'act',
    autostop: 'act',
    ray: 'refuse',
    ports: 'refuse',
  },
  UP: {
    launch: 'act',
    exec: 'act',
    cancel: 'act',
    stop: 'act',
    start: 'noop',
    down: 'act',
    autostop: 'act',
    ray: 'act',
    ports: 'act',
  },
  UNHEALTHY: {
    launch: 'act',
    exec: 'act',
    cancel: 'act',
    stop: 'act',
    start: 'act',
    down: 'act',
    autostop: 'act',
    ray: 'act',
    ports: 'act',
  },
  STOPPED: {
    launch: 'act',
    exec: 'refuse',
    cancel: 'act',
    stop: 'noop',
    start: 'act',
    down: 'act',
    autostop: 'refuse',
    ray: 'refuse',
    ports: 'refuse',
  },
  TERMINATED: {
    launch: 'act',
    exec: 'refuse',
    cancel: 'refuse',
    stop: 'refuse',
    start: 'refuse',
    down: 'refuse',
    autostop: 'refuse',
    ray: 'refuse',
    ports: 'refuse',
  },
};

/** The operation that a new command has to reckon with: the last that waits, else the one that runs. */
export function effectiveOperation(state: Pick<ClusterState, 'operation' | 'waiting'>): OperationKind | null {
  return state.waiting.at(-1)?.kind ?? state.operation?.kind ?? null;
}

export function disposition(
  state: Pick<ClusterState, 'status' | 'operation' | 'waiting'>,
  command: CommandKind,
): Disposition {
  const running = effectiveOperation(state);
  if (running === null) return WHEN_IDLE[state.status][command];
  return (command === 'exec' || command === 'ray') && endAhead(state) !== null
    ? 'refuse'
    : WHILE_RUNNING[running][command];
}

/** What will take away the machines that a job is given to now, whatever comes after it; a stop that runs has done so. */
function endAhead(state: Pick<ClusterState, 'operation' | 'waiting'>): OperationKind | null {
  if (state.operation?.kind === 'down') return 'down';
  return state.waiting.find(({ kind }) => kind === 'stop' || kind === 'down')?.kind ?? null;
}

const DOING: Readonly<Record<OperationKind, string>> = {
  launch: 'being launched',
  start: 'being started',
  stop: 'being stopped',
  down: 'being taken down',
  ports: 'having its ports changed',
};

/** Why a command is refused, with what to do instead. */
export function refusal(
  state: Pick<ClusterState, 'name' | 'status' | 'operation' | 'waiting'>,
  command: CommandKind,
): Failure {
  const { name } = state;
  const running = effectiveOperation(state);
  if (running === null && (state.status === 'NEW' || state.status === 'TERMINATED')) {
    return {
      kind: 'not-found',
      message: `Cluster '${name}' does not exist.`,
      hint: 'Run `styx status` to see what exists.',
    };
  }
  if (running !== null) {
    const ending = endAhead(state) ?? running;
    const later = state.waiting.at(-1);
    const hint =
      later !== undefined && later.kind !== ending
        ? `Run it again when ${later.opId} has ended.`
        : ending === 'down'
          ? `It will be gone soon; \`styx launch -c ${name} …\` makes a new one.`
          : `When it has stopped, \`styx start ${name}\` brings it back.`;
    return { kind: 'refused', message: `Cluster '${name}' is ${DOING[ending]}: ${command} is not possible.`, hint };
  }
  if (state.status === 'STOPPED') {
    return {
      kind: 'refused',
      message: `Cluster '${name}' is stopped: ${command} is not possible.`,
      hint: `Run \`styx start ${name}\` first.`,
    };
  }
  return {
    kind: 'refused',
    message: `Cluster '${name}' is ${state.status}: ${command} is not possible.`,
    hint: `\`styx start ${name}\` repairs it, \`styx down ${name}\` ends it.`,
  };
}
