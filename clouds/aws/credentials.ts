/** Whose account it is. Credentials are read again and again, so that renewed ones are used without a restart. */
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { AwsCredentialIdentity, AwsCredentialIdentityProvider } from '@aws-sdk/types';

/** Longer than a step makes calls one after the other, shorter than anybody waits who has renewed credentials. */
const KEPT_MS = 5_000;

const VARIABLES = [
  'AWS_ACCESS_KEY_ID',
  'AWS_PROFILE',
  'AWS_WEB_IDENTITY_TOKEN_FILE',
  'AWS_CONTAINER_CREDENTIALS_RELATIVE_URI',
  'AWS_CONTAINER_CREDENTIALS_FULL_URI',
];

/** Does anything here look like credentials of AWS? Asks nobody: a user without an account must not wait for an answer. */
export function hasCredentials(env: NodeJS.ProcessEnv = process.env): boolean {
  if (VARIABLES.some((name) => Boolean(env[name]))) return true;
  const home = env.HOME || homedir();
  const files = [
    env.AWS_SHARED_CREDENTIALS_FILE || join(home, '.aws', 'credentials'),
    env.AWS_CONFIG_FILE || join(home, '.aws', 'config'),
  ];
  return files.some((file) => /^\s*\[/m.test(text(file))) || isInstance(env);
}

/** A machine of EC2 may have a role. */
function isInstance(env: NodeJS.ProcessEnv): boolean {
  return env.AWS_EC2_METADATA_DISABLED !== 'true' && /Amazon EC2/.test(text('/sys/class/dmi/id/sys_vendor'));
}

function text(file: string): string {
  try {
    return existsSync(file) ? readFileSync(file, 'utf8') : '';
  } catch {
    return '';
  }
}

export class Credentials {
  #held: { readonly at: number; readonly identity: Promise<AwsCredentialIdentity> } | undefined;

  /** What the SDK's clients take. */
  readonly provider: AwsCredentialIdentityProvider = async () => {
    const now = Date.now();
    if (this.#held === undefined || now - this.#held.at > KEPT_MS) {
      const identity = readChain();
      this.#held = { at: now, identity };
      identity.catch(() => this.forget());
    }
    // The clients keep an identity until it expires: one that has just expired is asked for at every call.
    return { ...(await this.#held.identity), expiration: new Date(now) };
  };

  /** They were refused: the next call reads them again. */
  forget(): void {
    this.#held = undefined;
  }
}

async function readChain(): Promise<AwsCredentialIdentity> {
  const { defaultProvider } = await import('@aws-sdk/credential-provider-node');
  return await defaultProvider({ ignoreCache: true })();
}
