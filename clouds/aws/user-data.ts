/** What a machine is told at its first boot: who may log in, and the host key by which we know it. */
import type { SshKey } from '../../nodes/keys.ts';

/** For cloud-init. The same text for the same keys, since a create call is repeated byte for byte. */
export function userData(authorizedKey: string, host: SshKey): string {
  const config = {
    ssh_deletekeys: true,
    ssh_keys: { ed25519_private: host.privateKey, ed25519_public: host.publicKey },
    ssh_authorized_keys: [authorizedKey],
  };
  // JSON is YAML.
  return `#cloud-config\n${JSON.stringify(config, null, 1)}\n`;
}

/** cloud-init writes the instance's id there at every boot. */
export const INSTANCE_ID_FILE = '/var/lib/cloud/data/instance-id';
