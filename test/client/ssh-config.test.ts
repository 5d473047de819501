import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  hostBlocks,
  includeFromUserConfig,
  knownHosts,
  removeSshEntries,
  sshConfigValue,
  sshPaths,
  writeSshEntries,
} from '../../client/ssh-config.ts';
import type { ClusterView } from '../../model/commands.ts';
import type { NodeInfo } from '../../model/machines.ts';

let home: string;
let userConfig: string;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'styx-ssh-'));
  userConfig = join(home, 'user', 'config');
  process.env.STYX_SSH_CONFIG = userConfig;
});

afterEach(() => {
  delete process.env.STYX_SSH_CONFIG;
  rmSync(home, { recursive: true, force: true });
});

const KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0vTmJ5wW4xkQ0yZQf8xJmGv1l0n3Jd8m3aQb1cXyZ0';

function node(rank: number, over: Partial<NodeInfo> = {}): NodeInfo {
  return {
    instanceId: `i-${rank}`,
    rank,
    address: `127.0.0.${rank + 2}`,
    port: 2200 + rank,
    user: 'me',
    internalAddress: `127.0.0.${rank + 2}`,
    hostKey: `${KEY} comment`,
    cpus: 1,
    memory: 1,
    gpus: 0,
    gpuName: null,
    ...over,
  };
}

function view(over: Partial<ClusterView> = {}): ClusterView {
  const base = { workspace: 'default', name: 'mine', generation: 'life-1', entityStatus: 'UP', installation: 'x' };
  return { ...base, nodes: [node(0), node(1)], ...over } as ClusterView;
}

const styx = () => ({ home, installation: async () => 'x' });
const config = () => sshPaths(home).config;

/** What OpenSSH makes of the file for one host. */
function resolved(host: string, file: string): Record<string, string> {
  const text = execFileSync('ssh', ['-G', '-F', file, host], { encoding: 'utf8' });
  return Object.fromEntries(
    text.split('\n').map((line) => [line.split(' ')[0] ?? '', line.split(' ').slice(1).join(' ')]),
  );
}

describe.skipIf(spawnSync('ssh', ['-V']).error !== undefined)('OpenSSH', () => {
  test('finds head and workers by name, each with its own address and pinned key', async () => {
    await writeSshEntries(styx(), view());
    const head = resolved('mine', config());
    expect(head).toMatchObject({ hostname: '127.0.0.2', port: '2200', user: 'me', stricthostkeychecking: 'true' });
    expect(head.identityfile).toBe(join(sshPaths(home).clusters, 'mine', 'key'));
    expect(resolved('mine-worker1', config())).toMatchObject({
      hostname: '127.0.0.3',
      port: '2201',
      hostkeyalias: 'styx-i-1',
    });
    expect(resolved('mine-worker2', config()).hostname).toBe('mine-worker2');
  });

  test("finds them through the user's own file, which is else untouched", async () => {
    mkdirSync(join(home, 'user'));
    const before = 'Host other\n  HostName example.com\r\n# last line without newline';
    writeFileSync(userConfig, before, { mode: 0o640 });
    await writeSshEntries(styx(), view());
    await writeSshEntries(styx(), view({ generation: 'life-2' }));
    const after = readFileSync(userConfig, 'utf8');
    expect(after.endsWith(before)).toBe(true);
    expect(after.match(/Include/g)).toHaveLength(1);
    expect(statSync(userConfig).mode & 0o777).toBe(0o640);
    expect(resolved('mine', userConfig).hostname).toBe('127.0.0.2');
    expect(resolved('other', userConfig).hostname).toBe('example.com');
  });

  test('takes directories with spaces, percent signs and commas as they are', async () => {
    home = join(home, 'a b%h,ä');
    mkdirSync(home);
    await writeSshEntries(styx(), view());
    expect(resolved('mine', config()).identityfile).toContain(
      join(home, 'ssh', 'clusters', 'mine', 'key').replaceAll('%', '%%'),
    );
  });
});

test('a link in place of the user file stays a link', () => {
  mkdirSync(join(home, 'user'));
  const real = join(home, 'real-config');
  writeFileSync(real, '# mine\n');
  symlinkSync(real, userConfig);
  includeFromUserConfig(home);
  expect(readFileSync(real, 'utf8')).toMatch(/^Include ".*"\n\n# mine\n$/);
});

test('keys and files can be read by their owner alone', async () => {
  await writeSshEntries(styx(), view());
  for (const file of ['key', 'known_hosts', 'config']) {
    expect(statSync(join(sshPaths(home).clusters, 'mine', file)).mode & 0o777).toBe(0o600);
  }
  expect(statSync(userConfig).mode & 0o777).toBe(0o600);
});

test.each(['TERMINATED', 'INIT'] as const)('entries of a cluster that is %s are taken away', async (entityStatus) => {
  await writeSshEntries(styx(), view());
  await writeSshEntries(styx(), view({ entityStatus, nodes: [] }));
  expect(() => readFileSync(join(sshPaths(home).clusters, 'mine', 'config'))).toThrow('ENOENT');
});

test('many writers at once leave one whole entry and nothing else', async () => {
  await Promise.all(
    Array.from({ length: 12 }, (_, i) => writeSshEntries(styx(), view({ generation: `life-${i}`, nodes: [node(0)] }))),
  );
  const { dir, clusters } = sshPaths(home);
  expect(execFileSync('ls', ['-A', dir], { encoding: 'utf8' }).trim().split('\n')).toEqual(['clusters', 'config']);
  expect(readFileSync(join(clusters, 'mine', 'key'), 'utf8')).toContain('OPENSSH PRIVATE KEY');
});

test('a name that is no cluster’s removes nothing', async () => {
  await writeSshEntries(styx(), view());
  removeSshEntries(home, 'default', '..');
  removeSshEntries(home, 'default', '.');
  expect(readFileSync(config(), 'utf8')).toContain('Include');
});

test('values that could end a line or a word are refused', () => {
  for (const value of ['a"b', 'a\nProxyCommand x', 'a\\b', `\${HOME}`])
    expect(() => sshConfigValue(value)).toThrow('OpenSSH');
  expect(() => hostBlocks('mine', '/keys', [node(0, { user: 'x"\n  ProxyCommand y' })])).toThrow('OpenSSH');
});

test('known hosts hold the pinned key under an alias of the machine, without its comment', () => {
  expect(knownHosts([node(0, { instanceId: 'i 0/\n' })])).toBe(`styx-i_0__ ${KEY}\n`);
});
