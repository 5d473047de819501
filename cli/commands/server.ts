import { type Command, Option } from 'commander';
import type { LogPart, ServerStatus } from '../../workers/server.ts';
import { debugOption, outputOption, wholeNumber } from '../options.ts';
import { type CommonOptions, type Context, runCommand } from '../run.ts';

interface LogsOptions extends CommonOptions {
  readonly lines: number;
  readonly follow?: boolean;
  readonly part?: LogPart;
}

interface SetupOptions extends CommonOptions {
  readonly retention: number;
}

const NOT_RUNNING_EXIT = 1;

export function configure(command: Command): void {
  const start = command.command('start').description('start server and worker when they do not run');
  outputOption(debugOption(start)).action((options: CommonOptions) =>
    runCommand(options, async (context) => {
      const { ensureServer } = await import('../../workers/server.ts');
      await ensureServer({ onProgress: (text) => context.progress.update(text) });
      return await printStatus(context, options);
    }),
  );
  const stop = command
    .command('stop')
    .description('stop server and worker; what they do goes on when they are started again');
  debugOption(stop).action((options: CommonOptions) =>
    runCommand(options, async (context) => {
      const { stopServer } = await import('../../workers/server.ts');
      const stopped = await stopServer({ onProgress: (text) => context.progress.update(text) });
      context.progress.stop();
      process.stdout.write(stopped ? 'The Styx server is stopped.\n' : 'The Styx server is not running.\n');
      return 0;
    }),
  );
  const setup = command
    .command('setup')
    .description('set up the namespace of the Temporal server that TEMPORAL_* names')
    .option('--retention <days>', 'how long it keeps what has ended', wholeNumber(1), 30);
  outputOption(debugOption(setup)).action((options: SetupOptions) =>
    runCommand(options, async (context) => {
      const { setUpNamespace } = await import('../../workers/set-up.ts');
      const done = await setUpNamespace({
        retentionDays: options.retention,
        onProgress: (text) => context.progress.update(text),
      });
      context.progress.stop();
      const text = `Namespace ${done.namespace} of ${done.address} is set up; it keeps what has ended for ${options.retention} days.`;
      process.stdout.write(`${options.output === 'json' ? JSON.stringify(done, null, 2) : text}\n`);
      return 0;
    }),
  );
  const status = command.command('status').description('show addresses, versions and processes');
  outputOption(debugOption(status)).action((options: CommonOptions) =>
    runCommand(options, (context) => printStatus(context, options)),
  );
  const logs = command
    .command('logs')
    .description('show what server and worker wrote')
    .option('-n, --lines <n>', 'last lines of each', wholeNumber(0), 100)
    .option('-f, --follow', 'go on with what is written')
    .addOption(new Option('--part <part>', 'only this one').choices(['supervisor', 'temporal', 'worker', 'host']));
  outputOption(debugOption(logs)).action((options: LogsOptions) =>
    runCommand(options, (context) => printLogs(context, options)),
  );
}

async function printStatus(context: Context, options: CommonOptions): Promise<number> {
  const { serverStatus } = await import('../../workers/server.ts');
  const status = await serverStatus();
  context.progress.stop();
  process.stdout.write(`${options.output === 'json' ? JSON.stringify(status, null, 2) : statusText(status)}\n`);
  return status.ready ? 0 : NOT_RUNNING_EXIT;
}

export function statusText(status: ServerStatus): string {
  const state = status.ready ? 'running' : status.running ? 'starting' : 'not running';
  const lines = [
    `Styx server:  ${state}`,
    `Temporal:     ${status.address ?? '-'}${status.embedded ? ' (embedded)' : ''}, namespace ${status.namespace}`,
    ...(status.ui === null ? [] : [`Web UI:       ${status.ui}`]),
    ...(status.metrics === null ? [] : [`Metrics:      ${status.metrics}`]),
    `Data:         ${status.home}`,
    `Versions:     styx ${status.versions.styx}, Temporal ${status.versions.temporal ?? '-'}, SDK ${status.versions.sdk}, Node ${status.versions.node}`,
  ];
  const pids = Object.entries(status.pids).filter(([, pid]) => pid !== null);
  if (pids.length > 0) lines.push(`Processes:    ${pids.map(([part, pid]) => `${part} ${pid}`).join(', ')}`);
  if (status.problem !== null) lines.push(`Problem:      ${status.problem}`);
  return lines.join('\n');
}

async function printLogs(context: Context, options: LogsOptions): Promise<number> {
  const { serverLogs } = await import('../../workers/server.ts');
  const { logLineText, logLineJson } = await import('../../system/log-text.ts');
  context.onDetach('');
  const follow = options.follow === true ? { follow: new AbortController().signal } : {};
  const parts = options.part === undefined ? {} : { parts: [options.part] };
  const prefixed = (part: LogPart, text: string) =>
    options.part === undefined ? text.replace(/^(?=.)/gm, `${part}: `) : text;
  const cut = new Map<LogPart, string>();
  for await (const { part, text } of serverLogs({ lines: options.lines, ...follow, ...parts })) {
    const lines = `${cut.get(part) ?? ''}${text}`.split('\n');
    // Of a line that is still being written.
    cut.set(part, lines.pop() ?? '');
    for (const line of lines) {
      process.stdout.write(
        `${options.output === 'json' ? logLineJson(part, line) : prefixed(part, logLineText(line))}\n`,
      );
    }
  }
  return 0;
}
