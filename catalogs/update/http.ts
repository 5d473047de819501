/**
 * Requests to price lists: repeated when the other side is busy, fails or breaks off, as often as the policy allows.
 * An answer that ends early is never taken for a whole one.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { StyxError } from '../../model/errors.ts';
import type { PageRequest } from './source.ts';

export interface RetryPolicy {
  /** Requests for one page, the first included. */
  readonly tries: number;
  /** Milliseconds before the second try; doubled for each further one. */
  readonly firstDelay: number;
  readonly maxDelay: number;
  /** Milliseconds; who asks to wait longer is not waited for. */
  readonly maxRetryAfter: number;
  /** Milliseconds without a byte after which an answer counts as broken off. */
  readonly idle: number;
}

export const RETRY_POLICY: RetryPolicy = {
  tries: 6,
  firstDelay: 1_000,
  maxDelay: 60_000,
  maxRetryAfter: 300_000,
  idle: 60_000,
};

const MAX_JSON_BYTES = 256 * 2 ** 20;
const MAX_LINE_CHARS = 1 << 20;
const AGAIN = new Set([408, 425, 429, 500, 502, 503, 504]);

/** The body of an answer, to be read once. */
export interface Answer {
  /** @throws when it is no JSON, or the beginning of one */
  json(): Promise<unknown>;
  /** Without their ends. @throws when the last one is cut */
  lines(): AsyncGenerator<string>;
}

export interface Validators {
  readonly etag: string | null;
  readonly modified: string | null;
}

export type Fetched<T> =
  | { readonly status: 'unchanged' }
  | { readonly status: 'read'; readonly value: T; readonly validators: Validators };

export interface HttpOptions {
  /** Who is asked, for messages: the cloud. */
  readonly cloud: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly policy: RetryPolicy;
  /** Said before a wait. */
  readonly onWait: (text: string) => void;
}

/** A failure that may be gone the next time. */
class Passing extends Error {
  readonly kind: 'throttled' | 'transient' | 'unreachable';
  /** Milliseconds that the other side asks for. */
  readonly after: number | null;

  constructor(kind: Passing['kind'], message: string, after: number | null = null, cause?: unknown) {
    super(message, { cause });
    this.kind = kind;
    this.after = after;
  }
}

/**
 * Asks for a page and reads it with `read`, both again when either breaks off.
 * @param before what the page had when it was read last: an unchanged one is not sent again
 * @throws auth when credentials are refused; throttled, transient or unreachable when no try succeeded; invalid otherwise
 */
export async function fetchPage<T>(
  request: PageRequest,
  before: Validators | null,
  options: HttpOptions,
  read: (answer: Answer) => Promise<T>,
): Promise<Fetched<T>> {
  const { policy, cloud } = options;
  for (let tried = 1; ; tried++) {
    try {
      return await once(request, before, options, read);
    } catch (error) {
      if (!(error instanceof Passing)) throw error;
      const tooLong = error.after !== null && error.after > policy.maxRetryAfter;
      if (tried >= policy.tries || tooLong) throw givenUp(error, cloud, tried, tooLong);
      const backoff = Math.min(policy.maxDelay, policy.firstDelay * 2 ** (tried - 1));
      const delay = error.after ?? backoff * (0.5 + Math.random() / 2);
      options.onWait(`${error.message}; trying again in ${Math.ceil(delay / 1_000)} s`);
      await sleep(delay);
    }
  }
}

function givenUp(error: Passing, cloud: string, tried: number, tooLong: boolean): StyxError {
  const wait = Math.ceil((error.after ?? 0) / 1_000);
  const why = tooLong ? `, and asks to wait ${wait} s` : `, ${tried} times in a row`;
  return new StyxError(error.kind, `${error.message}${why}`, {
    hint: `Run \`styx catalog update ${cloud}\` again${tooLong ? ' then' : ''}: it goes on where it was.`,
    cause: error,
  });
}

