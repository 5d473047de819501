/** Reads the configuration: which files there are, and in which order they hold. The one way to it for CLI, programs and worker. */
import { readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import type { ResolvedConfig } from '../model/config/config.ts';
import type { ConfigProblem } from '../model/config/error.ts';
import type { ConfigSource } from '../model/config/layers.ts';
import { DEFAULT_CONFIG } from '../model/config/values.ts';
import { StyxError } from '../model/errors.ts';
import { styxHome } from './home.ts';

export interface LoadOptions {
  /** Data directory, in which `config.yaml` is; default STYX_HOME, else ~/.styx. */
  readonly home?: string;
  /** Where `.styx.yaml` and `.sky.yaml` are; null: those of a project do not count. Default: the current directory. */
  readonly project?: string | null;
  /** Each a file or `key=value`; the last goes first. */
  readonly options?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
}

/** A place where configuration may stand, from the lowest to the highest. */
export interface ConfigFile {
  readonly path: string;
  /** As messages name it. */
  readonly source: ConfigSource;
  /** Named by the environment, so that it is an error when it does not exist. */
  readonly named: string | null;
}

const OPTION = '--config';

/** @throws ConfigError with all that is wrong with all files and options; invalid for a file that cannot be read */
export async function loadConfig(options: LoadOptions = {}): Promise<ResolvedConfig> {
  const read = configFiles(options).flatMap((file) => {
    const text = readFile(file);
    return text === null ? [] : [{ source: file.source, text }];
  });
  const given = options.options ?? [];
  // Schemas take a tenth of a second to load, which no command should pay that has nothing to read.
  if (read.length === 0 && given.length === 0) return { config: DEFAULT_CONFIG, settings: [], warning: null };
  const { fileLayer, optionLayer } = await import('../model/config/layers.ts');
  const { resolveConfig } = await import('../model/config/config.ts');
  const problems: ConfigProblem[] = [];
  const layers = read.map(({ text, source }) => fileLayer(text, source, problems));
  for (const argument of given) {
    const path = resolve(expanded(argument));
    const source: ConfigSource = { name: shownPath(path), kind: 'styx' };
    const text = isFile(path) ? readFile({ path, source, named: OPTION }) : null;
    layers.push(text === null ? optionLayer(OPTION, argument, problems) : fileLayer(text, source, problems));
  }
  if (problems.length > 0) {
    const { ConfigError } = await import('../model/config/error.ts');
    throw new ConfigError(problems);
  }
  return resolveConfig(layers.filter((layer) => layer !== null));
}

/** All files that count when they exist. */
export function configFiles({ home, project, env = process.env }: LoadOptions = {}): ConfigFile[] {
  const directory = project === undefined ? process.cwd() : project;
  const file = (kind: ConfigSource['kind'], fallback: string, name: string | null = null): ConfigFile => {
    const given = name === null ? undefined : env[name] || undefined;
    const path = resolve(given === undefined ? fallback : expanded(given));
    return { path, source: { name: shownPath(path), kind }, named: given === undefined ? null : name };
  };
  const ofProject = (files: (directory: string) => ConfigFile) => (directory === null ? [] : [files(directory)]);
  return [
    file('skypilot', join(homedir(), '.sky', 'config.yaml'), 'SKYPILOT_GLOBAL_CONFIG'),
    ...ofProject((dir) => file('skypilot', join(dir, '.sky.yaml'), 'SKYPILOT_PROJECT_CONFIG')),
    file('styx', join(home ?? styxHome(env), 'config.yaml')),
    ...ofProject((dir) => file('styx', join(dir, '.styx.yaml'))),
  ];
}

/** null: there is none. */
function readFile({ path, source, named }: ConfigFile): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') {
      if (named === null) return null;
      throw new StyxError('invalid', `${named} names ${source.name}, which does not exist`, {
        hint: `Correct the path, or unset ${named}.`,
        cause: error,
      });
    }
    throw new StyxError('invalid', `cannot read the configuration ${source.name}: ${message}`, {
      hint: 'Make the file readable, or move it away.',
      cause: error,
    });
  }
}

function isFile(path: string): boolean {
  try {
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

function expanded(path: string): string {
  return path === '~' || path.startsWith('~/') ? join(homedir(), path.slice(1)) : path;
}

/** Below the current directory as it is from there, below the home directory with `~`. */
function shownPath(path: string): string {
  for (const [directory, prefix] of [
    [process.cwd(), ''],
    [homedir(), '~/'],
  ] as const) {
    if (path.startsWith(`${directory}/`)) return prefix + path.slice(directory.length + 1);
  }
  return path;
}
