/**
 * A whole Styx with an AWS of its own: account, machines that answer SSH at the addresses that EC2 tells, Temporal server and worker, all
 * in the network of the test's process. For files that run in the pool `test/stand-ins/machines/pool.ts`.
 */
import { expect } from 'vitest';
import { Story } from '../guarantees/story.ts';
import { Account } from '../stand-ins/aws/account.ts';
import type { Wanted } from '../stand-ins/machines/machine.ts';
import { Machines } from '../stand-ins/machines/machines.ts';
import { World } from './world.ts';

export { whyNoAws, whyNoDocker } from '../stand-ins/machines/needs.ts';

export class AwsWorld {
  readonly account: Account;
  readonly machines: Machines;
  readonly world: World;
  readonly story: Story;

  private constructor(account: Account, machines: Machines, world: World) {
    this.account = account;
    this.machines = machines;
    this.world = world;
    this.story = new Story(world, world.styx.clusters);
  }

  static async start(): Promise<AwsWorld> {
    const account = await Account.start();
    account.enter();
    const machines = await Machines.start(account.direct);
    return new AwsWorld(account, machines, await World.start());
  }

  /** A file of task on AWS; `more` are further lines of it. */
  task(more: string, resources = ''): string {
    return `resources: {infra: aws/us-east-1, instance_type: m5.large${resources}}\n${more}`;
  }

  /** What EC2 says of every instance that ever was. */
  async instances(): Promise<Wanted[]> {
    return (await this.account.order('machines')) as Wanted[];
  }

  /** What a job printed. */
  async output(name: string, jobId: number): Promise<string> {
    // Reading logs begins with a question to the cluster, which a worker that was killed cannot answer before it is back.
    await this.story.look(name);
    let text = '';
    for await (const piece of this.world.styx.logs(name, { jobId, follow: true })) text += piece.data.toString();
    return text;
  }

  /** Nothing of the account, no machine, no cluster; and of instances as many were ever made as were asked for. */
  async nothingLeft(asked: number): Promise<void> {
    await this.story.nothingLeft();
    const { created, ...left } = await this.account.ledger();
    expect(Object.values(left).flat()).toEqual([]);
    expect(created).toHaveLength(asked);
    await expect.poll(() => this.machines.rows(), { timeout: 30_000 }).toEqual([]);
  }

  async end(): Promise<void> {
    await this.world.end();
    await this.machines.end();
    await this.account.end();
  }
}
