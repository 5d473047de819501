/** OpenSSH's programs, with the entries of a cluster. */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import type { Styx } from '../client/connect.ts';
import { StyxError } from '../model/errors.ts';
import type { Context } from './run.ts';

/**
 * The name in the SSH configuration of a node that stands: `host` is a cluster, or `CLUSTER-worker1`. The configuration is written anew.
 * @throws not-found, refused
 */
export async function sshTarget(context: Context, styx: Styx, host: string): Promise<string> {
  const [, name = host] = /^(.+)-worker\d+$/.exec(host) ?? [];
  const { sshAlias, writeSshEntries } = await import('../client/ssh-config.ts');
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
  return sshAlias(view.workspace, cluster) + host.slice(cluster.length);
}

/** Runs one of them in place of this command, and answers its exit code as a shell gives it. */
export async function runOpenSsh(
  context: Context,
  styx: Styx,
  program: 'ssh' | 'scp',
  args: readonly string[],
): Promise<number> {
  const { sshPaths } = await import('../client/ssh-config.ts');
  context.progress.stop();
  await styx.close();
  context.ignoreInterrupts();
  return await new Promise((resolve, reject) => {
    const child = spawn(program, ['-F', sshPaths(styx.home).config, ...args], { stdio: 'inherit' });
    child.once('error', (error: NodeJS.ErrnoException) => {
      const hint = error.code === 'ENOENT' ? { hint: 'Install OpenSSH (openssh-client).' } : {};
      reject(new StyxError('invalid', `cannot run ${program}: ${error.message}`, { cause: error, ...hint }));
    });
    child.once('exit', (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])));
  });
}
