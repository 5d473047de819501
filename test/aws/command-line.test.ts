/** The commands of a user on AWS, with a server of their own, on machines that answer SSH. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { whyNoAws } from '../harness/aws-world.ts';
import { CommandLine } from '../harness/command-line.ts';
import { Account } from '../stand-ins/aws/account.ts';
import { Machines } from '../stand-ins/machines/machines.ts';

const lacks = whyNoAws();
if (lacks !== undefined) console.warn(`SKIPPED test/aws/command-line: ${lacks}`);

vi.setConfig({ testTimeout: 240_000, hookTimeout: 120_000 });

const NOTHING = { instances: [], groups: [], volumes: [] };

describe.skipIf(lacks !== undefined)('the commands of a user on AWS', () => {
  const line = new CommandLine();
  const { styx, ok, json } = line;
  let account: Account;
  let machines: Machines;

  beforeAll(async () => {
    account = await Account.start();
    account.enter();
    machines = await Machines.start(account.direct);
    await line.begin();
  });
  afterAll(async () => {
    await line.end();
    await machines?.end();
    await account?.end();
  });
  /** A second try begins with nothing of the first. */
  beforeEach(async () => {
    if ((await json('status')).length > 0) await ok('down', '-a', '-y');
  });

  async function nothingLeft(): Promise<void> {
    const { created: _, ...left } = await account.ledger();
    expect(left).toEqual(NOTHING);
    expect(await json('status')).toEqual([]);
    await expect.poll(() => machines.rows(), { timeout: 30_000 }).toEqual([]);
  }

  function file(name: string, text: string): string {
    const path = join(line.home, name);
    writeFileSync(path, `resources: {infra: aws/us-east-1, instance_type: m5.large, ports: [8080]}\n${text}`);
    return path;
  }

  test('launch with a port, exec, logs, endpoints, autostop, stop, start and down do on one node what they say', async () => {
    const task = file('one.yaml', 'setup: echo kept >proof\nrun: echo hello from $(hostname)\n');
    const launched = await ok('launch', '-y', '-c', 'one', task);
    expect(launched.out).toMatch(/hello from ip-172-31-/);
    expect(launched.err).toMatch(/aws \(us-east-1[a-f]\) .*m5\.large/);
    expect((await ok('logs', 'one', '1')).out).toBe(launched.out);
    const failed = await styx('exec', 'one', 'echo out; exit 7');
    expect([failed.code, failed.out]).toEqual([100, 'out\n']);

    const ip = (await ok('status', '--ip', 'one')).out.trim();
    expect((await ok('status', '--endpoints', 'one')).out).toBe(`8080: ${ip}:8080\n`);
    await ok('exec', 'one', '-d', 'python3 -m http.server 8080');
    const served = () => fetch(`http://${ip}:8080/proof`).then((answer) => answer.text(), String);
    await expect.poll(served, { timeout: 30_000 }).toBe('kept\n');

    await ok('autostop', 'one', '-i', '600');
    expect((await json('status', 'one'))[0].autostop).toMatchObject({ idleMinutes: 600, down: false });
    await ok('stop', 'one', '-y');
    expect((await json('status', 'one'))[0]).toMatchObject({ status: 'STOPPED', headIp: null });
    expect((await styx('exec', 'one', 'true')).code).toBe(3);
    // Its public address may be anybody's by now.
    expect((await styx('status', '--endpoints', 'one')).err).toContain("Cluster 'one' is STOPPED and has no address");
    await ok('start', 'one', '-y');
    expect((await ok('exec', 'one', 'cat proof')).out).toBe('kept\n');
    const again = (await ok('status', '--ip', 'one')).out.trim();
    expect((await ok('status', '--endpoints', 'one')).out).toBe(`8080: ${again}:8080\n`);
    await ok('down', '-y', 'one');
    await nothingLeft();
  });

  test('launch where no place has room ends with why not, what else there is, and nothing left', async () => {
    await account.order('capacity', { 'm5.large': { '*': 0 } });
    try {
      const { code, err } = await styx('launch', '-y', '-c', 'full', file('full.yaml', 'run: echo never\n'));
      expect([code, err]).toEqual([5, expect.any(String)]);
      for (const zone of 'abcdf')
        expect(err).toMatch(new RegExp(`aws/us-east-1/us-east-1${zone} m5.large after [^:]+: `));
      expect(err).toContain('To have more places, name no region, or name sizes in place of the instance type.');
      const [, others = ''] = /Other types that are at least as large: (.*)\./.exec(err) ?? [];
      expect(others.split(', ')).toHaveLength(3);
      expect(others).not.toContain('m5.large');
      for (const other of others.split(', ')) expect(other).toMatch(/^[a-z]\w+\.[\w-]+ \(from \$0\.\d\d an hour\)$/);
    } finally {
      await account.order('capacity');
    }
    await nothingLeft();
  });

  test('launch of four nodes runs on all of them, and autostop stops or ends them by its rule', async () => {
    const before = (await account.ledger()).created.length;
    const task = file('four.yaml', 'num_nodes: 4\nrun: echo rank $SKYPILOT_NODE_RANK\n');
    const launched = await ok('launch', '-y', '-c', 'four', task);
    const ranks = Array.from(
      { length: 4 },
      (_, rank) => `(${rank ? `worker${rank}` : 'head'}, rank=${rank}) rank ${rank}`,
    );
    expect(launched.out.trim().split('\n').toSorted()).toEqual(ranks.toSorted());
    expect((await json('status'))[0]).toMatchObject({ name: 'four', status: 'UP', numNodes: 4 });
    await ok('autostop', 'four', '-i', '1', '--wait-for', 'none');
    const status = async () => (await json('status', 'four'))[0]?.status;
    await expect.poll(status, { timeout: 90_000, interval: 1_000 }).toBe('STOPPED');
    await ok('start', 'four', '-y', '-i', '600');
    await ok('exec', 'four', '--num-nodes', '4', 'true');
    await ok('autostop', 'four', '-i', '1', '--wait-for', 'none', '--down');
    await expect.poll(() => json('status'), { timeout: 90_000, interval: 1_000 }).toEqual([]);
    await nothingLeft();
    expect((await account.ledger()).created).toHaveLength(before + 4);
  });
});
