import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { StyxError } from '../../model/errors.ts';
import { writeAtomically } from '../../system/home.ts';
import { openInBrowser } from '../browser.ts';
import { debugOption, outputOption, wholeNumber } from '../options.ts';
import { type CommonOptions, type Context, runCommand } from '../run.ts';

interface UiOptions extends CommonOptions {
  readonly open?: boolean;
  readonly port?: number;
}

export function configure(command: Command): void {
  command
    .option('--open', 'open it in a browser')
    .option('--port <port>', 'serve at this port; default: a free one', wholeNumber(1, 65_535));
  outputOption(debugOption(command)).action((options: UiOptions) =>
    runCommand(options, (context) => show(context, options)),
  );
}

async function show(context: Context, options: UiOptions): Promise<number> {
  const { ensureServer } = await import('../../workers/server.ts');
  const { serveWebUi } = await import('../../server/web-ui.ts');
  const { styxHome } = await import('../../system/home.ts');
  const home = styxHome();
  const { ui, namespace } = await ensureServer({ onProgress: (text) => context.progress.update(text) });
  context.progress.stop();
  if (ui === null) {
    throw new StyxError('invalid', 'the Temporal server is not ours, and neither is its Web UI', {
      hint: 'Unset TEMPORAL_ADDRESS to see the embedded one.',
    });
  }
  const { port } = options;
  const served = await serveWebUi({ home, ui, namespace, ...(port === undefined ? {} : { port }) });
  context.ignoreInterrupts();
  const ended = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
  });
  if (options.output === 'json') process.stdout.write(`${JSON.stringify({ link: served.link })}\n`);
  else process.stdout.write(`${served.link}\n`);
  process.stderr.write('The link works once. The Web UI is served until Ctrl-C.\n');
  const page = join(home, 'server', `ui-${process.pid}.html`);
  try {
    if (options.open === true) openLink(page, served.link);
    await ended;
  } finally {
    rmSync(page, { force: true });
    await served.close();
  }
  return 0;
}

/** By way of a file, since everybody on this machine can see the arguments of the browser. */
function openLink(page: string, link: string): void {
  writeAtomically(page, `<!doctype html><meta http-equiv="refresh" content="0;url=${link}">\n`);
  openInBrowser(page);
}
