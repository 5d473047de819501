/** What the clouds say, read in this process: credentials, and what they could give now. Changes nothing. */
import type { Cloud, CloudCheck } from '../clouds/cloud.ts';
import { alternativesOf, choiceOf, mayBeOf } from '../model/alternatives.ts';
import { cloudRefusal } from '../model/config/values.ts';
import { StyxError } from '../model/errors.ts';
import type { InstanceTypeOffer, ResourceRequest } from '../model/machines.ts';
import type { AutostopRule } from '../model/task.ts';
import type { LastCheck } from './checks.ts';

/** Nobody waits longer for one cloud. */
const CHECK_MS = 30_000;

export interface CloudReport {
  readonly cloud: string;
  /** Null when the cloud could not be asked. */
  readonly check: CloudCheck | null;
  readonly error: string | null;
}

/**
 * Looks at the credentials of these clouds, at all of them at once; none named: all. One that is not `allowed` (null: all are) is not
 * asked; one that does not answer within `limit` milliseconds counts as not enabled.
 * @throws invalid for a name that is no cloud's
 */
export async function checkClouds(
  names: readonly string[] = [],
  allowed: readonly string[] | null = null,
  limit = CHECK_MS,
): Promise<CloudReport[]> {
  const { cloudNamed, cloudNames } = await import('../clouds/registry.ts');
  const clouds = await Promise.all((names.length === 0 ? cloudNames() : [...new Set(names)]).map(cloudNamed));
  return await Promise.all(
    clouds.map(async (cloud): Promise<CloudReport> => {
      const refusal = cloudRefusal(cloud.name, allowed);
      if (refusal !== null) return { cloud: cloud.name, check: null, error: refusal };
      try {
        return { cloud: cloud.name, check: await within(cloud.check(), limit), error: null };
      } catch (error) {
        return { cloud: cloud.name, check: null, error: cloud.classify(error).message };
      }
    }),
  );
}

async function within<T>(answer: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new StyxError('unreachable', `it did not answer within ${ms / 1_000} s`)), ms);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
    // What comes too late is nobody's error.
    answer.catch(() => undefined);
  }
}

/** The least rights that a cloud needs, in its own form. @throws invalid unless one cloud is named that has such a thing */
export async function policyOf(names: readonly string[]): Promise<string> {
  const { cloudNamed, cloudNames } = await import('../clouds/registry.ts');
  const [name] = names;
  if (name === undefined || names.length > 1) {
    throw new StyxError('invalid', `a policy is of one cloud; ${names.length} are named`, {
      hint: `Name one of ${cloudNames().join(', ')}.`,
    });
  }
  const policy = await (await cloudNamed(name)).policy();
  if (policy === null) throw new StyxError('invalid', `${name} needs no rights that a policy could give`);
  return policy;
}

/**
 * The task, asking for no other cloud than those that are allowed (null: all are).
 * @throws invalid when it asks for one that is not, or when none is left
 */
export async function onAllowedClouds<T extends { readonly resources: ResourceRequest }>(
  task: T,
  allowed: readonly string[] | null,
): Promise<T> {
  const { resources } = task;
  if (allowed === null) return task;
  const hint = 'Ask for another cloud, or change allowed_clouds: `styx config show` says where it is set.';
  const named = alternativesOf(resources);
  const may = named.filter(({ cloud }) => cloud === null || cloudRefusal(cloud, allowed) === null);
  const [first, ...others] = may;
  if (first === undefined) {
    throw new StyxError('invalid', cloudRefusal(resources.cloud ?? '', allowed) ?? 'no cloud is left', { hint });
  }
  // Alternatives on clouds that may not be used are none.
  if (may.length < named.length) return await onAllowedClouds(withAlternatives(task, first, others), allowed);
  if (!named.some(({ cloud }) => cloud === null)) return task;
  const { cloudNames } = await import('../clouds/registry.ts');
  if (!cloudNames().some((name) => allowed.includes(name))) {
    const all = allowed.join(', ') || 'none';
    throw new StyxError(
      'invalid',
      `none of the clouds that this version knows (${cloudNames().join(', ')}) is among allowed_clouds (${all})`,
      { hint },
    );
  }
  const clouds = resources.clouds?.filter((name) => allowed.includes(name)) ?? allowed;
  return { ...task, resources: { ...resources, clouds } };
}

function withAlternatives<T extends { readonly resources: ResourceRequest }>(
  task: T,
  first: ResourceRequest,
  others: readonly ResourceRequest[],
): T {
  const { inOrder } = task.resources;
  const more =
    others.length === 0 ? {} : { others: others.map(choiceOf), ...(inOrder === undefined ? {} : { inOrder }) };
  return { ...task, resources: { ...first, ...more } };
}

