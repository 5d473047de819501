/** The embedded Temporal server: its ports, its command line, and whether it answers. */
import { connect } from 'node:http2';
import { createServer } from 'node:net';
import { SEARCH_ATTRIBUTES } from '../model/search-attributes.ts';

export interface ServerPorts {
  readonly port: number;
  readonly uiPort: number;
}

export const USUAL_PORTS: ServerPorts = { port: 7233, uiPort: 8233 };

/** The wanted ports where nobody has them, else free ones. */
export async function choosePorts(wanted: ServerPorts): Promise<ServerPorts> {
  return {
    port: (await portIfFree(wanted.port)) ?? (await freePort()),
    uiPort: (await portIfFree(wanted.uiPort)) ?? (await freePort()),
  };
}

export async function freePort(): Promise<number> {
  const port = await portIfFree(0);
  if (port === undefined) throw new Error('no free port on 127.0.0.1');
  return port;
}

function portIfFree(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(undefined));
    server.listen(port, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : undefined));
    });
  });
}

/**
 * Command line after the program's name. The database survives SIGKILL of the server; with `synchronous=normal` only a
 * power cut can lose the last moments.
 */
export function serverArguments(ports: ServerPorts, database: string | null): string[] {
  return [
    'server',
    'start-dev',
    ...['--ip', '127.0.0.1', '--port', String(ports.port), '--ui-port', String(ports.uiPort)],
    ...['--log-level', 'warn', '--color', 'never'],
    ...(database === null
      ? []
      : ['--db-filename', database, '--sqlite-pragma', 'journal_mode=wal', '--sqlite-pragma', 'synchronous=normal']),
    ...Object.entries(SEARCH_ATTRIBUTES).flatMap(([name, type]) => ['--search-attribute', `${name}=${type}`]),
    // The HTTP API would obey any web page that the user visits; nobody has this name.
    ...['--dynamic-config-value', 'frontend.httpAllowedHosts=["styx.invalid"]'],
  ];
}

const GET_SYSTEM_INFO = '/temporal.api.workflowservice.v1.WorkflowService/GetSystemInfo';
/** gRPC frame of a message without fields. */
const EMPTY_MESSAGE = Buffer.alloc(5);

/**
 * Does a Temporal server carry out a call within `ms`? A process that hangs does not, though its port accepts. Without a
 * gRPC library, because the supervisor lives for months and does nothing else.
 * @param address host:port, without TLS
 */
export function answers(address: string, ms: number): Promise<boolean> {
  return new Promise((resolve) => {
    const session = connect(`http://${address}`);
    const settle = (result: boolean) => {
      clearTimeout(timer);
      session.destroy();
      resolve(result);
    };
    const timer = setTimeout(settle, ms, false);
    session.on('error', () => settle(false));
    const call = session.request({
      ':method': 'POST',
      ':path': GET_SYSTEM_INFO,
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    call.on('error', () => settle(false));
    call.on('response', (headers) => headers['grpc-status'] !== undefined && settle(headers['grpc-status'] === '0'));
    call.on('trailers', (trailers) => settle(trailers['grpc-status'] === '0'));
    call.resume();
    call.end(EMPTY_MESSAGE);
  });
}
