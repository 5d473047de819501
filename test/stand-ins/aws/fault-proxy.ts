/** A reverse proxy that answers wrongly, late, half or not at all, by rules; and remembers what was asked. */
import { once } from 'node:events';
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Fault {
  /** `RunInstances`; absent: every action. */
  readonly action?: string;
  /** Only requests whose body has this; absent: every request. */
  readonly asking?: string;
  /** How often; absent: always. */
  times?: number;
  /** So many requests that fit pass before. */
  after?: number;
  readonly do:
    | {
        readonly error: string;
        readonly message?: string;
        readonly status?: number;
        readonly headers?: Record<string, string>;
      }
    | { readonly delay: number }
    /** The connection breaks: before the work, or after it (the answer is lost); `truncate`: in the middle of the answer. */
    | 'drop-before'
    | 'drop-after'
    | 'truncate';
}

interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface Asked {
  readonly action: string;
  readonly at: number;
  readonly region: string;
  /** Access key that signed it. */
  readonly key: string;
  readonly body: string;
}

export class FaultProxy {
  readonly log: Asked[] = [];
  faults: Fault[] = [];
  readonly #server: http.Server;
  readonly #upstream: URL;

  private constructor(upstream: string) {
    this.#upstream = new URL(upstream);
    this.#server = http.createServer((request, response) => {
      this.#answer(request, response).catch((error: unknown) => response.destroy(error as Error));
    });
  }

  static async start(upstream: string): Promise<FaultProxy> {
    const proxy = new FaultProxy(upstream);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** How often an action was asked for since the log was emptied. */
  count(action: string): number {
    return this.log.filter((one) => one.action === action).length;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await bytesOf(request);
    const action = actionOf(request, body);
    const scope = /Credential=([^/]+)\/\d+\/([a-z0-9-]+)\//.exec(request.headers.authorization ?? '');
    const [, key = '', region = ''] = scope ?? [];
    this.log.push({ action, at: Date.now(), region, key, body: body.toString('utf8') });
    const fault = this.#faultFor(action, body);
    if (fault === undefined) return send(response, await this.#forward(request, body));
    if (fault === 'drop-before') return void request.socket.destroy();
    if (fault === 'drop-after') {
      await this.#forward(request, body);
      return void request.socket.destroy();
    }
    if (fault === 'truncate') return truncated(request, response, await this.#forward(request, body));
    if ('delay' in fault) {
      await sleep(fault.delay);
      return send(response, await this.#forward(request, body));
    }
    const { error, message = error, status = 400, headers = {} } = fault;
    const told = `<Error><Code>${error}</Code><Message>${message}</Message></Error>`;
    const isS3 = action === request.method;
    const xml = isS3 ? told : `<Response><Errors>${told}</Errors><RequestID>0</RequestID></Response>`;
    const json = JSON.stringify({ __type: error, message });
    const isJson = request.headers['x-amz-target'] !== undefined;
    const type = isJson ? 'application/x-amz-json-1.1' : 'text/xml';
    send(response, { status, headers: { 'content-type': type, ...headers }, body: Buffer.from(isJson ? json : xml) });
  }

  #faultFor(action: string, body: Buffer): Fault['do'] | undefined {
    for (const fault of this.faults) {
      if (fault.action !== undefined && fault.action !== action) continue;
      if (fault.asking !== undefined && !body.includes(fault.asking)) continue;
      if ((fault.after ?? 0) > 0) {
        fault.after = (fault.after ?? 0) - 1;
        continue;
      }
      if (fault.times === 0) continue;
      if (fault.times !== undefined) fault.times -= 1;
      return fault.do;
    }
    return undefined;
  }

  async #forward(request: IncomingMessage, body: Buffer): Promise<Answer> {
    const { hostname: host, port } = this.#upstream;
    const { method, url: path, headers } = request;
    const onward = http.request({ host, port, method, path, headers });
    onward.end(body);
    const [answer] = (await once(onward, 'response')) as [IncomingMessage];
    return { status: answer.statusCode ?? 502, headers: answer.headers, body: await bytesOf(answer) };
  }
}

function actionOf(request: IncomingMessage, body: Buffer): string {
  const target = request.headers['x-amz-target'];
  if (typeof target === 'string') return target.split('.').at(-1) ?? '';
  // Of S3: `PUT`.
  const named = new URLSearchParams(body.toString('latin1')).get('Action');
  return named ?? request.method ?? '';
}

async function bytesOf(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function withoutLength(headers: http.IncomingHttpHeaders): http.OutgoingHttpHeaders {
  const { 'transfer-encoding': _, connection: __, 'content-length': ___, ...rest } = headers;
  return rest;
}

function send(response: ServerResponse, { status, headers, body }: Answer): void {
  response.writeHead(status, withoutLength(headers));
  response.end(body);
}

async function truncated(request: IncomingMessage, response: ServerResponse, answer: Answer): Promise<void> {
  response.writeHead(answer.status, { ...withoutLength(answer.headers), 'content-length': answer.body.length });
  response.write(answer.body.subarray(0, answer.body.length >> 1));
  await sleep(20);
  request.socket.destroy();
}
