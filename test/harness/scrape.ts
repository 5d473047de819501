/** What an endpoint told Prometheus, read back. */
export interface Series {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export class Scrape {
  readonly series: readonly Series[];
  readonly #kinds: ReadonlyMap<string, string>;

  constructor(text: string) {
    this.#kinds = new Map([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = '', kind = '']) => [name, kind]));
    this.series = text.split('\n').flatMap((line) => {
      const [, name, labels = '', value] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
      if (name === undefined) return [];
      const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, key = '', held = '']) => [key, held]);
      return [{ name, labels: Object.fromEntries(pairs), value: Number(value) }];
    });
  }

  static async of(url: string): Promise<Scrape> {
    const answer = await fetch(url);
    if (!answer.ok) throw new Error(`${url} answered ${answer.status}: ${await answer.text()}`);
    return new Scrape(await answer.text());
  }

  /** With at least one series. */
  get names(): string[] {
    const scraped = new Set(this.series.map(({ name }) => name));
    const has = (name: string, kind: string) => scraped.has(kind === 'histogram' ? `${name}_count` : name);
    return [...this.#kinds].filter(([name, kind]) => has(name, kind)).map(([name]) => name);
  }

  kind(name: string): string | undefined {
    return this.#kinds.get(name);
  }

  sum(name: string, labels: Readonly<Record<string, string>> = {}): number {
    return this.series
      .filter((one) => one.name === name && Object.entries(labels).every(([key, value]) => one.labels[key] === value))
      .reduce((sum, { value }) => sum + value, 0);
  }
}
