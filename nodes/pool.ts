/** Nodes by address: one connection with the agent's channel each, shared by all of a process, made anew when broken. */
import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:net';
import { isErrorKind, StyxError } from '../model/errors.ts';
import { type AgentBundle, agentBundle } from './bundle.ts';
import { AgentChannel, type Hello } from './channel.ts';
import { CONNECTION_TIMING, type ConnectionTiming } from './connection.ts';
import { installCommand, marked, serveCommand } from './install.ts';
import type { FilesSource, Node, NodeAddress, NodePool, Received, ReceiveRequest } from './node.ts';
import { shellCommand } from './quote.ts';
import { receiveCommand, sendFiles } from './receive.ts';
import { RemoteNode } from './remote-node.ts';
import { finish, type RunOptions, type RunResult } from './run.ts';
import { type ProxyOf, Sessions } from './sessions.ts';

export interface PoolOptions {
  readonly timing?: ConnectionTiming;
  /** Milliseconds without use after which a connection is closed. */
  readonly idleAfter?: number;
  readonly bundle?: AgentBundle;
  /** How nodes with `via` are reached. Default: they are connected to. */
  readonly proxyOf?: ProxyOf;
  /** Take the agent that serves on a node, whatever its version, instead of replacing it: for those who only read. Default false. */
  readonly anyAgent?: boolean;
}

interface Entry {
  readonly sessions: Sessions;
  channel: AgentChannel | null;
  opening: Promise<Node> | null;
  node: Node | null;
  usedAt: number;
}

const IDLE_AFTER = 3 * 60_000;

export function createNodePool(options: PoolOptions = {}): SshNodePool {
  return new SshNodePool(options);
}

export class SshNodePool implements NodePool {
  readonly #entries = new Map<string, Entry>();
  readonly #timing: ConnectionTiming;
  readonly #idleAfter: number;
  readonly #bundle: AgentBundle;
  readonly #anyAgent: boolean;
  readonly #proxyOf: ProxyOf;
  readonly #sweeper: NodeJS.Timeout;
  #closed = false;

  constructor(options: PoolOptions = {}) {
    this.#timing = options.timing ?? CONNECTION_TIMING;
    this.#idleAfter = options.idleAfter ?? IDLE_AFTER;
    this.#bundle = options.bundle ?? agentBundle();
    this.#anyAgent = options.anyAgent ?? false;
    this.#proxyOf = options.proxyOf ?? (async () => null);
    this.#sweeper = setInterval(() => this.#sweep(), this.#idleAfter / 4);
    this.#sweeper.unref();
  }

