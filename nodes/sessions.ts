/** Sessions on a node, spread over as many connections as they need. */
import type { ClientChannel } from 'ssh2';
import { StyxError } from '../model/errors.ts';
import { Connection, type ConnectionTiming, SessionRefused } from './connection.ts';
import type { NodeAddress } from './node.ts';

/** The command that leads to the machines of a place, `cloud/region`; null: they are connected to. */
export type ProxyOf = (place: string) => Promise<string | null>;

export class Sessions {
  readonly #address: NodeAddress;
  readonly #timing: ConnectionTiming;
  readonly #proxyOf: ProxyOf;
  #connections: Connection[] = [];
  #opening: Promise<Connection> | null = null;
  #closed = false;
  #hostKey: string | null;

  constructor(address: NodeAddress, timing: ConnectionTiming, proxyOf: ProxyOf) {
    this.#address = address;
    this.#proxyOf = proxyOf;
    this.#timing = { ...timing, connectTimeout: address.connectTimeout ?? timing.connectTimeout };
    this.#hostKey = address.hostKey;
  }

  /** The key that the host proved first; every later connection must prove the same. */
  get hostKey(): string | null {
    return this.#hostKey;
  }

  /** Sessions open now. */
  get open(): number {
    return this.#connections.reduce((sum, connection) => sum + connection.sessions, 0);
  }

  exec(command: string): Promise<ClientChannel> {
    return this.#use((connection) => connection.exec(command));
  }

  connectTo(host: string, port: number): Promise<ClientChannel> {
    return this.#use((connection) => connection.connectTo(host, port));
  }

  close(): void {
    this.#closed = true;
    for (const connection of this.#connections) connection.close();
    this.#connections = [];
  }

  async #use(open: (connection: Connection) => Promise<ClientChannel>): Promise<ClientChannel> {
    const tried = new Set<Connection>();
    for (;;) {
      this.#connections = this.#connections.filter((connection) => !connection.closed);
      const candidate = this.#connections.find((connection) => connection.hasRoom && !tried.has(connection));
      const connection = candidate ?? (await this.#connect());
      const alone = connection.sessions === 0;
      tried.add(connection);
      try {
        return await open(connection);
      } catch (error) {
        if (!(error instanceof SessionRefused)) throw error;
        if (alone)
          throw new StyxError('unreachable', `${this.#address.host} refuses sessions: ${error.message}`, {
            cause: error,
          });
      }
    }
  }

  async #open(): Promise<Connection> {
    const { via } = this.#address;
    const proxy = via === undefined ? null : await this.#proxyOf(via);
    return await Connection.open({ ...this.#address, hostKey: this.#hostKey }, this.#timing, proxy);
  }

  #connect(): Promise<Connection> {
    this.#opening ??= this.#open()
      .then((connection) => {
        if (this.#closed) {
          connection.close();
          throw connection.failure;
        }
        this.#hostKey ??= connection.hostKey;
        this.#connections.push(connection);
        return connection;
      })
      .finally(() => {
        this.#opening = null;
      });
    return this.#opening;
  }
}
