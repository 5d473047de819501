/** `logs --sync-down`: the whole logs of jobs, in files here. */
import { closeSync, fsyncSync, openSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Styx } from '../client/connect.ts';
import type { ClusterView } from '../model/commands.ts';
import type { JobRow } from '../model/job.ts';
import { ensurePrivateDir } from '../system/home.ts';
import type { CommonOptions, Context } from './run.ts';

/** Files `<home>/logs/<cluster>/<generation>/job-<id>/<phase>-rank<n>.log`; each appears when it is complete. */
export async function syncDown(
  context: Context,
  styx: Styx,
  view: ClusterView,
  jobs: readonly JobRow[],
  options: CommonOptions & { readonly worker?: number },
): Promise<number> {
  const results: { job: number; directory: string; files: string[] }[] = [];
  for (const job of jobs) {
    const directory = ensurePrivateDir(join(styx.home, 'logs', view.name, view.generation, `job-${job.id}`));
    context.progress.update(`reading the logs of job ${job.id}`);
    const open = new Map<string, number>();
    try {
      for await (const { rank, phase, data } of styx.logs(view.name, {
        jobId: job.id,
        tail: 0,
        follow: false,
        rank: options.worker,
      })) {
        const file = join(directory, `${phase}-rank${rank}.log`);
        const fd = open.get(file) ?? openSync(`${file}.part`, 'w', 0o600);
        open.set(file, fd);
        for (let at = 0; at < data.length; ) at += writeSync(fd, data, at);
      }
      for (const [file, fd] of open) {
        fsyncSync(fd);
        renameSync(`${file}.part`, file);
      }
    } finally {
      for (const fd of open.values()) closeSync(fd);
    }
    results.push({ job: job.id, directory, files: [...open.keys()].sort() });
  }
  context.progress.stop();
  if (options.output === 'json') process.stdout.write(`${JSON.stringify(results, null, 2)}\n`);
  else for (const { job, directory } of results) process.stdout.write(`Job ${job} logs: ${directory}\n`);
  return 0;
}
