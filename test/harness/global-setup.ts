/** Once per run: what every test file would otherwise find missing at the same time. */
import { workflowBundle } from '../../workers/bundle.ts';
import { findTemporal } from '../../workers/temporal-binary.ts';

export default async function setup(): Promise<void> {
  const say = (message: string) => console.log(`setup: ${message}`);
  await findTemporal(say);
  await workflowBundle(say);
}
