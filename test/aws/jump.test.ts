/** Clusters without public addresses, whose machines answer nobody but who comes by `aws.ssh_proxy_command`. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { writeSshEntries } from '../../client/ssh-config.ts';
import { AwsWorld, whyNoAws } from '../harness/aws-world.ts';
import { run } from '../stand-ins/machines/commands.ts';

const lacks = whyNoAws();
if (lacks !== undefined) console.warn(`SKIPPED test/aws/jump: ${lacks}`);

/** The group that may connect to machines; everybody else of this network is refused. */
const JUMP_GID = 65_534;

const RELAY = `import os, socket, sys, threading
s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
print("by the jump host to", sys.argv[1], file=open(sys.argv[3], "a"))
def up():
    while True:
        data = os.read(0, 65536)
        if not data: break
        s.sendall(data)
    s.shutdown(socket.SHUT_WR)
threading.Thread(target=up, daemon=True).start()
while True:
    data = s.recv(65536)
    if not data: break
    os.write(1, data)
`;

describe.skipIf(lacks !== undefined)('a cluster behind a jump host', () => {
  let aws: AwsWorld;
  let command: string;
  let log: string;

  beforeAll(async () => {
    aws = await AwsWorld.start();
    const { home } = aws.world;
    const relay = join(aws.account.home, 'relay.py');
    log = join(aws.account.home, 'relay.log');
    writeFileSync(relay, RELAY);
    writeFileSync(log, '');
    command = `setpriv --regid=${JUMP_GID} --clear-groups python3 ${relay} %h %p ${log}`;
    const config = { aws: { use_internal_ips: true, ssh_proxy_command: { 'us-east-1': command } } };
    writeFileSync(join(home, 'config.yaml'), JSON.stringify(config));
    const rules = join(aws.account.home, 'jump.nft');
    const closed = `ip daddr 172.31.0.0/16 tcp dport 22 meta skgid != ${JUMP_GID} reject with tcp reset`;
    writeFileSync(
      rules,
      `table inet gate {\n chain out {\n  type filter hook output priority 0; policy accept;\n  ${closed}\n }\n}\n`,
    );
    await run('nft', '-f', rules);
  });

  afterAll(async () => {
    await aws?.end();
  });

  test('is launched, runs jobs on two nodes, is reached by a new worker too, and leaves nothing', {
    timeout: 240_000,
  }, async () => {
    const { story, world } = aws;
    const job = await story.up('inside', aws.task('num_nodes: 2\nrun: echo from $(hostname)\n'));
    await story.jobEnds('inside', job, 'SUCCEEDED');
    expect(await aws.output('inside', job)).toMatch(/from ip-172-31-/);
    const machines = await aws.instances();
    expect(machines.map(({ publicAddress }) => publicAddress)).toEqual([null, null]);
    const view = await story.look('inside');
    expect(view.nodes.map(({ address, via }) => [address, via])).toEqual(
      machines.map(({ privateAddress }) => [privateAddress, 'aws/us-east-1']),
    );
    for (const { privateAddress } of machines) {
      expect(readFileSync(log, 'utf8')).toContain(`by the jump host to ${privateAddress}\n`);
      await expect(run('ssh-keyscan', '-T', '3', privateAddress)).rejects.toThrow('ssh-keyscan');
    }
    await world.killWorker();
    await world.startWorker();
    const { jobId } = await story.exec('inside', aws.task('run: echo again\n'));
    await story.jobEnds('inside', jobId, 'SUCCEEDED');
    await writeSshEntries(world.styx, await story.look('inside'));
    const entry = readFileSync(join(world.home, 'ssh', 'clusters', 'inside', 'config'), 'utf8');
    expect(entry).toContain(`  ProxyCommand ${command}\n`);
    expect((await run('ssh', '-F', join(world.home, 'ssh', 'config'), 'inside', 'echo', 'by', 'OpenSSH')).trim()).toBe(
      'by OpenSSH',
    );
    await story.down('inside');
    await aws.nothingLeft(2);
  });
});