  async node(address: NodeAddress, signal?: AbortSignal): Promise<Node> {
    const entry = this.#entry(address);
    if (entry.node && entry.channel && !entry.channel.closed) return entry.node;
    entry.opening ??= this.#open(entry, address).finally(() => {
      entry.opening = null;
    });
    return abortable(entry.opening, signal);
  }

  async exec(address: NodeAddress, command: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    const entry = this.#entry(address);
    const opening = entry.sessions.exec(marked(shellCommand(command)));
    // Nobody waits for a channel that opens after the abort.
    options.signal?.addEventListener(
      'abort',
      () =>
        void opening.then(
          (late) => late.destroy(),
          () => {},
        ),
      { once: true },
    );
    return finish(await abortable(opening, options.signal), options);
  }

  async receive(
    address: NodeAddress,
    request: ReceiveRequest,
    source: FilesSource,
    signal?: AbortSignal,
  ): Promise<Received> {
    const { agentVersion } = await this.node(address, signal);
    const channel = await this.#entry(address).sessions.exec(receiveCommand(agentVersion));
    return await sendFiles(channel, request, source, signal);
  }

  /** Connects a local port (0: any) on 127.0.0.1 to an address as the node sees it. `close()` of the answer ends it. */
  async forward(address: NodeAddress, localPort: number, remoteHost: string, remotePort: number): Promise<Server> {
    const server = createServer((socket) => {
      const entry = this.#entry(address);
      socket.on('error', () => socket.destroy());
      entry.sessions.connectTo(remoteHost, remotePort).then(
        (channel) => {
          channel.on('close', () => socket.destroy());
          socket.on('close', () => channel.destroy());
          socket.pipe(channel).pipe(socket);
        },
        () => socket.destroy(),
      );
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(localPort, '127.0.0.1', resolve);
    });
    return server;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#sweeper);
    for (const entry of this.#entries.values()) end(entry);
    this.#entries.clear();
  }

  #entry(address: NodeAddress): Entry {
    if (this.#closed) throw new StyxError('aborted', 'the connections were closed');
    const login = createHash('sha256').update(address.privateKey).digest('hex').slice(0, 16);
    const id = [address.instanceId, address.user, address.host, address.port, address.via, login].join('\n');
    let entry = this.#entries.get(id);
    // First contact may have been without a pin; from then on the pin decides which host is meant.
    if (
      entry &&
      address.hostKey !== null &&
      entry.sessions.hostKey !== null &&
      !sameKey(address.hostKey, entry.sessions.hostKey)
    ) {
      end(entry);
      entry = undefined;
    }
    if (!entry) {
      entry = {
        sessions: new Sessions(address, this.#timing, this.#proxyOf),
        channel: null,
        opening: null,
        node: null,
        usedAt: 0,
      };
      this.#entries.set(id, entry);
    }
    entry.usedAt = Date.now();
    return entry;
  }

  async #open(entry: Entry, address: NodeAddress): Promise<Node> {
    const { version } = this.#bundle;
    let greeted = await this.#greet(entry, address, serveCommand(version, this.#anyAgent));
    if (greeted.hello.styx === 'missing') {
      greeted.channel.close();
      greeted = await this.#greet(entry, address, installCommand(this.#bundle), this.#bundle.payload);
    }
    const { hello, channel } = greeted;
    if (hello.styx !== 'agent' || (hello.version !== version && !this.#anyAgent)) {
      channel.close();
      const kind = isErrorKind(hello.kind) ? hello.kind : 'unreachable';
      throw new StyxError(kind, `the agent on ${address.host}: ${hello.message ?? `answered ${hello.styx}`}`);
    }
    entry.channel = channel;
    entry.node = new RemoteNode(address.instanceId, entry.sessions.hostKey ?? '', hello.version ?? version, channel);
    return entry.node;
  }

  async #greet(
    entry: Entry,
    address: NodeAddress,
    command: string,
    stdin?: Buffer,
  ): Promise<{ hello: Hello; channel: AgentChannel }> {
    const stream = await entry.sessions.exec(command);
    let complaint = '';
    // Read also because it would fill the connection's window.
    stream.stderr.on('data', (data: Buffer) => {
      complaint = (complaint + data.toString()).slice(-2_000);
    });
    const channel = new AgentChannel(stream, address.host);
    if (stdin) stream.write(stdin);
    const timer = setTimeout(() => channel.close('the agent did not start within 30 s'), 30_000);
    try {
      return { hello: await channel.hello, channel };
    } catch (error) {
      const last = complaint.trim().split('\n').at(-1);
      if (!last) throw error;
      throw new StyxError('unreachable', `the agent on ${address.host} did not start: ${last}`, { cause: error });
    } finally {
      clearTimeout(timer);
    }
  }

  #sweep(): void {
    for (const [id, entry] of this.#entries) {
      const busy =
        entry.opening !== null || (entry.channel?.pending ?? 0) > 0 || entry.sessions.open > (entry.channel ? 1 : 0);
      if (busy) entry.usedAt = Date.now();
      else if (Date.now() - entry.usedAt > this.#idleAfter) {
        end(entry);
        this.#entries.delete(id);
      }
    }
  }
}

function end(entry: Entry): void {
  entry.channel?.close();
  entry.sessions.close();
}

function sameKey(one: string, other: string): boolean {
  const parts = (line: string) => line.trim().split(/\s+/).slice(0, 2).join(' ');
  return parts(one) === parts(other);
}

/** Stops waiting, not the work, which others may share. */
function abortable<T>(work: Promise<T>, signal?: AbortSignal): Promise<T> {
  if (!signal) return work;
  return new Promise<T>((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) {
      work.catch(() => {});
      return abort();
    }
    signal.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
