import type { Command } from 'commander';
import { debugOption, outputOption, wholeNumber } from '../options.ts';
import { type CommonOptions, type Context, runCommand } from '../run.ts';

interface CollectOptions extends CommonOptions {
  readonly olderThan: number;
}

const HOUR_MS = 60 * 60_000;

export function configure(command: Command): void {
  const collect = command
    .command('gc')
    .description('take out what no job needs any more; the server does so once a day')
    .option('--older-than <hours>', 'spare what is younger', wholeNumber(1, 1_000_000), 24);
  outputOption(debugOption(collect)).action((options: CollectOptions) =>
    runCommand(options, (context) => printCollected(context, options)),
  );
}

async function printCollected(context: Context, options: CollectOptions): Promise<number> {
  const styx = await context.styx();
  context.progress.update('asking which snapshots are needed');
  const collected = await styx.collectFiles({ graceMs: options.olderThan * HOUR_MS });
  context.progress.stop();
  const { manifests, blobs, bytes, bytesLeft } = collected;
  const text = `Removed ${manifests} snapshots and ${blobs} files (${megabytes(bytes)}); ${megabytes(bytesLeft)} are left.`;
  process.stdout.write(`${options.output === 'json' ? JSON.stringify(collected, null, 2) : text}\n`);
  return 0;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
