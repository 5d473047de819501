/** YAML text to trees in which every key and value knows its line and column. One tree a document, no tags, bounded aliases. */
import {
  Composer,
  CST,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  type Node,
  Parser,
  type Scalar,
  type YAMLMap,
} from 'yaml';
import { plainScalar, type ScalarValue } from './yaml-scalars.ts';

/** Lines and columns count from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

interface YamlEntry {
  readonly key: string;
  readonly at: Position;
  readonly value: YamlNode;
}

export type YamlNode =
  | { readonly kind: 'map'; readonly at: Position; readonly entries: readonly YamlEntry[] }
  | { readonly kind: 'list'; readonly at: Position; readonly items: readonly YamlNode[] }
  /** `text` is what Python's `str()` makes of `value`. */
  | { readonly kind: 'scalar'; readonly at: Position; readonly value: ScalarValue; readonly text: string };

export interface YamlProblem extends Position {
  readonly message: string;
}

/** Problems of one text that are worth reading. */
export const MAX_PROBLEMS = 50;
const MAX_NODES = 20_000;
const TOO_MANY = `holds more than ${MAX_NODES} values`;
const MAX_DEPTH = 50;
const MAX_DOCUMENTS = 200;
const MAX_ANCHORS = 1000;
const TOO_DEEP = 'is nested too deeply';
const ZERO_WIDTH: ReadonlySet<string> = new Set([CST.DOCUMENT, CST.FLOW_END, CST.SCALAR]);
const PLAIN_TAGS = new Set(['tag:yaml.org,2002:str', 'tag:yaml.org,2002:map', 'tag:yaml.org,2002:seq', '!']);
const SET_TAG = 'tag:yaml.org,2002:set';

/**
 * Never throws: what is wrong is in `problems`. An empty document is a scalar of nothing; there are no documents at all when there
 * is a problem of syntax. Duplicate keys are problems that name both lines.
 */
export function readYaml(text: string): { documents: YamlNode[]; problems: YamlProblem[] } {
  const lines = new LineCounter();
  const problems: YamlProblem[] = [];
  const at = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  let documents: YamlNode[] = [];
  try {
    const composed = compose(text, lines, problems, at);
    const builder = new TreeBuilder(problems, at);
    if (problems.length === 0) documents = composed.map((contents) => builder.document(contents));
  } catch (error) {
    if (error instanceof TooMuch) problems.push({ ...error.at, message: error.message });
    else if (error instanceof RangeError) problems.push({ line: 1, column: 1, message: TOO_DEEP });
    else throw error;
  }
  return { documents, problems };
}

class TooMuch extends Error {
  readonly at: Position;

  constructor(at: Position, message: string) {
    super(message);
    this.at = at;
  }
}

/** Tokens of a text that is worth composing: the yaml package takes seconds for one that is all errors, anchors or nesting. */
function* tokens(text: string, lines: LineCounter, at: (offset: number) => Position) {
  const parser = new Parser(lines.addNewLine);
  lines.addNewLine(0);
  let offset = 0;
  let inScalar = false;
  let [errors, values, anchors, flowDepth, indicatorsOnLine] = [0, 0, 0, 0, 0];
  for (const lexeme of new Lexer().lex(text)) {
    const type = inScalar ? 'scalar' : CST.tokenType(lexeme);
    inScalar = !inScalar && lexeme === CST.SCALAR;
    if (type === 'flow-map-start' || type === 'flow-seq-start') flowDepth++;
    else if (type === 'flow-map-end' || type === 'flow-seq-end') flowDepth--;
    else if (type === 'anchor' || type === 'alias') anchors++;
    else if (type === 'newline') indicatorsOnLine = 0;
    else if (type === 'seq-item-ind' || type === 'explicit-key-ind' || type === 'map-value-ind') indicatorsOnLine++;
    if (flowDepth > MAX_DEPTH || (flowDepth === 0 && indicatorsOnLine > 4 * MAX_DEPTH)) {
      throw new TooMuch(at(offset), TOO_DEEP);
    }
    if (type === 'seq-item-ind' || type?.endsWith('scalar')) values++;
    if (values > 2 * MAX_NODES) throw new TooMuch(at(offset), TOO_MANY);
    if (anchors > MAX_ANCHORS) throw new TooMuch(at(offset), `has more than ${MAX_ANCHORS} anchors and aliases`);
    for (const token of parser.next(lexeme)) {
      yield token;
      if (token.type === 'error' && ++errors >= MAX_PROBLEMS) return;
    }
    offset += ZERO_WIDTH.has(lexeme) ? 0 : lexeme.length;
  }
  yield* parser.end();
}

interface Composed {
  readonly offset: number;
  /** null: an empty document. */
  readonly contents: Node | null;
}

function compose(
  text: string,
  lines: LineCounter,
  problems: YamlProblem[],
  at: (offset: number) => Position,
): Composed[] {
  const composer = new Composer({
    schema: 'failsafe',
    uniqueKeys: false,
    merge: false,
    prettyErrors: false,
    logLevel: 'silent',
  });
  const composed: Composed[] = [];
  for (const document of composer.compose(tokens(text, lines, at))) {
    for (const error of document.errors.slice(0, MAX_PROBLEMS - problems.length)) {
      problems.push({ ...at(error.pos[0]), message: error.message });
    }
    const contents = document.contents as Node | null;
    composed.push({
      offset: document.range[0],
      contents: contents === null || isEmptyScalar(contents) ? null : contents,
    });
    if (problems.length > 0) break;
    if (composed.length > MAX_DOCUMENTS)
      throw new TooMuch(at(document.range[0]), `holds more than ${MAX_DOCUMENTS} documents`);
  }
  return composed;
}

