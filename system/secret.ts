/** The installation's secret: everything that must be derivable here and unguessable elsewhere comes from it. */
import { randomBytes } from 'node:crypto';
import { linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { StyxError } from '../model/errors.ts';
import { ensurePrivateDir, homePaths } from './home.ts';

const BYTES = 32;

/**
 * The 32 bytes of `keys/installation` (mode 0600), made on the first call. Of several first calls at once all return
 * what one of them wrote: the file appears whole, by a link that fails when there is one.
 * @throws invalid when the file is not 32 bytes long
 */
export function installationSecret(home: string): Uint8Array {
  const keys = homePaths(home).keys;
  const file = join(keys, 'installation');
  return read(file) ?? create(ensurePrivateDir(keys), file);
}

/** Puts a secret from a copy in place. False when there is another one. */
export function adoptInstallationSecret(home: string, secret: Uint8Array): boolean {
  const { keys } = homePaths(home);
  const file = join(keys, 'installation');
  return Buffer.from(read(file) ?? create(ensurePrivateDir(keys), file, secret)).equals(secret);
}

function create(keys: string, file: string, secret: Uint8Array = randomBytes(BYTES)): Uint8Array {
  const temporary = join(keys, `.installation.${process.pid}.${randomBytes(4).toString('hex')}`);
  try {
    writeFileSync(temporary, secret, { mode: 0o600, flush: true });
    linkSync(temporary, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    rmSync(temporary, { force: true });
  }
  const made = read(file);
  if (made === undefined) throw new StyxError('internal', `${file} vanished while it was being made`);
  return made;
}

function read(file: string): Uint8Array | undefined {
  let secret: Buffer;
  try {
    secret = readFileSync(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  if (secret.length !== BYTES) {
    throw new StyxError('invalid', `${file} holds ${secret.length} bytes instead of ${BYTES}`, {
      hint: 'Put back the key from a copy; machines made with it cannot be reached without it.',
    });
  }
  return new Uint8Array(secret);
}
