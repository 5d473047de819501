/** What happens now and for how long: a spinner on a terminal, lines in a pipe. Always to stderr. */
import { formatDuration } from '../model/duration.ts';

const FRAMES = ['|', '/', '-', '\\'];
const FRAME_MS = 120;
/** In a pipe a text that stays says so this often. */
const REMIND_MS = 30_000;

export interface ProgressStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

export class Progress {
  readonly #stream: ProgressStream;
  readonly #animated: boolean;
  /** By subject: of several things that go on at once each has its own text. */
  readonly #texts = new Map<string, { text: string; since: number }>();
  #timer: NodeJS.Timeout | undefined;
  #frame = 0;

  constructor(stream: ProgressStream, env: NodeJS.ProcessEnv = process.env) {
    this.#stream = stream;
    this.#animated = stream.isTTY === true && env.TERM !== 'dumb' && !env.CI;
  }

  /** Shows `text` until the next call for the same subject; repeating a text keeps its clock running. */
  update(text: string, subject = ''): void {
    if (this.#texts.get(subject)?.text === text) return;
    this.#texts.set(subject, { text, since: Date.now() });
    if (this.#animated) this.#draw();
    else this.#stream.write(`${named(subject, text)}\n`);
    if (this.#timer !== undefined) return;
    this.#timer = setInterval(() => this.#tick(), this.#animated ? FRAME_MS : REMIND_MS);
    this.#timer.unref();
  }

  /** This subject is done. */
  end(subject: string): void {
    this.#clear();
    this.#texts.delete(subject);
    if (this.#texts.size === 0) this.stop();
  }

  /** A line that stays, above the spinner. */
  line(text: string): void {
    this.#clear();
    this.#stream.write(`${text}\n`);
    if (this.#animated) this.#draw();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#clear();
    this.#texts.clear();
  }

  #tick(): void {
    if (this.#animated) this.#draw();
    else for (const [subject, state] of this.#texts) this.#stream.write(`${named(subject, shown(state))}\n`);
  }

  #draw(): void {
    if (this.#texts.size === 0) return;
    const frame = FRAMES[this.#frame++ % FRAMES.length];
    const line = `${frame} ${[...this.#texts].map(([subject, state]) => named(subject, shown(state))).join(' | ')}`;
    this.#stream.write(`\r\x1b[2K${line.slice(0, Math.max(10, (this.#stream.columns || 80) - 1))}`);
  }

  #clear(): void {
    if (this.#animated && this.#texts.size > 0) this.#stream.write('\r\x1b[2K');
  }
}

function named(subject: string, text: string): string {
  return subject === '' ? text : `${subject}: ${text}`;
}

function shown({ text, since }: { text: string; since: number }): string {
  return `${text} (${formatDuration((Date.now() - since) / 1_000)})`;
}
