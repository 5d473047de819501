/** One SSH connection to a node: its host key checked before anything is sent, its sessions counted. */
import { Client, type ClientChannel, type ConnectConfig } from 'ssh2';
import { StyxError } from '../model/errors.ts';
import type { NodeAddress } from './node.ts';
import { openProxy } from './proxy.ts';

/** sshd allows 10 sessions a connection (MaxSessions). */
export const MAX_SESSIONS = 8;

export interface ConnectionTiming {
  /** Milliseconds until the connection must stand. */
  readonly connectTimeout: number;
  /** A connection that answers none of `keepaliveCount` probes, one each `keepaliveInterval` ms, is dead. */
  readonly keepaliveInterval: number;
  readonly keepaliveCount: number;
}

export const CONNECTION_TIMING: ConnectionTiming = {
  connectTimeout: 10_000,
  keepaliveInterval: 5_000,
  keepaliveCount: 3,
};

/** The server would not open one more session on this connection; another connection may do. */
export class SessionRefused extends Error {}

const SIGNALS: Readonly<Record<string, number>> = {
  HUP: 1,
  INT: 2,
  QUIT: 3,
  ABRT: 6,
  KILL: 9,
  SEGV: 11,
  PIPE: 13,
  TERM: 15,
};
const exitCodes = new WeakMap<ClientChannel, number>();

/** Exit code of the command of a channel, signals as 128 + n; undefined as long as the server has not told it. */
export function exitCodeOf(channel: ClientChannel): number | undefined {
  return exitCodes.get(channel);
}

export class Connection {
  readonly hostKey: string;
  readonly #client: Client;
  readonly #where: string;
  #sessions = 0;
  #reason: StyxError | null = null;
  #full = false;
  readonly #channels = new Set<ClientChannel>();

