/** What AWS can do here, and with what its cloud is made. */
import type { Capabilities } from '../cloud.ts';

export const NO_TARGETS = 'on AWS files go below the home directory in this version of Styx';

export const CAPABILITIES: Capabilities = {
  stop: true,
  stopSpot: 'spot machines of AWS cannot be stopped, only ended',
  spot: true,
  multiNode: true,
  openPorts: true,
  storage: 'mounts of buckets are not carried out by this version of Styx',
  absoluteTargets: NO_TARGETS,
  groupHosts: true,
  wholeMachines: true,
  hostKeysKnown: true,
};

export interface AwsOptions {
  /** Data directory of Styx: the secret and the configuration. */
  readonly home?: string;
  readonly environment?: NodeJS.ProcessEnv;
  /** Milliseconds between looks at the machines of a region, for all who ask. */
  readonly lookEvery?: number;
  /** Milliseconds for which nothing must be seen of a placement before that proves anything: listings lag. */
  readonly settle?: number;
}
