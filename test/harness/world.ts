/**
 * A whole Styx of its own for tests that kill parts of it: Temporal server, worker, local cloud and client, on a data directory of
 * its own, with `Timing` = test. One a test file, since the client finds its server by the environment.
 */
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type Styx } from '../../client/connect.ts';
import { askHost, type HostInfo } from '../../clouds/local/control.ts';
import { localPaths } from '../../clouds/local/paths.ts';
import type { LocalSettings } from '../../clouds/local/settings.ts';
import { LocalWorld } from './local-world.ts';
import { startTestServer, startTestWorker, type TestServer, type TestWorker, testDir } from './temporal.ts';

export type Victim = 'worker' | 'server' | 'host' | 'server+host';

export class World extends LocalWorld {
  readonly styx: Styx;
  readonly server: TestServer;
  kills = 0;
  private worker: TestWorker;
  private readonly points: string;
  private readonly workerEnv: NodeJS.ProcessEnv;

  private constructor(home: string, server: TestServer, worker: TestWorker, styx: Styx, env: NodeJS.ProcessEnv) {
    super(home);
    this.server = server;
    this.worker = worker;
    this.styx = styx;
    this.points = join(home, 'points');
    this.workerEnv = env;
  }

  static async start(): Promise<World> {
    const home = testDir();
    mkdirSync(join(home, 'points'));
    const server = await startTestServer();
    process.env.TEMPORAL_ADDRESS = server.address;
    process.env.TEMPORAL_TLS = 'false';
    process.env.STYX_HOME = home;
    process.env.STYX_TIMING = 'test';
    // As on the embedded server.
    process.env.STYX_CODEC = 'required';
    const env = { STYX_CRASH_POINTS: join(home, 'points') };
    const worker = startTestWorker({ address: server.address, home, env });
    await worker.waitReady();
    const styx = await connect({ home, startServer: false });
    return new World(home, server, worker, styx, env);
  }

  /** How many machines the local cloud gives. */
  limit(maxInstances: number): void {
    this.settings({ maxInstances });
  }

  /** What a vCPU of the local cloud is said to cost in an hour. */
  price(vcpuHourlyCost: number): void {
    this.settings({ vcpuHourlyCost });
  }

  private settings(settings: Partial<LocalSettings>): void {
    writeFileSync(localPaths(this.home).limits, JSON.stringify(settings));
  }

  arm(point: string): void {
    for (const suffix of ['arm', 'hit', 'go']) rmSync(join(this.points, `${point}.${suffix}`), { force: true });
    writeFileSync(join(this.points, `${point}.arm`), '');
  }

  /** Resolves when a point was hit; false when it was not within `ms`. */
  async hit(point: string, ms: number): Promise<boolean> {
    for (const end = Date.now() + ms; Date.now() < end; await sleep(15)) {
      if (existsSync(join(this.points, `${point}.hit`))) return true;
    }
    return false;
  }

  /** Kills by SIGKILL while the point holds, brings back what died, and lets the point go. */
  async killAt(point: string, victim: Victim): Promise<void> {
    if (victim === 'worker') {
      await this.killWorker();
      await this.startWorker();
    }
    if (victim === 'host' || victim === 'server+host') await this.killHost();
    if (victim === 'server' || victim === 'server+host') await this.killServer();
    writeFileSync(join(this.points, `${point}.go`), '');
  }

  async killWorker(): Promise<void> {
    this.kills += 1;
    await this.worker.kill9();
  }

  async startWorker(): Promise<void> {
    this.worker = startTestWorker({ address: this.server.address, home: this.home, env: this.workerEnv });
    await this.worker.waitReady();
  }

  /** SIGKILL, and up again on the same port with what it had written. */
  async killServer(): Promise<void> {
    this.kills += 1;
    await this.server.restart();
  }

  /** SIGKILL; `killServer` brings it back. */
  async stopServer(): Promise<void> {
    this.kills += 1;
    await this.server.kill9();
  }

  async killHost(): Promise<void> {
    const info = (await askHost(localPaths(this.home), { op: 'info' }, process.env)) as HostInfo;
    this.kills += 1;
    try {
      process.kill(info.pid, 'SIGKILL');
    } catch {
      // It ended by itself.
    }
  }

  get workerPid(): number {
    return this.worker.pid;
  }

  workerLog(): string {
    return this.worker.log();
  }

  override async end(): Promise<void> {
    await this.styx.close();
    await this.worker.kill9();
    await this.server.stop();
    await super.end();
  }
}
