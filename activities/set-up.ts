/** What a cluster's machines need before their agent comes: drivers, Docker, and the container that jobs run in. */
import { findAccelerator } from '../model/accelerators.ts';
import { REGISTRY_VARIABLES, type WantedContainer } from '../model/container.ts';
import { loginKeyScope } from '../model/identity.ts';
import type { Placement } from '../model/machines.ts';
import { loginKey } from '../nodes/keys.ts';
import type { NodeAddress } from '../nodes/node.ts';
import { createNodePool, type SshNodePool } from '../nodes/pool.ts';
import { type RegistryLogin, type SetUp, setUpMachine } from '../nodes/set-up/set-up.ts';
import { proxyCommand } from '../system/proxy-command.ts';
import { openSecrets } from '../system/secret-box.ts';
import type { ActivityContext } from './context.ts';
import type { BootstrapInput } from './types.ts';
import { masked } from './wrap.ts';

/** Sets up one machine after the other as they come, and all of them at once. */
export class MachineSetUp {
  readonly #needed: SetUp | null;
  readonly #connections: SshNodePool;
  readonly #hidden: readonly string[];

  private constructor(needed: SetUp | null, connections: SshNodePool, hidden: readonly string[]) {
    this.#needed = needed;
    this.#connections = connections;
    this.#hidden = hidden;
  }

  /** @throws auth when the login of the registry cannot be opened here */
  static async of(context: ActivityContext, input: BootstrapInput): Promise<MachineSetUp> {
    const { cluster, container, placement } = input;
    const { wholeMachines } = await (await context.cloud(placement.cloud)).capabilities();
    const login = registryLogin(context, container);
    const key = loginKey(context.secret, loginKeyScope(cluster.workflowId, cluster.generation)).publicKey;
    const gpus = hasNvidia(placement);
    const wanted = container === undefined ? null : { image: container.image, login, key };
    const isNeeded = wholeMachines === true && (gpus || wanted !== null);
    // Of its own: once a machine has a container, only a new connection leads there.
    const connections = createNodePool({ proxyOf: (place) => proxyCommand(context.styxHome, place) });
    const hidden = login === null ? [] : [login.username, login.password];
    return new MachineSetUp(isNeeded ? { gpus, container: wanted } : null, connections, hidden);
  }

  /** @throws invalid, transient, unreachable */
  async run(address: NodeAddress, signal: AbortSignal): Promise<void> {
    if (this.#needed === null) return;
    await setUpMachine(this.#connections, address, this.#needed, signal).catch((error: unknown) => {
      throw masked(error, this.#hidden);
    });
  }

  async close(): Promise<void> {
    await this.#connections.close();
  }
}

function hasNvidia({ accelerators }: Placement): boolean {
  return accelerators !== null && findAccelerator(accelerators.name)?.vendor.toLowerCase() === 'nvidia';
}

function registryLogin(context: ActivityContext, container: WantedContainer | undefined): RegistryLogin | null {
  if (container?.login === undefined) return null;
  const opened = openSecrets(context.keyring, container.login);
  const { server, username, password } = REGISTRY_VARIABLES;
  return { server: opened[server] ?? '', username: opened[username] ?? '', password: opened[password] ?? '' };
}
