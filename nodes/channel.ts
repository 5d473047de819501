/** The agent's protocol over one duplex stream: JSON lines with request ids, answers and streams in any order. See docs/agent-protocol.md. */
import type { Duplex } from 'node:stream';
import { isErrorKind, StyxError } from '../model/errors.ts';

/** The first line of a channel. */
export interface Hello {
  readonly styx: 'agent' | 'missing' | 'refused';
  readonly version?: string;
  /** Identity of the agent's data on this node: its event numbers belong to it. */
  readonly agent?: string;
  readonly lastSeq?: number;
  readonly kind?: string;
  readonly message?: string;
}

interface Message {
  readonly id?: number;
  readonly ok?: unknown;
  readonly error?: { readonly kind: string; readonly message: string };
  readonly end?: boolean;
}

interface Receiver {
  message(message: Message): void;
  fail(error: Error): void;
}

/** Requests are answered within this, or the channel counts as dead. Milliseconds. */
const ANSWER_TIMEOUT = 30_000;
const MAX_HELLO_NOISE = 64 * 1024;

export class AgentChannel {
  readonly hello: Promise<Hello>;
  readonly #stream: Duplex;
  readonly #name: string;
  readonly #receivers = new Map<number, Receiver>();
  #lastId = 0;
  #failure: StyxError | null = null;
  #rest: Buffer[] = [];
  #noise = 0;
  #greet: ((hello: Hello) => void) | null = null;

  /** `name` is what errors call the node. */
  constructor(stream: Duplex, name: string) {
    this.#stream = stream;
    this.#name = name;
    this.hello = new Promise((resolve, reject) => {
      this.#greet = resolve;
      this.#receivers.set(0, { message: () => {}, fail: reject });
    });
    this.hello.catch(() => {});
    stream.on('data', (data: Buffer) => this.#read(data));
    stream.on('error', () => this.close());
    stream.on('close', () => this.close());
    stream.on('end', () => this.close());
  }

  get closed(): boolean {
    return this.#failure !== null;
  }

  /** Requests and streams under way. */
  get pending(): number {
    return this.#receivers.size;
  }

  /** @throws unreachable when the channel closes first; else the kind that the agent answered */
  request<T>(operation: string, fields: object = {}): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#failure) return reject(this.#failure);
      const id = this.#nextId();
      const timer = setTimeout(() => this.close('the agent does not answer'), ANSWER_TIMEOUT);
      const done = () => {
        clearTimeout(timer);
        this.#receivers.delete(id);
      };
      this.#receivers.set(id, {
        message: (message) => {
          done();
          if (message.error) reject(agentError(message.error));
          else resolve(message.ok as T);
        },
        fail: (error) => {
          done();
          reject(error);
        },
      });
      this.#send({ ...fields, id, op: operation });
    });
  }

  /**
   * A stream's messages as `convert` makes them. `weight` is what one takes of the agent's window; taken messages are
   * acknowledged, so that a slow reader stops its own stream only. Ends when the agent ends it or `signal` aborts.
   */
  async *stream<M, T>(
    operation: string,
    fields: object,
    convert: (message: M) => T,
    weight: (item: T) => number,
    window: number,
    signal: AbortSignal,
  ): AsyncGenerator<T, void> {
    if (this.#failure) throw this.#failure;
    if (signal.aborted) return;
    const id = this.#nextId();
    const queue: T[] = [];
    let over = false;
    let failure: Error | null = null;
    let wake: () => void = () => {};
    const finish = () => {
      over = true;
      wake();
    };
    const drop = (error: Error) => {
      failure = error;
      this.#receivers.delete(id);
      wake();
    };
    this.#receivers.set(id, {
      message: (message) => {
        if (message.error) return drop(agentError(message.error));
        if (message.end) {
          this.#receivers.delete(id);
          return finish();
        }
        queue.push(convert(message as M));
        wake();
      },
      fail: drop,
    });
    signal.addEventListener('abort', finish, { once: true });
    let taken = 0;
    try {
      this.#send({ ...fields, id, op: operation });
      for (;;) {
        const item = signal.aborted ? undefined : queue.shift();
        if (item !== undefined) {
          taken += weight(item);
          if (taken >= window / 4) {
            this.#send({ id, ack: taken });
            taken = 0;
          }
          yield item;
        } else if (over) {
          return;
        } else if (failure) {
          throw failure;
        } else {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      }
    } finally {
      signal.removeEventListener('abort', finish);
      if (this.#receivers.delete(id)) this.#send({ id, stop: true });
    }
  }

  close(why = 'the connection was closed'): void {
    if (this.#failure) return;
    this.#failure = new StyxError('unreachable', `${this.#name}: ${why}`);
    for (const receiver of [...this.#receivers.values()]) receiver.fail(this.#failure);
    this.#receivers.clear();
    this.#stream.destroy();
  }

  #nextId(): number {
    this.#lastId += 1;
    return this.#lastId;
  }

  #send(message: object): void {
    if (!this.#failure) this.#stream.write(`${JSON.stringify(message)}\n`);
  }

  #read(data: Buffer): void {
    let from = 0;
    for (;;) {
      const end = data.indexOf(10, from);
      if (end < 0) break;
      this.#rest.push(data.subarray(from, end));
      const line = Buffer.concat(this.#rest).toString();
      this.#rest = [];
      from = end + 1;
      this.#line(line);
    }
    if (from < data.length) this.#rest.push(data.subarray(from));
  }

  #line(line: string): void {
    if (this.#greet) {
      // A login shell's start files may talk before us.
      this.#noise += line.length;
      if (this.#noise > MAX_HELLO_NOISE) {
        this.close('something else than the agent answers');
        return;
      }
      if (!line.startsWith('{"styx"')) return;
      this.#receivers.delete(0);
      const greet = this.#greet;
      this.#greet = null;
      greet(JSON.parse(line) as Hello);
      return;
    }
    let message: Message;
    try {
      message = JSON.parse(line) as Message;
    } catch {
      this.close('the agent sent something that is no JSON');
      return;
    }
    this.#receivers.get(message.id ?? -1)?.message(message);
  }
}

function agentError(error: { kind: string; message: string }): StyxError {
  return new StyxError(isErrorKind(error.kind) ? error.kind : 'internal', error.message);
}
