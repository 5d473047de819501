/**
 * Makes a machine ready for its agent: what its jobs need is installed where it lacks, and the container that they run in is made and
 * entered by every later login. Safe to run twice, at the same time too; what it did is told by a log on the machine.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isErrorKind, StyxError } from '../../model/errors.ts';
import type { NodeAddress } from '../node.ts';
import type { SshNodePool } from '../pool.ts';
import type { RunResult } from '../run.ts';

/** Before a command: it is for the machine itself, not for its container (`enter.sh`). */
export const ON_MACHINE = 'STYX_MACHINE=1';

export interface SetUp {
  /** The machine has NVIDIA cards. */
  readonly gpus: boolean;
  readonly container: SetUpContainer | null;
}

export interface SetUpContainer {
  readonly image: string;
  /** Of its registry; null: nobody need log in. */
  readonly login: RegistryLogin | null;
  /** OpenSSH public key line whose logins land in the container. */
  readonly key: string;
}

export interface RegistryLogin {
  readonly server: string;
  readonly username: string;
  readonly password: string;
}

/**
 * The connections of `pool` to this machine lead to the machine itself, also when it has a container: use them for nothing else.
 * @throws invalid (with the registry's or the driver's own words), transient, unreachable
 */
export async function setUpMachine(
  pool: SshNodePool,
  address: NodeAddress,
  { gpus, container }: SetUp,
  signal?: AbortSignal,
): Promise<void> {
  const login = container?.login ?? null;
  const image = container === null ? '' : withServer(container.image, login?.server);
  const key = container?.key.trim().split(/\s+/).slice(0, 2).join(' ') ?? '';
  const words = [gpus ? 'gpus' : 'none', image, key, script('enter.sh')];
  const stdin = login === null ? '' : dockerConfig(login);
  const options = { stdin, ...(signal === undefined ? {} : { signal }) };
  const result = await pool.exec(
    address,
    asRoot(address, ['sh', '-c', script('machine.sh'), 'styx-set-up', ...words]),
    options,
  );
  const [said = ''] = result.stdout.toString().trim().split('\n').slice(-1);
  if (said === 'ok') return;
  throw failureOf(said, result, address.host);
}

/** A command that root runs on the machine itself. */
function asRoot({ user }: NodeAddress, command: readonly string[]): string[] {
  return ['env', ON_MACHINE, ...(user === 'root' ? [] : ['sudo', '-n']), ...command];
}

function failureOf(said: string, { code, stderr }: RunResult, host: string): StyxError {
  const [, kind, message = ''] = /^([a-z-]+) (.+)$/s.exec(said) ?? [];
  if (isErrorKind(kind)) return new StyxError(kind, message.trim());
  const last = stderr.toString().trim().split('\n').at(-1) ?? '';
  return new StyxError('transient', `the set-up of ${host} ended with ${code}${last === '' ? '' : `: ${last}`}`);
}

/** A registry that is named apart from the image is put before it. */
function withServer(image: string, server = ''): string {
  const host = server.replace(/^https?:\/\//, '').replace(/\/.*$/, '');
  return host === '' || image.startsWith(`${host}/`) ? image : `${host}/${image}`;
}

const DOCKER_HUB = new Set(['docker.io', 'index.docker.io', 'registry-1.docker.io', 'hub.docker.com']);

/** As `docker login` leaves it. */
function dockerConfig({ server, username, password }: RegistryLogin): string {
  const host = server.replace(/^https?:\/\//, '').replace(/\/.*$/, '');
  const name = DOCKER_HUB.has(host) ? 'https://index.docker.io/v1/' : host;
  return JSON.stringify({ auths: { [name]: { auth: Buffer.from(`${username}:${password}`).toString('base64') } } });
}

function script(name: string): string {
  return readFileSync(join(import.meta.dirname, name), 'utf8');
}
