/** The section `aws` of the configuration, as far as it is carried out. The worker reads the files of the user, not of a project. */
import { loadConfig } from '../../system/config.ts';

export interface Settings {
  /** `Name` tag of the VPC; null: the region's default one. */
  readonly vpcName: string | null;
  /** No public addresses: this machine reaches the private ones. */
  readonly useInternalIps: boolean;
  readonly diskEncrypted: boolean;
}

/** @throws ConfigError */
export async function awsSettings(home: string): Promise<Settings> {
  const { config } = await loadConfig({ home, project: null });
  const { vpc_name: name, use_internal_ips: internal, disk_encrypted: encrypted } = config.clouds.aws ?? {};
  return {
    vpcName: typeof name === 'string' ? name : null,
    useInternalIps: internal === true,
    diskEncrypted: encrypted === true,
  };
}
