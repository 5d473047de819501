/** The section `aws` of the configuration, as far as it is carried out. The worker reads the files of the user, not of a project. */
import { StyxError } from '../../model/errors.ts';
import { loadConfig } from '../../system/config.ts';

export interface Settings {
  /** `Name` tag of the VPC; null: the region's default one. */
  readonly vpcName: string | null;
  /** No public addresses: this machine reaches the private ones. */
  readonly useInternalIps: boolean;
  readonly diskEncrypted: boolean;
  /** Regions whose machines can be reached; null: all. */
  readonly reachable: readonly string[] | null;
  /** Ids of capacity reservations and blocks that may be used. */
  readonly reservations: readonly string[];
  /** Tags of everything that is made; those of a task go over them. */
  readonly labels: Readonly<Record<string, string>>;
  /** Login user of images that have another one than Ubuntu's; null: those have it. */
  readonly sshUser: string | null;
  /** As it is written: one instance profile, or maps of patterns of cluster names to them. */
  readonly remoteIdentity: string | readonly Readonly<Record<string, string>>[] | null;
}

/** @throws ConfigError */
export async function awsSettings(home: string): Promise<Settings> {
  const { config } = await loadConfig({ home, project: null });
  const aws = config.clouds.aws ?? {};
  const { vpc_name: name, use_internal_ips: internal, disk_encrypted: encrypted, ssh_user: user } = aws;
  return {
    vpcName: typeof name === 'string' ? name : null,
    useInternalIps: internal === true,
    diskEncrypted: encrypted === true,
    reachable: typeof aws.ssh_proxy_command === 'object' ? Object.keys(aws.ssh_proxy_command as object) : null,
    reservations: (aws.specific_reservations ?? []) as string[],
    labels: (aws.labels ?? {}) as Record<string, string>,
    sshUser: typeof user === 'string' ? user : null,
    remoteIdentity: (aws.remote_identity ?? null) as Settings['remoteIdentity'],
  };
}

/** Words of SkyPilot that name no profile. */
const NOT_PROFILES: Readonly<Record<string, string>> = {
  LOCAL_CREDENTIALS: 'Styx puts no credentials on machines',
  SERVICE_ACCOUNT: 'Styx makes no roles',
};

/**
 * The instance profile of a cluster's machines: the first whose pattern (`*` for any characters) fits. Null: none.
 * @throws invalid for what SkyPilot understands and Styx does not do
 */
export function instanceProfile(identity: Settings['remoteIdentity'], cluster: string): string | null {
  if (identity === null) return null;
  const pairs = typeof identity === 'string' ? [['*', identity] as const] : identity.flatMap(Object.entries<string>);
  const [, profile] = pairs.find(([pattern]) => fits(pattern, cluster)) ?? [];
  if (profile === undefined || profile === 'NO_UPLOAD') return null;
  const why = NOT_PROFILES[profile];
  if (why === undefined) return profile;
  throw new StyxError('invalid', `aws.remote_identity is ${profile}, and ${why}`, {
    hint: 'Name an instance profile (the role that it holds is what the machines may do), or take the key away.',
  });
}

/** All that machines may be given. */
export function profilesOf(identity: Settings['remoteIdentity']): string[] {
  const named = typeof identity === 'string' ? [identity] : (identity ?? []).flatMap(Object.values<string>);
  return [...new Set(named)].filter((name) => name !== 'NO_UPLOAD' && NOT_PROFILES[name] === undefined);
}

function fits(pattern: string, name: string): boolean {
  const parts = pattern.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`).test(name);
}
