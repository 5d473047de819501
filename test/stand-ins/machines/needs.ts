/** What a machine must have to give machines, and an AWS with them. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { motoPython } from '../aws/account.ts';

const PROGRAMS = {
  '/usr/sbin/sshd': 'openssh-server',
  '/usr/bin/sudo': 'sudo',
  '/usr/sbin/nft': 'nftables',
  '/usr/bin/unshare': 'util-linux',
  '/usr/bin/python3': 'python3',
} as const;

/** Why there can be no machines here; undefined when there can. */
export function whyNoMachines(): string | undefined {
  if (process.platform !== 'linux') return 'machines need namespaces of Linux';
  if (process.getuid?.() !== 0) return 'machines need root';
  for (const [path, name] of Object.entries(PROGRAMS)) if (!existsSync(path)) return `${path} of ${name} is missing`;
  if (!['/usr/sbin/ip', '/sbin/ip', '/usr/bin/ip'].some((path) => existsSync(path))) return 'ip of iproute2 is missing';
  try {
    execFileSync('unshare', ['--net', '--mount', 'ip', 'link', 'add', 'styx', 'type', 'bridge'], { stdio: 'pipe' });
    return undefined;
  } catch (error) {
    return `namespaces cannot be made here: ${(error as Error).message.trim().split('\n').at(-1)}`;
  }
}

/** Why there can be no AWS with machines here; undefined when there can. */
export function whyNoAws(): string | undefined {
  const python = motoPython();
  return whyNoMachines() ?? ('reason' in python ? python.reason : undefined);
}
