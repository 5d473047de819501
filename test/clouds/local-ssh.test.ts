import { execFile, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import ssh2, {
  type AnyAuthMethod,
  type Client,
  type ClientChannel,
  type ConnectConfig,
  type IdentityCallback,
  type KeyboardInteractiveAuthMethod,
  type ParsedKey,
  type SFTPWrapper,
  type SignCallback,
} from 'ssh2';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Instance } from '../../model/machines.ts';
import { collect, exec, keyPair, Lab, MODES, USER, until } from './local-lab.ts';

const OPENSSH = existsSync('/usr/bin/ssh') && existsSync('/usr/bin/sftp') && existsSync('/usr/bin/scp');

describe.each(MODES)('SSH to a local instance (%s)', (mode) => {
  let lab: Lab;
  let instance: Instance;
  let client: Client;

  beforeAll(async () => {
    lab = new Lab(mode);
    instance = await lab.one();
    client = await lab.connect(instance);
  });
  afterAll(async () => {
    client?.end();
    await lab.dispose();
  });

  const run = async (command: string, options = {}) => collect(await exec(client, command, options));

  describe('who may log in', () => {
    const refused = (config: Partial<ConnectConfig>): Promise<string> =>
      lab.connect(instance, config).then(
        (open) => {
          open.end();
          return 'logged in';
        },
        (error: Error) => error.message,
      );
    const only = (method: AnyAuthMethod): Partial<ConnectConfig> => ({ authHandler: [method] as never });
    const REFUSED = /authentication methods failed|closed|ended/;

    it('refuses a connection without a key, with a password and by questions', async () => {
      const none = { authHandler: ['none'] } as Partial<ConnectConfig>;
      expect(await refused(none)).toMatch(REFUSED);
      expect(await refused(only({ type: 'password', username: USER, password: '' }))).toMatch(REFUSED);
      const prompt: KeyboardInteractiveAuthMethod['prompt'] = (_name, _text, _language, _prompts, done) => done(['']);
      expect(await refused(only({ type: 'keyboard-interactive', username: USER, prompt }))).toMatch(REFUSED);
    });

    it('refuses another key, and the right key of another user name', async () => {
      const other = keyPair().private;
      expect(await refused({ privateKey: other })).toMatch(REFUSED);
      expect(await refused({ username: `${USER}x` })).toMatch(REFUSED);
    });

    it('refuses the right key with a signature that is not its own', async () => {
      const parse = (key: string): ParsedKey => {
        const parsed = ssh2.utils.parseKey(key);
        if (parsed instanceof Error) throw parsed;
        return parsed as ParsedKey;
      };
      class Agent extends ssh2.BaseAgent<ParsedKey> {
        readonly signer: ParsedKey;
        constructor(signer: string) {
          super();
          this.signer = parse(signer);
        }
        override getIdentities(done: IdentityCallback<ParsedKey>): void {
          done(undefined, [parse(lab.keys.public)]);
        }
        override sign(_key: ParsedKey, data: Buffer, options: unknown, done?: SignCallback): void {
          const answer = typeof options === 'function' ? (options as SignCallback) : done;
          answer?.(undefined, this.signer.sign(data) as Buffer);
        }
      }
      const logIn = (signer: string): Promise<string> =>
        refused(only({ type: 'agent', username: USER, agent: new Agent(signer) as never }));
      expect(await logIn(lab.keys.private)).toBe('logged in');
      expect(await logIn(keyPair().private)).toMatch(REFUSED);
    });
  });

  describe('commands', () => {
    it('reports output, errors, exit codes and signals as they are', async () => {
      expect(await run('echo out; echo err >&2; exit 7')).toEqual({
        stdout: 'out\n',
        stderr: 'err\n',
        code: 7,
        signal: null,
      });
      expect(await run('kill -TERM $$')).toMatchObject({ code: null, signal: 'SIGTERM' });
      expect(await run('cat', {})).toMatchObject({ stdout: '', code: 0 });
      expect(await collect(await exec(client, 'cat'), 'through and back')).toMatchObject({
        stdout: 'through and back',
      });
      expect(await run('no-such-program')).toMatchObject({ code: 127 });
    });

    it('run in their own home with an environment of their own', async () => {
      const { stdout } = await run(
        'pwd; printf "%s\\n" "$HOME" "$USER" "$STYX_INSTANCE" "$SSH_CONNECTION"; echo "$SSH_TTY"',
      );
      const [pwd, home, user, id, connection, tty] = stdout.split('\n');
      expect(pwd).toBe(join(lab.directory(instance), 'home'));
      expect(home).toBe(pwd);
      expect([user, id, tty]).toEqual([USER, instance.id, '']);
      expect(connection).toMatch(new RegExp(`^127\\.0\\.0\\.1 \\d+ ${instance.address} ${instance.sshPort}$`));
    });

    it('take variables from the client word for word, but not the names that the server sets', async () => {
      const env = { STYX_T: '$(touch x) `id` \'"\\ ö\n2', HOME: '/tmp', STYX_INSTANCE: 'i-other', 'BAD-NAME': '1' };
      const { stdout } = await run('printf %s "$STYX_T"; ls; echo; echo $HOME $STYX_INSTANCE; env | grep -c BAD', {
        env,
      });
      expect(stdout).toBe(`${env.STYX_T}\n${lab.directory(instance)}/home ${instance.id}\n0\n`);
    });

    it('do not keep the channel open with what they leave in the background', async () => {
      const before = Date.now();
      expect(await run('setsid sleep 60 & sleep 60 & echo started')).toMatchObject({ stdout: 'started\n', code: 0 });
      expect(Date.now() - before).toBeLessThan(45_000);
    });

    it('go on when their channel is closed, with their input at its end', async () => {
      const channel = await exec(client, 'cat; sleep 0.2; echo done > after-close');
      channel.close();
      await until(async () => expect((await run('cat after-close')).stdout).toBe('done\n'));
    });

    it('get signals that the client sends', async () => {
      const channel = await exec(client, 'trap "echo caught; exit 5" USR1; echo ready; while :; do sleep 0.05; done');
      channel.once('data', () => channel.signal('USR1'));
      expect(await collect(channel, null)).toMatchObject({ stdout: expect.stringContaining('caught'), code: 5 });
    });

    it('get the eleventh session of one connection refused, and free ones again', async () => {
      const other = await lab.connect(instance);
      const held = await Promise.all(Array.from({ length: 10 }, () => exec(other, 'cat')));
      await expect(exec(other, 'true')).rejects.toThrow(/open failure/i);
      const [first] = held as [ClientChannel];
      await collect(first);
      await until(async () =>
        expect(await collect(await exec(other, 'echo again'))).toMatchObject({ stdout: 'again\n' }),
      );
      other.end();
    });

    it('move 100 MB each way unharmed without the host growing', async () => {
      const block = randomBytes(1024 * 1024);
      const wanted = createHash('sha256');
      const channel = await exec(client, 'sha256sum');
      const sum = collect(channel, null);
      for (let i = 0; i < 100; i += 1) {
        wanted.update(block);
        if (!channel.write(block)) await new Promise((resolve) => channel.once('drain', resolve));
      }
      channel.end();
      expect((await sum).stdout).toContain(wanted.digest('hex'));

      const before = (await lab.cloud.host()).rss;
      const slow = await exec(client, 'head -c 100000000 /dev/zero; echo over >&2; exit 4');
      slow.pause();
      await sleep(300);
      let bytes = 0;
      slow.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
      });
      slow.resume();
      let stderr = '';
      slow.stderr.on('data', (chunk: Buffer) => {
        stderr += chunk;
      });
      const code = await new Promise((resolve) => {
        let exit: number;
        slow.on('exit', (value: number) => {
          exit = value;
        });
        slow.on('close', () => resolve(exit));
      });
      expect([bytes, code, stderr]).toEqual([100_000_000, 4, 'over\n']);
      expect((await lab.cloud.host()).rss - before).toBeLessThan(60e6);
    });

    it('keep both outputs whole when both wait for a slow reader', async () => {
      const noise = 'head -c 6000000 /dev/zero | tr "\\0" A & head -c 6000000 /dev/zero | tr "\\0" B >&2; wait';
      const channel = await exec(client, noise);
      channel.pause();
      channel.stderr.pause();
      await sleep(400);
      const collected = collect(channel, null);
      channel.resume();
      channel.stderr.resume();
      const { stdout, stderr, code } = await collected;
      expect([stdout.length, stderr.length, code]).toEqual([6_000_000, 6_000_000, 0]);
      expect(/^A*$/.test(stdout) && /^B*$/.test(stderr)).toBe(true);
    });
  });

  describe('terminals', () => {
    const pty = { pty: { rows: 31, cols: 91, term: 'vt100' } };

    it('have a size, a name and a type, and report the exit', async () => {
      const { stdout, code } = await run('stty size; tty; echo $SSH_TTY $TERM; exit 9', pty);
      const [size, tty, both] = stdout.split('\r\n');
      expect(size).toBe('31 91');
      expect(both).toBe(`${tty} vt100`);
      expect(code).toBe(9);
      expect(await run('kill -KILL $$', pty)).toMatchObject({ code: null, signal: 'SIGKILL' });
    });

    it('change their size', async () => {
      const channel = await exec(client, 'trap "stty size; exit" WINCH; echo ready; while :; do sleep 0.05; done', pty);
      channel.once('data', () => channel.setWindow(44, 132, 0, 0));
      expect((await collect(channel, null)).stdout).toContain('44 132');
    });

    it('pass Ctrl-C on as an interrupt', async () => {
      const channel = await exec(
        client,
        'trap "echo interrupted; exit 3" INT; echo ready; while :; do sleep 0.05; done',
        pty,
      );
      channel.once('data', () => channel.write('\x03'));
      expect(await collect(channel, null)).toMatchObject({ stdout: expect.stringContaining('interrupted'), code: 3 });
    });

    it('hang up when the client goes', async () => {
      const other = await lab.connect(instance);
      const channel = await exec(
        other,
        'trap "echo hung > hung-up; exit" HUP; echo ready; while :; do sleep 0.05; done',
        pty,
      );
      await new Promise((resolve) => channel.once('data', resolve));
      other.destroy();
      await until(async () => expect((await run('cat hung-up')).stdout).toBe('hung\n'));
    });

    it('carry a shell', async () => {
      const channel = await new Promise<ClientChannel>((resolve, reject) => {
        client.shell({ rows: 24, cols: 80 }, (error, stream) => (error ? reject(error) : resolve(stream)));
      });
      const done = collect(channel, null);
      channel.write('echo $((6*7))-shell; exit 6\r');
      expect(await done).toMatchObject({ stdout: expect.stringContaining('42-shell'), code: 6 });
    });

    it('carry much output to its end', async () => {
      const { stdout } = await run('seq 1 60000', pty);
      expect(stdout.split('\r\n').slice(-2)).toEqual(['60000', '']);
    });
  });

  describe('forwarding', () => {
    it('reaches a port on loopback and nowhere else', async () => {
      const server = createServer((socket) => socket.end('hello from the port'));
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const { port } = server.address() as { port: number };
      const open = (host: string, target: number): Promise<ClientChannel> =>
        new Promise((resolve, reject) => {
          client.forwardOut('127.0.0.1', 1, host, target, (error, channel) =>
            error ? reject(error) : resolve(channel),
          );
        });
      expect((await collect(await open('localhost', port))).stdout).toBe('hello from the port');
      await expect(open('192.0.2.1', 80)).rejects.toThrow();
      server.close();
      await new Promise((resolve) => server.once('close', resolve));
      await expect(open('127.0.0.1', port)).rejects.toThrow();
    });

    it('brings connections to a port on the instance to the client', async () => {
      const other = await lab.connect(instance);
      other.on('tcp connection', (_info, accept) => accept().end('from the client'));
      const port = await new Promise<number>((resolve, reject) => {
        other.forwardIn('localhost', 0, (error, chosen) => (error ? reject(error) : resolve(chosen)));
      });
      const text = await new Promise((resolve, reject) => {
        let all = '';
        connect(port, '127.0.0.1')
          .on('data', (chunk) => {
            all += chunk;
          })
          .on('end', () => resolve(all))
          .on('error', reject);
      });
      expect(text).toBe('from the client');
      other.end();
      await until(async () => {
        const open = await new Promise((resolve) => {
          connect(port, '127.0.0.1')
            .on('connect', () => resolve(true))
            .on('error', () => resolve(false));
        });
        expect(open).toBe(false);
      });
    });
  });

  describe('files', () => {
    it('are read, written, listed and changed by sftp', async () => {
      const sftp = await new Promise<SFTPWrapper>((resolve, reject) => {
        client.sftp((error, wrapper) => (error ? reject(error) : resolve(wrapper)));
      });
      const call = <T = unknown>(method: string, ...args: unknown[]): Promise<T> =>
        new Promise((resolve, reject) => {
          const done = (error: Error | undefined, result: T): void => (error ? reject(error) : resolve(result));
          (sftp as unknown as Record<string, (...all: unknown[]) => void>)[method]?.(...args, done);
        });
      const data = randomBytes(300_000);
      await call('mkdir', 'd', { mode: 0o750 });
      await call('writeFile', 'd/ö "x"', data, { mode: 0o640 });
      expect(await call('readFile', 'd/ö "x"')).toEqual(data);
      expect(await call('stat', 'd/ö "x"')).toMatchObject({ size: 300_000, mode: 0o100640 });
      await call('symlink', 'ö "x"', 'd/link');
      expect(await call('readlink', 'd/link')).toBe('ö "x"');
      expect(((await call('lstat', 'd/link')) as { mode: number }).mode & 0o170000).toBe(0o120000);
      await call('chmod', 'd/ö "x"', 0o600);
      await call('utimes', 'd/ö "x"', 1000, 2000);
      expect(await call('stat', 'd/link')).toMatchObject({ mode: 0o100600, atime: 1000, mtime: 2000 });
      await call('rename', 'd/ö "x"', 'd/y');
      const names = (await call<{ filename: string }[]>('readdir', 'd')).map(({ filename }) => filename);
      expect(names.sort()).toEqual(['link', 'y']);
      expect(await call('realpath', '.')).toBe(join(lab.directory(instance), 'home'));
      await expect(call('stat', 'd/none')).rejects.toMatchObject({ code: 2 });
      await expect(call('rmdir', 'd')).rejects.toMatchObject({ code: 4 });
      await call('unlink', 'd/y');
      await call('unlink', 'd/link');
      await call('rmdir', 'd');
      sftp.end();
    });

    it.skipIf(!OPENSSH)('and commands work with the ssh, scp and sftp of OpenSSH', async () => {
      const directory = mkdtempSync(join(tmpdir(), 'styx-o-'));
      const key = join(directory, 'key');
      writeFileSync(key, lab.keys.private, { mode: 0o600 });
      writeFileSync(join(directory, 'known'), `[${instance.address}]:${instance.sshPort} ${instance.hostKey}\n`);
      const config = join(directory, 'config');
      writeFileSync(
        config,
        `Host it\n  HostName ${instance.address}\n  Port ${instance.sshPort}\n  User ${USER}\n  IdentityFile ${key}\n` +
          `  IdentitiesOnly yes\n  BatchMode yes\n  StrictHostKeyChecking yes\n  UserKnownHostsFile ${directory}/known\n`,
      );
      const tool = (program: string, ...args: string[]) => promisify(execFile)(program, ['-F', config, ...args]);
      const data = randomBytes(1_000_000);
      mkdirSync(join(directory, 'tree'));
      writeFileSync(join(directory, 'tree', 'a file'), data);
      chmodSync(join(directory, 'tree', 'a file'), 0o700);
      expect((await tool('ssh', 'it', 'echo "$USER"; exit 0')).stdout).toBe(`${USER}\n`);
      expect(spawnSync('ssh', ['-F', config, '-tt', 'it', 'tty >/dev/null && exit 12'], { stdio: 'pipe' }).status).toBe(
        12,
      );
      await tool('scp', '-r', '-p', '-q', join(directory, 'tree'), 'it:');
      await tool('scp', '-r', '-p', '-q', 'it:tree', join(directory, 'back'));
      expect(readFileSync(join(directory, 'back', 'a file')).equals(data)).toBe(true);
      writeFileSync(join(directory, 'batch'), `cd tree\nget "a file" ${directory}/again\nrename "a file" b\nls -l\n`);
      expect((await tool('sftp', '-q', '-b', join(directory, 'batch'), 'it')).stdout).toMatch(/-rwx------ .* b\n/);
      expect(readFileSync(join(directory, 'again')).equals(data)).toBe(true);
      rmSync(directory, { recursive: true });
    });
  });
});

if (!OPENSSH) console.warn('the OpenSSH client is not installed: its tests are skipped');
