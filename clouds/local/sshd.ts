/** The SSH server of one instance: one user, one key, and what sshd grants with its defaults. */
import { createServer, type Server as NetServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import ssh2, { type AuthContext, type ClientInfo, type Connection, type ParsedKey } from 'ssh2';
import { stableHash } from '../../model/identity.ts';
import type { ProcessRef } from '../../system/processes.ts';
import { serveForwards } from './forward.ts';

import type { HostLog, InstanceRecord } from './records.ts';
import { serveSession } from './session.ts';

const SSH_PORT = 2222;
/** Clients take liberties by the server's name: the order of sftp's symlink arguments is OpenSSH's own. */
const IDENT = 'OpenSSH_9.2 Styx';

const MAX_SESSIONS = 10;
const MAX_AUTH_TRIES = 6;
const LOGIN_GRACE_MS = 60_000;

/** Places that are tried for a new address: first other addresses, then other ports too. */
const TRIES = 40;
const TRIES_ON_SSH_PORT = 20;

export interface SshServerOptions {
  /** The instance's directory: home/ and tmp/ are below it. */
  readonly directory: string;
  readonly record: InstanceRecord;
  readonly init: ProcessRef;
  /** Private key, OpenSSH text. */
  readonly hostKey: string;
  /** Where the process is that agents share; null: each instance has its own. */
  readonly agents: string | null;
  readonly log: HostLog;
}

export interface ListenPlace {
  readonly address: string;
  readonly port: number;
}

function parseOne(key: string): ParsedKey {
  const parsed = ssh2.utils.parseKey(key);
  if (parsed instanceof Error) throw parsed;
  return Array.isArray(parsed) ? parsed[0] : parsed;
}

export class SshServer {
  readonly #options: SshServerOptions;
  readonly #authorized: ParsedKey;
  readonly #ssh: InstanceType<typeof ssh2.Server>;
  /** By the client's address and port. */
  readonly #sockets = new Map<string, Socket>();
  #net: NetServer | undefined;

  constructor(options: SshServerOptions) {
    this.#options = options;
    this.#authorized = parseOne(options.record.authorizedKey);
    this.#ssh = new ssh2.Server({ hostKeys: [options.hostKey], ident: IDENT }, (connection, info) =>
      this.#serve(connection, info),
    );
    this.#ssh.on('error', () => {});
  }

  /**
   * Binds the recorded address, or a new one: while `keep` says so it waits for the recorded one.
   * Any of 127.0.0.0/8 can be bound on Linux as it is.
   */
  async listen(keep: () => boolean): Promise<ListenPlace> {
    const { record } = this.#options;
    if (record.address !== null) {
      for (;;) {
        const bound = await this.#bind({ address: record.address, port: record.sshPort });
        if (bound !== undefined) return bound;
        if (!keep()) break;
        this.#options.log(`${record.address}:${record.sshPort} is taken; waiting for it`, { instance: record.id });
        await sleep(500);
      }
    }
    for (let attempt = 0; attempt < TRIES; attempt += 1) {
      const hash = Buffer.from(stableHash(['address', record.id, attempt], 12), 'hex');
      // 1–254 each: neither 127.0.0.1 nor anything that looks like a network's or broadcast address.
      const [a, b, c, d, e] = [...hash].map((byte) => 1 + (byte % 254)) as [number, number, number, number, number];
      const port = attempt < TRIES_ON_SSH_PORT ? SSH_PORT : 20_000 + ((d * 256 + e) % 20_000);
      const bound = await this.#bind({ address: `127.${a}.${b}.${c}`, port });
      if (bound !== undefined) return bound;
    }
    const bound = await this.#bind({ address: '127.0.0.1', port: 0 });
    if (bound === undefined) throw new Error('no loopback address can be bound');
    return bound;
  }

  /** Ends all connections too. */
  close(): void {
    this.#net?.close();
    for (const socket of this.#sockets.values()) socket.destroy();
  }

  #bind(place: ListenPlace): Promise<ListenPlace | undefined> {
    const server = createServer((socket) => {
      socket.setNoDelay(true);
      const from = `${socket.remoteAddress} ${socket.remotePort}`;
      this.#sockets.set(from, socket);
      socket.setTimeout(LOGIN_GRACE_MS, () => socket.destroy());
      socket.on('close', () => this.#sockets.delete(from));
      this.#ssh.injectSocket(socket);
    });
    return new Promise((resolve, reject) => {
      server.once('error', (error: NodeJS.ErrnoException) => {
        if (error.code === 'EADDRINUSE' || error.code === 'EADDRNOTAVAIL' || error.code === 'EACCES')
          resolve(undefined);
        else reject(error);
      });
      server.listen(place.port, place.address, 512, () => {
        this.#net = server;
        server.on('error', (error) =>
          this.#options.log('its SSH server failed', { instance: this.#options.record.id, error }),
        );
        const bound = server.address();
        resolve(typeof bound === 'object' && bound !== null ? { address: bound.address, port: bound.port } : undefined);
      });
    });
  }

  #serve(connection: Connection, { ip, port }: ClientInfo): void {
    const { record, directory, init, agents, log } = this.#options;
    const from = `${ip} ${port}`;
    const socket = this.#sockets.get(from);
    const grace = setTimeout(() => socket?.destroy(), LOGIN_GRACE_MS);
    let tries = 0;
    let sessions = 0;
    connection.on('error', () => socket?.destroy());
    connection.on('close', () => clearTimeout(grace));
    connection.on('authentication', (context) => {
      if (this.#mayLogIn(context)) {
        context.accept();
        return;
      }
      context.reject(['publickey']);
      tries += 1;
      if (tries >= MAX_AUTH_TRIES) connection.end();
    });
    connection.on('ready', () => {
      clearTimeout(grace);
      socket?.setTimeout(0);
      connection.on('session', (accept, reject) => {
        if (sessions >= MAX_SESSIONS) {
          reject();
          return;
        }
        sessions += 1;
        const session = accept();
        session.on('close', () => {
          sessions -= 1;
        });
        serveSession(session, {
          record,
          init,
          home: join(directory, 'home'),
          temporary: join(directory, 'tmp'),
          connection: `${from} ${socket?.localAddress} ${socket?.localPort}`,
          agents,
          log,
        });
      });
      serveForwards(connection, record.address);
    });
  }

  /** `signature` is absent when a client asks whether a key would do: that is answered, and logs nobody in. */
  #mayLogIn(context: AuthContext): boolean {
    if (context.method !== 'publickey' || context.username !== this.#options.record.user) return false;
    if (!context.key.data.equals(this.#authorized.getPublicSSH())) return false;
    if (context.signature === undefined) return true;
    if (context.blob === undefined) return false;
    return this.#authorized.verify(context.blob, context.signature, context.hashAlgo) === true;
  }
}
