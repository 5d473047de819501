/** Answers that hold for a while, one question at a time for each of them. */
export class Remembered<T> {
  readonly #ms: number;
  readonly #held = new Map<string, { readonly until: number; readonly answer: Promise<T> }>();

  constructor(ms: number) {
    this.#ms = ms;
  }

  /** A failure is not remembered. */
  get(key: string, ask: () => Promise<T>): Promise<T> {
    const now = Date.now();
    const known = this.#held.get(key);
    if (known !== undefined && known.until > now) return known.answer;
    for (const [old, { until }] of this.#held) if (until <= now) this.#held.delete(old);
    const answer = ask();
    this.#held.set(key, { until: now + this.#ms, answer });
    answer.catch(() => this.#held.delete(key));
    return answer;
  }
}
