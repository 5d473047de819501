/**
 * Ray on a cluster, for as long as it is wanted there: installed on every node, head first, then the workers. A worker that ends is
 * started again, a head where the task allows it. That a process ended comes as a signal of the cluster's watch; a slow look catches one that got lost.
 */
import {
  CancellationScope,
  condition,
  continueAsNew,
  isCancellation,
  setCurrentDetails,
  setHandler,
  sleep,
  workflowInfo,
} from '@temporalio/workflow';
import type { ClusterRef, RayHead, RayPlace, RayProcessEnded } from '../activities/types.ts';
import type { RayChanged } from '../model/commands.ts';
import type { Failure } from '../model/errors.ts';
import { lifeOf, numberOnNodes } from '../model/identity.ts';
import type { NodeInfo } from '../model/machines.ts';
import type { RaySpec } from '../model/ray.ts';
import type { Timing } from '../model/timing.ts';
import { Failed, failureOf } from './failures.ts';
import { isHistoryFull } from './history-full.ts';
import { endRaySignal, rankEndedSignal, rayChangedSignal, rayEndedSignal } from './messages.ts';
import { tell } from './parent.ts';
import { rayStep } from './steps.ts';

export interface RayInput {
  readonly version: 1;
  readonly cluster: ClusterRef;
  readonly child: number;
  readonly spec: RaySpec;
  readonly nodes: readonly NodeInfo[];
  readonly timing: Timing;
  /** Of the run before: how often Ray was started on each node, by index. */
  readonly tries?: readonly number[];
  /** It stood then. */
  readonly stood?: boolean;
}

/** Failures in a row of one node after which a Ray that never stood is given up. */
const TRIES = 4;
/** A node that does not answer is asked this often to end its Ray; after that its machine's end, or the next Ray, does. */
const END_TRIES = 100;

export async function ray(input: RayInput): Promise<void> {
  const scope = new CancellationScope();
  const keeper = new RayKeeper(input);
  const order: { end: { readonly clean: boolean } | null } = { end: null };
  setHandler(endRaySignal, (end) => {
    order.end ??= end;
    scope.cancel();
  });
  setHandler(rankEndedSignal, () => keeper.hint());
  let failure: Failure | null = null;
  let again: RayInput | null = null;
  try {
    again = await scope.run(() => keeper.keep());
  } catch (error) {
    if (order.end === null && !isCancellation(error)) failure = failureOf(error);
  }
  if (again !== null && order.end === null) await continueAsNew<typeof ray>(again);
  await CancellationScope.nonCancellable(async () => {
    if (order.end?.clean !== false) await keeper.end();
    const { generation, workflowId } = input.cluster;
    await tell(workflowId, rayEndedSignal, { generation, child: input.child, failure });
  });
}

class RayKeeper {
  private readonly input: RayInput;
  private readonly tries: number[];
  /** Failures in a row, by index of the node. */
  private readonly failures: number[];
  private stood: boolean;
  private hints = 0;
  private shown = '';

  constructor(input: RayInput) {
    this.input = input;
    this.tries = input.nodes.map((_, index) => input.tries?.[index] ?? 1);
    this.failures = input.nodes.map(() => 0);
    this.stood = input.stood ?? false;
  }

  /** Some process of it ended. */
  hint(): void {
    this.hints += 1;
  }

  /** Until it fails for good, or its history is long enough: then the input of the next run. */
  async keep(): Promise<RayInput> {
    const { timing } = this.input;
    for (;;) {
      const seen = this.hints;
      const { head, ended } = await this.stand();
      if (ended.length > 0) {
        await this.startAgain(head, ended);
        continue;
      }
      this.stood = true;
      this.failures.fill(0);
      await this.tell('UP', '', head);
      if (isHistoryFull(timing)) {
        return { ...this.input, tries: this.tries, stood: true };
      }
      await condition(() => this.hints !== seen, timing.describeOpsEvery);
    }
  }

