/** A plan of a launch as a file holds it: what is launched, where it is tried, and a hash that shows whether somebody edited it. */
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import { z } from 'zod';
import { canonicalJson } from './canonical-json.ts';
import { StyxError } from './errors.ts';
import type { InstanceTypeOffer } from './machines.ts';
import type { WrittenTask } from './task.ts';
import { plannedOffers } from './task-schema.ts';

export const PLAN_VERSION = 1;

/** Where the prices of one cloud are from. */
export interface PriceSource {
  readonly cloud: string;
  /** `cloud`: the cloud itself was asked. */
  readonly from: 'cloud' | 'catalog';
  /** Dates, as catalogues have them. */
  readonly prices: string | null;
  readonly spotPrices: string | null;
  /** Some figures have no date. */
  readonly undated: boolean;
  /** Of a catalogue of the user. */
  readonly own: boolean;
}

export interface PlanContent {
  readonly kind: 'styx-plan';
  readonly version: typeof PLAN_VERSION;
  /** ISO 8601, UTC. */
  readonly made: string;
  /** As `plannedTask` has it. */
  readonly task: Readonly<Record<string, unknown>>;
  /** In the order in which they are tried; the price is that of one node. */
  readonly placements: readonly InstanceTypeOffer[];
  readonly sources: readonly PriceSource[];
}

export interface LaunchPlan extends PlanContent {
  /** `sha256:` and the hash of all the rest as canonical JSON, hexadecimal. */
  readonly hash: string;
}

/** The task as understood, as plain JSON. Of its secrets the names alone, and no credentials of a git URL. */
export function plannedTask(task: WrittenTask): Record<string, unknown> {
  const { clouds: _clouds, planned: _planned, ...resources } = task.resources;
  const { workdir } = task;
  const source = workdir?.source;
  const safe = source !== undefined && 'url' in source ? { ...source, url: withoutLogin(source.url) } : source;
  return JSON.parse(
    JSON.stringify({
      ...task,
      resources,
      secrets: Object.keys(task.secrets).toSorted(),
      ...(workdir === undefined ? {} : { workdir: { source: safe } }),
      ...(task.fileMounts === undefined
        ? {}
        : { fileMounts: task.fileMounts.map((mount) => ({ target: mount.target, source: mount.source })) }),
    }),
  );
}

function withoutLogin(url: string): string {
  return url.replace(/^([a-z+]+:\/\/)[^/@]*@/i, '$1');
}

export function planHash(content: object): string {
  return `sha256:${bytesToHex(sha256(utf8ToBytes(canonicalJson(content))))}`;
}

export function sealedPlan(content: PlanContent): LaunchPlan {
  return { ...content, hash: planHash(content) };
}

const schema: z.ZodType<LaunchPlan> = z.object({
  kind: z.literal('styx-plan'),
  version: z.literal(PLAN_VERSION),
  made: z.iso.datetime(),
  task: z.record(z.string(), z.unknown()),
  placements: plannedOffers(),
  sources: z.array(
    z.object({
      cloud: z.string(),
      from: z.enum(['cloud', 'catalog']),
      prices: z.string().nullable(),
      spotPrices: z.string().nullable(),
      undated: z.boolean(),
      own: z.boolean(),
    }),
  ),
  hash: z.string(),
});

const ANEW = 'Make it anew by `styx plan`.';

/** @throws invalid for what is no plan, is of another version, or was edited */
export function parsePlan(text: string, name: string): LaunchPlan {
  const refuse = (what: string, cause?: unknown) =>
    new StyxError('invalid', `${name} ${visible(what)}`, { hint: ANEW, cause });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw refuse(`is not a plan: it is not JSON (${(error as Error).message})`, error);
  }
  const held = z.looseObject({ kind: z.literal('styx-plan'), version: z.unknown(), hash: z.string() }).safeParse(value);
  if (!held.success) throw refuse('is not a plan of `styx plan`');
  const { hash, ...content } = held.data;
  if (content.version !== PLAN_VERSION) {
    throw refuse(`is a plan of version ${JSON.stringify(content.version)}; this Styx reads version ${PLAN_VERSION}`);
  }
  const actual = planHash(content);
  if (actual !== hash)
    throw refuse(`was edited: its hash says ${hash.slice(0, 19)}…, its content has ${actual.slice(0, 19)}…`);
  const plan = schema.safeParse(value);
  if (plan.success) return plan.data;
  const problems = plan.error.issues.slice(0, 5).map((issue) => `${issue.path.join('.')}: ${issue.message}`);
  throw refuse(`is not a plan: ${problems.join('; ')}`);
}

const SHOWN = 60;

/** A plan may be somebody else's: it must not move the cursor. */
function visible(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]/gu, '?');
}

/** Which fields of two tasks differ, with what they hold; of environment variables the names alone, since values may be private. */
export function taskDifferences(planned: unknown, now: unknown, path: readonly string[] = []): string[] {
  if (isObject(planned) && isObject(now)) {
    const keys = [...new Set([...Object.keys(planned), ...Object.keys(now)])];
    return keys.flatMap((key) => taskDifferences(member(planned, key), member(now, key), [...path, key]));
  }
  if (planned !== undefined && now !== undefined && canonicalJson(planned) === canonicalJson(now)) return [];
  if (planned === now) return [];
  const field = visible(path.join('.'));
  const isPrivate = path[0] === 'envs' && path.length > 1 && planned !== undefined && now !== undefined;
  if (isPrivate) return [`${field}: another value`];
  return [`${field}: ${valueText(planned, path)} in the plan, ${valueText(now, path)} now`];
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Own members only: a variable may be called `constructor`. */
function member(value: Record<string, unknown>, key: string): unknown {
  return Object.hasOwn(value, key) ? value[key] : undefined;
}

function valueText(value: unknown, path: readonly string[]): string {
  if (value === undefined) return 'absent';
  if (path[0] === 'envs') return 'set';
  const text = visible(JSON.stringify(value));
  return text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text;
}
