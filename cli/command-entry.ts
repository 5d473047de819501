import type { Command } from 'commander';

/** A command: what help says of it, and the file that has it. */
export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  readonly load: () => Promise<{ configure: (command: Command, all: readonly CommandEntry[]) => void }>;
  readonly hidden?: boolean;
}
