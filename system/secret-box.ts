/** Closes secret values, and opens them where they are needed. */
import { StyxError } from '../model/errors.ts';
import type { SecretBox } from '../model/secret-box.ts';
import type { Keyring } from './keyring.ts';
import { open, seal } from './seal.ts';

/** By name; a value in another's place does not open. */
export function closeSecrets(keyring: Keyring, values: Readonly<Record<string, string>>): Record<string, SecretBox> {
  return mapValues(values, (value, name) => {
    const { id, secret } = keyring.current('secrets');
    return { $secret: id, box: seal(secret, purpose(id, name), Buffer.from(value)).toString('base64') };
  });
}

/** @throws auth when the key is not here, or the box was altered */
export function openSecrets(keyring: Keyring, boxes: Readonly<Record<string, SecretBox>>): Record<string, string> {
  return mapValues(boxes, ({ $secret: id, box }, name) => {
    const key = keyring.find('secrets', id);
    if (key === undefined) {
      throw new StyxError('auth', `the secret ${name} was closed with the key ${id}, which is not here`, {
        hint: 'Run `styx keys import FILE` with a copy of the keys, or submit the job again.',
      });
    }
    const value = open(key.secret, purpose(id, name), Buffer.from(box, 'base64'));
    if (value === null) throw new StyxError('auth', `the secret ${name} was altered`);
    return value.toString();
  });
}

function purpose(keyId: string, name: string): string {
  return `styx secret 1\0${keyId}\0${name}`;
}

function mapValues<T, R>(from: Readonly<Record<string, T>>, to: (value: T, name: string) => R): Record<string, R> {
  return Object.fromEntries(Object.entries(from).map(([name, value]) => [name, to(value, name)]));
}
