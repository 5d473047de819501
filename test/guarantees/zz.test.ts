import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { addressOf } from '../../client/login.ts';
import { clusterWorkflowId } from '../../model/identity.ts';
import { createNodePool } from '../../nodes/pool.ts';
import { installationSecret } from '../../system/secret.ts';
import { World } from '../harness/world.ts';
import { Story, until } from './story.ts';

let world: World;
let story: Story;
beforeAll(async () => {
  world = await World.start();
  story = new Story(world, world.styx.clusters);
});
afterAll(async () => {
  await world.end();
});
const logs = async (job: number) => {
  let t = '';
  for await (const p of world.styx.logs('r', { jobId: job, follow: false })) t += p.data.toString();
  return t;
};
it('ex', { timeout: 280000 }, async () => {
  const a = await story.launch('r', readFileSync('examples/ray-data.yaml', 'utf8'));
  const b = await story.clusters.waitJob('r', a.jobId ?? 0);
  console.log(b.status, b.reason, await logs(a.jobId ?? 0));
  const s = await story.exec('r', readFileSync('examples/ray-serve.yaml', 'utf8'));
  await until('serving', async () => (await logs(s.jobId ?? 0).catch(() => '')).includes('serving'), 100000).catch(
    async (e) => console.log(String(e), await logs(s.jobId ?? 0)),
  );
  const v = await story.look('r');
  const rank = v.jobs.find((j) => j.id === s.jobId)?.allotment?.nodes[0] ?? 0;
  const pool = createNodePool();
  const f = await pool.forward(
    await addressOf(v.nodes[rank]!, installationSecret(world.home), clusterWorkflowId('default', 'r'), v.generation),
    0,
    '127.0.0.1',
    8000,
  );
  console.log(rank, await (await fetch(`http://127.0.0.1:${(f.address() as any).port}/?name=you`)).text());
  f.close();
  await pool.close();
  await story.clusters.cancel('r', null);
  await story.jobEnds('r', s.jobId, 'CANCELLED');
  await story.down('r');
  await story.nothingLeft();
});
