import { Argument, Command } from 'commander';
import type { CommandEntry } from '../command-entry.ts';
import { completionScript, SHELLS, type Shell } from '../completion.ts';
import { runCommand } from '../run.ts';

export function configure(command: Command, all: readonly CommandEntry[]): void {
  command
    .addArgument(new Argument('<shell>', 'which shell').choices(SHELLS))
    .addHelpText(
      'after',
      [
        '',
        'Where the script goes:',
        '  bash  styx completion bash > ~/.local/share/bash-completion/completions/styx',
        // biome-ignore lint/suspicious/noTemplateCurlyInString: zsh's own syntax
        '  zsh   styx completion zsh > "${fpath[1]}/_styx"',
        '  fish  styx completion fish > ~/.config/fish/completions/styx.fish',
      ].join('\n'),
    )
    .action((shell: Shell) =>
      runCommand({}, async () => {
        const tree = new Command('styx').enablePositionalOptions();
        for (const { name, summary, load, hidden } of all) {
          if (hidden === true) continue;
          const { configure: add } = await load();
          add(tree.command(name).description(summary), all);
        }
        process.stdout.write(completionScript(shell, tree));
        return 0;
      }),
    );
}
