/** `styx jobs cancel`. */
import { StyxError } from '../../model/errors.ts';
import { confirm } from '../confirm.ts';
import type { CommonOptions, Context } from '../run.ts';

export interface JobCancelOptions extends CommonOptions {
  readonly name?: string;
  readonly pool?: string;
  readonly all?: boolean;
  readonly allUsers?: boolean;
  readonly yes?: boolean;
}

export async function cancelJobs(context: Context, given: string[], options: JobCancelOptions): Promise<number> {
  const { pool } = options;
  const many = options.all === true || options.allUsers === true || pool !== undefined;
  const named = [...given, ...(options.name === undefined ? [] : [options.name])];
  if (named.length > 0 && many)
    throw new StyxError('invalid', `--${pool === undefined ? 'all' : 'pool'} does not go together with jobs`);
  if (named.length === 0 && !many) {
    throw new StyxError('invalid', 'no job given', { hint: 'Name jobs, or pass --all or --pool.' });
  }
  const styx = await context.styx();
  const mine = options.allUsers === true || pool !== undefined ? {} : { user: styx.user };
  const ids = many
    ? (await styx.jobs.list({ skipFinished: true, ...mine }))
        .filter((job) => pool === undefined || job.pool === pool)
        .map(({ id }) => id)
    : await Promise.all(named.map((job) => styx.jobs.find(job)));
  const what = many ? `${ids.length} managed jobs` : `managed job${named.length === 1 ? '' : 's'} ${named.join(', ')}`;
  if (ids.length > 0) await confirm(`Cancelling ${what}.`, options.yes);
  const results = [];
  for (const id of [...new Set(ids)]) {
    const answer = await styx.jobs.cancel(id, { onProgress: (text) => context.progress.update(text) });
    const number = (await styx.jobs.summary(id))?.number ?? null;
    results.push({ id, number, ...answer });
  }
  context.progress.stop();
  if (options.output === 'json') process.stdout.write(`${JSON.stringify(results, null, 2)}\n`);
  else if (results.length === 0) process.stdout.write('No managed job could be cancelled.\n');
  else {
    for (const { id, number, note, status } of results) {
      process.stdout.write(`Managed job ${number ?? id}: ${note ?? status}\n`);
    }
  }
  return 0;
}
