/** Port forwarding to and from loopback, as sshd does it for `-L`, `-D` and `-R`. */
import { connect, createServer, type Server } from 'node:net';
import type { Connection } from 'ssh2';

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|::1)$/;

/** `own` is the instance's address; another machine is not reached through it. */
export function serveForwards(connection: Connection, own: string | null): void {
  const listeners = new Map<string, Server>();

  connection.on('tcpip', (accept, reject, { destIP, destPort }) => {
    if (!LOOPBACK.test(destIP) && destIP !== own) {
      reject();
      return;
    }
    const socket = connect({ host: destIP, port: destPort, allowHalfOpen: true });
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      const channel = accept();
      if (channel === undefined) {
        socket.destroy();
        return;
      }
      join(channel, socket);
    });
  });

  connection.on('request', (accept, reject, name, info) => {
    const { bindAddr, bindPort } = info as { bindAddr: string; bindPort: number };
    const key = `${bindAddr} ${bindPort}`;
    if (name === 'cancel-tcpip-forward') {
      const listener = listeners.get(key);
      listeners.delete(key);
      listener?.close();
      if (listener === undefined) reject?.();
      else accept?.();
      return;
    }
    if (name !== 'tcpip-forward') {
      reject?.();
      return;
    }
    const listener = createServer({ allowHalfOpen: true }, (socket) => {
      const { remoteAddress = '127.0.0.1', remotePort = 0 } = socket;
      const { port } = listener.address() as { port: number };
      socket.on('error', () => socket.destroy());
      connection.forwardOut(bindAddr, port, remoteAddress, remotePort, (error, channel) => {
        if (error) socket.destroy();
        else join(channel, socket);
      });
    });
    listener.once('error', () => reject?.());
    // As sshd without GatewayPorts: on loopback, whatever address was asked for.
    listener.listen(bindPort, '127.0.0.1', () => {
      const { port } = listener.address() as { port: number };
      listener.on('error', () => {});
      listeners.set(`${bindAddr} ${port}`, listener);
      accept?.(port);
    });
  });

  connection.on('close', () => {
    for (const listener of listeners.values()) listener.close();
    listeners.clear();
  });
}

function join(channel: NodeJS.ReadWriteStream & { destroy(): unknown }, socket: import('node:net').Socket): void {
  socket.setNoDelay(true);
  socket.on('error', () => channel.destroy());
  socket.on('close', () => channel.destroy());
  channel.on('error', () => socket.destroy());
  channel.on('close', () => socket.destroy());
  socket.pipe(channel);
  channel.pipe(socket);
}
