/** Options that several commands share. */
import { type Command, InvalidArgumentError, Option } from 'commander';

export function outputOption(command: Command): Command {
  return command.addOption(
    new Option('-o, --output <format>', 'output for people or for programs')
      .choices(['table', 'json'])
      .default('table'),
  );
}

export function debugOption(command: Command): Command {
  return command.option('--debug', 'show stack traces of errors, and what is asked of Temporal');
}

export function configOption(command: Command): Command {
  return command.option(
    '--config <key=value>',
    'configuration for this command, or a file of it; may be repeated',
    collect,
  );
}

export function yesOption(command: Command): Command {
  return command.option('-y, --yes', 'do not ask for confirmation');
}

/** Parser of an option that is a whole number from `min` to `max`. */
export function wholeNumber(min: number, max = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^-?\d+$/.test(text) || value < min || value > max) {
      const range = max === Number.MAX_SAFE_INTEGER ? `${min} or more` : `${min} to ${max}`;
      throw new InvalidArgumentError(`must be a whole number, ${range}`);
    }
    return value;
  };
}

/** For an option that may be repeated. */
export function collect(value: string, before: readonly string[] | undefined): string[] {
  return [...(before ?? []), value];
}
