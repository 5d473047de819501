/** Names and keys that have to be the same whoever computes them, in workflows too: no clock, no randomness, no I/O. */
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import { WORKFLOW_ID_CHARS } from './budgets.ts';

/** First `chars` hexadecimal characters (≤ 64) of the SHA-256 of the parts; parts cannot run into one another. */
export function stableHash(parts: readonly (string | number)[], chars: number): string {
  return bytesToHex(sha256(utf8ToBytes(JSON.stringify(parts)))).slice(0, chars);
}

/** A cluster's life: minted from the first run of its workflow, carried through continue-as-new. */
export function lifeOf(firstExecutionRunId: string): string {
  return stableHash(['life', firstExecutionRunId], 10);
}

/** One making of a cluster's machines: a name launched again is another. */
export function generationOf(life: string, n: number): string {
  return `${life}-${n}`;
}

/** Idempotency token of one placement; another zone or another try is another key. 32 characters. */
export function placementKey(
  installation: string,
  workflowId: string,
  generation: string,
  attempt: number,
  place: { cloud: string; region: string; zone: string },
): string {
  return stableHash(
    ['placement', installation, workflowId, generation, attempt, place.cloud, place.region, place.zone],
    32,
  );
}

export function clusterWorkflowId(workspace: string, name: string): string {
  return `cluster/${workspace}/${name}`;
}

/** `<workspace>/<name>` of the cluster that a workflow is or belongs to, else null. */
export function clusterOf(workflowId: string): string | null {
  return /^cluster\/([^/]+\/[^/]+)(?:\/|$)/.exec(workflowId)?.[1] ?? null;
}

export function childWorkflowId(clusterId: string, generation: string, what: string): string {
  return `${clusterId}/${generation}/${what}`;
}

/**
 * What nodes know a job by, or the workflow of a Ray: its number, and `life` of the first run of its own workflow. A number alone is given
 * twice where a backup of the database is restored: to what is submitted then, and to what ran after the backup and is still on the nodes.
 * Absent: it was begun by a build that knew numbers alone.
 */
export function numberOnNodes(number: number, life: string | undefined): number | string {
  return life === undefined ? number : `${number}-${life}`;
}

/** The same on every node of the cluster, and never used again there. `job`: see `numberOnNodes`. */
export function jobKey(generation: string, job: number | string): string {
  return `${generation}-${job}`;
}

/** Of one start of Ray on one node. No job's key is one of these. */
export function rayKey(generation: string, child: number | string, rank: number, attempt: number): string {
  return `${generation}-ray-${child}-${rank}-${attempt}`;
}

export function isRayKey(generation: string, key: string): boolean {
  return key.startsWith(`${generation}-ray-`);
}

const NAME = /^[a-zA-Z](?:[a-zA-Z0-9._-]*[a-zA-Z0-9])?$/;
const MAX_NAME = 100;

/** Null when `name` can be a cluster's or workspace's; else what is wrong with it, for people. */
export function nameProblem(name: string): string | null {
  if (name === '') return 'is empty';
  if (name.length > MAX_NAME) return `is ${name.length} characters long; at most ${MAX_NAME} are allowed`;
  if (!NAME.test(name)) {
    return 'must begin with a letter, end with a letter or digit, and hold only letters, digits, ".", "_" and "-" between';
  }
  if (clusterWorkflowId('', name).length > WORKFLOW_ID_CHARS) return 'is too long';
  return null;
}

/** Scope of the key that may log in to a cluster's nodes; `nodes/keys.ts` makes the key from it and the installation secret. */
export function loginKeyScope(clusterId: string, generation: string): string {
  return `login/${clusterId}/${generation}`;
}