async function once<T>(
  request: PageRequest,
  before: Validators | null,
  { cloud, headers, policy }: HttpOptions,
  read: (answer: Answer) => Promise<T>,
): Promise<Fetched<T>> {
  const aborter = new AbortController();
  const timer = setTimeout(() => aborter.abort(), policy.idle);
  try {
    const response = await fetch(request.url, {
      method: request.body === undefined ? 'GET' : 'POST',
      headers: {
        accept: 'application/json, text/csv',
        'user-agent': 'styx',
        ...(request.body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(before?.etag ? { 'if-none-match': before.etag } : {}),
        ...(before?.modified ? { 'if-modified-since': before.modified } : {}),
        ...headers,
      },
      ...(request.body === undefined ? {} : { body: JSON.stringify(request.body) }),
      // Credentials and requests go where they were meant to go, and nowhere else.
      redirect: 'manual',
      signal: aborter.signal,
    });
    if (response.status === 304 && before !== null) return { status: 'unchanged' };
    if (response.status !== 200) throw await failure(response, cloud, request);
    const chunks = body(response, () => timer.refresh());
    const whole = response.headers.has('content-length') || response.headers.has('transfer-encoding');
    const value = await read({
      json: () => json(chunks, request),
      lines: () => lines(chunks, whole, request),
    });
    const validators = { etag: response.headers.get('etag'), modified: response.headers.get('last-modified') };
    return { status: 'read', value, validators };
  } catch (error) {
    if (error instanceof Passing || error instanceof StyxError) throw error;
    if (aborter.signal.aborted) {
      throw new Passing('unreachable', `${hostOf(request)} said nothing for ${policy.idle / 1_000} s`, null, error);
    }
    // What undici throws when a connection fails, or ends before the announced length.
    if (error instanceof TypeError && /^(fetch failed|terminated)$/.test(error.message)) {
      const cause = error.cause instanceof Error ? error.cause.message : '';
      const what = error.message === 'terminated' ? 'broke off its answer' : 'cannot be reached';
      throw new Passing('unreachable', `${hostOf(request)} ${what}${cause === '' ? '' : `: ${cause}`}`, null, error);
    }
    throw error;
  } finally {
    clearTimeout(timer);
    aborter.abort();
  }
}

function hostOf({ url }: PageRequest): string {
  return new URL(url).host;
}

async function failure(response: Response, cloud: string, request: PageRequest): Promise<Error> {
  const { status } = response;
  const said = (await response.text().catch(() => '')).replace(/\s+/g, ' ').trim().slice(0, 200);
  const answered = `${hostOf(request)} answered ${status}${said === '' ? '' : ` (${said})`}`;
  if (AGAIN.has(status)) {
    const kind = status === 429 || status === 503 ? 'throttled' : 'transient';
    return new Passing(kind, answered, retryAfter(response.headers.get('retry-after')));
  }
  if (status === 401 || status === 403) {
    return new StyxError('auth', `the credentials for prices of ${cloud} are refused: ${answered}`, {
      hint: 'docs/catalogs.md says which credentials are used and where they are looked for.',
    });
  }
  return new StyxError('invalid', `${answered} for ${new URL(request.url).pathname}`, {
    hint: 'Its price list may have moved; `STYX_CATALOG_<CLOUD>_URL` names another address.',
  });
}

/** Milliseconds; the header has seconds or a date. */
function retryAfter(header: string | null, now = Date.now()): number | null {
  if (header === null) return null;
  if (/^\d+$/.test(header.trim())) return Number(header) * 1_000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? null : Math.max(0, date - now);
}

async function* body(response: Response, onBytes: () => void): AsyncGenerator<Uint8Array> {
  if (response.body === null) return;
  for await (const chunk of response.body) {
    onBytes();
    yield chunk;
  }
}

async function json(chunks: AsyncIterable<Uint8Array>, request: PageRequest): Promise<unknown> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of chunks) {
    parts.push(chunk);
    bytes += chunk.length;
    if (bytes > MAX_JSON_BYTES) throw tooLarge(request);
  }
  try {
    return JSON.parse(Buffer.concat(parts).toString('utf8'));
  } catch (error) {
    throw new Passing('transient', `the answer of ${hostOf(request)} is no JSON, or ends early`, null, error);
  }
}

async function* lines(chunks: AsyncIterable<Uint8Array>, whole: boolean, request: PageRequest): AsyncGenerator<string> {
  if (!whole) {
    throw new Passing(
      'transient',
      `${hostOf(request)} does not say how long its answer is: an early end would not show`,
    );
  }
  const decoder = new TextDecoder('utf-8');
  let rest = '';
  for await (const chunk of chunks) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = parts.pop() ?? '';
    if (rest.length > MAX_LINE_CHARS) throw tooLarge(request);
    for (const line of parts) yield line.endsWith('\r') ? line.slice(0, -1) : line;
  }
  if (rest !== '') throw new Passing('transient', `the answer of ${hostOf(request)} ends within a line`);
}

function tooLarge(request: PageRequest): StyxError {
  return new StyxError('invalid', `the answer of ${hostOf(request)} is larger than a price list can be`);
}
