/**
 * The keys of a data directory, in `keys/` (0700): numbered files `payload.1`, `secrets.1`, … (0600), each one key. The newest of a
 * purpose seals, all of them open. A file appears whole and is never changed, so that any number of processes can read and add keys.
 */
import { createHash, randomBytes } from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  linkSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod/mini';
import { StyxError } from '../model/errors.ts';
import { ensurePrivateDir, homePaths } from './home.ts';

/** `payload`: what is in Temporal's database. `secrets`: secret values of tasks, closed once more inside of that. */
export const KEY_PURPOSES = ['payload', 'secrets'] as const;
export type KeyPurpose = (typeof KEY_PURPOSES)[number];

export interface Key {
  readonly id: string;
  readonly purpose: KeyPurpose;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  /** 32 bytes, for AES-256. */
  readonly secret: Buffer;
}

const BYTES = 32;
const TICK_MS = 100;

/** A key as files and exports hold it. Its id is a hash of it, so that two keys never share one. */
export const storedKey = z.object({
  purpose: z.enum(KEY_PURPOSES),
  createdAt: z.number().check(z.int(), z.minimum(0)),
  secret: z.string().check(z.regex(/^[A-Za-z0-9+/]{43}=$/)),
});
export type StoredKey = z.infer<typeof storedKey>;

export class Keyring {
  readonly #dir: string;
  #keys: readonly Key[] = [];
  #seen = -1;

  /** Reads nothing yet, and makes nothing before a key is needed. */
  constructor(home: string) {
    this.#dir = homePaths(home).keys;
  }

  /** The key that seals from now on, made when there is none. @throws invalid when a key file cannot be read */
  current(purpose: KeyPurpose): Key {
    this.#refresh();
    return this.#newest(purpose) ?? this.#add(purpose);
  }

  /** Undefined when it is not here. */
  find(purpose: KeyPurpose, id: string): Key | undefined {
    this.#refresh();
    return this.#keys.find((key) => key.id === id && key.purpose === purpose);
  }

  /** Oldest first. */
  list(): readonly Key[] {
    this.#refresh();
    return this.#keys;
  }

  /** A new key, which seals from now on in all processes; the older ones still open. */
  rotate(purpose: KeyPurpose): Key {
    this.#refresh();
    return this.#add(purpose);
  }

  /** False when it is there already. Of imported and own keys the one made last seals. */
  import(stored: StoredKey): boolean {
    const key = keyOf(stored);
    for (;;) {
      if (this.find(key.purpose, key.id) !== undefined) return false;
      if (this.#write(stored)) return true;
    }
  }

  #newest(purpose: KeyPurpose): Key | undefined {
    return this.#keys.findLast((key) => key.purpose === purpose);
  }

  /** Of several processes that add one at once, all end with the one that was first. */
  #add(purpose: KeyPurpose): Key {
    const before = this.#newest(purpose);
    // Newer than all others, whatever the clock says.
    const createdAt = Math.max(Date.now(), (before?.createdAt ?? 0) + 1);
    this.#write({ purpose, createdAt, secret: randomBytes(BYTES).toString('base64') });
    const after = this.#newest(purpose);
    if (after === undefined || after.id === before?.id) {
      throw new StyxError('internal', `the new key in ${this.#dir} vanished while it was being made`);
    }
    return after;
  }

  /** False when another process took the number. Either way the keys are read anew. */
  #write(stored: StoredKey): boolean {
    ensurePrivateDir(this.#dir);
    const numbers = files(this.#dir, stored.purpose).map(numberOf);
    const file = join(this.#dir, `${stored.purpose}.${Math.max(0, ...numbers) + 1}`);
    const temporary = join(this.#dir, `.${stored.purpose}.${process.pid}.${randomBytes(4).toString('hex')}`);
    try {
      writeFileSync(temporary, `${JSON.stringify(stored)}\n`, { mode: 0o600, flush: true });
      linkSync(temporary, file);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
      throw error;
    } finally {
      rmSync(temporary, { force: true });
      // What is sealed with a key may reach its disk before the name of the key reaches this one.
      const dir = openSync(this.#dir, 'r');
      fsyncSync(dir);
      closeSync(dir);
      this.#seen = -1;
      this.#refresh();
    }
  }

  /** Another process may have added a key: the directory's time says so. */
  #refresh(): void {
    const changed = statSync(this.#dir, { throwIfNoEntry: false })?.mtimeMs ?? 0;
    if (changed === this.#seen) return;
    const keys = KEY_PURPOSES.flatMap((purpose) => files(this.#dir, purpose).map((name) => read(this.#dir, name)));
    this.#keys = keys.toSorted((a, b) => a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1));
    // Directory times move in ticks: a change in the same tick would not be seen.
    this.#seen = Date.now() - changed < TICK_MS ? -1 : changed;
  }
}

function numberOf(name: string): number {
  return Number(name.slice(name.lastIndexOf('.') + 1));
}

function files(dir: string, purpose: KeyPurpose): string[] {
  try {
    return readdirSync(dir).filter((name) => name.startsWith(`${purpose}.`) && /\.[1-9]\d{0,8}$/.test(name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

function read(dir: string, name: string): Key {
  const file = join(dir, name);
  try {
    return keyOf(storedKey.parse(JSON.parse(readFileSync(file, 'utf8'))));
  } catch (error) {
    // Not the parser's own words: they may quote what is in the file.
    throw new StyxError('invalid', `${file} is not a key of Styx`, {
      hint: 'Put it back from a copy (`styx keys import FILE`), or move it away: what was sealed with it then stays closed.',
      ...((error as NodeJS.ErrnoException).code === undefined ? {} : { cause: error }),
    });
  }
}

function keyOf({ purpose, createdAt, secret }: StoredKey): Key {
  const bytes = Buffer.from(secret, 'base64');
  const id = createHash('sha256').update(`styx ${purpose} key\0`).update(bytes).digest('hex').slice(0, 16);
  return { id, purpose, createdAt, secret: bytes };
}

export function stored({ purpose, createdAt, secret }: Key): StoredKey {
  return { purpose, createdAt, secret: secret.toString('base64') };
}
