/** The one wrapper around every command: errors become a message, a hint and an exit code; Ctrl-C detaches. */
import type { TemporalCall } from '../client/calls.ts';
import type { Styx } from '../client/connect.ts';
import type { ResolvedConfig } from '../model/config/config.ts';
import type { Config } from '../model/config/values.ts';
import { ERROR_POLICIES, StyxError } from '../model/errors.ts';
import { Progress } from './progress.ts';
import { plain } from './table.ts';

export const USAGE_EXIT = 2;
export const DETACHED_EXIT = 130;

export interface CommonOptions {
  readonly debug?: boolean;
  readonly output?: 'table' | 'json';
  /** Of `--config`. */
  readonly config?: readonly string[];
  /** Say nothing of configuration that is not carried out. */
  readonly quiet?: boolean;
}

export interface Context {
  readonly progress: Progress;
  /** The configuration, read on first use; what of it is not carried out is said then, once. */
  config(): Promise<ResolvedConfig>;
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
  const debug = options.debug === true || process.env.STYX_DEBUG === '1';
  let styx: Promise<Styx> | undefined;
  let config: Promise<ResolvedConfig> | undefined;
  let detachMessage = 'Interrupted.';
  const interrupt = () => {
    progress.stop();
    process.stderr.write(`\n${detachMessage}\n`);
    process.exit(DETACHED_EXIT);
  };
  process.once('SIGINT', interrupt);
  const context: Context = {
    progress,
    config: () => {
      config ??= readConfig(progress, options);
      return config;
    },
    styx: ({ startServer = true } = {}) => {
      styx ??= context.config().then((read) => open(progress, startServer, read.config, debug));
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
    process.exitCode = report(error, debug);
  } finally {
    progress.stop();
    await styx?.then((client) => client.close()).catch(() => undefined);
    process.off('SIGINT', interrupt);
  }
}

async function readConfig(progress: Progress, options: CommonOptions): Promise<ResolvedConfig> {
  const { loadConfig } = await import('../system/config.ts');
  const read = await loadConfig({ options: options.config ?? [] });
  if (read.warning !== null && options.quiet !== true) progress.line(`Warning: ${plain(read.warning)}`);
  return read;
}

function callText({ method, about, ms, problem }: TemporalCall): string {
  const ended = problem === null ? `${Math.round(ms)} ms` : `${problem}, ${Math.round(ms)} ms`;
  return ['debug: Temporal', method, ...(about === null ? [] : [about]), `(${ended})`].join(' ');
}

async function open(progress: Progress, startServer: boolean, config: Config, debug: boolean): Promise<Styx> {
  const { connect } = await import('../client/connect.ts');
  const styx = await connect({
    config,
    startServer,
    onProgress: (text) => progress.update(text),
    ...(debug ? { onCall: (call) => progress.line(plain(callText(call))) } : {}),
  });
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

/** Begins with a capital, unless what stands first is a name: `task.yaml:4:3: ...`. */
function sentence(message: string): string {
  return message.trim().replace(/^[a-z](?=[a-z]*(?:[ ,]|$))/, (letter) => letter.toUpperCase());
}
