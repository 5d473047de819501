import type { Command } from 'commander';
import { runOpenSsh, sshTarget } from '../openssh.ts';
import { configOption, debugOption } from '../options.ts';
import { type CommonOptions, type Context, runCommand } from '../run.ts';

interface SshOptions extends CommonOptions {
  readonly worker?: string;
}

export function configure(command: Command): void {
  command
    .argument('<cluster>', 'name of the cluster; with -worker<n> behind it, that node')
    .argument('[command...]', 'to run there instead of a shell, as with ssh')
    .passThroughOptions()
    .allowUnknownOption();
  configOption(debugOption(command)).action((cluster: string, words: string[], options: SshOptions) =>
    runCommand(options, (context) => ssh(context, cluster, words)),
  );
}

async function ssh(context: Context, host: string, words: string[]): Promise<number> {
  const styx = await context.styx();
  return await runOpenSsh(context, styx, 'ssh', [await sshTarget(context, styx, host), ...words]);
}
