/**
 * Ray on the nodes of a cluster, as services of their agents. Each process has a key of its own, so that asking again looks at what was
 * started before. `agent/ray_node.py` is what runs there.
 */
import { type ErrorKind, isErrorKind } from '../model/errors.ts';
import { isRayKey, rayKey } from '../model/identity.ts';
import { rayToken } from '../nodes/keys.ts';
import type { Node, ProcessState } from '../nodes/node.ts';
import { nodeAddress } from './addresses.ts';
import type { ActivityContext } from './context.ts';
import { crashPoint } from './crash-points.ts';
import type {
  ActActivities,
  EndRayInput,
  RayHead,
  RayInputBase,
  RayPlace,
  RayProcessEnded,
  RayStepInput,
  StartRayInput,
} from './types.ts';
import { backoff, masked, whileHeartbeating } from './wrap.ts';

type RaySteps = Pick<ActActivities, 'installRay' | 'startRay' | 'endRay'>;

/** What a node says of its Ray (status.json). */
interface NodeStatus {
  readonly key: string;
  readonly stage: 'installing' | 'starting' | 'up' | 'failed';
  readonly error: { readonly kind: string; readonly message: string } | null;
  readonly address?: string;
  readonly ports?: Readonly<Record<string, number>>;
}

const GIB = 1024 ** 3;
/** Of a node's memory: for objects, and for what tasks and actors say that they need. */
const OBJECTS_PART = 0.3;
const TASKS_PART = 0.6;
/** Ray takes no smaller store. */
const LEAST_OBJECTS = 80 * 1024 ** 2;

export function raySteps(context: ActivityContext): RaySteps {
  const reach = (input: RayInputBase, place: RayPlace): Promise<Node> =>
    context.pool.node(nodeAddress(context.secret, input.cluster, place.node));

  async function status(input: RayInputBase, place: RayPlace): Promise<NodeStatus | null> {
    const address = nodeAddress(context.secret, input.cluster, place.node);
    const { code, stdout } = await context.pool.exec(address, ['sh', '-c', 'cat ~/.styx-ray/status.json']);
    if (code !== 0) return null;
    const found = JSON.parse(stdout.toString()) as NodeStatus;
    return found.key === keyOf(input, place) ? found : null;
  }

  async function start(
    input: RayInputBase,
    place: RayPlace,
    phase: 'setup' | 'service',
    address: string | null,
  ): Promise<ProcessState> {
    const node = await reach(input, place);
    const secrets = phase === 'setup' ? {} : { STYX_RAY_TOKEN: tokenOf(context, input) };
    try {
      return await node.start({
        jobKey: keyOf(input, place),
        phase,
        rank: place.node.rank,
        script: scriptOf(phase, node.agentVersion),
        env: { STYX_RAY: JSON.stringify(wanted(input, place, address)) },
        secrets,
        owner: input.owner,
      });
    } catch (error) {
      throw masked(error, Object.values(secrets));
    }
  }

  /** Why a process ended. */
  async function ending(input: RayInputBase, place: RayPlace, process: ProcessState): Promise<RayProcessEnded> {
    const said = await status(input, place);
    const { exitCode, lost } = process;
    const message = said?.error?.message ?? (lost ? 'it vanished' : `it ended with exit code ${exitCode}`);
    const kind: ErrorKind = isErrorKind(said?.error?.kind) ? said.error.kind : 'internal';
    return { index: place.index, rank: place.node.rank, kind, message };
  }

  async function ends(input: RayStepInput, place: RayPlace, signal: AbortSignal): Promise<RayProcessEnded | null> {
    const pause = backoff(input.timing.pollEvery);
    for (;;) {
      const process = await start(input, place, 'setup', null);
      if (process.state === 'exited') return process.exitCode === 0 ? null : await ending(input, place, process);
      signal.throwIfAborted();
      await pause();
    }
  }

  async function stands(
    input: StartRayInput,
    place: RayPlace,
    signal: AbortSignal,
  ): Promise<RayProcessEnded | NodeStatus> {
    const pause = backoff(input.timing.pollEvery);
    for (;;) {
      const process = await start(input, place, 'service', input.address);
      if (process.state === 'exited') return await ending(input, place, process);
      const found = await status(input, place);
      if (found?.stage === 'up') return found;
      signal.throwIfAborted();
      await pause();
    }
  }

  /**
   * Ends what there is of the cluster's Ray on a node but `kept`, and waits until it has ended. The newest that ended by itself too: its
   * children may live, and its successor waits for them.
   */
  async function endOthers(
    input: RayInputBase,
    place: RayPlace,
    kept: string | null,
    also: readonly string[],
    signal: AbortSignal,
  ): Promise<void> {
    const { timing, cluster } = input;
    const node = await reach(input, place);
    const others = async () =>
      (await node.processes()).filter(({ jobKey }) => jobKey !== kept && isRayKey(cluster.generation, jobKey));
    const found = await others();
    const [newest] = found.filter(({ state }) => state === 'exited').toSorted((a, b) => b.startedAt - a.startedAt);
    const wanted = found.filter((one) => one.state === 'running' || one === newest).map(({ jobKey }) => jobKey);
    for (const key of new Set([...also, ...wanted])) await node.cancel(key, timing.killGrace);
    const pause = backoff(timing.pollEvery);
    while ((await others()).some(({ state }) => state === 'running')) {
      signal.throwIfAborted();
      await pause();
    }
  }

  return {
    async installRay(input: RayStepInput): Promise<RayProcessEnded[]> {
      return await whileHeartbeating(input.timing, async (signal) => {
        const ended = await Promise.all(
          input.places.map(async (place) => {
            await endOthers(input, place, keyOf(input, place), [], signal);
            return await ends(input, place, signal);
          }),
        );
        crashPoint('installRay.called');
        return ended.filter((one) => one !== null);
      });
    },

    async startRay(input: StartRayInput): Promise<{ head: RayHead | null; ended: RayProcessEnded[] }> {
      return await whileHeartbeating(input.timing, async (signal) => {
        const found = await Promise.all(input.places.map((place) => stands(input, place, signal)));
        crashPoint('startRay.called');
        const ended = found.filter((one) => 'index' in one);
        const [first] = found;
        const { address, ports } = first !== undefined && !('index' in first) ? first : {};
        const head =
          address === undefined || input.address !== null ? null : { address, dashboardPort: ports?.dashboard ?? 0 };
        return { head, ended };
      });
    },

    async endRay(input: EndRayInput): Promise<void> {
      // A start that is still on its way comes too late: its key is barred.
      await whileHeartbeating(input.timing, (signal) =>
        endOthers(input, input.place, null, [keyOf(input, input.place)], signal),
      );
      crashPoint('endRay.called');
    },
  };
}

