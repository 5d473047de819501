import type { Command } from 'commander';
import { outputOption } from '../options.ts';
import { type CommonOptions, runCommand } from '../run.ts';
import { version } from '../version.ts';

export function configure(command: Command): void {
  outputOption(command).action((options: CommonOptions) =>
    runCommand(options, async () => {
      const found = { styx: version(), node: process.versions.node, platform: `${process.platform}-${process.arch}` };
      const text = options.output === 'json' ? JSON.stringify(found, null, 2) : `styx ${found.styx}`;
      process.stdout.write(`${text}\n`);
      return 0;
    }),
  );
}
