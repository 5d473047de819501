/** Absence from one listing is a question: a cloud may leave out what is there. It is believed when all listings of some time agree. */
export class Absence {
  readonly #patienceMs: number;
  #since: number | null = null;

  constructor(patienceMs: number) {
    this.#patienceMs = patienceMs;
  }

  /** Of the listing at hand: whether what it lacks is gone. */
  believed(missing: boolean): boolean {
    if (!missing) this.#since = null;
    else this.#since ??= Date.now();
    return this.#since !== null && Date.now() - this.#since >= this.#patienceMs;
  }
}
