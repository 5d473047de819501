/** `accelerators`, alias `gpus`: one, a set of equals, or a list in order of preference; by name, or by memory and maker. */
import { FieldError, isMap, shown, within } from './field.ts';
import { pythonFloat, wholeGib } from './values.ts';

export type AcceleratorRequest =
  | { readonly kind: 'named'; readonly name: string; readonly count: number }
  /** Any with so much memory each. */
  | {
      readonly kind: 'memory';
      readonly gib: number;
      readonly atLeast: boolean;
      readonly manufacturer: string | null;
      readonly count: number;
    };

export interface AcceleratorChoice {
  /** `listed`: tried in this order. */
  readonly order: 'any' | 'listed';
  readonly options: readonly AcceleratorRequest[];
}

export const ACCELERATOR_FORM = {
  anyOf: [{ type: 'string' }, { type: 'object', maxProperties: 1, additionalProperties: { type: 'number' } }],
};
export const ACCELERATORS_FORM = {
  anyOf: [
    { type: 'string' },
    { type: 'object', additionalProperties: { type: ['number', 'null'] } },
    { type: 'array', items: { type: 'string' } },
  ],
};

const MEMORY = /^[0-9]+[GgMmTt][Bb]\+?$/;
const EXPECTED = 'must be such as A100, A100:8, 80GB+ or nvidia:80GB:2';

/** `A100`, `A100:8`, `A100:0.5`, `80GB+`, `80GB:2`, `nvidia:80GB`, `nvidia:80GB:2`. */
function fromText(source: string): AcceleratorRequest {
  const parts = source.split(':');
  const [first = '', second = '', third = ''] = parts;
  const byMemory = (size: string, manufacturer: string | null, count: string): AcceleratorRequest => {
    const atLeast = size.endsWith('+');
    const bare = atLeast ? size.slice(0, -1) : size;
    const gib = wholeGib(bare.toLowerCase());
    const whole = /^\s*[-+]?\d+\s*$/.test(count) ? Number(count) : 0;
    if (gib === null || gib < 1 || whole < 1) throw new FieldError(`${EXPECTED}, not ${shown(source)}`);
    return { kind: 'memory', gib, atLeast, manufacturer, count: whole };
  };
  if (parts.length === 3 && MEMORY.test(second)) return byMemory(second, first.toLowerCase(), third);
  if (parts.length === 2 && MEMORY.test(first)) return byMemory(first, null, second);
  if (parts.length === 2 && MEMORY.test(second)) return byMemory(second, first.toLowerCase(), '1');
  if (parts.length === 1 && MEMORY.test(first)) return byMemory(first, null, '1');
  const count = parts.length === 1 ? 1 : pythonFloat(second);
  if (parts.length > 2 || first.trim() === '' || count === null) {
    throw new FieldError(`${EXPECTED}, not ${shown(source)}`);
  }
  if (count <= 0) throw new FieldError(`must ask for more than 0 of ${shown(first)}`);
  if (/[\s\0]/.test(first) || first.length > 100) {
    throw new FieldError(`${shown(first)} is not the name of an accelerator`);
  }
  return { kind: 'named', name: first, count };
}

/** One choice: what an alternative of `any_of` and `ordered` may say. */
export function accelerator(value: unknown): AcceleratorChoice {
  if (isMap(value) && Object.keys(value).length > 1) {
    throw new FieldError('must name one accelerator here: the alternatives are listed around it');
  }
  if (Array.isArray(value)) throw new FieldError('must be one accelerator here, not a list');
  return accelerators(value);
}

export function accelerators(value: unknown): AcceleratorChoice {
  if (typeof value === 'string') return { order: 'any', options: [fromText(value)] };
  if (typeof value === 'object' && value !== null && Object.keys(value).length === 0) {
    throw new FieldError('must name an accelerator, such as A100:8');
  }
  if (Array.isArray(value)) {
    const options = value.map((item, index) => {
      if (typeof item !== 'string') throw new FieldError(`must be text such as A100:8, not ${shown(item)}`, [index]);
      return within([index], () => fromText(item));
    });
    return { order: 'listed', options: unique(options) };
  }
  if (!isMap(value)) throw new FieldError(`${EXPECTED}, or a map or list of them, not ${shown(value)}`);
  const options = Object.entries(value).map(([name, count]) => {
    if (count === null) return within([name], () => fromText(name));
    if (typeof count !== 'number')
      throw new FieldError(`must be a number of accelerators, not ${shown(count)}`, [name]);
    return within([name], () => fromText(`${name}:${count}`));
  });
  return { order: 'any', options: unique(options) };
}

function unique(options: readonly AcceleratorRequest[]): AcceleratorRequest[] {
  const seen = new Map(options.map((option) => [acceleratorText(option), option]));
  return [...seen.values()];
}

export function acceleratorText(request: AcceleratorRequest): string {
  if (request.kind === 'named') return `${request.name}:${request.count}`;
  const size = `${request.gib}GB${request.atLeast ? '+' : ''}`;
  return [...(request.manufacturer === null ? [] : [request.manufacturer]), size, String(request.count)].join(':');
}
