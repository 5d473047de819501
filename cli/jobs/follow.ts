/** A managed job's output as it comes, over all its tries, and then its end. */
import type { Styx } from '../../client/connect.ts';
import type { ManagedLogOptions } from '../../client/job-logs.ts';
import { isManagedEnd, type ManagedStatus } from '../../model/managed-job.ts';
import { LinePrefixer } from '../lines.ts';
import type { Context } from '../run.ts';

const NEWLINE = 10;

/** As SkyPilot's JobExitCode. */
export function managedExitCode(status: ManagedStatus): number {
  if (status === 'SUCCEEDED') return 0;
  if (status === 'CANCELLED') return 103;
  return isManagedEnd(status) ? 100 : 101;
}

export async function followManaged(
  context: Context,
  styx: Styx,
  id: string,
  number: number,
  options: Pick<ManagedLogOptions, 'tail' | 'follow' | 'rank'> & { ranks: number },
): Promise<number> {
  const { ranks, ...reading } = options;
  context.onDetach(
    `Detached: the job goes on.\n  follow it:    styx jobs logs ${number}\n  end the job:  styx jobs cancel ${number}`,
  );
  const prefixed = ranks > 1 && reading.rank === undefined;
  const prefixers = new Map<string, LinePrefixer>();
  let last: number | undefined;
  const pieces = styx.jobLogs(id, {
    ...reading,
    onWait: (text) => (text === null ? context.progress.stop() : context.progress.update(text)),
    onNote: (text) => context.progress.line(`Note: ${text}`),
  });
  for await (const piece of pieces) {
    context.progress.stop();
    if (!prefixed) {
      last = piece.data.at(-1);
      await write(piece.data);
      continue;
    }
    const key = `${piece.try}/${piece.rank}`;
    const prefixer = prefixers.get(key) ?? new LinePrefixer(`(rank=${piece.rank}) `);
    prefixers.set(key, prefixer);
    await write(prefixer.push(piece.data));
  }
  for (const prefixer of prefixers.values()) await write(prefixer.flush());
  context.progress.stop();
  if (last !== undefined && last !== NEWLINE) context.progress.line('');
  const { status, reason, recoveries } = await styx.jobs.view(id);
  const again = recoveries === 0 ? '' : ` after ${recoveries} ${recoveries === 1 ? 'recovery' : 'recoveries'}`;
  context.progress.line(`Managed job ${number} ${status}${again}${reason === '' ? '' : `: ${reason}`}`);
  return managedExitCode(status);
}

export async function write(data: Buffer): Promise<void> {
  if (data.length === 0 || process.stdout.write(data)) return;
  await new Promise<void>((resolve) => process.stdout.once('drain', () => resolve()));
}
