/** A real PostgreSQL with the settings of `deploy/`, which lets in whoever has a certificate. */
import { type ChildProcess, execFile, execFileSync } from 'node:child_process';
import { chmodSync, chownSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from '../../workers/temporal-server.ts';
import { end, spawnLogged, until } from './processes.ts';

const DEPLOY = join(import.meta.dirname, '..', '..', 'deploy', 'postgres');
const run = promisify(execFile);

/** PostgreSQL refuses to run as root. */
function serverUser(): { uid?: number; gid?: number } {
  if (process.getuid?.() !== 0) return {};
  const [, , uid, gid] =
    readFileSync('/etc/passwd', 'utf8')
      .match(/^postgres:.*$/m)?.[0]
      .split(':') ?? [];
  if (uid === undefined || gid === undefined) throw new Error('there is no user postgres to run PostgreSQL as');
  return { uid: Number(uid), gid: Number(gid) };
}

export class Postgres {
  readonly port: number;
  /** With the socket that its own user needs no certificate for. */
  readonly directory: string;
  readonly #bin: string;
  readonly #certificates: string;
  #child: ChildProcess | undefined;

  private constructor(bin: string, certificates: string, directory: string, port: number) {
    this.#bin = bin;
    this.#certificates = certificates;
    this.directory = directory;
    this.port = port;
  }

  /** @param certificates with the role `postgres`, whose key is given to the server's user */
  static async start(bin: string, certificates: string): Promise<Postgres> {
    const directory = mkdtempSync(join(tmpdir(), 'styx-pg-'));
    const { uid, gid } = serverUser();
    for (const file of ['postgresql.conf', 'pg_hba.conf']) copyFileSync(join(DEPLOY, file), join(directory, file));
    const role = join(directory, 'certificates');
    mkdirSync(role);
    for (const file of ['ca.crt', 'tls.crt', 'tls.key']) {
      copyFileSync(join(certificates, 'postgres', file), join(role, file));
      chmodSync(join(role, file), 0o600);
    }
    if (uid !== undefined && gid !== undefined) {
      const owned = [directory, role, ...['ca.crt', 'tls.crt', 'tls.key'].map((file) => join(role, file))];
      for (const path of owned) chownSync(path, uid, gid);
    }
    const data = join(directory, 'data');
    const options = { ...serverUser(), cwd: directory };
    await run(join(bin, 'initdb'), ['-D', data, '-U', 'temporal', '-A', 'trust', '--no-sync'], options);
    const postgres = new Postgres(bin, role, directory, await freePort());
    await postgres.start();
    return postgres;
  }

  async start(): Promise<void> {
    const { directory } = this;
    const settings = {
      config_file: join(directory, 'postgresql.conf'),
      hba_file: join(directory, 'pg_hba.conf'),
      ssl_ca_file: join(this.#certificates, 'ca.crt'),
      ssl_cert_file: join(this.#certificates, 'tls.crt'),
      ssl_key_file: join(this.#certificates, 'tls.key'),
      listen_addresses: '127.0.0.1',
      port: this.port,
      unix_socket_directories: directory,
    };
    const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    const log = join(directory, 'log');
    const command = [join(this.#bin, 'postgres'), '-D', join(directory, 'data'), ...flags];
    this.#child = spawnLogged(command, log, {}, { ...serverUser(), cwd: directory });
    const answers = () =>
      run(join(this.#bin, 'pg_isready'), ['-q', ...this.#socket()]).then(
        () => true,
        () => false,
      );
    await until(answers, this.#child, log);
  }

  /** SIGKILL of the server and of all its processes, as a power cut leaves it: the next start recovers from the log. */
  async kill9(): Promise<void> {
    const child = this.#child;
    if (child?.pid === undefined) return;
    const pids = execFileSync('ps', ['-o', 'pid=', '--ppid', String(child.pid)], { encoding: 'utf8' }).split(/\s+/);
    await end(child, 'SIGKILL');
    for (const pid of pids.filter(Boolean)) {
      try {
        process.kill(Number(pid), 'SIGKILL');
      } catch {
        // Gone with its parent.
      }
    }
  }

  /** One of PostgreSQL's own programs, over the socket. */
  async tool(name: 'psql' | 'pg_dump' | 'pg_restore' | 'dropdb' | 'createdb', ...args: string[]): Promise<string> {
    const command = [...this.#socket(), '-U', 'temporal', ...args];
    const { stdout } = await run(join(this.#bin, name), command, { maxBuffer: 64 * 1024 * 1024 });
    return stdout;
  }

  /** Connects as the connection string says and answers what it gets. @throws with what the server said */
  async knock(connection: string): Promise<string> {
    const { stdout } = await run(join(this.#bin, 'psql'), ['-X', '-At', '-c', 'select 1', connection]);
    return stdout.trim();
  }

  #socket(): string[] {
    return ['-h', this.directory, '-p', String(this.port)];
  }

  async stop(): Promise<void> {
    // "Immediate" in PostgreSQL's words: nothing of it is kept.
    if (this.#child !== undefined) await end(this.#child, 'SIGQUIT');
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}
