/** What a machine is told: who may log in, the host key by which we know it, and what it does with its own disks at every boot. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SshKey } from '../../nodes/keys.ts';

/** For cloud-init. The same text for the same keys, since a create call is repeated byte for byte. */
export function userData(authorizedKey: string, host: SshKey): string {
  const config = {
    ssh_deletekeys: true,
    ssh_keys: { ed25519_private: host.privateKey, ed25519_public: host.publicKey },
    ssh_authorized_keys: [authorizedKey],
    bootcmd: [['sh', '-c', localDisks()]],
  };
  // JSON is YAML.
  return `#cloud-config\n${JSON.stringify(config, null, 1)}\n`;
}

function localDisks(): string {
  return readFileSync(join(import.meta.dirname, 'local-disks.sh'), 'utf8');
}

/** cloud-init writes the instance's id there at every boot. */
export const INSTANCE_ID_FILE = '/var/lib/cloud/data/instance-id';
