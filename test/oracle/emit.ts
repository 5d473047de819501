/** Values to YAML as people write it: plain scalars stay plain, so that both parsers have to read them. */

/** Text that stands in the file as it is. */
export class Plain {
  readonly source: string;

  constructor(source: string) {
    this.source = source;
  }
}

/** A map that may name a key twice. */
export type Entries = [key: string, value: unknown][];

export class Mapping {
  readonly entries: Entries;

  constructor(entries: Entries) {
    this.entries = entries;
  }

  static of(value: Readonly<Record<string, unknown>>): Mapping {
    return new Mapping(Object.entries(value).filter(([, held]) => held !== undefined));
  }
}

const SAFE_KEY = /^[A-Za-z_][A-Za-z0-9_]*$/;
const YAML_WORDS = /^(?:y|n|yes|no|on|off|true|false|null)$/i;

function key(name: string): string {
  return SAFE_KEY.test(name) && !YAML_WORDS.test(name) ? name : JSON.stringify(name);
}

function flow(value: unknown): string {
  if (value instanceof Plain) return value.source;
  if (value instanceof Mapping)
    return `{${value.entries.map(([name, held]) => `${key(name)}: ${flow(held)}`).join(', ')}}`;
  if (Array.isArray(value)) return `[${value.map(flow).join(', ')}]`;
  return JSON.stringify(value);
}

export function emit(document: unknown): string {
  if (!(document instanceof Mapping)) return `${flow(document)}\n`;
  return document.entries
    .map(([name, value]) => {
      if (!(value instanceof Mapping) || value.entries.length === 0) return `${key(name)}: ${flow(value)}\n`;
      return `${key(name)}:\n${value.entries.map(([inner, held]) => `  ${key(inner)}: ${flow(held)}\n`).join('')}`;
    })
    .join('');
}
