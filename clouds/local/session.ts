/** One SSH session of an instance: environment, then a command, a shell or a subsystem, with a terminal or without. */
import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants, readFileSync } from 'node:fs';
import { constants as osConstants, userInfo } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import type { PseudoTtyInfo, ServerChannel, Session } from 'ssh2';
import { styxCache } from '../../system/home.ts';
import { isRunning, type ProcessRef } from '../../system/processes.ts';
import { enterCommand } from './containment.ts';
import { PYTHON } from './python.ts';
import type { HostLog, InstanceRecord } from './records.ts';

const ENV_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
const ENV_BYTES = 256 * 1024;
/** Linux takes no longer string in an environment or argument list. */
const ONE_ENV_BYTES = 128 * 1024 - 1;

/** After the command ended, what still holds its output open is heard this long after its last word. */
const DRAIN_MS = 150;
/** Of a command that has given its input and output to another process, which goes on with them: the agent's, see agent/channel.py. */
const HANDED_OVER = 113;

const HELPERS = { terminal: join(import.meta.dirname, 'terminal.py'), sftp: join(import.meta.dirname, 'sftp.py') };

/** Passed on from the environment of the host, as a login does from the machine's own settings. */
const HOST_ENV = ['PATH', 'LANG', 'LC_ALL', 'LC_CTYPE', 'TZ'];

export interface SessionContext {
  readonly record: InstanceRecord;
  readonly init: ProcessRef;
  readonly home: string;
  readonly temporary: string;
  /** As in SSH_CONNECTION. */
  readonly connection: string;
  /** As in STYX_AGENTS; null: not set. */
  readonly agents: string | null;
  readonly log: HostLog;
}

function loginShell(): string {
  const { shell } = userInfo();
  try {
    if (shell === null || /(nologin|false)$/.test(shell)) return '/bin/sh';
    accessSync(shell, constants.X_OK);
    return shell;
  } catch {
    return '/bin/sh';
  }
}

export function serveSession(session: Session, context: SessionContext): void {
  const requested = new Map<string, string>();
  let bytes = 0;
  let terminal: PseudoTtyInfo | undefined;
  let child: ChildProcess | undefined;

  session.on('env', (accept, reject, { key, val }) => {
    const size = Buffer.byteLength(key) + Buffer.byteLength(val) + 2;
    if (!ENV_NAME.test(key) || val.includes('\0') || size > ONE_ENV_BYTES || bytes + size > ENV_BYTES) {
      reject?.();
      return;
    }
    bytes += size;
    requested.set(key, val);
    accept?.();
  });
  session.on('pty', (accept, _reject, info) => {
    terminal = info;
    accept?.();
  });
  session.on('window-change', (accept, _reject, info) => {
    const control = child?.stdio[3] as Writable | undefined;
    if (control?.writable) control.write(`${info.rows} ${info.cols} ${info.width} ${info.height}\n`);
    accept?.();
  });
  session.on('signal', (accept, reject, { name }) => {
    if (child !== undefined && signalInside(child, name)) accept?.();
    else reject?.();
  });

  function run(accept: () => ServerChannel, reject: (() => void) | undefined, argv: string[]): void {
    if (child !== undefined || !isRunning(context.init)) {
      reject?.();
      return;
    }
    const withTerminal = terminal === undefined ? argv : [...PYTHON, HELPERS.terminal, windowOf(terminal), ...argv];
    const [program, ...args] = enterCommand(context.record.mode, context.init, withTerminal);
    const stdio: 'pipe'[] = ['pipe', 'pipe', 'pipe'];
    if (terminal !== undefined) stdio.push('pipe');
    try {
      child = spawn(program as string, args, {
        cwd: '/',
        env: environment(context, requested, terminal),
        detached: true,
        stdio,
      });
    } catch (error) {
      context.log('a channel failed', { instance: context.record.id, error });
      reject?.();
      return;
    }
    const channel = accept();
    if (channel !== undefined) attach(channel, child, terminal !== undefined);
    else child.kill('SIGKILL');
  }

  session.on('exec', (accept, reject, { command }) => run(accept, reject, [loginShell(), '-c', command]));
  session.on('shell', (accept, reject) => run(accept, reject, [loginShell(), '-l']));
  session.on('subsystem', (accept, reject, { name }) => {
    if (name === 'sftp') run(accept, reject, [...PYTHON, HELPERS.sftp]);
    else reject?.();
  });
}

function windowOf({ rows, cols, width, height }: PseudoTtyInfo): string {
  return `${rows} ${cols} ${width} ${height}`;
}

