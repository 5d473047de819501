import type { Command } from 'commander';
import { StyxError } from '../../model/errors.ts';
import { historyJson, historyText } from '../history-text.ts';
import { configOption, debugOption, outputOption, wholeNumber } from '../options.ts';
import { type CommonOptions, type Context, runCommand } from '../run.ts';

interface HistoryOptions extends CommonOptions {
  readonly all?: boolean;
}

export function configure(command: Command): void {
  command
    .argument('<cluster>', 'name of the cluster, of one that ended too; or number, name or id of a managed job')
    .argument('[job]', 'only what this job has to do with', wholeNumber(1))
    .option('-a, --all', 'every cluster of this name that the server keeps, not only the last');
  outputOption(configOption(debugOption(command))).action(
    (cluster: string, job: number | undefined, options: HistoryOptions) =>
      runCommand(options, (context) => history(context, cluster, job, options)),
  );
}

async function history(
  context: Context,
  name: string,
  job: number | undefined,
  { all = false, output }: HistoryOptions,
): Promise<number> {
  const styx = await context.styx();
  const ofCluster = { all, ...(job === undefined ? {} : { job }) };
  const entries = await styx.clusters.history(name, ofCluster).catch(async (error: unknown) => {
    if (!(error instanceof StyxError) || error.kind !== 'not-found' || job !== undefined) throw error;
    // No cluster: it may be a managed job.
    const id = await styx.jobs.find(name).catch(() => null);
    if (id === null) throw error;
    return (await styx.jobs.history(id)).entries;
  });
  if (output === 'json') process.stdout.write(`${JSON.stringify(entries.map(historyJson), null, 2)}\n`);
  else process.stdout.write(`${historyText(entries)}\n`);
  return 0;
}
