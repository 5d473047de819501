/** `styx jobs pause` and `styx jobs resume`. */
import type { CommonOptions, Context } from '../run.ts';

export async function pauseJobs(
  context: Context,
  kind: 'pause' | 'resume',
  jobs: readonly string[],
  { output }: CommonOptions,
): Promise<number> {
  const styx = await context.styx();
  const ids = [...new Set(await Promise.all(jobs.map((job) => styx.jobs.find(job))))];
  const results = [];
  for (const id of ids) {
    const answer = await styx.jobs[kind](id, { onProgress: (text) => context.progress.update(text) });
    results.push({ id, number: (await styx.jobs.summary(id))?.number ?? null, ...answer });
  }
  context.progress.stop();
  if (output === 'json') process.stdout.write(`${JSON.stringify(results, null, 2)}\n`);
  else {
    const done = kind === 'pause' ? 'paused; its machines go' : 'waits for its turn';
    for (const { id, number, note } of results) process.stdout.write(`Managed job ${number ?? id}: ${note ?? done}\n`);
  }
  return 0;
}
