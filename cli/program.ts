/** What holds for every command's parsing: help, unknown commands and options, closed pipes. */
import type { Command, CommanderError } from 'commander';
import { nearest } from '../client/names.ts';
import { COMMANDS } from './commands.ts';
import { USAGE_EXIT } from './run.ts';

export function describe(program: Command): Command {
  return program
    .description('Run AI and batch work on any cloud; every lifecycle is a Temporal workflow.')
    .usage('COMMAND [OPTIONS]')
    .helpOption('-h, --help', 'show help')
    .helpCommand('help [COMMAND]', 'show help of a command')
    .option('-v, --version', 'show the version')
    .enablePositionalOptions()
    .showSuggestionAfterError(true)
    .showHelpAfterError('Run the command with --help to see its options.')
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, 'Error: ')) })
    .exitOverride((error: CommanderError) => {
      process.exit(error.exitCode === 0 ? 0 : USAGE_EXIT);
    });
}

/** Commands of the field that this version does not have are refused by name. */
export function failUsage(program: Command, wanted: string): never {
  const near = nearest(
    wanted,
    COMMANDS.filter(({ hidden }) => hidden !== true).map(({ name }) => name),
  );
  const meant = near.length === 0 ? '' : `\nDid you mean ${near.map((name) => `\`styx ${name}\``).join(' or ')}?`;
  process.stderr.write(
    `Error: unknown command '${wanted}'${meant}\nRun \`${program.name()} --help\` to see all commands.\n`,
  );
  process.exit(USAGE_EXIT);
}

/** `styx logs | head`: the reader has what it wanted. */
export function endQuietlyOnClosedPipe(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(0);
      throw error;
    });
  }
}