  private constructor(client: Client, hostKey: string, where: string) {
    this.#client = client;
    this.hostKey = hostKey;
    this.#where = where;
    client.on('error', (error) => this.#end(error));
    client.on('close', () => this.#end(null));
  }

  /**
   * `proxy`: command whose input and output lead there; null: it is connected to.
   * @throws unreachable, also when the host proves another key than the pinned one: nothing was sent to it then
   */
  static open(address: NodeAddress, timing: ConnectionTiming, proxy: string | null = null): Promise<Connection> {
    const where = `${address.user}@${address.host}:${address.port}`;
    const way = proxy === null ? null : openProxy(proxy, address);
    const client = new Client();
    let proven: string | null = null;
    let foreign = false;
    return new Promise<Connection>((resolve, reject) => {
      // Stays for the life of the client: ssh2 may emit errors after it has failed, and one without a listener ends the process.
      client.on('error', (error) => reject(connectError(error, foreign, where)));
      client.once('close', () => reject(connectError(new Error('connection closed'), foreign, where)));
      // Small messages that wait for an answer: Nagle's algorithm would hold each for 40 ms.
      client.once('connect', () => client.setNoDelay(true));
      client.once('ready', () => resolve(new Connection(client, proven ?? '', where)));
      client.once('close', () => way?.stream.destroy());
      const pinned = address.hostKey === null ? null : keyParts(address.hostKey);
      const config: ConnectConfig = {
        ...(way === null ? { host: address.host, port: address.port } : { sock: way.stream }),
        username: address.user,
        hostVerifier: (key: Buffer) => {
          foreign = pinned !== null && !pinned.blob.equals(key);
          proven = keyLine(key);
          return !foreign;
        },
        privateKey: address.privateKey,
        authHandler: ['publickey'],
        readyTimeout: timing.connectTimeout,
        keepaliveInterval: timing.keepaliveInterval,
        keepaliveCountMax: timing.keepaliveCount,
      };
      // A host has several keys; ask for the one that we can check.
      if (pinned) config.algorithms = { serverHostKey: signatureAlgorithms(pinned.type) };
      try {
        client.connect(config);
      } catch (error) {
        reject(new StyxError('invalid', `cannot connect to ${where}: ${(error as Error).message}`, { cause: error }));
      }
    }).catch(async (error: unknown) => {
      client.destroy();
      way?.stream.destroy();
      throw withWords(error, await way?.complaint());
    });
  }

  get closed(): boolean {
    return this.#reason !== null;
  }

  get sessions(): number {
    return this.#sessions;
  }

  get hasRoom(): boolean {
    return !this.closed && !this.#full && this.#sessions < MAX_SESSIONS;
  }

  /** What every call fails with once the connection is gone. */
  get failure(): StyxError {
    return this.#reason ?? new StyxError('unreachable', `the connection to ${this.#where} was closed`);
  }

  /** Runs a command line in the login shell. @throws SessionRefused, unreachable */
  exec(command: string): Promise<ClientChannel> {
    return this.#session((callback) => this.#client.exec(command, callback));
  }

  /** A channel to an address as the node sees it. @throws SessionRefused when nobody listens there, unreachable */
  connectTo(host: string, port: number): Promise<ClientChannel> {
    return this.#session((callback) => this.#client.forwardOut('127.0.0.1', 0, host, port, callback), false);
  }

  close(): void {
    this.#end(null);
    this.#client.end();
    // The peer may be dead: do not wait for its goodbye.
    setTimeout(() => this.#client.destroy(), 500).unref();
  }

  async #session(
    open: (callback: (error: Error | undefined, channel: ClientChannel) => void) => unknown,
    counts = true,
  ): Promise<ClientChannel> {
    if (this.closed) throw this.failure;
    if (counts) this.#sessions += 1;
    let released = !counts;
    const release = () => {
      if (!released) this.#sessions -= 1;
      if (!released) this.#full = false;
      released = true;
    };
    try {
      return await new Promise<ClientChannel>((resolve, reject) => {
        const lost = () => reject(this.failure);
        this.#client.once('close', lost);
        open((error, channel) => {
          this.#client.off('close', lost);
          if (error) {
            const refused = 'reason' in error || /open failure|open failed/i.test(error.message);
            reject(
              refused
                ? new SessionRefused(error.message)
                : this.closed
                  ? this.failure
                  : connectError(error, false, this.#where),
            );
            return;
          }
          channel.on('error', () => {});
          channel.stderr?.on('error', () => {});
          this.#channels.add(channel);
          // At once: the exit of a short command may come in the very packet that opened it, before anybody who awaits this.
          channel.once('exit', (code: number | null, signal?: string) => {
            exitCodes.set(channel, code ?? 128 + (SIGNALS[(signal ?? '').replace(/^SIG/, '')] ?? 0));
          });
          channel.once('close', () => {
            this.#channels.delete(channel);
            release();
          });
          resolve(channel);
        });
      });
    } catch (error) {
      release();
      if (error instanceof SessionRefused && this.#sessions > 0) this.#full = true;
      throw error;
    }
  }

  #end(error: Error | null): void {
    if (this.#reason) return;
    this.#reason = new StyxError(
      'unreachable',
      `the connection to ${this.#where} ${error ? `failed: ${error.message}` : 'was closed'}`,
    );
    for (const channel of this.#channels) channel.destroy();
    if (error) this.#client.destroy();
  }
}

function connectError(error: Error & { level?: string }, foreign: boolean, where: string): StyxError {
  const why = foreign
    ? 'the host answered with another key than the one it is known by; nothing was sent to it'
    : error.level === 'client-authentication'
      ? 'the host refused our key'
      : error.message;
  return new StyxError('unreachable', `cannot reach ${where}: ${why}`, { cause: error });
}

/** What the user's command said belongs to it. */
function withWords(error: unknown, said = ''): unknown {
  if (said === '' || !(error instanceof StyxError)) return error;
  return new StyxError(error.kind, `${error.message} (ssh_proxy_command said: ${said})`, { cause: error });
}

/** An OpenSSH public key line, without a comment, of a key as it goes over the wire. */
export function keyLine(blob: Buffer): string {
  return `${blob.toString('latin1', 4, 4 + blob.readUInt32BE(0))} ${blob.toString('base64')}`;
}

function keyParts(line: string): { type: string; blob: Buffer } {
  const [type = '', data = ''] = line.trim().split(/\s+/);
  const blob = Buffer.from(data, 'base64');
  if (blob.length < 8) throw new StyxError('invalid', `not an OpenSSH public key: ${line.slice(0, 80)}`);
  return { type, blob };
}

function signatureAlgorithms(type: string): ('rsa-sha2-512' | 'rsa-sha2-256' | 'ssh-ed25519')[] {
  return type === 'ssh-rsa' ? ['rsa-sha2-512', 'rsa-sha2-256'] : [type as 'ssh-ed25519'];
}
