/** A local cloud of a test's own: data directory, key pair, SSH, and proof at the end that nothing is left. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import ssh2, { type Client, type ClientChannel, type ConnectConfig, type ExecOptions } from 'ssh2';
import { LocalCloud } from '../../clouds/local/local.ts';
import type { Instance, InstanceState, Placement } from '../../model/machines.ts';

export const MODES = process.platform === 'linux' ? (['namespace', 'marker'] as const) : (['marker'] as const);

export interface Ran {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number | null;
  readonly signal: string | null;
}

/** About one in 750 of the keys that ssh2 makes cannot be read by it. */
export function keyPair() {
  for (;;) {
    const pair = ssh2.utils.generateKeyPairSync('ed25519');
    if (!(ssh2.utils.parseKey(pair.public) instanceof Error) && !(ssh2.utils.parseKey(pair.private) instanceof Error)) {
      return pair;
    }
  }
}

export class Lab {
  readonly home = mkdtempSync(join(tmpdir(), 'styx-l-'));
  readonly keys = keyPair();
  readonly cloud: LocalCloud;
  #placements = 0;

  constructor(mode: 'namespace' | 'marker') {
    this.cloud = new LocalCloud(this.home, { ...process.env, STYX_LOCAL_CONTAINMENT: mode });
  }

  placement(numNodes = 1): Placement {
    this.#placements += 1;
    return {
      cloud: 'local',
      region: 'local',
      zone: 'local-a',
      instanceType: 'local-1x',
      cpus: 1,
      memory: 1,
      accelerators: null,
      useSpot: false,
      hourlyCost: 0,
      key: `placement-${this.#placements}`,
      attempt: 1,
      numNodes,
    };
  }

  async create(placement = this.placement(), tags: Record<string, string> = {}): Promise<Instance[]> {
    await this.cloud.create(await this.cloud.prepare(placement, this.keys.public, tags));
    return this.reach(placement, 'running');
  }

  async one(): Promise<Instance> {
    const [instance] = await this.create();
    if (instance === undefined) throw new Error('no instance');
    return instance;
  }

  async reach({ key, numNodes }: Pick<Placement, 'key' | 'numNodes'>, ...states: InstanceState[]): Promise<Instance[]> {
    return until(async () => {
      const seen = await this.list(key);
      if (seen.length === numNodes && seen.every(({ state }) => states.includes(state))) return seen;
      throw new Error(`not ${states} but ${JSON.stringify(seen)}`);
    });
  }

  list(placementKey: string): Promise<Instance[]> {
    return this.cloud.list({ region: 'local', zone: 'local-a' }, { placementKey });
  }

  directory(instance: Instance): string {
    return join(this.home, 'local', 'instances', instance.id);
  }

  /** SIGKILL, and the host is dead when this returns. */
  async killHost(): Promise<void> {
    const { pid } = await this.cloud.host();
    process.kill(pid, 'SIGKILL');
    await until(() => {
      if (alive(pid)) throw new Error('the host lives');
    });
  }

  connect(instance: Instance, config: Partial<ConnectConfig> = {}): Promise<Client> {
    const client = new ssh2.Client();
    return new Promise((resolve, reject) => {
      client.once('ready', () => resolve(client.setNoDelay(true)));
      client.on('error', reject);
      client.once('close', () => reject(new Error('closed')));
      client.connect({
        host: instance.address ?? '',
        port: instance.sshPort,
        username: instance.user,
        privateKey: this.keys.private,
        hostVerifier: (key: Buffer) => instance.hostKey === `ssh-ed25519 ${key.toString('base64')}`,
        ...config,
      });
    });
  }

  async run(instance: Instance, command: string, options: ExecOptions = {}): Promise<Ran> {
    const client = await this.connect(instance);
    try {
      return await collect(await exec(client, command, options));
    } finally {
      client.end();
    }
  }

  /** Ends everything, and fails when a process with one of this home's instances in its environment is left. */
  async dispose(): Promise<void> {
    const place = { region: 'local', zone: 'local-a' };
    const all = await this.cloud.list(place, {});
    for (const { placementKey } of all) await this.cloud.terminate(place, placementKey);
    await until(async () => {
      const left = (await this.cloud.list(place, {})).filter(({ state }) => state !== 'terminated');
      if (left.length > 0) throw new Error(`left: ${JSON.stringify(left)}`);
    });
    const marked = all.flatMap(({ id }) => processesOf(id));
    const { pid } = await this.cloud.host();
    process.kill(pid, 'SIGTERM');
    await until(() => {
      if (alive(pid)) throw new Error('the host lives');
    });
    const files = readdirSync(join(this.home, 'local', 'instances')).flatMap((id) =>
      readdirSync(join(this.home, 'local', 'instances', id)),
    );
    rmSync(this.home, { recursive: true, force: true });
    if (marked.length > 0) throw new Error(`processes are left: ${marked}`);
    if (files.some((name) => name !== 'instance.json')) throw new Error(`files are left: ${files}`);
  }

  limit(maxInstances: number | null): void {
    const file = join(this.home, 'local', 'limits.json');
    if (maxInstances === null) rmSync(file, { force: true });
    else writeFileSync(file, JSON.stringify({ maxInstances }));
  }
}

export function processesOf(id: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .reverse()
    .filter((name) => {
      try {
        return readFileSync(`/proc/${name}/environ`, 'latin1').split('\0').includes(`STYX_INSTANCE=${id}`);
      } catch {
        return false;
      }
    })
    .map(Number);
}

export function alive(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false;
  }
}

export async function until<T>(attempt: () => T | Promise<T>, ms = 10_000): Promise<T> {
  for (const end = Date.now() + ms; ; await sleep(15)) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() > end) throw error;
    }
  }
}

type Exit = Pick<Ran, 'code' | 'signal'>;
const exits = new WeakMap<ClientChannel, Exit>();

function noteExit(channel: ClientChannel): void {
  channel.on('exit', (code: number | null, signal?: string) => exits.set(channel, { code, signal: signal ?? null }));
}

export function exec(client: Client, command: string, options: ExecOptions = {}): Promise<ClientChannel> {
  return new Promise((resolve, reject) => {
    client.exec(command, options, (error, channel) => {
      if (error) {
        reject(error);
        return;
      }
      // The exit may come in the same packet as the start: nobody who awaits the channel would hear of it.
      noteExit(channel);
      resolve(channel);
    });
  });
}

export function collect(channel: ClientChannel, input: string | null = ''): Promise<Ran> {
  return new Promise((resolve) => {
    let stdout = '';
    let stderr = '';
    channel.on('data', (chunk: Buffer) => {
      stdout += chunk.toString();
    });
    channel.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    if (!exits.has(channel)) noteExit(channel);
    channel.on('close', () => resolve({ stdout, stderr, ...(exits.get(channel) ?? { code: null, signal: null }) }));
    if (input !== null) channel.end(input);
  });
}

export const USER = userInfo().username;
