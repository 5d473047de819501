import type { Command } from 'commander';
import { type BulkOptions, forClusters } from '../bulk.ts';
import { configOption, debugOption, outputOption, yesOption } from '../options.ts';
import { type RetryOptions, retriesOf, retryOptions } from '../retry-options.ts';
import { runCommand } from '../run.ts';
import { keepSshEntries } from '../ssh-entries.ts';
import { type AutostopOptions, autostopOptions, autostopRule } from '../task-input.ts';

interface StartOptions extends BulkOptions, AutostopOptions, RetryOptions {}

export function configure(command: Command): void {
  command.argument('[clusters...]', 'names or globs').option('-a, --all', 'all clusters');
  retryOptions(autostopOptions(command));
  outputOption(configOption(debugOption(yesOption(command)))).action((clusters: string[], options: StartOptions) =>
    runCommand(options, (context) => {
      const autostop = autostopRule(options, null);
      const retries = retriesOf(options);
      return forClusters(context, clusters, options, {
        doing: 'Starting',
        done: 'started',
        asks: true,
        send: (styx, name, onProgress) =>
          styx.clusters.start(name, {
            ...retries,
            onProgress,
            ...(autostop === undefined ? {} : { autostop }),
          }),
        after: async (styx, name) => {
          await keepSshEntries(context, styx, await styx.clusters.view(name, { budget: 30_000 }));
        },
      });
    }),
  );
}
