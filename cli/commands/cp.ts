import type { Command } from 'commander';
import { StyxError } from '../../model/errors.ts';
import { runOpenSsh, sshTarget } from '../openssh.ts';
import { configOption, debugOption } from '../options.ts';
import { type CommonOptions, type Context, runCommand } from '../run.ts';

interface CopyOptions extends CommonOptions {
  readonly quiet?: boolean;
}

export function configure(command: Command): void {
  command
    .argument('<source...>', 'files and directories, here or on a cluster (CLUSTER:PATH), and then the target')
    .option('-q, --quiet', 'show no progress');
  configOption(debugOption(command)).action((paths: string[], options: CopyOptions) =>
    runCommand(options, (context) => copy(context, paths, options.quiet === true)),
  );
}

async function copy(context: Context, paths: readonly string[], quiet: boolean): Promise<number> {
  if (paths.length < 2) {
    throw new StyxError('invalid', 'say what to copy and where to', {
      hint: 'Such as `styx cp results.csv mycluster:` or `styx cp mycluster:sky_workdir/out .`',
    });
  }
  const parsed = paths.map(placeOf);
  if (parsed.every(({ host }) => host === null)) {
    throw new StyxError('invalid', 'no path is on a cluster', { hint: 'Write CLUSTER:PATH for one of them.' });
  }
  const styx = await context.styx();
  const hosts = [...new Set(parsed.flatMap(({ host }) => (host === null ? [] : [host])))];
  const targets = new Map<string, string>();
  for (const host of hosts) targets.set(host, await sshTarget(context, styx, host));
  const places = parsed.map(({ host, path }) => (host === null ? path : `${targets.get(host)}:${path}`));
  // From cluster to cluster by way of this machine, since they do not know each other. Directories too, with modes and times.
  const flags = ['-r', '-p', ...(hosts.length > 1 ? ['-3'] : []), ...(quiet ? ['-q'] : [])];
  return await runOpenSsh(context, styx, 'scp', [...flags, '--', ...places]);
}

interface Place {
  /** Cluster, or one of its nodes; null: here. */
  readonly host: string | null;
  readonly path: string;
}

/** As scp has it: a colon before any slash ends the name of a host. What is below the home directory is relative to it. */
function placeOf(written: string): Place {
  const [, host, path = ''] = /^([^/:]+):(.*)$/s.exec(written) ?? [];
  if (host === undefined) return { host: null, path: written.startsWith('-') ? `./${written}` : written };
  const below = path.replace(/^~(?:\/+|$)/, '');
  return { host, path: below === '' ? '.' : below };
}
