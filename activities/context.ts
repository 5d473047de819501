/** What the process that hosts the activities gives them. */
import type { Client } from '@temporalio/client';
import type { Cloud } from '../clouds/cloud.ts';
import { cloudNamed, cloudNames } from '../clouds/registry.ts';
import { storeRoot } from '../data/store-paths.ts';
import type { NodePool } from '../nodes/node.ts';
import { createNodePool } from '../nodes/pool.ts';
import { homePaths } from '../system/home.ts';
import { Keyring } from '../system/keyring.ts';
import { proxyCommand } from '../system/proxy-command.ts';
import { installationSecret } from '../system/secret.ts';

export interface ActivityContext {
  /** Data directory of the worker. */
  readonly styxHome: string;
  readonly client: Client;
  readonly pool: NodePool;
  /** A cloud by its name. @throws invalid when there is none of that name */
  readonly cloud: (name: string) => Promise<Cloud>;
  readonly clouds: () => Promise<Cloud[]>;
  /** The installation secret: login keys are derived from it. */
  readonly secret: Buffer;
  /** Opens the secrets of tasks. */
  readonly keyring: Keyring;
  /** UUID of the Temporal namespace. */
  readonly installation: string;
  /** Directory of the snapshots that clients took. */
  readonly storeRoot: string;
}

/** What the worker's process knows. */
export interface HostContext {
  readonly styxHome: string;
  readonly namespace: { readonly installation: string };
  readonly client: Client;
}

export function activityContext(host: HostContext): ActivityContext {
  return {
    styxHome: host.styxHome,
    client: host.client,
    pool: createNodePool({ proxyOf: (place) => proxyCommand(host.styxHome, place) }),
    cloud: cloudNamed,
    clouds: () => Promise.all(cloudNames().map(cloudNamed)),
    secret: Buffer.from(installationSecret(host.styxHome)),
    keyring: new Keyring(host.styxHome),
    installation: host.namespace.installation,
    storeRoot: storeRoot(homePaths(host.styxHome).store, host.namespace.installation),
  };
}
