/** The second half of set-up, once Node 24 runs: the Temporal server and the workflow bundle. */

import { workflowBundle } from '../workers/bundle.ts';
import { environmentConfig } from '../workers/connection.ts';
import { findTemporal } from '../workers/temporal-binary.ts';

const say = (message: string) => console.log(`setup: ${message}`);
try {
  if ((await environmentConfig()) === null) {
    const { path, version } = await findTemporal(say);
    say(`Temporal server ${version} (${path})`);
  }
  await workflowBundle(say);
} catch (error) {
  const { message, hint } = error as Error & { hint?: string };
  console.error(`setup: ${message}${hint === undefined ? '' : `\n${hint}`}`);
  process.exitCode = 1;
}
