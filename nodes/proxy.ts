/** A connection that a command of the user's makes (`ssh -W %h:%p jump`): its standard input and output are the way to the node. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { StyxError } from '../model/errors.ts';
import type { NodeAddress } from './node.ts';

const COMPLAINT_CHARS = 1_000;
const COMPLAINT_MS = 1_000;

export interface Proxy {
  readonly stream: Duplex;
  /** What the command said on its standard error, for people, once it has ended or nobody can wait longer; empty: nothing. */
  complaint(): Promise<string>;
}

/** `%h`, `%p`, `%r` and `%%` as OpenSSH has them. @throws invalid for an address that a shell might read as something else */
export function filledIn(command: string, { host, port, user }: Pick<NodeAddress, 'host' | 'port' | 'user'>): string {
  const values: Readonly<Record<string, string>> = { h: host, n: host, p: String(port), r: user, '%': '%' };
  for (const value of [host, user]) {
    if (!/^[\w.:@-]*$/.test(value) || value.startsWith('-')) {
      throw new StyxError('invalid', `${JSON.stringify(value.slice(0, 100))} cannot be given to ssh_proxy_command`);
    }
  }
  return command.replace(/%(.)/g, (token, name: string) => values[name] ?? token);
}

/** It ends with its stream, and with this process, whose end it sees as the end of its input. */
export function openProxy(command: string, address: Pick<NodeAddress, 'host' | 'port' | 'user'>): Proxy {
  const child = spawn('/bin/sh', ['-c', `exec ${filledIn(command, address)}`], {
    stdio: ['pipe', 'pipe', 'pipe'],
    // A group of its own: Ctrl-C of a command is not for it, and what it started ends with it.
    detached: true,
  });
  const closed = once(child, 'close').catch(() => undefined);
  let said = '';
  child.stderr.on('data', (data: Buffer) => {
    said = (said + data.toString()).slice(-COMPLAINT_CHARS);
  });
  // Written to after it ended: the stream's own error tells.
  child.stdin.on('error', () => {});
  const stream = Duplex.from({ writable: child.stdin, readable: child.stdout });
  stream.on('error', () => {});
  child.once('error', (error) => stream.destroy(error));
  child.once('exit', () => setImmediate(() => stream.destroy()));
  stream.once('close', () => {
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    try {
      process.kill(-child.pid, 'SIGTERM');
    } catch {
      // It has ended meanwhile.
    }
  });
  return {
    stream,
    async complaint() {
      await Promise.race([closed, sleep(COMPLAINT_MS, undefined, { ref: false })]);
      return said.trim();
    },
  };
}
