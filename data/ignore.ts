/**
 * Which paths of a directory are left out: what `.styxignore` files say, else `.skyignore`, else `.gitignore`, read as git does,
 * in every directory, the nearest one having the last word. What is left out is not entered. The index of a repository plays no
 * part: a tracked file that a pattern names is left out, as in SkyPilot.
 */
import { readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { isGlobSpecial, wildmatch } from './wildmatch.ts';

interface Pattern {
  readonly negated: boolean;
  readonly directoriesOnly: boolean;
  /** Of one byte a character, as all texts here. */
  readonly text: string;
  readonly kind: 'name' | 'suffix' | 'name-glob' | 'path';
  /** Characters at the beginning that stand for themselves. */
  readonly literal: number;
}

/** Patterns of one file; `base` is the path of its directory, empty or ending in a slash. */
interface Level {
  readonly base: string;
  readonly patterns: readonly Pattern[];
}

const OWN_FILES = ['.styxignore', '.skyignore'];
const GIT_FILE = '.gitignore';

/** One byte a character. */
function bytes(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

export function parsePatterns(content: string): Pattern[] {
  const text = content.startsWith('\u00ef\u00bb\u00bf') ? content.slice(3) : content;
  return text.split('\n').flatMap((line) => parsePattern(line) ?? []);
}

function parsePattern(line: string): Pattern | null {
  if (line === '' || line.startsWith('#')) return null;
  let text = withoutTrailingSpaces(line.endsWith('\r') ? line.slice(0, -1) : line);
  const nul = text.indexOf('\0');
  if (nul >= 0) text = text.slice(0, nul);
  const negated = text.startsWith('!');
  if (negated) text = text.slice(1);
  const directoriesOnly = text.endsWith('/');
  if (directoriesOnly) text = text.slice(0, -1);
  if (text === '') return null;
  const anchored = text.includes('/');
  if (text.startsWith('/')) text = text.slice(1);
  const literal = literalLength(text);
  const kind = anchored
    ? 'path'
    : literal === text.length
      ? 'name'
      : text.startsWith('*') && literalLength(text.slice(1)) === text.length - 1
        ? 'suffix'
        : 'name-glob';
  return { negated, directoriesOnly, text, kind, literal };
}

function withoutTrailingSpaces(text: string): string {
  let end = -1;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === ' ') {
      if (end < 0) end = i;
    } else {
      if (text[i] === '\\') {
        i++;
        // git keeps a line that ends in a lone backslash as it is.
        if (i >= text.length) return text;
      }
      end = -1;
    }
  }
  return end < 0 ? text : text.slice(0, end);
}

function literalLength(text: string): number {
  for (let i = 0; i < text.length; i++) if (isGlobSpecial(text.charCodeAt(i))) return i;
  return text.length;
}

function matches(pattern: Pattern, path: string, nameAt: number, base: number, isDirectory: boolean): boolean {
  if (pattern.directoriesOnly && !isDirectory) return false;
  const { text, literal } = pattern;
  switch (pattern.kind) {
    case 'name':
      return path.length - nameAt === text.length && path.endsWith(text);
    case 'suffix':
      return path.length - nameAt >= text.length - 1 && path.endsWith(text.slice(1));
    case 'name-glob':
      return wildmatch(text, path.slice(nameAt), false);
    case 'path': {
      if (!path.startsWith(text.slice(0, literal), base)) return false;
      const rest = path.slice(base + literal);
      if (literal === text.length) return rest === '';
      return wildmatch(text.slice(literal), rest, true);
    }
  }
}

export class IgnoreRules {
  readonly #levels: readonly Level[];
  readonly #fileName: string;
  /** From the directory that the levels' bases are relative to, to the root of the walk; empty or ending in a slash. */
  readonly #prefix: string;

  private constructor(levels: readonly Level[], fileName: string, prefix: string) {
    this.#levels = levels;
    this.#fileName = fileName;
    this.#prefix = prefix;
  }

