/** Keys of clouds for their price lists: from the environment, or the file that the cloud's own tool keeps them in. */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { StyxError } from '../../model/errors.ts';

export interface Credential {
  /** Environment variables, the first that is set wins. */
  readonly variables: readonly string[];
  /** Files below the home directory, and what the key stands behind in them. */
  readonly files: readonly { readonly path: string; readonly key: RegExp }[];
  /** Where a key is made. */
  readonly from: string;
}

/** There is none at all: who did not ask for this cloud by name need not care. */
export class MissingCredential extends StyxError {}

/** @throws MissingCredential, of the kind auth, with all that would do, when there is none */
export function findCredential(cloud: string, wanted: Credential, env: NodeJS.ProcessEnv): string {
  for (const name of wanted.variables) {
    const value = env[name]?.trim();
    if (value) return sendable(value, cloud, name);
  }
  for (const { path, key } of wanted.files) {
    const found = key.exec(readText(join(env.HOME || homedir(), path)))?.[1]?.trim();
    if (found) return sendable(found, cloud, `~/${path}`);
  }
  const places = [...wanted.variables, ...wanted.files.map(({ path }) => `~/${path}`)];
  throw new MissingCredential('auth', `there is no API key of ${cloud}, which its price list needs`, {
    hint: `Set ${places.join(', or ')}. ${wanted.from}`,
  });
}

/** Of what cannot be sent the error of the transport would show all. */
function sendable(key: string, cloud: string, place: string): string {
  if (/^[\x21-\x7e]+$/.test(key)) return key;
  throw new StyxError('auth', `the API key of ${cloud} in ${place} has characters that no key has`);
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
