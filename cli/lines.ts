/** Output of several ranks on one terminal: whole lines, each with its origin. Bytes stay as they are. */

const NEWLINE = 10;
/** A line longer than this is passed on in parts, so that no rank can fill the memory. */
const MAX_LINE = 1 << 20;

/** Puts `prefix` before each line of a stream of bytes that is cut anywhere. */
export class LinePrefixer {
  readonly #prefix: Buffer;
  #rest: Buffer[] = [];
  #restBytes = 0;

  constructor(prefix: string) {
    this.#prefix = Buffer.from(prefix);
  }

  /** The whole lines that `data` completes. */
  push(data: Buffer): Buffer {
    const out: Buffer[] = [];
    let from = 0;
    for (let end = data.indexOf(NEWLINE, from); end >= 0; end = data.indexOf(NEWLINE, from)) {
      out.push(this.#prefix, ...this.#take(), data.subarray(from, end + 1));
      from = end + 1;
    }
    if (from < data.length) {
      this.#rest.push(data.subarray(from));
      this.#restBytes += data.length - from;
    }
    if (this.#restBytes > MAX_LINE) out.push(this.flush());
    return Buffer.concat(out);
  }

  /** What is left without a newline at its end, with one. */
  flush(): Buffer {
    return this.#restBytes === 0 ? Buffer.alloc(0) : Buffer.concat([this.#prefix, ...this.#take(), Buffer.from('\n')]);
  }

  #take(): Buffer[] {
    const rest = this.#rest;
    this.#rest = [];
    this.#restBytes = 0;
    return rest;
  }
}
