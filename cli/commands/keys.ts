import { readFileSync, writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { StyxError } from '../../model/errors.ts';
import { styxHome } from '../../system/home.ts';
import { exportKeys, importKeys } from '../../system/key-export.ts';
import { KEY_PURPOSES, type Key, Keyring } from '../../system/keyring.ts';
import { debugOption, outputOption } from '../options.ts';
import { type CommonOptions, runCommand } from '../run.ts';
import { formatTable } from '../table.ts';

export function configure(command: Command): void {
  const list = command.command('list', { isDefault: true }).description('show the keys, without their secrets');
  outputOption(debugOption(list)).action((options: CommonOptions) =>
    runCommand(options, async () => print(new Keyring(styxHome()).list(), options)),
  );
  const rotate = command.command('rotate').description('seal with new keys from now on; the old ones still open');
  outputOption(debugOption(rotate)).action((options: CommonOptions) =>
    runCommand(options, async () => {
      const keyring = new Keyring(styxHome());
      return print(
        KEY_PURPOSES.map((purpose) => keyring.rotate(purpose)),
        options,
      );
    }),
  );
  debugOption(
    command.command('export').description('write all keys to a file').argument('[file]', 'default: standard output'),
  ).action((file: string | undefined, options: CommonOptions) =>
    runCommand(options, async () => {
      const text = exportKeys(styxHome());
      if (file === undefined) process.stdout.write(text);
      else writeNew(file, text);
      return 0;
    }),
  );
  debugOption(
    command.command('import').description('add the keys of an export').argument('<file>', '- for standard input'),
  ).action((file: string, options: CommonOptions) =>
    runCommand(options, async () => {
      const added = importKeys(styxHome(), read(file));
      process.stdout.write(`${added} ${added === 1 ? 'key' : 'keys'} added.\n`);
      return 0;
    }),
  );
}

function print(keys: readonly Key[], options: CommonOptions): number {
  const rows = keys.map(({ id, purpose, createdAt }) => ({
    id,
    purpose,
    created: new Date(createdAt).toISOString(),
    seals: keys.findLast((key) => key.purpose === purpose)?.id === id,
  }));
  if (options.output === 'json') process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`);
  else if (rows.length === 0) process.stdout.write('No keys yet: the first command that needs one makes it.\n');
  else {
    const cells = rows.map((row) => [row.id, row.purpose, row.created, row.seals ? 'yes' : 'no']);
    process.stdout.write(`${formatTable(['ID', 'PURPOSE', 'CREATED', 'SEALS'], cells)}\n`);
  }
  return 0;
}

/** Never over another file, which might be a copy of other keys. */
function writeNew(file: string, text: string): void {
  try {
    writeFileSync(file, text, { mode: 0o600, flag: 'wx' });
  } catch (error) {
    const exists = (error as NodeJS.ErrnoException).code === 'EEXIST';
    throw new StyxError('invalid', exists ? `${file} exists` : `cannot write ${file}: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

function read(file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (error) {
    throw new StyxError('invalid', `cannot read ${file}: ${(error as Error).message}`, { cause: error });
  }
}
