/** A command on a node from begin to end. */
import type { ClientChannel } from 'ssh2';
import { StyxError } from '../model/errors.ts';
import { exitCodeOf } from './connection.ts';

export interface RunResult {
  /** Signals as 128 + n where the server names them. */
  readonly code: number;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
}

export interface RunOptions {
  readonly stdin?: Buffer | string;
  readonly signal?: AbortSignal;
  /** Called with output as it comes; it is not collected then. */
  readonly onStdout?: (data: Buffer) => void;
  readonly onStderr?: (data: Buffer) => void;
}

/** @throws unreachable when the channel closed without an exit code; what `signal` was aborted with */
export function finish(channel: ClientChannel, options: RunOptions = {}): Promise<RunResult> {
  return new Promise((resolve, reject) => {
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    channel.on('data', (data: Buffer) => (options.onStdout ? options.onStdout(data) : stdout.push(data)));
    channel.stderr.on('data', (data: Buffer) => (options.onStderr ? options.onStderr(data) : stderr.push(data)));
    const abort = () => {
      channel.destroy();
      reject(options.signal?.reason);
    };
    options.signal?.addEventListener('abort', abort, { once: true });
    channel.on('close', () => {
      options.signal?.removeEventListener('abort', abort);
      const code = exitCodeOf(channel);
      if (code === undefined) reject(new StyxError('unreachable', 'the connection broke before the command had ended'));
      else resolve({ code, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr) });
    });
    if (options.signal?.aborted) abort();
    else channel.end(options.stdin ?? '');
  });
}
