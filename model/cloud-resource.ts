/** What stands at a cloud with the tags of an installation, of whatever kind: machines, and what was made for them. Plain JSON. */

/** Names of the tags on everything that is made. */
export const TAGS = {
  installation: 'styx-installation',
  workflow: 'styx-workflow',
  workspace: 'styx-workspace',
  cluster: 'styx-cluster',
  generation: 'styx-generation',
} as const;

export interface CloudResource {
  readonly cloud: string;
  readonly region: string;
  /** Empty for what belongs to a whole region. */
  readonly zone: string;
  /** As the cloud calls it: `instance`, `volume`, `security-group`. */
  readonly kind: string;
  readonly id: string;
  /** The cloud's word for how it is: `running`, `stopped`, `available`. */
  readonly state: string;
  /** Of the placement that it was made for; null when it does not say. */
  readonly placementKey: string | null;
  readonly workflowId: string | null;
  readonly generation: string | null;
  /** Milliseconds since the epoch; null: the cloud does not say. */
  readonly createdAt: number | null;
  /** US dollars; null: not known. */
  readonly hourlyCost: number | null;
}

/** What a cluster's workflow says it is responsible for. */
export interface Claims {
  readonly generation: string;
  /** Of the placement that stands and of all whose end is not proved. */
  readonly placementKeys: readonly string[];
}

export function isClaimed(resource: Pick<CloudResource, 'generation' | 'placementKey'>, claims: Claims): boolean {
  if (resource.generation !== claims.generation) return false;
  return resource.placementKey === null || claims.placementKeys.includes(resource.placementKey);
}