  /** Of the directory where a snapshot begins. Inside a git repository the files of the directories above it count too. */
  static of(root: string): IgnoreRules {
    const own = OWN_FILES.find((name) => read(join(root, name)) !== null);
    if (own !== undefined) return new IgnoreRules([levelOf(root, own, '')].filter(isThere), own, '');
    const top = repositoryOf(root);
    if (top === null) return new IgnoreRules([levelOf(root, GIT_FILE, '')].filter(isThere), GIT_FILE, '');
    const exclude = excludeOf(top);
    const whole: Level[] = exclude === null ? [] : [{ base: '', patterns: parsePatterns(exclude) }];
    const steps = relative(top, root).split(sep).filter(Boolean);
    let ignored = false;
    const levels = [...whole];
    for (let depth = 0; depth <= steps.length; depth++) {
      const base = steps
        .slice(0, depth)
        .map((step) => `${step}/`)
        .join('');
      if (depth > 0 && verdict(levels, bytes(base.slice(0, -1)), true)) ignored = true;
      const level = levelOf(join(top, base), GIT_FILE, base);
      if (level !== null) levels.push(level);
    }
    // Who names a directory that its repository leaves out wants it nevertheless; its own files still count.
    if (ignored) return new IgnoreRules([levelOf(root, GIT_FILE, '')].filter(isThere), GIT_FILE, '');
    return new IgnoreRules(levels, GIT_FILE, bytes(steps.map((step) => `${step}/`).join('')));
  }

  /** The rules inside a directory of the walk: `path` is relative to its root, without a slash at the end. */
  inside(directory: string, path: string, names: readonly string[]): IgnoreRules {
    if (!names.includes(this.#fileName)) return this;
    const level = levelOf(directory, this.#fileName, '');
    if (level === null) return this;
    const base = `${this.#prefix}${bytes(path)}/`;
    return new IgnoreRules([...this.#levels, { ...level, base }], this.#fileName, this.#prefix);
  }

  /** `path` is relative to the root of the walk; what is above it is not ignored. */
  ignores(path: string, isDirectory: boolean): boolean {
    if (this.#levels.length === 0) return false;
    // git never looks at its own directory.
    if (this.#fileName === GIT_FILE && /(?:^|\/)\.git(?:$|\/)/.test(path)) return false;
    return verdict(this.#levels, this.#prefix + bytes(path), isDirectory);
  }
}

function verdict(levels: readonly Level[], path: string, isDirectory: boolean): boolean {
  const nameAt = path.lastIndexOf('/') + 1;
  for (let i = levels.length - 1; i >= 0; i--) {
    const { base, patterns } = levels[i] as Level;
    if (!path.startsWith(base)) continue;
    for (let k = patterns.length - 1; k >= 0; k--) {
      const pattern = patterns[k] as Pattern;
      if (matches(pattern, path, nameAt, base.length, isDirectory)) return !pattern.negated;
    }
  }
  return false;
}

function levelOf(directory: string, name: string, base: string): Level | null {
  const content = read(join(directory, name));
  return content === null ? null : { base: bytes(base), patterns: parsePatterns(content) };
}

function isThere(level: Level | null): level is Level {
  return level !== null;
}

/** One byte a character; null when it cannot be read as a file. */
function read(file: string): string | null {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return null;
  }
}

/** The nearest directory, upwards, that holds `.git`. */
function repositoryOf(root: string): string | null {
  for (let at = root; ; at = dirname(at)) {
    if (statSync(join(at, '.git'), { throwIfNoEntry: false }) !== undefined) return at;
    if (dirname(at) === at) return null;
  }
}

/** `info/exclude` of a repository, where `.git` may be a file that names another place. */
function excludeOf(top: string): string | null {
  const own = join(top, '.git');
  const pointer = /^gitdir: (.*)/.exec(read(own) ?? '')?.[1];
  if (pointer === undefined) return read(join(own, 'info', 'exclude'));
  const directory = resolve(top, Buffer.from(pointer, 'latin1').toString());
  const common = read(join(directory, 'commondir'))?.trim() ?? '.';
  return read(join(resolve(directory, common), 'info', 'exclude'));
}
