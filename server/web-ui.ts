/**
 * Temporal's Web UI with its payloads opened, for one person and as long as this runs: a proxy in front of the UI, which adds the codec
 * endpoint. It answers at a loopback address of its own, to whoever came by the link, and shows only: commands are not for the UI.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Payload } from '@temporalio/common';
import { StyxError } from '../model/errors.ts';
import { Keyring } from '../system/keyring.ts';
import { PayloadSealer } from '../workers/payload-codec.ts';

export interface WebUi {
  /** Works once. */
  readonly link: string;
  close(): Promise<void>;
}

export interface WebUiOptions {
  /** Data directory with the keys. */
  readonly home: string;
  /** Of the UI that the Temporal server itself serves: `http://127.0.0.1:8233`. */
  readonly ui: string;
  readonly namespace: string;
  /** Default: any that is free. */
  readonly port?: number;
}

const COOKIE = 'styx-ui';
const CODEC = '/styx-codec';
const MAX_BODY = 64 * 1024 * 1024;
/** A query is a POST there. */
const QUERY = /^\/api\/v1\/namespaces\/[^/]+\/workflows\/.+\/query\/[^/]+$/;

/** @throws invalid when the port is taken */
export async function serveWebUi(options: WebUiOptions): Promise<WebUi> {
  const guarded = new GuardedUi(options);
  // Cookies know no ports: at an address that no other server has, no other server is sent ours.
  const [a, b, c] = randomBytes(3);
  const host = process.platform === 'linux' ? `127.${a}.${b}.${1 + ((c ?? 0) % 254)}` : '127.0.0.1';
  const server = createServer((incoming, outgoing) => void guarded.answer(incoming, outgoing));
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => reject(new StyxError('invalid', `cannot listen: ${cause.message}`, { cause })));
    server.listen(options.port ?? 0, host, resolve);
  });
  return { link: guarded.openAt(`${host}:${(server.address() as AddressInfo).port}`), close: () => close(server) };
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

/** An answer that is not the UI's. */
class Refusal extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

class GuardedUi {
  readonly #options: WebUiOptions;
  readonly #codec: PayloadSealer;
  readonly #session = randomBytes(32).toString('hex');
  #ticket: string | null = randomBytes(32).toString('hex');
  #host = '';

  constructor(options: WebUiOptions) {
    this.#options = options;
    this.#codec = new PayloadSealer({ keyring: new Keyring(options.home), rule: 'optional', refused: 'mark' });
  }

  openAt(host: string): string {
    this.#host = host;
    return `http://${host}/open/${this.#ticket}`;
  }

  async answer(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    try {
      this.#checkCaller(incoming);
      const { pathname } = new URL(incoming.url ?? '/', `http://${this.#host}`);
      if (pathname.startsWith('/open/')) return this.#open(pathname.slice('/open/'.length), outgoing);
      this.#checkSession(incoming);
      if (pathname === `${CODEC}/decode`) return await this.#decode(incoming, outgoing);
      this.#checkShowsOnly(incoming, pathname);
      if (pathname === '/api/v1/settings') return await this.#settings(outgoing);
      this.#forward(incoming, outgoing);
    } catch (error) {
      const status = error instanceof Refusal ? error.status : 502;
      outgoing.writeHead(status, { 'content-type': 'text/plain' });
      outgoing.end(`${error instanceof Refusal ? error.message : 'the Temporal server does not answer'}\n`);
    }
  }

  /** A page of another site comes with its own Origin, and a name that somebody made point here comes as Host. */
  #checkCaller({ headers, method }: IncomingMessage): void {
    if (headers.host !== this.#host) throw new Refusal(403, 'not the address that this is served at');
    const ours = `http://${this.#host}`;
    if (headers.origin !== undefined && headers.origin !== ours) throw new Refusal(403, 'not from this page');
    if (method !== 'GET' && method !== 'HEAD' && headers.origin !== ours) throw new Refusal(403, 'not from this page');
  }

  #checkSession({ headers }: IncomingMessage): void {
    const cookies = (headers.cookie ?? '').split(/;\s*/);
    const given = cookies.find((cookie) => cookie.startsWith(`${COOKIE}=`))?.slice(COOKIE.length + 1);
    if (!same(given, this.#session)) throw new Refusal(401, 'open the link that `styx ui` printed');
  }

  #checkShowsOnly({ method }: IncomingMessage, pathname: string): void {
    if (method === 'GET' || method === 'HEAD' || (method === 'POST' && QUERY.test(pathname))) return;
    throw new Refusal(403, 'the Web UI shows; commands are given with `styx`');
  }

