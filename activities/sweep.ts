/** Steps of a sweep: look for what nobody claims, and remove what was confirmed to be nobody's. */
import type { Cloud } from '../clouds/cloud.ts';
import { type Claims, type CloudResource, isClaimed } from '../model/cloud-resource.ts';
import { QUERIES } from '../model/commands.ts';
import { mapLimited } from '../model/map-limited.ts';
import { keyOf, type Look, ORPHANS_NAMED, type Unclaimed } from '../model/sweep.ts';
import { loadConfig } from '../system/config.ts';
import type { ActivityContext } from './context.ts';
import { crashPoint } from './crash-points.ts';
import type { ActActivities, LookInput, RemoveInput } from './types.ts';
import { backoff, whileHeartbeating } from './wrap.ts';

type SweepSteps = Pick<ActActivities, 'lookForOrphans' | 'removeOrphans' | 'sweepSettings'>;

const UNKNOWN_NAMED = 20;
/** Workflows. */
const ASKED_AT_ONCE = 8;
/** Until what was removed is seen to be gone. */
const GONE_MS = 3 * 60_000;

export function sweepSteps(context: ActivityContext): SweepSteps {
  return {
    async sweepSettings() {
      const { sweepFix, sweepMax } = (await loadConfig({ home: context.styxHome, project: null })).config;
      return { fix: sweepFix, max: sweepMax };
    },

    async lookForOrphans({ installation, timing }: LookInput): Promise<Look> {
      return await whileHeartbeating(timing, async () => {
        const unknown: Look['unknown'][number][] = [];
        const everything: CloudResource[] = [];
        const looked: string[] = [];
        const without: string[] = [];
        for (const cloud of await context.clouds()) {
          try {
            // No place: there are no credentials of it here.
            if ((await cloud.places()).length === 0) {
              without.push(cloud.name);
              continue;
            }
            everything.push(...(await cloud.owned(installation)));
            looked.push(cloud.name);
          } catch (error) {
            unknown.push({ subject: cloud.name, why: cloud.classify(error).message });
          }
        }
        const oldEnough = Date.now() - timing.sweepMinAge;
        const old = everything.filter(({ createdAt }) => createdAt !== null && createdAt <= oldEnough);
        const asked = new Claimants(context, timing.stepTimeout);
        const unclaimed: Unclaimed[] = [];
        const answers = await mapLimited(old, ASKED_AT_ONCE, (resource) => asked.whyUnclaimed(resource));
        for (const [index, resource] of old.entries()) {
          const why = answers[index] ?? null;
          if (typeof why === 'string') unclaimed.push({ ...resource, why });
          else if (why !== null) unknown.push({ subject: resource.workflowId ?? resource.id, why: why.unknown });
        }
        unclaimed.sort((a, b) => (a.createdAt ?? 0) - (b.createdAt ?? 0));
        return {
          looked,
          without,
          seen: everything.length,
          unclaimed: unclaimed.slice(0, ORPHANS_NAMED),
          young: everything.length - old.length,
          unknown: distinct(unknown).slice(0, UNKNOWN_NAMED),
        };
      });
    },

    async removeOrphans({ orphans, timing }: RemoveInput): Promise<{ removed: string[]; left: string[] }> {
      return await whileHeartbeating(timing, async (signal) => {
        const asked = new Claimants(context, timing.stepTimeout);
        // Somebody may have come back since: a reset workflow claims again what was nobody's.
        const answers = await mapLimited(orphans, ASKED_AT_ONCE, (one) => asked.whyUnclaimed(one));
        const orphaned = orphans.filter((_, index) => typeof answers[index] === 'string');
        const pause = backoff(timing.pollEvery);
        let left: readonly Unclaimed[] = orphaned;
        for (const end = Date.now() + GONE_MS; left.length > 0 && Date.now() < end; await pause()) {
          signal.throwIfAborted();
          left = await stillThere(context, left);
          for (const one of left) await ask(await context.cloud(one.cloud), one);
          crashPoint('removeOrphans.called');
        }
        const stayed = new Set(left.map(keyOf));
        const removed = orphaned.filter((one) => !stayed.has(keyOf(one)));
        return { removed: removed.map(({ id }) => id), left: left.map(({ id }) => id) };
      });
    },
  };
}

/** Asks each workflow once. */
class Claimants {
  readonly #context: ActivityContext;
  readonly #answers = new Map<string, Promise<Claims | string | { unknown: string }>>();

  /** How long a workflow may take to say what it claims, in ms. One that does not answer is not known to claim nothing. */
  readonly #patience: number;

  constructor(context: ActivityContext, patience: number) {
    this.#context = context;
    this.#patience = patience;
  }

  /** Null: it is claimed. A text says why it is not; `unknown`, why that cannot be told. */
  async whyUnclaimed(resource: CloudResource): Promise<string | null | { unknown: string }> {
    const { workflowId } = resource;
    if (workflowId === null) return 'it names no workflow';
    let answer = this.#answers.get(workflowId);
    if (answer === undefined) {
      answer = this.#ask(workflowId);
      this.#answers.set(workflowId, answer);
    }
    const claims = await answer;
    if (typeof claims === 'string' || 'unknown' in claims) return claims;
    if (isClaimed(resource, claims)) return null;
    return resource.generation === claims.generation
      ? 'its workflow says that it is not one of its own'
      : 'its workflow is about another cluster of the same name';
  }

  async #ask(workflowId: string): Promise<Claims | string | { unknown: string }> {
    const handle = this.#context.client.workflow.getHandle(workflowId);
    try {
      const { status } = await handle.describe();
      if (status.name !== 'RUNNING') return `its workflow has ended (${status.name.toLowerCase()})`;
      const deadline = Date.now() + this.#patience;
      return await this.#context.client.withDeadline(deadline, () => handle.query<Claims, []>(QUERIES.claims));
    } catch (error) {
      if (error instanceof Error && error.name === 'WorkflowNotFoundError') return 'there is no such workflow';
      return { unknown: `it did not say what it claims: ${error instanceof Error ? error.message : String(error)}` };
    }
  }
}

/** What cannot go before something else has gone is asked for again in the next round. */
async function ask(cloud: Cloud, resource: Unclaimed): Promise<void> {
  try {
    await cloud.remove(resource);
  } catch (error) {
    const failure = cloud.classify(error);
    if (failure.kind !== 'transient' && failure.kind !== 'throttled') throw failure;
  }
}

async function stillThere(context: ActivityContext, wanted: readonly Unclaimed[]): Promise<Unclaimed[]> {
  const byCloud = Map.groupBy(wanted, ({ cloud }) => cloud);
  const found = await Promise.all(
    [...byCloud].map(async ([name, resources]) => {
      const cloud: Cloud = await context.cloud(name);
      const there = await cloud.existing(resources);
      const keys = new Set(there.map(keyOf));
      return resources.filter((one) => keys.has(keyOf(one)));
    }),
  );
  return found.flat();
}

function distinct(unknown: readonly Look['unknown'][number][]): Look['unknown'][number][] {
  return [...new Map(unknown.map((one) => [one.subject, one])).values()];
}
