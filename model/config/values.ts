/** What the parts of Styx take of the configuration. */

/** Values of configuration, with their defaults where nothing says otherwise. */
export interface Config {
  /** Clouds that may be used, in lower case; null: all. */
  readonly allowedClouds: readonly string[] | null;
  readonly workspace: string;
  /** Seconds that one try to connect to a machine that starts may take. */
  readonly sshTimeout: number;
  readonly installConda: boolean;
  /** Whether a Temporal server that is not the embedded one takes unsealed messages; null: not said. */
  readonly codec: 'required' | 'optional' | null;
  /** Sections of the clouds by their names, as they are written: each cloud reads its own. */
  readonly clouds: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

export const DEFAULT_CONFIG: Config = {
  allowedClouds: null,
  workspace: 'default',
  sshTimeout: 10,
  installConda: false,
  codec: null,
  clouds: {},
};

/** A cloud that may not be used, as messages have it; null: it may. */
export function cloudRefusal(cloud: string, allowed: readonly string[] | null): string | null {
  if (allowed === null || allowed.includes(cloud)) return null;
  return `cloud "${cloud}" is not among allowed_clouds (${allowed.join(', ') || 'none'})`;
}
