import type { Command } from 'commander';
import type { ResolvedConfig } from '../../model/config/config.ts';
import { configOption, debugOption, outputOption } from '../options.ts';
import { type CommonOptions, runCommand } from '../run.ts';
import { formatTable, plain } from '../table.ts';

export function configure(command: Command): void {
  const show = command.command('show').description('show what is configured and which file or option says so');
  outputOption(configOption(debugOption(show))).action((options: CommonOptions) =>
    runCommand(options, async (context) => {
      const resolved = await context.config();
      const { configFiles } = await import('../../system/config.ts');
      const { existsSync } = await import('node:fs');
      const files = configFiles().map(({ path, source }) => ({ path, name: source.name, exists: existsSync(path) }));
      const settings = await shownSettings(resolved);
      context.progress.stop();
      if (options.output === 'json') {
        const shown = files.map(({ path, exists }) => ({ path, exists }));
        process.stdout.write(`${JSON.stringify({ settings, files: shown }, null, 2)}\n`);
      } else process.stdout.write(`${settingsText(settings, files)}\n`);
      return 0;
    }),
  );
}

/** docs/cli.md describes this shape. */
interface ShownSetting {
  readonly key: string;
  readonly value: unknown;
  /** A file, `--config` or `default`. */
  readonly source: string;
  readonly line: number | null;
  readonly carriedOut: boolean;
}

/** What is set, in the order of its keys, and the defaults of what is carried out and not set. */
async function shownSettings({ settings }: ResolvedConfig): Promise<ShownSetting[]> {
  const { CARRIED_OUT, isCarriedOut, withoutSecrets } = await import('../../model/config/keys.ts');
  const shown = settings.map(({ path, value, source, line }): ShownSetting => {
    const key = path.join('.');
    return { key, value: withoutSecrets(path, value), source: source.name, line, carriedOut: isCarriedOut(path) };
  });
  const defaults = Object.entries(CARRIED_OUT).filter(
    ([key]) => !shown.some((one) => one.key === key || one.key.startsWith(`${key}.`)),
  );
  const unset = defaults.map(
    ([key, value]): ShownSetting => ({ key, value, source: 'default', line: null, carriedOut: true }),
  );
  return [...shown, ...unset].sort((a, b) => (a.key < b.key ? -1 : 1));
}

export function settingsText(
  settings: readonly ShownSetting[],
  files: readonly { readonly name: string; readonly exists: boolean }[],
): string {
  const rows = settings.map(({ key, value, source, line, carriedOut }) => [
    key,
    value === null ? '-' : typeof value === 'string' ? value : JSON.stringify(value),
    line === null ? source : `${source}:${line}`,
    carriedOut ? '' : 'not carried out yet',
  ]);
  const looked = files.map(({ name, exists }) => `  ${plain(name)}${exists ? '' : ' (not there)'}`);
  return [formatTable(['KEY', 'VALUE', 'FROM', 'NOTE'], rows), '', 'Files, the last goes first:', ...looked].join('\n');
}
