/**
 * Runs each file of tests in a process with a network of its own, so that the addresses which a cloud's stand-in gives are real there
 * and nowhere else, and no packet leaves.
 */
import { join } from 'node:path';
import { ForksPoolWorker, type PoolOptions } from 'vitest/node';

const OWN_NETWORK = join(import.meta.dirname, 'own-network.sh');

class OwnNetworkWorker extends ForksPoolWorker {
  override async start(): Promise<void> {
    // `fork` takes the program from here, and the class gives no other way; it is called before the first await.
    const node = process.execPath;
    process.execPath = OWN_NETWORK;
    const started = super.start();
    process.execPath = node;
    await started;
  }
}

export const ownNetwork = {
  name: 'own-network',
  createPoolWorker: (options: PoolOptions) => new OwnNetworkWorker(options),
};
