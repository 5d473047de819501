/**
 * OpenSSH's view of the clusters, so that `ssh mycluster` works: `$STYX_HOME/ssh/config` includes one small directory per
 * cluster (`config`, `key`, `known_hosts`), which is put in place and taken away as a whole, whoever does so at the same time.
 */
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import type { ClusterView } from '../model/commands.ts';
import { StyxError } from '../model/errors.ts';
import { clusterWorkflowId, nameProblem } from '../model/identity.ts';
import type { NodeInfo } from '../model/machines.ts';
import { ensurePrivateDir, writeAtomically } from '../system/home.ts';
import { proxyCommand } from '../system/proxy-command.ts';
import { installationSecret } from '../system/secret.ts';
import type { Styx } from './connect.ts';
import { privateKeyOf } from './login.ts';
import type { ClusterSummary } from './summary.ts';

const DEFAULT_WORKSPACE = 'default';

/** What OpenSSH knows a cluster's head by; workers have `-worker1` … behind it. */
export function sshAlias(workspace: string, name: string): string {
  return workspace === DEFAULT_WORKSPACE ? name : `${workspace}.${name}`;
}

export function sshPaths(home: string) {
  const dir = join(home, 'ssh');
  return { dir, config: join(dir, 'config'), clusters: join(dir, 'clusters') };
}

