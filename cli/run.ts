/** The one wrapper around every command: errors become a message, a hint and an exit code; Ctrl-C detaches. */
import type { Styx } from '../client/connect.ts';
import { ERROR_POLICIES, StyxError } from '../model/errors.ts';
import { Progress } from './progress.ts';

export const USAGE_EXIT = 2;
export const DETACHED_EXIT = 130;

export interface CommonOptions {
  readonly debug?: boolean;
  readonly output?: 'table' | 'json';
}

export interface Context {
  readonly progress: Progress;
  /** The client, connected on first use; the server is started when none runs. */
  styx(options?: { startServer?: boolean }): Promise<Styx>;
  /** What Ctrl-C says from now on: how to follow and how to end what goes on. */
  onDetach(message: string): void;
  /** Leaves Ctrl-C to a child process. */
  ignoreInterrupts(): void;
}

/** Runs `action`; what it answers is the exit code (default 0). Sets process.exitCode and returns. */
export async function runCommand(
  options: CommonOptions,
  action: (context: Context) => Promise<number | undefined>,
): Promise<void> {
  const progress = new Progress(process.stderr);
  let styx: Promise<Styx> | undefined;
  let detachMessage = 'Interrupted.';
  const interrupt = () => {
    progress.stop();
    process.stderr.write(`\n${detachMessage}\n`);
    process.exit(DETACHED_EXIT);
  };
  process.once('SIGINT', interrupt);
  const context: Context = {
    progress,
    styx: ({ startServer = true } = {}) => {
      styx ??= open(progress, startServer);
      return styx;
    },
    onDetach: (message) => {
      detachMessage = message;
    },
    ignoreInterrupts: () => {
      process.off('SIGINT', interrupt);
      process.on('SIGINT', () => undefined);
    },
  };
  try {
    process.exitCode = (await action(context)) ?? 0;
  } catch (error) {
    progress.stop();
    process.exitCode = report(error, options.debug === true || process.env.STYX_DEBUG === '1');
  } finally {
    progress.stop();
    await styx?.then((client) => client.close()).catch(() => undefined);
    process.off('SIGINT', interrupt);
  }
}

async function open(progress: Progress, startServer: boolean): Promise<Styx> {
  const { connect } = await import('../client/connect.ts');
  const styx = await connect({ startServer, onProgress: (text) => progress.update(text) });
  progress.stop();
  return styx;
}

/** Writes an error for a person; answers the exit code. */
export function report(error: unknown, debug: boolean, stream: NodeJS.WritableStream = process.stderr): number {
  const failure = error instanceof StyxError ? error : unexpected(error);
  const { hint, exitCode } = ERROR_POLICIES[failure.kind];
  stream.write(`Error: ${sentence(failure.message)}\n${failure.hint ?? hint}\n`);
  if (debug) {
    for (let cause: unknown = failure; cause instanceof Error; cause = cause.cause) stream.write(`${cause.stack}\n`);
  }
  return exitCode;
}

function unexpected(error: unknown): StyxError {
  return new StyxError('internal', error instanceof Error ? error.message : String(error), { cause: error });
}

function sentence(message: string): string {
  const text = message.trim();
  return text.charAt(0).toUpperCase() + text.slice(1);
}
