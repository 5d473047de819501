/** Finds the command, loads its file alone, and runs it. */
import { Command } from 'commander';
import { COMMANDS, findCommand } from './commands.ts';
import { describe, endQuietlyOnClosedPipe, failUsage } from './program.ts';

endQuietlyOnClosedPipe();

const argv = process.argv.slice(2);
const wanted = argv[0] === 'help' ? argv[1] : argv[0];
const found = findCommand(wanted ?? '');
const program = describe(new Command('styx'));

if (found !== undefined) {
  const { configure } = await found.load();
  configure(program.command(found.name, { hidden: found.hidden === true }).description(found.summary), COMMANDS);
} else {
  for (const { name, summary, hidden } of COMMANDS) {
    program.command(name, { hidden: hidden === true }).description(summary);
  }
  if (wanted !== undefined && !wanted.startsWith('-')) failUsage(program, wanted);
}
if (argv[0] === '--version' || argv[0] === '-v') {
  const { version } = await import('./version.ts');
  process.stdout.write(`styx ${version()}\n`);
} else if (argv.length === 0) program.outputHelp();
else
  await program.parseAsync(argv[0] === 'help' && found !== undefined ? [found.name, '--help'] : argv, { from: 'user' });
