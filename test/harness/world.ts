/**
 * A whole Styx of its own for tests that kill parts of it: Temporal server, worker, local cloud and client, on a data directory of
 * its own, with `Timing` = test. One a test file, since the client finds its server by the environment.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type Styx } from '../../client/connect.ts';
import { askHost, type HostInfo } from '../../clouds/local/control.ts';
import { localPaths } from '../../clouds/local/paths.ts';
import type { LocalSettings } from '../../clouds/local/settings.ts';
import { lockHolder } from '../../system/lock.ts';
import { LocalWorld } from './local-world.ts';
import { startTestServer, startTestWorker, type TestServer, type TestWorker, testDir } from './temporal.ts';

export type Victim = 'worker' | 'server' | 'host' | 'server+host';

export interface WorldOptions {
  /** A server that is up; it ends with the world. */
  readonly given?: TestServer;
  /** How many worker processes; default 1. */
  readonly workers?: number;
}

/** Of worlds that test what several workers may do to each other: as many as the topology has. */
export const WORKERS = process.env.STYX_TEST_SERVER === 'postgres' ? 2 : 1;

function hasEnded({ child }: TestWorker): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

export class World extends LocalWorld {
  readonly styx: Styx;
  readonly server: TestServer;
  kills = 0;
  private readonly workers: TestWorker[];
  private readonly points: string;
  /** What workers of this world have in their environment besides. */
  readonly workerEnv: NodeJS.ProcessEnv;

  private constructor(home: string, server: TestServer, workers: TestWorker[], styx: Styx, env: NodeJS.ProcessEnv) {
    super(home);
    this.server = server;
    this.workers = workers;
    this.styx = styx;
    this.points = join(home, 'points');
    this.workerEnv = env;
  }

  static async start({ given, workers: count = 1 }: WorldOptions = {}): Promise<World> {
    const home = testDir();
    mkdirSync(join(home, 'points'));
    const server = given ?? (await startTestServer());
    Object.assign(process.env, server.env);
    process.env.STYX_HOME = home;
    process.env.STYX_TIMING = 'test';
    // Programs that are run use the workers of this world, which know of crash points and end with it.
    process.env.STYX_WORKERS = 'elsewhere';
    // As on the embedded server.
    process.env.STYX_CODEC = 'required';
    const env = { ...server.env, STYX_CRASH_POINTS: join(home, 'points') };
    const workers = Array.from({ length: count }, () => startTestWorker({ address: server.address, home, env }));
    await Promise.all(workers.map((worker) => worker.waitReady()));
    const styx = await connect({ home, startServer: false });
    return new World(home, server, workers, styx, env);
  }

  /** How many machines the local cloud gives. */
  limit(maxInstances: number): void {
    this.settings({ maxInstances });
  }

  /** How many spot machines it gives; it gives others besides. */
  limitSpot(maxSpotInstances: number): void {
    this.settings({ maxSpotInstances });
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
      if (this.holder(point) !== null) return true;
    }
    return false;
  }

  /** Process id of the worker that a point holds. */
  private holder(point: string): number | null {
    try {
      // Empty until it has been written.
      return Number(readFileSync(join(this.points, `${point}.hit`), 'utf8')) || null;
    } catch {
      return null;
    }
  }

  /** Kills by SIGKILL while the point holds, brings back what died, and lets the point go. */
  async killAt(point: string, victim: Victim): Promise<void> {
    if (victim === 'worker') {
      // A workflow task that dies with its worker is given out again after 10 s: for random kills to meet, not for every point.
      await sleep(500);
      await this.killWorker(this.holder(point));
      await this.startWorker();
    }
    if (victim === 'host' || victim === 'server+host') await this.killHost();
    if (victim === 'server' || victim === 'server+host') await this.killServer();
    this.go(point);
  }

  /** Lets a point that holds go. */
  go(point: string): void {
    writeFileSync(join(this.points, `${point}.go`), '');
  }

  /** SIGKILL of the worker of that id, or of the one whose turn it is; of none when one is dead already. */
  async killWorker(pid: number | null = null): Promise<void> {
    const turn = this.workers[this.kills % this.workers.length];
    this.kills += 1;
    await (this.workers.find((worker) => worker.pid === pid) ?? this.workers.find(hasEnded) ?? turn)?.kill9();
  }

  /** Starts those that are dead, and waits until all poll. */
  async startWorker(): Promise<void> {
    for (const [index, worker] of this.workers.entries()) {
      if (!hasEnded(worker)) continue;
      this.workers[index] = startTestWorker({ address: this.server.address, home: this.home, env: this.workerEnv });
    }
    await Promise.all(this.workers.map((worker) => worker.waitReady()));
  }

  /** Starts a worker again and again until one polls: it gives up when it finds no server, and its supervisor starts another. */
  async workerUpAgain(): Promise<void> {
    for (;;) {
      try {
        return await this.startWorker();
      } catch {
        await this.killWorker();
      }
    }
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

  /** The process that answers for the local cloud. */
  async hostPid(): Promise<number> {
    return ((await askHost(localPaths(this.home), { op: 'info' }, process.env)) as HostInfo).pid;
  }

  async killHost(): Promise<void> {
    const pid = await this.hostPid();
    this.kills += 1;
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It ended by itself.
    }
  }

  /** The process that is the agent of all instances; none when it is not there at the moment. */
  agents(): number[] {
    const agents = join(this.home, 'local', 'agents');
    const versions = existsSync(agents) ? readdirSync(agents) : [];
    return versions.flatMap((version) => lockHolder(join(agents, version, 'lock'))?.pid ?? []);
  }

  /** SIGKILL. */
  killAgents(): void {
    this.kills += 1;
    for (const pid of this.agents()) process.kill(pid, 'SIGKILL');
  }

  get workerPid(): number {
    return this.workers[0]?.pid ?? 0;
  }

  workerLog(): string {
    return this.workers[0]?.log() ?? '';
  }

  override async end(): Promise<void> {
    await this.styx.close();
    await Promise.all(this.workers.map((worker) => worker.kill9()));
    await this.server.stop();
    await super.end();
  }
}
