/** The production topology with a cluster's life on it. */
import { appendFileSync } from 'node:fs';
import { type Story, sorted, until } from '../guarantees/story.ts';
import { type Production, startProduction } from '../harness/production.ts';
import { World } from '../harness/world.ts';

export async function startTopology(): Promise<{ world: World; server: Production }> {
  const server = await startProduction();
  return { server, world: await World.start({ given: server, workers: 2 }) };
}

/** A job that holds on until `release`, with its line in the ledger before and after. */
export function held(story: Story, name: string) {
  const ledger = story.world.ledger(name);
  const gate = story.world.ledger(`${name}-gate`);
  const script = `echo began >> ${ledger.path}; until grep -q go ${gate.path}; do sleep 0.05; done; echo ended >> ${ledger.path}`;
  return {
    yaml: `run: '${script}'\n`,
    began: () => until(`${name} began`, () => ledger.lines().includes('began')),
    release: () => appendFileSync(gate.path, 'go\n'),
    /** What it has written, in order. */
    lines: () => sorted(ledger.lines()),
  };
}
