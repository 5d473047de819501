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

const DOCKER = {
  '/usr/sbin/dockerd': 'dockerd',
  '/usr/bin/docker /usr/local/bin/docker': 'docker',
  '/usr/sbin/runc /usr/bin/runc': 'runc',
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

/** Why machines here can run no containers; undefined when they can. */
export function whyNoDocker(): string | undefined {
  for (const [path, name] of Object.entries(DOCKER)) {
    if (!path.split(' ').some((one) => existsSync(one))) return `${name} of docker.io is missing`;
  }
  // A group of version 2 that holds processes gives its limits to no group below it, and a machine is such a group.
  if (existsSync('/sys/fs/cgroup/cgroup.controllers')) return 'control groups are of version 2 alone';
  return undefined;
}