function keyOf({ cluster, child }: RayInputBase, { node, attempt }: RayPlace): string {
  return rayKey(cluster.generation, child, node.rank, attempt);
}

function tokenOf(context: ActivityContext, { cluster }: RayInputBase): string {
  return rayToken(context.secret, cluster.workflowId, cluster.generation);
}

/** The token comes by a variable that is gone from the shell before anything else is started, and goes to a file of this user alone. */
function scriptOf(phase: 'setup' | 'service', version: string): string {
  const token =
    phase === 'setup'
      ? ''
      : 'umask 077; mkdir -p ~/.styx-ray; printf %s "$STYX_RAY_TOKEN" >~/.styx-ray/token.new && mv -f ~/.styx-ray/token.new ~/.styx-ray/token; unset STYX_RAY_TOKEN; ';
  return `${token}dir=~/.styx-agent/bin/${version}; read -r python <"$dir/python" && exec "$python" -I -S "$dir/ray_node.py" ${phase}`;
}

function wanted(input: RayInputBase, place: RayPlace, address: string | null): Record<string, unknown> {
  const { node, index } = place;
  const { spec } = input;
  const { CPU, GPU, ...others } = index === 0 ? (spec.headResources ?? {}) : {};
  return {
    key: keyOf(input, place),
    version: spec.version,
    extras: spec.extras,
    name: `styx-${node.rank}`,
    ip: node.internalAddress,
    address,
    cpus: CPU ?? Math.max(1, Math.floor(node.cpus)),
    gpus: GPU ?? node.gpus,
    memory: Math.floor(node.memory * TASKS_PART * GIB),
    objectStore: Math.max(LEAST_OBJECTS, Math.floor(node.memory * OBJECTS_PART * GIB)),
    resources: others,
  };
}