/** A cloud that launches leave out, since it was found not to be enabled. */
export interface LeftOut {
  readonly cloud: string;
  readonly reason: string;
  /** When that was found, milliseconds since the epoch. */
  readonly at: number;
}

/**
 * The task, asking for no cloud that was not enabled when it was checked last; one that was never checked stays in, and is left out by its
 * own answer when it has no credentials. One that the task names is asked in any case. When none would be left, all stay.
 */
export async function onEnabledClouds<T extends { readonly resources: ResourceRequest }>(
  task: T,
  checks: ReadonlyMap<string, LastCheck>,
): Promise<{ task: T; leftOut: readonly LeftOut[] }> {
  const { resources } = task;
  const { cloudNames } = await import('../clouds/registry.ts');
  const names = cloudNames().filter((name) => resources.clouds?.includes(name) ?? true);
  const leftOut = names.flatMap((cloud) => {
    const check = checks.get(cloud);
    return check?.enabled === false ? [{ cloud, reason: check.reason ?? 'not enabled', at: check.at }] : [];
  });
  const clouds = names.filter((name) => !leftOut.some(({ cloud }) => cloud === name));
  const any = alternativesOf(resources).some(({ cloud }) => cloud === null);
  if (!any || leftOut.length === 0 || clouds.length === 0) return { task, leftOut: [] };
  return { task: { ...task, resources: { ...resources, clouds } }, leftOut };
}

/** Why none of the clouds that a launch may use takes files outside of home directories; null when one does. */
export async function absoluteTargetsProblem(request: ResourceRequest): Promise<string | null> {
  const answers = await Promise.all((await candidates(request)).map(async (cloud) => await cloud.capabilities()));
  const reasons = answers.flatMap(({ absoluteTargets: can }) => (can === true ? [] : [can]));
  return reasons.length < answers.length ? null : (reasons[0] ?? null);
}

/**
 * The task, asking for no machines that an autostop rule could not stop: a rule that never falls due lets machines cost for ever.
 * @throws invalid when no others are left
 */
export async function onStoppable<T extends { readonly resources: ResourceRequest }>(
  task: T,
  rule: AutostopRule | null,
): Promise<T> {
  if (rule === null || rule.down) return task;
  const clouds = await candidates(task.resources);
  const reasons: string[] = [];
  const able = async (one: ResourceRequest): Promise<ResourceRequest[]> => {
    const may = clouds.filter(({ name }) => mayBeOf(name, one));
    const answers = await Promise.all(
      may.map(async (cloud) => {
        const { stop, stopSpot } = await cloud.capabilities();
        return { name: cloud.name, can: one.useSpot ? stopSpot : stop };
      }),
    );
    const unable = answers.flatMap(({ can }) => (can === true ? [] : [can]));
    if (unable.length === 0) return [one];
    reasons.push(...unable);
    return answers.flatMap(({ name, can }) => (can === true ? [{ ...one, cloud: name }] : []));
  };
  const [first, ...others] = (await Promise.all(alternativesOf(task.resources).map(able))).flat();
  const [reason] = reasons;
  if (reason === undefined) return task;
  if (first !== undefined) return withAlternatives(task, first, others);
  throw new StyxError('invalid', `autostop: ${reason}`, {
    hint: 'Give `--down`, or `down: true` in the file: it is ended when it is idle then, disks included.',
  });
}

/** The clouds that a launch may use. */
export async function candidates(request: ResourceRequest): Promise<Cloud[]> {
  const { cloudNamed, cloudNames } = await import('../clouds/registry.ts');
  const named = alternativesOf(request).map(({ cloud }) => cloud);
  const names = named.includes(null) ? cloudNames() : [...new Set(named)].filter((name) => name !== null);
  return await Promise.all(names.filter((name) => mayBeOf(name, request)).map(cloudNamed));
}

/** What the clouds that a launch may use offer as seen from here, best first, and why some could not answer. The launch itself asks again, from the worker. */
export async function askForOffers(
  request: ResourceRequest,
): Promise<{ offers: InstanceTypeOffer[]; problems: StyxError[] }> {
  const clouds = await candidates(request);
  const { offersOf } = await import('../clouds/offers.ts');
  const { offers, reasons } = await offersOf(clouds, request);
  const problems = reasons.map((reason) =>
    reason instanceof StyxError ? reason : new StyxError('internal', String(reason), { cause: reason }),
  );
  return { offers, problems };
}

/** @throws why no cloud could answer, when none offers anything */
export async function previewOffers(request: ResourceRequest): Promise<InstanceTypeOffer[]> {
  const { offers, problems } = await askForOffers(request);
  if (offers.length === 0 && problems.length > 0) throw noOffers(problems);
  return offers;
}

/** The first of the reasons. */
export function noOffers([first]: readonly StyxError[]): StyxError {
  return first ?? new StyxError('capacity', 'no cloud that may be used offers machines');
}
