/** A real SSH server for tests: publickey only, real shells with a home of their own, and faults on demand. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createConnection, createServer, type Server as NetServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import ssh2, { type Connection as ServerConnection } from 'ssh2';
import { loginKey } from '../../nodes/keys.ts';
import type { NodeAddress } from '../../nodes/node.ts';

const SECRET = createHash('sha256').update('test').digest();

export interface TestNode {
  readonly home: string;
  readonly address: NodeAddress;
  /** Commands that were asked for, in order. */
  readonly commands: string[];
  /** Sessions that may be open on one connection. */
  maxSessions: number;
  /** Times that somebody proved his key. */
  readonly logins: () => number;
  /** Breaks all connections. */
  drop(): void;
  /** From now on nothing passes in either direction, as when a machine vanished. */
  freeze(): void;
  /** Pid of the agent's daemon, null when there is none. */
  daemon(): number | null;
  close(): Promise<void>;
}

export async function startTestNode(options: { path?: string; rc?: string } = {}): Promise<TestNode> {
  const home = mkdtempSync(join(tmpdir(), 'styx-n-'));
  const hostKey = loginKey(SECRET, `host ${home}`);
  const userKey = loginKey(SECRET, `user ${home}`);
  const allowed = ssh2.utils.parseKey(userKey.publicKey);
  if (allowed instanceof Error) throw allowed;
  const children = new Set<ChildProcess>();
  const sockets = new Set<Socket>();
  const commands: string[] = [];
  let logins = 0;
  let frozen = false;

  const node = { maxSessions: 10 };
  const server = new ssh2.Server({ hostKeys: [hostKey.privateKey] }, (client: ServerConnection) => {
    let sessions = 0;
    client.on('error', () => {});
    (client as unknown as { setNoDelay(on: boolean): void }).setNoDelay(true);
    client.on('authentication', (context) => {
      if (context.method !== 'publickey' || !context.key.data.equals(allowed.getPublicSSH()))
        return context.reject(['publickey']);
      if (!context.signature) return context.accept();
      if (allowed.verify(context.blob as Buffer, context.signature, context.hashAlgo) !== true) return context.reject();
      logins += 1;
      context.accept();
    });
    client.on('session', (accept, reject) => {
      if (sessions >= node.maxSessions) return reject();
      sessions += 1;
      const session = accept();
      session.on('error', () => {});
      session.on('close', () => {
        sessions -= 1;
      });
      session.on('exec', (acceptExec, _reject, info) => {
        commands.push(info.command);
        const channel = acceptExec();
        const child = spawn('/bin/sh', ['-c', `${options.rc ?? ''}${info.command}`], {
          cwd: home,
          env: {
            HOME: home,
            PATH: options.path ?? process.env.PATH,
            USER: 'tester',
            SSH_CONNECTION: '127.0.0.1 1 127.0.0.1 2',
            STYX_TEST_HOME: home,
          },
          detached: true,
        });
        children.add(child);
        child.stdin.on('error', () => {});
        channel.on('error', () => {});
        channel.pipe(child.stdin);
        child.stdout.pipe(channel, { end: false });
        child.stderr.pipe(channel.stderr, { end: false });
        channel.on('close', () => child.kill('SIGHUP'));
        child.on('close', (code, signal) => {
          children.delete(child);
          if (signal) channel.exit(signal, false, '');
          else channel.exit(code ?? 0);
          channel.end();
        });
      });
    });
    client.on('tcpip', (accept, reject, info) => {
      const socket = createConnection(info.destPort, info.destIP);
      socket.once('error', () => reject());
      socket.once('connect', () => {
        const channel = accept();
        channel.on('error', () => {});
        socket.pipe(channel).pipe(socket);
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const backend = (server.address() as { port: number }).port;
  // A relay in front, where the network can break.
  const relay: NetServer = createServer((socket) => {
    const inner = createConnection(backend, '127.0.0.1');
    for (const end of [socket, inner]) {
      sockets.add(end);
      end.setNoDelay(true);
      end.on('error', () => end.destroy());
      end.on('close', () => sockets.delete(end));
    }
    if (frozen) return;
    socket.pipe(inner).pipe(socket);
  });
  await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve));
  const port = (relay.address() as { port: number }).port;

  const drop = () => {
    for (const socket of sockets) socket.destroy();
  };
  return Object.assign(node, {
    home,
    commands,
    address: {
      instanceId: home,
      host: '127.0.0.1',
      port,
      user: 'tester',
      hostKey: hostKey.publicKey,
      privateKey: userKey.privateKey,
    },
    logins: () => logins,
    drop,
    freeze() {
      frozen = true;
      for (const socket of sockets) {
        socket.unpipe();
        socket.pause();
      }
    },
    daemon() {
      try {
        return Number(readFileSync(join(home, '.styx-agent', 'daemon.lock'), 'utf8')) || null;
      } catch {
        return null;
      }
    },
    async close() {
      drop();
      relay.close();
      server.close();
      for (const child of children) child.kill('SIGKILL');
      endAll(home);
      rmSync(home, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
    },
  });
}

/** Ends every process that was started with this home: the agent, its keeper and jobs, daemons of their own included. */
function endAll(home: string): void {
  for (let round = 0; round < 20; round += 1) {
    let left = 0;
    for (const name of readdirSync('/proc')) {
      if (!/^\d+$/.test(name)) continue;
      try {
        if (!readFileSync(`/proc/${name}/environ`, 'latin1').split('\0').includes(`STYX_TEST_HOME=${home}`)) continue;
        process.kill(Number(name), 'SIGKILL');
        left += 1;
      } catch {
        // It ended by itself, or is not ours to look at.
      }
    }
    if (left === 0) return;
  }
}

export async function until<T>(
  what: string,
  look: () => T | Promise<T>,
  milliseconds = 10_000,
): Promise<NonNullable<T>> {
  const deadline = Date.now() + milliseconds;
  for (;;) {
    const found = await look();
    if (found) return found as NonNullable<T>;
    if (Date.now() > deadline) throw new Error(`waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
