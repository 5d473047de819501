/** Where the local cloud keeps its things. Everything is below `$STYX_HOME/local`, 0700, except a socket whose path would be too long. */
import { lstatSync, mkdirSync, readFileSync, realpathSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { stableHash } from '../../model/identity.ts';
import { ensurePrivateDir } from '../../system/home.ts';

/** sun_path of macOS and the BSDs holds 104 bytes, Linux 108, the end mark included. */
const SOCKET_PATH_BYTES = 100;

export interface LocalPaths {
  readonly root: string;
  readonly instances: string;
  readonly placements: string;
  readonly lock: string;
  readonly log: string;
  readonly limits: string;
}

export function hostLogPath(home: string): string {
  return join(home, 'local', 'host.log');
}

/** Makes the directories when absent. */
export function localPaths(home: string): LocalPaths {
  const root = realpathSync(ensurePrivateDir(join(ensurePrivateDir(home), 'local')));
  const paths: LocalPaths = {
    root,
    instances: join(root, 'instances'),
    placements: join(root, 'placements'),
    lock: join(root, 'host.lock'),
    log: hostLogPath(dirname(root)),
    limits: join(root, 'limits.json'),
  };
  ensurePrivateDir(paths.instances);
  ensurePrivateDir(paths.placements);
  return paths;
}

/** The host's control socket. A directory that stands in for one that is too deep must be ours alone. */
export function controlSocket(root: string): string {
  const direct = join(root, 'host.sock');
  if (Buffer.byteLength(direct) <= SOCKET_PATH_BYTES) return direct;
  const { uid } = userInfo();
  const directory = join(tmpdir(), `styx-${uid}-${stableHash(['local', root], 16)}`);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const stat = lstatSync(directory);
  if (!stat.isDirectory() || stat.uid !== uid || (stat.mode & 0o077) !== 0) {
    throw new Error(`${directory} is not a private directory of this user`);
  }
  return join(directory, 'host.sock');
}

/** Unique over all STYX_HOMEs of a machine, so that a marker in the environment names one instance. */
export function instanceId(root: string, placementKey: string, index: number): string {
  return `i-${stableHash(['local instance', root, placementKey, index], 16)}`;
}

/** Undefined when the file does not exist. */
export function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw error;
  }
}