function isEmptyScalar(node: Node): boolean {
  return isScalar(node) && (node.source ?? '') === '' && node.type === 'PLAIN' && (node.tag ?? '') === '';
}

class TreeBuilder {
  readonly #problems: YamlProblem[];
  readonly #position: (offset: number) => Position;
  readonly #anchors = new Map<string, Node>();
  readonly #open = new Set<Node>();
  #nodes = 0;

  constructor(problems: YamlProblem[], position: (offset: number) => Position) {
    this.#problems = problems;
    this.#position = position;
  }

  /** Anchors hold in their document alone; the budget is that of the whole text. */
  document({ offset, contents }: Composed): YamlNode {
    this.#anchors.clear();
    return contents === null
      ? { kind: 'scalar', at: this.#position(offset), value: null, text: 'None' }
      : this.node(contents, 0);
  }

  /** Aliases become copies of what they name, so each counts as much as it holds. */
  node(node: Node, depth: number): YamlNode {
    const at = this.#position(node.range?.[0] ?? 0);
    if (++this.#nodes > MAX_NODES) throw new TooMuch(at, `${TOO_MANY}, aliases counted in full`);
    if (depth > MAX_DEPTH) throw new TooMuch(at, TOO_DEEP);
    if (isAlias(node)) {
      const target = this.#anchors.get(node.source);
      if (target === undefined || this.#open.has(target)) {
        this.#problem(at, target === undefined ? `no anchor "${node.source}" above` : `"${node.source}" holds itself`);
        return { kind: 'scalar', at, value: null, text: 'None' };
      }
      return this.node(target, depth + 1);
    }
    const { anchor } = node as { anchor?: string };
    if (anchor !== undefined) this.#anchors.set(anchor, node);
    const isSet = isMap(node) && node.tag === SET_TAG;
    if (node.tag !== undefined && !PLAIN_TAGS.has(node.tag) && !isSet) {
      this.#problem(at, `tags such as ${node.tag.replace('tag:yaml.org,2002:', '!!')} are not supported`);
    }
    this.#open.add(node);
    try {
      if (isMap(node)) return { kind: 'map', at, entries: this.#entries(node as YAMLMap<Node, Node | null>, depth) };
      if (isSeq(node)) return { kind: 'list', at, items: node.items.map((item) => this.node(item as Node, depth + 1)) };
      return { kind: 'scalar', at, ...scalarOf(node as Scalar) };
    } finally {
      this.#open.delete(node);
    }
  }

  #entries(map: YAMLMap<Node, Node | null>, depth: number): YamlEntry[] {
    const entries: YamlEntry[] = [];
    const merged: YamlEntry[] = [];
    const firstAt = new Map<string, Position>();
    for (const pair of map.items) {
      const key = this.node(pair.key, depth + 1);
      const { at } = key;
      const value: YamlNode =
        pair.value === null ? { kind: 'scalar', at, value: null, text: 'None' } : this.node(pair.value, depth + 1);
      if (key.kind !== 'scalar') {
        this.#problem(at, 'a key must be a word, not a list or map');
        continue;
      }
      const name = (isScalar(pair.key) ? pair.key.source : undefined) ?? key.text;
      if (name === '<<') {
        merged.push(...this.#mergedEntries(value));
        continue;
      }
      if (name === '__proto__') {
        this.#problem(at, 'the key "__proto__" is not allowed');
        continue;
      }
      const first = firstAt.get(name);
      if (first !== undefined) {
        this.#problem(at, `duplicate key "${name}" (lines ${first.line} and ${at.line})`);
        continue;
      }
      firstAt.set(name, at);
      entries.push({ key: name, at, value });
    }
    for (const entry of merged) {
      if (firstAt.has(entry.key)) continue;
      firstAt.set(entry.key, entry.at);
      entries.push(entry);
    }
    return entries;
  }

  #mergedEntries(value: YamlNode): readonly YamlEntry[] {
    if (value.kind === 'map') return value.entries;
    if (value.kind === 'list' && value.items.every((item) => item.kind === 'map')) {
      return value.items.flatMap((item) => (item.kind === 'map' ? item.entries : []));
    }
    this.#problem(value.at, '"<<" takes a map or a list of maps');
    return [];
  }

  #problem(at: Position, message: string): void {
    if (this.#problems.length < MAX_PROBLEMS) this.#problems.push({ ...at, message });
  }
}

function scalarOf(node: Scalar): { value: ScalarValue; text: string } {
  const text = String(node.value ?? '');
  if (node.type !== 'PLAIN' || (node.tag !== undefined && node.tag !== '')) return { value: text, text };
  return plainScalar(text);
}

/** The tree as plain JSON values; maps have no prototype. */
export function plainValue(node: YamlNode): unknown {
  if (node.kind === 'scalar') return node.value;
  if (node.kind === 'list') return node.items.map(plainValue);
  const map: Record<string, unknown> = Object.create(null);
  for (const { key, value } of node.entries) map[key] = plainValue(value);
  return map;
}

/** Where the value at `path` stands, or its key; the nearest that exists above, when the path leads nowhere. */
export function positionAt(root: YamlNode, path: readonly PropertyKey[], part: 'key' | 'value' = 'value'): Position {
  let node = root;
  let at = root.at;
  for (const step of path) {
    let next: YamlNode | undefined;
    if (node.kind === 'map') {
      const entry = node.entries.find((candidate) => candidate.key === step);
      next = entry?.value;
      if (entry !== undefined) at = part === 'key' ? entry.at : entry.value.at;
    } else if (node.kind === 'list') {
      next = node.items[Number(step)];
      if (next !== undefined) at = next.at;
    }
    if (next === undefined) return at;
    node = next;
  }
  return at;
}