/** A value in an OpenSSH config file: quoted, and without `%` and `$` being expanded. @throws invalid */
export function sshConfigValue(text: string): string {
  if (/["\\\n\r\0]|\$\{/.test(text))
    throw new StyxError('invalid', `OpenSSH's configuration cannot name ${JSON.stringify(text)}`);
  return `"${text.replaceAll('%', '%%')}"`;
}

/** One Host block per node of a cluster. `dir` holds `key` and `known_hosts`; `proxy`: the command that leads there, null: none is needed. @throws invalid */
export function hostBlocks(
  alias: string,
  dir: string,
  nodes: readonly NodeInfo[],
  proxy: string | null = null,
): string {
  if (proxy !== null && /[\n\r\0]/.test(proxy))
    throw new StyxError('invalid', "OpenSSH's configuration cannot hold an ssh_proxy_command of several lines");
  return nodes
    .map((node) =>
      [
        `Host ${node.rank === 0 ? alias : `${alias}-worker${node.rank}`}`,
        `  HostName ${sshConfigValue(node.address)}`,
        `  Port ${node.port}`,
        `  User ${sshConfigValue(node.user)}`,
        ...(proxy === null || node.via === undefined ? [] : [`  ProxyCommand ${proxy}`]),
        `  IdentityFile ${sshConfigValue(join(dir, 'key'))}`,
        '  IdentitiesOnly yes',
        '  IdentityAgent none',
        `  HostKeyAlias ${hostKeyAlias(node)}`,
        `  UserKnownHostsFile ${sshConfigValue(join(dir, 'known_hosts'))}`,
        '  GlobalKnownHostsFile /dev/null',
        '  StrictHostKeyChecking yes',
        '  UpdateHostKeys no',
        '  ServerAliveInterval 30',
        '',
      ].join('\n'),
    )
    .join('\n');
}

export function knownHosts(nodes: readonly NodeInfo[]): string {
  return nodes
    .map((node) => `${hostKeyAlias(node)} ${node.hostKey.trim().split(/\s+/).slice(0, 2).join(' ')}\n`)
    .join('');
}

function hostKeyAlias(node: NodeInfo): string {
  return `styx-${node.instanceId.replace(/[^A-Za-z0-9._-]/g, '_')}`;
}

/** Writes, or takes away, the entries of one cluster as its view says. */
export async function writeSshEntries(styx: Pick<Styx, 'home' | 'installation'>, view: ClusterView): Promise<void> {
  const alias = sshAlias(view.workspace, view.name);
  const stands = view.entityStatus === 'UP' || view.entityStatus === 'UNHEALTHY' || view.entityStatus === 'STOPPED';
  if (!stands || view.nodes.length === 0) return removeSshEntries(styx.home, view.workspace, view.name);
  const paths = sshPaths(styx.home);
  const target = join(paths.clusters, alias);
  const about = {
    workspace: view.workspace,
    name: view.name,
    generation: view.generation,
    installation: view.installation,
  };
  const via = view.nodes.find((node) => node.via !== undefined)?.via;
  const proxy = via === undefined ? null : await proxyCommand(styx.home, via);
  const config = hostBlocks(alias, target, view.nodes, proxy);
  const hosts = knownHosts(view.nodes);
  if (isCurrent(target, config, hosts, about)) return;
  ensurePrivateDir(paths.clusters);
  const key = await privateKeyOf(
    installationSecret(styx.home),
    clusterWorkflowId(view.workspace, view.name),
    view.generation,
  );
  const temporary = join(paths.dir, `new.${process.pid}.${randomBytes(4).toString('hex')}`);
  mkdirSync(temporary, { mode: 0o700 });
  try {
    writeFileSync(join(temporary, 'key'), key, { mode: 0o600 });
    writeFileSync(join(temporary, 'known_hosts'), hosts, { mode: 0o600 });
    writeFileSync(join(temporary, 'cluster.json'), JSON.stringify(about), { mode: 0o600 });
    writeFileSync(join(temporary, 'config'), config, { mode: 0o600 });
    replaceDirectory(temporary, target);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
  writeMainConfig(styx.home);
  includeFromUserConfig(styx.home);
}

function isCurrent(target: string, config: string, hosts: string, about: object): boolean {
  try {
    return (
      readFileSync(join(target, 'config'), 'utf8') === config &&
      readFileSync(join(target, 'known_hosts'), 'utf8') === hosts &&
      readFileSync(join(target, 'cluster.json'), 'utf8') === JSON.stringify(about)
    );
  } catch {
    return false;
  }
}

function replaceDirectory(from: string, to: string): void {
  for (let attempt = 0; ; attempt++) {
    rmSync(to, { recursive: true, force: true });
    try {
      renameSync(from, to);
      return;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (attempt === 9 || (code !== 'ENOTEMPTY' && code !== 'EEXIST')) throw error;
    }
  }
}

export function removeSshEntries(home: string, workspace: string, name: string): void {
  if (nameProblem(name) !== null || nameProblem(workspace) !== null) return;
  rmSync(join(sshPaths(home).clusters, sshAlias(workspace, name)), { recursive: true, force: true });
}

/**
 * Takes away the entries of clusters of this workspace that exist no more. `found` is the list of all; what is not in it
 * is asked for by name first, since the list may be a moment behind.
 */
export async function pruneSshEntries(styx: Styx, found: readonly ClusterSummary[]): Promise<void> {
  const { clusters } = sshPaths(styx.home);
  if (!existsSync(clusters)) return;
  for (const alias of readdirSync(clusters)) {
    const about = readAbout(join(clusters, alias, 'cluster.json'));
    if (about === null || about.workspace !== styx.workspace) continue;
    if (found.some(({ name }) => name === about.name)) continue;
    if (about.installation !== (await styx.installation())) continue;
    if ((await styx.clusters.summary(about.name)) === null) removeSshEntries(styx.home, about.workspace, about.name);
  }
}

function readAbout(file: string): { workspace: string; name: string; installation: string } | null {
  try {
    const about = JSON.parse(readFileSync(file, 'utf8'));
    return typeof about?.name === 'string' && typeof about.workspace === 'string' ? about : null;
  } catch {
    return null;
  }
}

function writeMainConfig(home: string): void {
  const { config, clusters } = sshPaths(home);
  if (/[*?[\]]/.test(clusters))
    throw new StyxError('invalid', `OpenSSH's configuration cannot include from ${clusters}`);
  const text = `Include ${sshConfigValue(join(clusters, '*', 'config')).replaceAll('%%', '%')}\n`;
  if (existsSync(config) && readFileSync(config, 'utf8') === text) return;
  writeAtomically(config, text);
}

/** Adds one line at the top of the user's own file (STYX_SSH_CONFIG, else ~/.ssh/config), once; nothing else there changes. */
export function includeFromUserConfig(home: string, env: NodeJS.ProcessEnv = process.env): void {
  const wanted = env.STYX_SSH_CONFIG || join(homedir(), '.ssh', 'config');
  const line = `Include ${sshConfigValue(sshPaths(home).config).replaceAll('%%', '%')}`;
  const file = existsSync(wanted) ? realpathSync(wanted) : wanted;
  const before = existsSync(file) ? readFileSync(file) : Buffer.alloc(0);
  if (before.toString('latin1').split(/\r?\n/).includes(Buffer.from(line).toString('latin1'))) return;
  if (!existsSync(dirname(file))) mkdirSync(dirname(file), { mode: 0o700 });
  const mode = existsSync(file) ? statSync(file).mode & 0o777 : 0o600;
  writeAtomically(file, Buffer.concat([Buffer.from(`${line}\n\n`), before]), mode);
  chmodSync(file, mode);
}
