/** One message to one receiver: a POST that is signed, or a program. */
import { spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import type { NotificationRule } from '../model/config/notifications.ts';
import { StyxError } from '../model/errors.ts';

export interface Message {
  readonly id: string;
  readonly status: string;
  /** JSON. */
  readonly body: string;
}

const ANSWER_MS = 10_000;
const COMMAND_MS = 60_000;
/** Of what a command says when it fails. */
const SAID_BYTES = 300;

/** @throws StyxError when it was not taken */
export async function deliver(
  rule: NotificationRule,
  message: Message,
  home: string,
  signal: AbortSignal,
): Promise<void> {
  if (rule.url !== null) await post(rule.url, message, secretOf(rule, home), signal);
  else if (rule.command !== null) await run(rule.command, message, signal);
}

/** `styx-signature`: of the time, a dot and the body, so that neither can be another one's. */
export function signatureOf(secret: string, timestamp: string, body: string): string {
  return `v1=${createHmac('sha256', secret).update(`${timestamp}.${body}`).digest('hex')}`;
}

async function post(url: string, { id, body }: Message, secret: string | null, signal: AbortSignal): Promise<void> {
  const timestamp = String(Math.floor(Date.now() / 1_000));
  const headers = {
    'content-type': 'application/json',
    'user-agent': 'styx',
    'styx-notification-id': id,
    'styx-timestamp': timestamp,
    ...(secret === null ? {} : { 'styx-signature': signatureOf(secret, timestamp, body) }),
  };
  const over = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]);
  let answer: Response;
  try {
    // Whoever answers with another address is not the one that was configured.
    answer = await fetch(url, { method: 'POST', headers, body, redirect: 'manual', signal: over });
    await answer.body?.cancel();
  } catch (error) {
    const { message, cause } = error as Error;
    const why = over.aborted && !signal.aborted ? `no answer within ${ANSWER_MS / 1_000} s` : message;
    const { code } = (cause ?? {}) as NodeJS.ErrnoException;
    throw new StyxError('transient', code === undefined ? why : `${why}: ${code}`, { cause: error });
  }
  if (!answer.ok) throw new StyxError('transient', `it answered ${answer.status} ${answer.statusText}`.trim());
}

function secretOf({ secret, secretFile }: NotificationRule, home: string): string | null {
  if (secretFile === null) return secret;
  const path = secretFile.startsWith('~/') ? join(homedir(), secretFile.slice(2)) : resolve(home, secretFile);
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    throw new StyxError('invalid', `the secret cannot be read: ${(error as Error).message}`, { cause: error });
  }
}

/** Succeeds with exit code 0. All that it started ends with its time. */
async function run(command: string, { id, status, body }: Message, signal: AbortSignal): Promise<void> {
  const { PATH, HOME, LANG } = process.env;
  const env = { PATH, HOME, LANG, STYX_NOTIFICATION_ID: id, STYX_JOB_STATUS: status };
  const over = AbortSignal.any([signal, AbortSignal.timeout(COMMAND_MS)]);
  const child = spawn('bash', ['-c', command], { env, stdio: ['pipe', 'ignore', 'pipe'], detached: true });
  const end = (): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    } catch {
      // It has ended.
    }
  };
  over.addEventListener('abort', end, { once: true });
  let said = Buffer.alloc(0);
  child.stderr.on('data', (data: Buffer) => {
    said = Buffer.concat([said, data]).subarray(-SAID_BYTES);
  });
  // One that does not read it is as good.
  child.stdin.on('error', () => undefined);
  child.stdin.end(`${body}\n`);
  const code = await new Promise<number | null>((done, fail) => {
    child.on('error', fail);
    child.on('exit', done);
  }).finally(() => over.removeEventListener('abort', end));
  if (code === 0) return;
  const why =
    code === null
      ? over.aborted
        ? `it did not end within ${COMMAND_MS / 1_000} s`
        : 'it was killed'
      : `exit code ${code}`;
  const text = said.toString().trim();
  throw new StyxError('transient', text === '' ? why : `${why}: ${text}`);
}
