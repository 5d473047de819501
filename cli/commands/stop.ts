import type { Command } from 'commander';
import { type BulkOptions, forClusters } from '../bulk.ts';
import { configOption, debugOption, outputOption, yesOption } from '../options.ts';
import { runCommand } from '../run.ts';

export function configure(command: Command): void {
  command.argument('[clusters...]', 'names or globs').option('-a, --all', 'all clusters');
  outputOption(configOption(debugOption(yesOption(command)))).action((clusters: string[], options: BulkOptions) =>
    runCommand(options, (context) =>
      forClusters(context, clusters, options, {
        doing: 'Stopping',
        done: 'stopped',
        asks: true,
        send: (styx, name, onProgress) => styx.clusters.stop(name, { onProgress }),
      }),
    ),
  );
}
