/** OpenSSH's entries are a convenience: a command does not fail because they cannot be written. */
import type { Styx } from '../client/connect.ts';
import type { ClusterSummary } from '../client/summary.ts';
import type { ClusterView } from '../model/commands.ts';
import type { Context } from './run.ts';

export async function keepSshEntries(context: Context, styx: Styx, view: ClusterView): Promise<void> {
  await noted(context, async () => {
    const { writeSshEntries } = await import('../client/ssh-config.ts');
    await writeSshEntries(styx, view);
  });
}

/** Of clusters that are gone; `found` is the list of all that are there. */
export async function dropSshEntries(context: Context, styx: Styx, found: readonly ClusterSummary[]): Promise<void> {
  await noted(context, async () => {
    const { pruneSshEntries } = await import('../client/ssh-config.ts');
    await pruneSshEntries(styx, found);
  });
}

async function noted(context: Context, write: () => Promise<void>): Promise<void> {
  try {
    await write();
  } catch (error) {
    context.progress.line(`Note: OpenSSH's configuration is not up to date: ${(error as Error).message}`);
  }
}
