import type { Command } from 'commander';
import { type BulkOptions, forClusters } from '../bulk.ts';
import { configOption, debugOption, outputOption, yesOption } from '../options.ts';
import { runCommand } from '../run.ts';

export function configure(command: Command): void {
  command.argument('[clusters...]', 'names or globs').option('-a, --all', 'all clusters');
  outputOption(configOption(debugOption(yesOption(command)))).action((clusters: string[], options: BulkOptions) =>
    runCommand(options, (context) =>
      forClusters(context, clusters, options, {
        doing: 'Terminating',
        done: 'terminated',
        asks: true,
        send: (styx, name, onProgress) => styx.clusters.down(name, { onProgress }),
        after: async (styx, name) => {
          const { removeSshEntries } = await import('../../client/ssh-config.ts');
          removeSshEntries(styx.home, styx.workspace, name);
        },
      }),
    ),
  );
}