  #open(ticket: string, outgoing: ServerResponse): void {
    if (!same(ticket, this.#ticket)) throw new Refusal(401, 'this link was used; run `styx ui` again');
    this.#ticket = null;
    const start = `/namespaces/${encodeURIComponent(this.#options.namespace)}/workflows`;
    outgoing.writeHead(200, {
      'content-type': 'text/html',
      'cache-control': 'no-store',
      'referrer-policy': 'no-referrer',
      'set-cookie': `${COOKIE}=${this.#session}; Path=/; HttpOnly; SameSite=Strict`,
    });
    // Not a redirect: one that another site began would come without the cookie.
    outgoing.end(`<!doctype html><meta http-equiv="refresh" content="0;url=${start}">\n`);
  }

  async #decode(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    if (incoming.method !== 'POST') throw new Refusal(405, 'POST only');
    const opened = await this.#codec.decode(payloadsOf(await bodyOf(incoming)));
    outgoing.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-store' });
    outgoing.end(JSON.stringify({ payloads: opened.map(asJson) }));
  }

  /** The UI's own, and where it finds the codec. */
  async #settings(outgoing: ServerResponse): Promise<void> {
    const found = await fetch(`${this.#options.ui}/api/v1/settings`);
    const settings = (await found.json()) as Record<string, unknown>;
    const Codec = { ...(settings.Codec as object), Endpoint: `http://${this.#host}${CODEC}`, IncludeCredentials: true };
    const cookies = found.headers.getSetCookie();
    outgoing.writeHead(found.status, {
      'content-type': 'application/json',
      'cache-control': 'no-store',
      ...(cookies.length > 0 ? { 'set-cookie': cookies } : {}),
    });
    outgoing.end(JSON.stringify({ ...settings, Codec, DisableWriteActions: true }));
  }

  #forward(incoming: IncomingMessage, outgoing: ServerResponse): void {
    const target = new URL(this.#options.ui);
    const { cookie = '', origin: _, referer: __, ...rest } = incoming.headers;
    const others = cookie.split(/;\s*/).filter((each) => !each.startsWith(`${COOKIE}=`));
    const headers = { ...rest, host: target.host, ...(others.length > 0 ? { cookie: others.join('; ') } : {}) };
    const { method, url } = incoming;
    const upstream = request({ host: target.hostname, port: target.port, method, path: url, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    upstream.on('error', () => {
      if (!outgoing.headersSent) outgoing.writeHead(502, { 'content-type': 'text/plain' });
      outgoing.end('the Temporal server does not answer\n');
    });
    outgoing.on('close', () => upstream.destroy());
    incoming.pipe(upstream);
  }
}

function same(given: string | undefined, wanted: string | null): boolean {
  if (given === undefined || wanted === null) return false;
  const [a, b] = [Buffer.from(given), Buffer.from(wanted)];
  return a.length === b.length && timingSafeEqual(a, b);
}

async function bodyOf(incoming: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of incoming as AsyncIterable<Buffer>) {
    bytes += piece.length;
    if (bytes > MAX_BODY) throw new Refusal(413, 'too large');
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString();
}

/** Temporal's Payloads message as JSON: bytes are base64. */
function payloadsOf(body: string): Payload[] {
  try {
    const { payloads } = JSON.parse(body) as { payloads: { metadata?: Record<string, string>; data?: string }[] };
    return payloads.map(({ metadata = {}, data = '' }) => ({
      metadata: Object.fromEntries(Object.entries(metadata).map(([name, text]) => [name, Buffer.from(text, 'base64')])),
      data: Buffer.from(data, 'base64'),
    }));
  } catch {
    throw new Refusal(400, 'not a list of payloads');
  }
}

function asJson({ metadata, data }: Payload) {
  const entries = Object.entries(metadata ?? {}).map(([name, bytes]) => [name, Buffer.from(bytes).toString('base64')]);
  return { metadata: Object.fromEntries(entries), data: Buffer.from(data ?? []).toString('base64') };
}
