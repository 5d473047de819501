/** A word for a POSIX shell that stands for exactly this text. @throws RangeError for NUL, which no argument can hold */
export function shellQuote(text: string): string {
  if (text.includes('\0')) throw new RangeError('a shell word cannot hold NUL');
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** A command line that runs a program with exactly these arguments. */
export function shellCommand(command: readonly string[]): string {
  // A first word with `=` would be an assignment.
  return command
    .map((word, at) => (at === 0 && word.includes('=') ? `'${word.replaceAll("'", "'\\''")}'` : shellQuote(word)))
    .join(' ');
}
