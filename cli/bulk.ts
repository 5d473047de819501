/** One command for several clusters: names and globs, one question, a few at a time, each with its own end. */
import type { Styx } from '../client/connect.ts';
import { isGlob } from '../client/names.ts';
import type { CommandAnswer } from '../model/cluster.ts';
import { ERROR_POLICIES, StyxError } from '../model/errors.ts';
import { mapLimited } from '../model/map-limited.ts';
import { confirm } from './confirm.ts';
import { followOperation } from './follow.ts';
import type { CommonOptions, Context } from './run.ts';

export interface BulkOptions extends CommonOptions {
  readonly all?: boolean;
  readonly yes?: boolean;
}

export interface BulkCommand {
  /** `Stopping`, `Terminating`. */
  readonly doing: string;
  /** `stopped`, `terminated`. */
  readonly done: string;
  /** Has to be confirmed. */
  readonly asks: boolean;
  readonly send: (styx: Styx, name: string, onProgress: (text: string) => void) => Promise<CommandAnswer>;
  readonly after?: (styx: Styx, name: string) => Promise<void>;
}

interface Result {
  readonly cluster: string;
  readonly operationId: string | null;
  readonly ok: boolean;
  readonly note: string | null;
  readonly error: { readonly kind: string; readonly message: string } | null;
}

const AT_ONCE = 4;

/** Exit code: of the first cluster that failed, else 0. */
export async function forClusters(
  context: Context,
  patterns: readonly string[],
  options: BulkOptions,
  command: BulkCommand,
): Promise<number> {
  if (patterns.length === 0 && options.all !== true) {
    throw new StyxError('invalid', 'no cluster given', { hint: 'Name clusters (globs are allowed), or pass --all.' });
  }
  if (patterns.length > 0 && options.all === true) {
    throw new StyxError('invalid', '--all does not go together with names of clusters');
  }
  const styx = await context.styx();
  const names = await expand(styx, patterns);
  if (names.length === 0) {
    const nothing = patterns.length === 0 ? 'No existing clusters.' : `No cluster matches ${patterns.join(' ')}.`;
    process.stdout.write(options.output === 'json' ? '[]\n' : `${nothing}\n`);
    return 0;
  }
  const count = names.length === 1 ? 'cluster' : `${names.length} clusters:`;
  if (command.asks) await confirm(`${command.doing} ${count} ${names.join(', ')}.`, options.yes);
  context.onDetach('Detached: what was accepted goes on; see `styx status`.');
  let code = 0;
  const results = await mapLimited(names, AT_ONCE, async (name): Promise<Result> => {
    const subject = names.length === 1 ? '' : name;
    context.progress.update(`${command.doing} cluster ${name}`, subject);
    try {
      const answer = await command.send(styx, name, (text) => context.progress.update(text, subject));
      if (answer.operationId !== null) await followOperation(context, styx, name, answer, subject);
      await command.after?.(styx, name);
      context.progress.end(subject);
      if (options.output !== 'json') {
        process.stdout.write(
          `${answer.note === null ? `Cluster ${name} ${command.done}.` : `Cluster ${name}: ${answer.note}`}\n`,
        );
      }
      return { cluster: name, operationId: answer.operationId, ok: true, note: answer.note, error: null };
    } catch (error) {
      if (names.length === 1 && options.output !== 'json') throw error;
      const failure = error instanceof StyxError ? error : new StyxError('internal', String(error), { cause: error });
      context.progress.end(subject);
      code ||= ERROR_POLICIES[failure.kind].exitCode;
      context.progress.line(`Error: ${subject === '' ? '' : `${subject}: `}${failure.message}`);
      const { kind, message } = failure;
      return { cluster: name, operationId: null, ok: false, note: null, error: { kind, message } };
    }
  });
  context.progress.stop();
  if (options.output === 'json') process.stdout.write(`${JSON.stringify(results, null, 2)}\n`);
  return code;
}

/** Names as given, globs replaced by the running clusters that match; no patterns: all. */
export async function expand(styx: Styx, patterns: readonly string[]): Promise<string[]> {
  const exact = patterns.filter((pattern) => !isGlob(pattern));
  if (patterns.length > 0 && exact.length === patterns.length) return [...new Set(exact)];
  const globs = patterns.filter(isGlob);
  const found = await styx.clusters.list(globs);
  return [...new Set([...exact, ...found.map(({ name }) => name)])];
}
