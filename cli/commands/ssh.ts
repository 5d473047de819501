import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import type { Command } from 'commander';
import { StyxError } from '../../model/errors.ts';
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
  const [, name = host] = /^(.+)-worker\d+$/.exec(host) ?? [];
  const { sshAlias, sshPaths, writeSshEntries } = await import('../../client/ssh-config.ts');
  // A cluster may itself be called `x-worker1`.
  const cluster = name !== host && (await styx.clusters.summary(host)) !== null ? host : name;
  const view = await styx.clusters.view(cluster, {
    budget: 30_000,
    onProgress: (text) => context.progress.update(text),
  });
  await writeSshEntries(styx, view);
  if (view.nodes.length === 0 || view.entityStatus === 'STOPPED') {
    throw new StyxError('refused', `Cluster '${cluster}' is ${view.status}: there is nothing to log in to`, {
      hint:
        view.entityStatus === 'STOPPED' ? `Run \`styx start ${cluster}\` first.` : 'Run `styx status` to follow it.',
    });
  }
  context.progress.stop();
  await styx.close();
  const target = sshAlias(view.workspace, cluster) + host.slice(cluster.length);
  return await run(context, ['-F', sshPaths(styx.home).config, target, ...words]);
}

/** Exit code of the child, as a shell gives it. */
async function run(context: Context, args: readonly string[]): Promise<number> {
  context.ignoreInterrupts();
  return await new Promise((resolve, reject) => {
    const child = spawn('ssh', args, { stdio: 'inherit' });
    child.once('error', (error: NodeJS.ErrnoException) => {
      const hint = error.code === 'ENOENT' ? { hint: 'Install OpenSSH (openssh-client).' } : {};
      reject(new StyxError('invalid', `cannot run ssh: ${error.message}`, { cause: error, ...hint }));
    });
    child.once('exit', (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])));
  });
}
