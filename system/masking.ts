/** Puts ***** in the place of secret values that are known, in texts and in streams of bytes. */

/** Shorter values would mask half of what people write. */
const SHORTEST = 4;
const MASK = Buffer.from('*****');

/** What is masked, longest first: the values, and the lines of those that have several. */
function patternsOf(values: Iterable<string>): Buffer[] {
  const texts = [...values].flatMap((value) => [value, value.trim(), ...value.split('\n').map((line) => line.trim())]);
  const patterns = [...new Set(texts)].map((text) => Buffer.from(text));
  return patterns.filter(({ length }) => length >= SHORTEST).toSorted((a, b) => b.length - a.length);
}

export function maskText(text: string, values: Iterable<string>): string {
  const masker = new Masker(values);
  return Buffer.concat([masker.push(Buffer.from(text)), masker.end()]).toString();
}

/** Of a stream that is cut anywhere: holds back what may be the beginning of a value, until it is known. */
export class Masker {
  readonly #patterns: readonly Buffer[];
  #held: Buffer = Buffer.alloc(0);

  constructor(values: Iterable<string>) {
    this.#patterns = patternsOf(values);
  }

  /** Bytes of the stream that were pushed and are not shown yet. */
  get held(): number {
    return this.#held.length;
  }

  /** What can be shown of the stream up to here. */
  push(data: Buffer): Buffer {
    if (this.#patterns.length === 0) return data;
    return this.#mask(Buffer.concat([this.#held, data]), false);
  }

  /** What was held back. */
  end(): Buffer {
    return this.#mask(this.#held, true);
  }

  #mask(data: Buffer, over: boolean): Buffer {
    const parts: Buffer[] = [];
    let from = 0;
    for (;;) {
      const found = this.#next(data, from);
      const open = over ? data.length : this.#beginning(data, from);
      // At the same place: a longer value may begin with the one that was found.
      if (found === null || open <= found.at) {
        parts.push(data.subarray(from, open));
        this.#held = data.subarray(open);
        return Buffer.concat(parts);
      }
      parts.push(data.subarray(from, found.at), MASK);
      from = found.at + found.length;
    }
  }

  /** The first value from `from` on; of several that begin there, the longest. */
  #next(data: Buffer, from: number): { at: number; length: number } | null {
    let best: { at: number; length: number } | null = null;
    for (const pattern of this.#patterns) {
      const at = data.indexOf(pattern, from);
      if (at >= 0 && (best === null || at < best.at)) best = { at, length: pattern.length };
    }
    return best;
  }

  /** Where the end of the data may be the beginning of a value; its length when it cannot. */
  #beginning(data: Buffer, from: number): number {
    const longest = this.#patterns[0]?.length ?? 0;
    for (let at = Math.max(from, data.length - longest + 1); at < data.length; at++) {
      const tail = data.subarray(at);
      if (
        this.#patterns.some((pattern) => pattern.length > tail.length && pattern.subarray(0, tail.length).equals(tail))
      ) {
        return at;
      }
    }
    return data.length;
  }
}
