/** Completion scripts from the command tree. Words of it are letters, digits and dashes; descriptions are quoted. */
import type { Command, Option } from 'commander';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

interface Word {
  readonly word: string;
  readonly about: string;
}

interface Node {
  /** Words that lead here: `[]`, `['server']`, `['server', 'logs']`. */
  readonly path: readonly string[];
  readonly commands: readonly Word[];
  readonly options: readonly Word[];
  /** Takes names of clusters. */
  readonly clusters: boolean;
  /** Takes task files. */
  readonly files: boolean;
}

export function completionScript(shell: Shell, tree: Command): string {
  const nodes = collect(tree, []);
  if (shell === 'bash') return bash(nodes);
  return shell === 'zsh' ? zsh(nodes) : fish(nodes);
}

function collect(command: Command, path: readonly string[]): Node[] {
  const takes = command.registeredArguments.map((argument) => argument.name());
  const options = [...command.options, { long: '--help', short: '-h', description: 'show help', hidden: false }];
  const node: Node = {
    path,
    commands: command.commands.map((child) => ({ word: child.name(), about: child.description() })),
    options: options.flatMap((option) => words(option)),
    clusters: takes.some((name) => name === 'cluster' || name === 'clusters') || path[0] === 'launch',
    files: takes.includes('entrypoint'),
  };
  return [node, ...command.commands.flatMap((child) => collect(child, [...path, child.name()]))];
}

function words(option: Pick<Option, 'long' | 'short' | 'description' | 'hidden'>): Word[] {
  if (option.hidden) return [];
  return [option.long, option.short]
    .filter((word): word is string => typeof word === 'string')
    .map((word) => ({ word, about: option.description }));
}

function bash(nodes: readonly Node[]): string {
  const cases = nodes.map(({ path, commands, options, clusters, files }) => {
    const lines = [
      `    '${path.join(' ')}')`,
      `      options='${options.map(({ word }) => word).join(' ')}'`,
      `      words='${commands.map(({ word }) => word).join(' ')}'`,
      ...(clusters ? ['      clusters=1'] : []),
      ...(files ? ['      files=1'] : []),
      '      ;;',
    ];
    return lines.join('\n');
  });
  const known = nodes.map(({ path }) => `'${path.join(' ')}'`).filter((path) => path !== "''");
  return `# bash completion of styx
_styx() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" path='' try='' word i options='' words='' clusters='' files=''
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="\${COMP_WORDS[i]}"
    try="\${path:+$path }$word"
    case "$try" in
      ${known.join(' | ')}) path="$try" ;;
    esac
  done
  case "$path" in
${cases.join('\n')}
  esac
  COMPREPLY=()
  if [[ $cur == -* ]]; then
    COMPREPLY=($(compgen -W "$options" -- "$cur"))
    return
  fi
  if [[ -n $clusters ]]; then words="$words $("\${COMP_WORDS[0]}" __names 2>/dev/null)"; fi
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
  if [[ -n $files ]]; then COMPREPLY+=($(compgen -f -- "$cur")); fi
}
complete -o bashdefault -F _styx styx
`;
}

function zsh(nodes: readonly Node[]): string {
  const described = (list: readonly Word[]) =>
    list.map(({ word, about }) => quoted(`${word.replaceAll(':', '\\:')}:${about}`)).join(' ');
  const cases = nodes.map(({ path, commands, options, clusters, files }) =>
    [
      `    ${quoted(path.join(' '))})`,
      `      options=(${described(options)})`,
      `      commands=(${described(commands)})`,
      ...(clusters ? ['      clusters=1'] : []),
      ...(files ? ['      files=1'] : []),
      '      ;;',
    ].join('\n'),
  );
  const known = nodes.map(({ path }) => quoted(path.join(' '))).filter((path) => path !== "''");
  return `#compdef styx
_styx() {
  local path_='' try i clusters='' files=''
  local -a options commands names
  for ((i = 2; i < CURRENT; i++)); do
    try="\${path_:+$path_ }\${words[i]}"
    case "$try" in
      (${known.join('|')}) path_="$try" ;;
    esac
  done
  case "$path_" in
${cases.map((text) => text.replace(/^ {4}/, '    (')).join('\n')}
  esac
  if [[ $PREFIX == -* ]]; then
    _describe -o option options
    return
  fi
  (( $#commands )) && _describe command commands
  if [[ -n $clusters ]]; then
    names=(\${(f)"$("\${words[1]}" __names 2>/dev/null)"})
    (( $#names )) && compadd -X cluster -a names
  fi
  [[ -n $files ]] && _files
}
if [ "$funcstack[1]" = _styx ]; then _styx "$@"; else compdef _styx styx; fi
`;
}

function fish(nodes: readonly Node[]): string {
  const lines = ['# fish completion of styx', 'complete -c styx -f'];
  for (const { path, commands, options, clusters, files } of nodes) {
    const condition = conditionOf(path, commands);
    for (const { word, about } of commands)
      lines.push(`complete -c styx -n ${condition} -a ${word} -d ${fishQuoted(about)}`);
    for (const { word, about } of options) {
      const flag = word.startsWith('--') ? `-l ${word.slice(2)}` : `-s ${word.slice(1)}`;
      lines.push(`complete -c styx -n ${condition} ${flag} -d ${fishQuoted(about)}`);
    }
    if (clusters) lines.push(`complete -c styx -n ${condition} -a '(styx __names 2>/dev/null)' -d cluster`);
    if (files) lines.push(`complete -c styx -n ${condition} -F`);
  }
  return `${lines.join('\n')}\n`;
}

function conditionOf(path: readonly string[], commands: readonly Word[]): string {
  if (path.length === 0) return '__fish_use_subcommand';
  const seen = path.map((word) => `__fish_seen_subcommand_from ${word}`);
  const below =
    commands.length === 0 ? [] : [`not __fish_seen_subcommand_from ${commands.map(({ word }) => word).join(' ')}`];
  return fishQuoted([...seen, ...below].join('; and '));
}

/** For POSIX-like shells. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function fishQuoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
