import type { Command } from 'commander';
import { runCommand } from '../run.ts';

/** Prints the names of running clusters, one a line; nothing, and no error, when that cannot be known at once. */
export function configure(command: Command): void {
  command.action(() =>
    runCommand({ quiet: true }, async (context) => {
      try {
        const styx = await context.styx({ startServer: false });
        for (const { name } of await styx.clusters.list()) process.stdout.write(`${name}\n`);
      } catch {
        // The shell asks while a line is being typed: there is nobody to tell.
      }
      return 0;
    }),
  );
}
