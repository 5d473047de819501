/** Questions to a person. */
import { createInterface } from 'node:readline/promises';
import { StyxError } from '../model/errors.ts';

/**
 * Asks on stderr and reads the terminal; an empty answer is yes. @throws aborted when the answer is no; invalid when
 * nobody can be asked
 */
export async function confirm(question: string, yes: boolean | undefined): Promise<void> {
  if (yes === true) return;
  if (process.stdin.isTTY !== true) {
    throw new StyxError('invalid', `cannot ask '${question}': there is no terminal`, {
      hint: 'Pass -y to go on without being asked.',
    });
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  terminal.on('SIGINT', () => process.emit('SIGINT'));
  try {
    const answer = (await terminal.question(`${question} Proceed? [Y/n]: `)).trim().toLowerCase();
    if (answer === '' || answer === 'y' || answer === 'yes') return;
  } finally {
    terminal.close();
  }
  throw new StyxError('aborted', 'not confirmed; nothing was done', {
    hint: 'Run the command again to be asked again.',
  });
}
