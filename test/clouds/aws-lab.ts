/** An account of AWS of a test's own, and machines in it as a task file asks for them. */
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { EC2Client } from '@aws-sdk/client-ec2';
import { expect } from 'vitest';
import { AwsCloud } from '../../clouds/aws/aws.ts';
import type { CreateRequest } from '../../clouds/cloud.ts';
import type { Placement, ResourceRequest } from '../../model/machines.ts';
import { parseTask } from '../../model/parse-task.ts';
import { Account } from '../stand-ins/aws/account.ts';
import { keyPair } from './local-lab.ts';

const PATIENCE_MS = 30_000;

export class AwsLab {
  readonly account: Account;
  readonly cloud: AwsCloud;
  readonly ec2 = new EC2Client({ region: 'us-east-1' });
  readonly authorizedKey = keyPair().public;
  readonly tags: Readonly<Record<string, string>>;
  readonly #made: Placement[] = [];

  private constructor(account: Account, tags: Readonly<Record<string, string>>) {
    this.account = account;
    this.tags = tags;
    this.cloud = new AwsCloud({ home: account.home, lookEvery: 50, settle: 300 });
  }

  /** `tags`: those of what is made. */
  static async start(tags: Readonly<Record<string, string>>): Promise<AwsLab> {
    const account = await Account.start();
    account.enter();
    await account.order('regions', { 'us-east-1': true, 'us-west-2': true });
    return new AwsLab(account, tags);
  }

  /** Recorded, so that it is ended with the test. */
  placement(offer: Omit<Placement, 'key' | 'attempt' | 'numNodes'>, numNodes = 1): Placement {
    const placement = { ...offer, key: randomBytes(16).toString('hex'), attempt: 1, numNodes };
    this.#made.push(placement);
    return placement;
  }

  async prepared(request: ResourceRequest): Promise<CreateRequest> {
    const [offer] = await this.cloud.offers(request);
    if (offer === undefined) throw new Error('no offer');
    const placement = this.placement(offer, request.numNodes);
    return await this.cloud.prepare(placement, this.authorizedKey, this.tags, request.wants);
  }

  /** Makes the machines; the form of the call that did. */
  async form(request: CreateRequest): Promise<URLSearchParams> {
    this.account.proxy.log.length = 0;
    await this.cloud.create(request);
    const [call] = this.account.proxy.log.filter(({ action }) => action === 'RunInstances');
    return new URLSearchParams(call?.body);
  }

  /** Kind and message of what is thrown. */
  async refusal(promise: Promise<unknown>): Promise<string> {
    return await promise.then(
      () => 'nothing was refused',
      (error: unknown) => `${this.cloud.classify(error).kind}: ${this.cloud.classify(error).message}`,
    );
  }

  /** As a teardown does it. */
  async endWhole(one: Placement): Promise<void> {
    for (const end = Date.now() + PATIENCE_MS; ; await sleep(50)) {
      const left = await this.cloud.terminate(one, one.key).catch((error: unknown) => [String(error)]);
      if (left.length === 0) return;
      if (Date.now() > end) throw new Error(`left: ${left}`);
    }
  }

  configure(yaml: string): void {
    writeFileSync(join(this.account.home, 'config.yaml'), yaml);
  }

  /** Ends all that a test made, and proves that nothing is left of it. */
  async clear(): Promise<void> {
    this.configure('');
    await Promise.all(this.#made.splice(0).map((one) => this.endWhole(one)));
    const { created: _, ...left } = await this.account.ledger();
    expect(Object.values(left).flat()).toEqual([]);
  }

  async end(): Promise<void> {
    this.ec2.destroy();
    await this.account.end();
  }
}

/** Of a task file. */
export function asked(resources: string, more = ''): ResourceRequest {
  return parseTask(`resources: {${resources}}\n${more}run: 'true'\n`, { file: 'test.yaml' }).resources;
}