/** What the client asked for comes first: it cannot replace what the server says of itself. */
function environment(
  { record, home, temporary, connection, agents }: SessionContext,
  requested: ReadonlyMap<string, string>,
  terminal: PseudoTtyInfo | undefined,
): Record<string, string> {
  const result: Record<string, string> = {};
  for (const name of HOST_ENV) {
    const value = process.env[name];
    if (value !== undefined && (name === 'PATH' || !requested.has(name))) result[name] = value;
  }
  const [clientAddress, clientPort, , serverPort] = connection.split(' ');
  return {
    ...Object.fromEntries(requested),
    ...result,
    HOME: home,
    USER: record.user,
    LOGNAME: record.user,
    SHELL: loginShell(),
    TMPDIR: temporary,
    SSH_CLIENT: `${clientAddress} ${clientPort} ${serverPort}`,
    SSH_CONNECTION: connection,
    STYX_INSTANCE: record.id,
    ...(agents === null ? {} : { STYX_AGENTS: agents }),
    // What is installed for Ray is shared by all instances of this machine.
    STYX_HOST_CACHE: styxCache(),
    ...(terminal === undefined ? {} : { TERM: terminal.term || 'dumb' }),
  };
}

/** To the command and what it started in its session, not to the program that brought it into the namespace. */
function signalInside(child: ChildProcess, name: string): boolean {
  const signal = `SIG${name.replace(/^SIG/, '')}` as NodeJS.Signals;
  if (child.pid === undefined || child.exitCode !== null || !(signal in osConstants.signals)) return false;
  try {
    const [program] = child.spawnargs;
    const children =
      program === 'nsenter' ? readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'latin1').trim() : '';
    process.kill(children === '' ? -child.pid : -Number(children.split(' ')[0]), signal);
    return true;
  } catch {
    return false;
  }
}

function attach(channel: ServerChannel, child: ChildProcess, isTerminal: boolean): void {
  const stdin = child.stdin as Writable;
  // Node would close it with the command, which may have given it to another process.
  Object.assign(child, { stdin: null });
  const outputs = [child.stdout as Readable, child.stderr as Readable];
  let closed = false;
  let lastWord = Date.now();

  channel.on('error', () => {});
  channel.on('close', () => {
    // As with sshd, the command goes on: it finds its input at the end and its output gone. A terminal hangs up.
    closed = true;
    stdin.destroy();
    for (const stream of [...outputs, child.stdio[3]]) stream?.destroy();
    wake?.();
  });
  let wake: (() => void) | undefined;
  stdin.on('error', () => {});
  child.stdio[3]?.on('error', () => {});
  channel.pipe(stdin);

  // One writer at a time: stdout and stderr share the channel's window, and ssh2 remembers one that waits for it.
  let turn: Promise<void> = Promise.resolve();
  function write(target: Writable, chunk: Buffer): Promise<void> {
    turn = turn.then(async () => {
      if (closed) return;
      await new Promise<void>((resolve) => {
        wake = resolve;
        target.write(chunk, () => resolve());
      });
      wake = undefined;
      // ssh2 keeps a chunk that had to wait, and would send it once more when the other stream waits next.
      Object.assign(channel, { _chunk: undefined, _chunkcb: undefined, _chunkErr: undefined, _chunkcbErr: undefined });
      lastWord = Date.now();
    });
    return turn;
  }
  async function pump(source: Readable, target: Writable): Promise<void> {
    try {
      for await (const chunk of source) await write(target, chunk as Buffer);
    } catch {
      // Destroyed: the channel is gone or the drain is over.
    }
  }
  const drained = Promise.all([pump(outputs[0] as Readable, channel), pump(outputs[1] as Readable, channel.stderr)]);

  function finish(code: number | null, signal: NodeJS.Signals | null): void {
    if (closed) return;
    try {
      if (signal === null) channel.exit(code ?? 255);
      else channel.exit(signal.slice(3), false, '');
    } catch {
      // A signal that SSH has no name for.
      channel.exit(128 + (signal === null ? 0 : osConstants.signals[signal]));
    }
    channel.end();
  }

  child.on('error', () => finish(127, null));
  child.on('exit', (code, signal) => {
    lastWord = Date.now();
    const drain = () => {
      if (!closed && (wake !== undefined || Date.now() - lastWord < DRAIN_MS)) return;
      for (const output of outputs) output.destroy();
    };
    const timer = code === HANDED_OVER ? undefined : setInterval(drain, DRAIN_MS / 3);
    void drained.then(() => {
      clearInterval(timer);
      channel.unpipe(stdin);
      stdin.destroy();
      if (isTerminal) child.stdio[3]?.destroy();
      finish(code, signal);
    });
  });
}
