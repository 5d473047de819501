/** Once per run: what every test file would otherwise find missing at the same time. */
import { workflowBundle } from '../../workers/bundle.ts';
import { findTemporal } from '../../workers/temporal-binary.ts';
import { motoPython } from '../stand-ins/aws/account.ts';

export default async function setup(): Promise<void> {
  const say = (message: string) => console.log(`setup: ${message}`);
  await findTemporal(say);
  await workflowBundle(say);
  // Tests on machines have a network of their own, with nothing to install from. Those that use it say so where it cannot be had.
  motoPython();
}