  /** Starts what does not run, and looks at what does. */
  private async stand(): Promise<{ head: RayHead | null; ended: RayProcessEnded[] }> {
    const { spec, nodes, timing } = this.input;
    const places = this.places();
    const [first, ...others] = places;
    if (first === undefined) throw new Failed({ kind: 'internal', message: 'The cluster has no nodes.' });
    const many = `${nodes.length} nodes`;
    if (!this.stood) await this.tell('STARTING', `installing Ray ${spec.version} on ${many}`, null);
    const install = rayStep(timing, `install Ray ${spec.version} on ${many}`);
    const missing = await install.installRay({ ...this.common(), places });
    if (missing.length > 0) return { head: null, ended: missing };
    if (!this.stood) await this.tell('STARTING', 'starting the head', null);
    const start = rayStep(timing, 'start the head of Ray, or see that it stands');
    const { head, ended } = await start.startRay({ ...this.common(), places: [first], address: null });
    if (head === null || ended.length > 0 || others.length === 0) return { head, ended };
    if (!this.stood) await this.tell('STARTING', `starting ${others.length} workers`, null);
    const workers = rayStep(timing, `start ${others.length} workers of Ray, or see that they stand`);
    const lost = await workers.startRay({ ...this.common(), places: others, address: head.address });
    return { head, ended: lost.ended };
  }

  private async startAgain(head: RayHead | null, ended: readonly RayProcessEnded[]): Promise<void> {
    const { spec, timing } = this.input;
    const [first] = ended;
    const invalid = ended.find(({ kind }) => kind === 'invalid');
    if (invalid !== undefined) throw new Failed({ kind: 'invalid', message: invalid.message });
    const headEnded = ended.some(({ index }) => index === 0);
    if (headEnded && this.stood && spec.restartHead !== true) {
      throw new Failed({
        kind: 'internal',
        message: `the head ended: ${first?.message}`,
        hint: 'What Ray knew is lost with it. With restart_head: true it is started again; `styx ray up` does it now.',
      });
    }
    const worst = Math.max(...ended.map(({ index }) => ++(this.failures[index] as number)));
    if (worst >= TRIES && !this.stood) {
      throw new Failed({
        kind: 'internal',
        message: `Ray failed on node ${first?.rank} again and again: ${first?.message}`,
      });
    }
    // Workers do not outlive their head.
    const again = headEnded ? this.tries.map((_, index) => index) : ended.map(({ index }) => index);
    const why = ended.map(({ rank, message }) => `node ${rank}: ${message}`).join('; ');
    if (headEnded) this.stood = false;
    await this.tell(this.stood ? 'UP' : 'STARTING', `started again: ${why}`.slice(0, 500), headEnded ? null : head);
    // The first time at once.
    const pause = worst === 1 ? 0 : timing.retryUntilUpFirst * 2 ** (worst - 2);
    if (pause > 0) await sleep(Math.min(pause, timing.retryUntilUpMax));
    for (const index of again) this.tries[index] = (this.tries[index] ?? 0) + 1;
  }

  /** Ends what runs of it on all nodes. */
  async end(): Promise<void> {
    const { timing } = this.input;
    setCurrentDetails('ending');
    await Promise.all(
      this.places().map(async (place) => {
        const ending = rayStep(timing, `end Ray on node ${place.node.rank}`, END_TRIES);
        await ending.endRay({ ...this.common(), place }).catch(() => undefined);
      }),
    );
  }

  private places(): RayPlace[] {
    return this.input.nodes.map((node, index) => ({ node, index, attempt: this.tries[index] ?? 1 }));
  }

  private common() {
    const { cluster, child, spec, timing } = this.input;
    const { workflowId, firstExecutionRunId } = workflowInfo();
    return { cluster, child: numberOnNodes(child, lifeOf(firstExecutionRunId)), spec, timing, owner: workflowId };
  }

  private async tell(status: RayChanged['status'], reason: string, head: RayHead | null): Promise<void> {
    const { cluster, child } = this.input;
    const { generation, workflowId } = cluster;
    const word: RayChanged = {
      generation,
      child,
      status,
      reason,
      address: head?.address ?? null,
      dashboardPort: head?.dashboardPort ?? null,
    };
    const text = JSON.stringify(word);
    if (text === this.shown) return;
    this.shown = text;
    setCurrentDetails(reason === '' ? status : `${status}: ${reason}`);
    await tell(workflowId, rayChangedSignal, word);
  }
}
