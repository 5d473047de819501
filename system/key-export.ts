/** All keys of a data directory as one text, to be kept somewhere safe or taken to another machine. */
import { z } from 'zod/mini';
import { StyxError } from '../model/errors.ts';
import { type KeyPurpose, Keyring, stored, storedKey } from './keyring.ts';
import { adoptInstallationSecret, installationSecret } from './secret.ts';

const exported = z.object({
  styxKeys: z.literal(1),
  installation: z.string().check(z.regex(/^[A-Za-z0-9+/]{43}=$/)),
  keys: z.array(storedKey),
});

/** Makes the keys that there are not yet, so that a copy made before the first launch is worth something. */
export function exportKeys(home: string): string {
  const keyring = new Keyring(home);
  for (const purpose of ['payload', 'secrets'] satisfies KeyPurpose[]) keyring.current(purpose);
  const installation = Buffer.from(installationSecret(home)).toString('base64');
  return `${JSON.stringify({ styxKeys: 1, installation, keys: keyring.list().map(stored) }, null, 2)}\n`;
}

/**
 * Adds the keys that are not here. Nothing is changed when the installation secret of this data directory is another one.
 * @returns how many keys were added
 * @throws invalid for a text that is no export, or of another installation
 */
export function importKeys(home: string, text: string): number {
  let found: z.infer<typeof exported>;
  try {
    found = exported.parse(JSON.parse(text));
  } catch {
    throw new StyxError('invalid', 'this is not what `styx keys export` writes');
  }
  if (!adoptInstallationSecret(home, Buffer.from(found.installation, 'base64'))) {
    throw new StyxError(
      'invalid',
      'these keys belong to another installation: its login keys are not those of this one',
      {
        hint: 'Import them into an empty data directory (STYX_HOME).',
      },
    );
  }
  const keyring = new Keyring(home);
  return found.keys.filter((key) => keyring.import(key)).length;
}
