import type { Command } from 'commander';
import { StyxError } from '../../model/errors.ts';
import type { AutostopRule } from '../../model/task.ts';
import { type BulkOptions, forClusters } from '../bulk.ts';
import { formatAutostop } from '../format.ts';
import { configOption, debugOption, outputOption, yesOption } from '../options.ts';
import { runCommand } from '../run.ts';
import { type AutostopOptions, autostopOptions, autostopRule } from '../task-input.ts';

/** As SkyPilot's. */
const DEFAULT_MINUTES = 5;

interface Options extends BulkOptions, Omit<AutostopOptions, 'idleMinutesToAutostop'> {
  readonly idleMinutes?: number;
  readonly cancel?: boolean;
}

export function configure(command: Command): void {
  command.argument('[clusters...]', 'names or globs').option('-a, --all', 'all clusters');
  autostopOptions(command, '-i, --idle-minutes <minutes>').option(
    '--cancel',
    'no longer stop or end the cluster by itself',
  );
  outputOption(configOption(debugOption(yesOption(command)))).action((clusters: string[], options: Options) =>
    runCommand(options, (context) => {
      const rule = wantedRule(options);
      return forClusters(context, clusters, options, {
        doing: rule === null ? 'Cancelling autostop of' : `Setting autostop ${formatAutostop(rule)} of`,
        done: rule === null ? 'has no autostop now' : `has autostop ${formatAutostop(rule)} now`,
        asks: false,
        send: (styx, name, onProgress) => styx.clusters.autostop(name, rule, { onProgress }),
      });
    }),
  );
}

function wantedRule(options: Options): AutostopRule | null {
  const { idleMinutes, down, waitFor, cancel } = options;
  if (cancel === true) {
    if (idleMinutes === undefined && down === undefined && waitFor === undefined) return null;
    throw new StyxError('invalid', '--cancel does not go together with --idle-minutes, --down or --wait-for');
  }
  const rule = autostopRule(
    {
      idleMinutesToAutostop: idleMinutes ?? DEFAULT_MINUTES,
      ...(down === undefined ? {} : { down }),
      ...(waitFor === undefined ? {} : { waitFor }),
    },
    null,
  );
  return rule ?? null;
}
