/** Sends the files of a job to a node over an SSH session of its own: the node says what it lacks, and gets that. See docs/agent-protocol.md. */
import { deflate } from 'node:zlib';
import type { ClientChannel } from 'ssh2';
import { isErrorKind, StyxError } from '../model/errors.ts';
import { marked } from './install.ts';
import type { FilesSource, Received, ReceiveRequest } from './node.ts';

interface Message {
  readonly styx?: string;
  readonly tree?: number;
  readonly ranges?: readonly (readonly [number, number])[];
  readonly kind?: string;
  readonly message?: string;
  readonly files?: number;
  readonly bytes?: number;
}

export function receiveCommand(version: string): string {
  return marked(
    `dir=$HOME/.styx-agent/bin/${version}; read -r python <"$dir/python" && exec "$python" -I -S "$dir/main.py" receive`,
  );
}

/** @throws what the node refuses with; unreachable when the session breaks; what `signal` was aborted with */
export async function sendFiles(
  channel: ClientChannel,
  request: ReceiveRequest,
  source: FilesSource,
  signal?: AbortSignal,
): Promise<Received> {
  const talk = new Talk(channel, signal);
  try {
    await talk.send(`${JSON.stringify(request)}\n`);
    for (;;) {
      const message = await talk.next();
      const tree = request.trees[message.tree ?? -1];
      if (message.styx === 'done') return { files: message.files ?? 0, bytes: message.bytes ?? 0 };
      if (message.styx === 'manifest' && tree !== undefined) {
        const packed = await deflated(await source.manifest(tree.manifest));
        await talk.send(`{"size": ${packed.length}}\n`);
        await talk.send(packed);
      } else if (message.styx === 'lacks' && tree !== undefined) {
        for await (const chunk of source.content(tree.manifest, message.ranges ?? [])) await talk.send(chunk);
      } else {
        throw new StyxError('internal', 'the agent asked for something unknown while it received files');
      }
    }
  } finally {
    talk.close();
  }
}

class Talk {
  readonly #channel: ClientChannel;
  readonly #signal: AbortSignal | undefined;
  readonly #messages: Message[] = [];
  #rest = '';
  #complaint = '';
  #failure: unknown = null;
  #wake: () => void = () => {};
  readonly #abort = () => this.#fail(this.#signal?.reason);

  constructor(channel: ClientChannel, signal: AbortSignal | undefined) {
    this.#channel = channel;
    this.#signal = signal;
    channel.on('data', (data: Buffer) => this.#read(data.toString()));
    channel.stderr.on('data', (data: Buffer) => {
      this.#complaint = (this.#complaint + data.toString()).slice(-2_000);
    });
    channel.on('close', () => {
      const why = this.#complaint.trim().split('\n').at(-1);
      this.#fail(new StyxError('unreachable', `the connection broke while files were sent${why ? `: ${why}` : ''}`));
    });
    signal?.addEventListener('abort', this.#abort, { once: true });
    if (signal?.aborted) this.#abort();
  }

  /** Returns when the bytes are on their way and may be overwritten. */
  async send(data: Buffer | string): Promise<void> {
    this.#check();
    let taken = false;
    this.#channel.write(data, () => {
      taken = true;
      this.#wake();
    });
    while (!taken) {
      await this.#change();
      this.#check();
    }
  }

  async next(): Promise<Message> {
    for (;;) {
      const message = this.#messages.shift();
      if (message?.styx === 'refused') throw refusal(message);
      if (message !== undefined) return message;
      this.#check();
      await this.#change();
    }
  }

  close(): void {
    this.#signal?.removeEventListener('abort', this.#abort);
    this.#channel.end();
    this.#channel.destroy();
  }

  #check(): void {
    const refused = this.#messages.find(({ styx }) => styx === 'refused');
    if (refused !== undefined) throw refusal(refused);
    if (this.#failure !== null) throw this.#failure;
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
    this.#wake();
  }

  #read(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    // A login shell's start files may talk too.
    for (const line of lines) if (line.startsWith('{"styx"')) this.#messages.push(JSON.parse(line) as Message);
    this.#wake();
  }
}

function refusal({ kind, message }: Message): StyxError {
  return new StyxError(isErrorKind(kind) ? kind : 'internal', message ?? 'the node refused the files');
}

function deflated(data: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    deflate(data, { level: 1 }, (error, packed) => (error ? reject(error) : resolve(packed)));
  });
}
