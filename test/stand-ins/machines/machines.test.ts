/** The stand-in for machines of EC2 does what tests of Styx count on: told by the provider and by SSH. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import { AwsCloud } from '../../../clouds/aws/aws.ts';
import type { CreateRequest } from '../../../clouds/cloud.ts';
import { ANY_MACHINE, type Instance, type InstanceState, type Placement } from '../../../model/machines.ts';
import { Account } from '../aws/account.ts';
import { Machines } from './machines.ts';
import { whyNoAws } from './needs.ts';

const WAIT_MS = 30_000;
const lacks = whyNoAws();

if (lacks !== undefined) {
  console.warn(`SKIPPED test/stand-ins/machines: ${lacks}`);
  test.skip(`machines for EC2: ${lacks}`, () => {});
} else {
  describe('a machine for every instance', { timeout: 90_000 }, () => {
    let account: Account;
    let machines: Machines;
    let cloud: AwsCloud;
    let identity: string;
    let publicKey: string;

    beforeAll(async () => {
      account = await Account.start();
      account.enter();
      machines = await Machines.start(account.direct);
      cloud = new AwsCloud({ home: account.home, lookEvery: 20, settle: 100 });
      identity = join(mkdtempSync(join(account.home, 'key-')), 'id');
      await promisify(execFile)('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', identity]);
      publicKey = readFileSync(`${identity}.pub`, 'utf8');
    });
    afterAll(async () => {
      await machines?.end();
      await account?.end();
    });

    async function until<T>(what: string, look: () => Promise<T | undefined>, ms = WAIT_MS): Promise<T> {
      for (const end = Date.now() + ms; ; await sleep(25)) {
        const found = await look();
        if (found !== undefined) return found;
        if (Date.now() > end) throw new Error(`not within ${ms} ms: ${what}\n${await machines.consoles()}`);
      }
    }

    async function make(numNodes = 1, useSpot = false): Promise<{ request: CreateRequest; nodes: Instance[] }> {
      const [offer] = await cloud.offers({ ...ANY_MACHINE, cloud: 'aws', region: 'us-east-1', numNodes, useSpot });
      if (offer === undefined) throw new Error('AWS offers nothing');
      const placement: Placement = { ...offer, key: randomBytes(16).toString('hex'), attempt: 1, numNodes };
      const request = await cloud.prepare(placement, publicKey, {});
      await cloud.create(request);
      const nodes = await reach(request, 'running');
      // EC2 says that a machine runs before it has begun to boot.
      await until('all are switched on', async () => {
        const rows = new Map((await machines.rows()).map((row) => [row.id, row.state]));
        return nodes.every(({ id }) => rows.get(id) === 'on') ? true : undefined;
      });
      return { request, nodes };
    }

    function reach({ placement }: CreateRequest, state: InstanceState): Promise<Instance[]> {
      return until(`${placement.key} ${state}`, async () => {
        const seen = await cloud.list(placement, { placementKey: placement.key });
        return seen.length === placement.numNodes && seen.every((one) => one.state === state) ? seen : undefined;
      });
    }

    /** One try to run something by SSH, with the host key that the provider told of. */
    async function tryShell(
      node: Instance,
      command: string,
      seconds = 5,
    ): Promise<{ code: number; out: string; err: string }> {
      const known = join(account.home, `known-${node.id}`);
      writeFileSync(known, `${node.address} ${node.hostKey}\n`);
      const options = [
        'BatchMode=yes',
        'StrictHostKeyChecking=yes',
        'GlobalKnownHostsFile=/dev/null',
        'LogLevel=ERROR',
      ];
      const argv = [`UserKnownHostsFile=${known}`, `ConnectTimeout=${seconds}`, ...options].flatMap((one) => [
        '-o',
        one,
      ]);
      const full = ['-F', '/dev/null', '-i', identity, ...argv, `${node.user}@${node.address}`, command];
      try {
        const { stdout, stderr } = await promisify(execFile)('ssh', full, { timeout: seconds * 4_000 });
        return { code: 0, out: stdout.trim(), err: stderr };
      } catch (error) {
        const { code, stdout = '', stderr = '' } = error as { code?: number; stdout?: string; stderr?: string };
        return { code: typeof code === 'number' ? code : 255, out: stdout.trim(), err: stderr };
      }
    }

    async function shell(node: Instance, command: string): Promise<string> {
      return await until(`${node.id} runs ${command}`, async () => {
        const { code, out, err } = await tryShell(node, command);
        if (code !== 255) return code === 0 ? out : `exit ${code}: ${out}${err}`;
        return undefined;
      });
    }

    async function end({ placement }: CreateRequest): Promise<void> {
      await until('all of the placement is gone', async () => {
        const left = await cloud.terminate(placement, placement.key);
        const seen = await cloud.list(placement, { placementKey: placement.key });
        return left.length === 0 && seen.every(({ state }) => state === 'terminated') ? true : undefined;
      });
      await until('no machine is left of it', async () => {
        const rows = await machines.rows();
        const ids = new Set((await cloud.list(placement, { placementKey: placement.key })).map(({ id }) => id));
        return rows.some(({ id }) => ids.has(id)) ? undefined : true;
      });
    }

    it('has the address, the name, the user and the host key that EC2 tells of, within a moment', async () => {
      const began = Date.now();
      const { request, nodes } = await make();
      const [node] = nodes as [Instance];
      const name = `ip-${node.internalAddress?.replaceAll('.', '-')}`;
      expect(await shell(node, 'whoami; hostname; cat /var/lib/cloud/data/instance-id')).toBe(
        `ubuntu\n${name}\n${node.id}`,
      );
      console.log(`machines: create to the first line over SSH in ${Date.now() - began} ms`);
      expect(await shell(node, 'sudo -n id -u; command -v python3 bash tar >/dev/null && echo all')).toBe('0\nall');
      expect(await shell(node, 'ps -e -o pid= | head -1; ls /root 2>&1; sudo ls -A /root; ls /home')).toBe(
        "1\nls: cannot open directory '/root': Permission denied\nubuntu",
      );
      await end(request);
    });

    it('gives nodes that reach each other by internal addresses, and nothing else', async () => {
      const { request, nodes } = await make(3);
      const [head, , last] = nodes as [Instance, Instance, Instance];
      await Promise.all(nodes.map((node) => shell(node, 'true')));
      const dial = (host: string) => `timeout 5 bash -c 'exec 3<>/dev/tcp/${host}/22; head -c 4 <&3' 2>&1 | head -1`;
      expect(await shell(head, dial(last.internalAddress ?? ''))).toBe('SSH-');
      expect(await shell(head, dial('192.0.2.1'))).toMatch(/unreachable/i);
      await end(request);
    });

    it('keeps the disk over a stop, and nothing over its end', async () => {
      const { request, nodes } = await make();
      const [node] = nodes as [Instance];
      await shell(node, 'echo kept >proof; sudo touch /etc/proof; setsid sleep 1000 >/dev/null 2>&1 & sync');
      await cloud.stop(request.placement, [node.id]);
      await reach(request, 'stopped');
      await until('it is off', async () =>
        (await machines.rows()).find(({ id, state }) => id === node.id && state === 'off'),
      );
      expect((await tryShell(node, 'true', 2)).code).toBe(255);
      await cloud.start(request.placement, [node.id]);
      const [again] = (await reach(request, 'running')) as [Instance];
      expect(again.hostKey).toBe(node.hostKey);
      expect(await shell(again, 'cat proof; ls /etc/proof; pgrep -x sleep -a | grep 1000 || echo none')).toBe(
        'kept\n/etc/proof\nnone',
      );
      await end(request);
    });

    it.each([
      ['stop', 'sudo shutdown -h now', 'stopped'],
      ['terminate', 'sudo systemctl poweroff', 'terminated'],
    ] as const)('tells EC2 when it was powered off from inside, which then %ss it', async (action, command, state) => {
      const { request, nodes } = await make();
      const [node] = nodes as [Instance];
      expect(await shell(node, 'shutdown -h now')).toMatch(/^exit \d+: .*(not found|must be root)/);
      await cloud.armPowerOff?.(request.placement, [node.id], action);
      await tryShell(node, command);
      const [seen] = (await reach(request, state)) as [Instance];
      expect(seen.stateReason).toContain('Instance initiated shutdown');
      await end(request);
    });

    it('answers metadata to tokens only, and tells a spot machine of its end', async () => {
      const { request, nodes } = await make(1, true);
      const [node] = nodes as [Instance];
      const python = (body: string) => `python3 - <<'E'
import urllib.request, urllib.error
def ask(path, method='GET', **headers):
    request = urllib.request.Request('http://169.254.169.254/latest/' + path, method=method, headers={k.replace('_', '-'): v for k, v in headers.items()})
    try:
        return urllib.request.urlopen(request, timeout=5).read().decode()
    except urllib.error.HTTPError as error:
        return error.code
token = ask('api/token', 'PUT', X_aws_ec2_metadata_token_ttl_seconds='60')
get = lambda path: ask('meta-data/' + path, X_aws_ec2_metadata_token=token)
${body}
E`;
      expect(
        await shell(
          node,
          python(
            `print(ask('meta-data/instance-id'), get('instance-id'), get('iam/info'), get('placement/availability-zone'))`,
          ),
        ),
      ).toBe(`401 ${node.id} 404 ${request.placement.zone}`);
      expect(
        await shell(node, python(`print(get('spot/instance-action'), get('events/recommendations/rebalance'))`)),
      ).toBe('404 404');
      await machines.order('rebalance', { id: node.id });
      await machines.order('interrupt', { id: node.id, seconds: 3 });
      expect(
        await shell(node, python(`print(get('spot/instance-action'), get('events/recommendations/rebalance'))`)),
      ).toMatch(/^{"action":"terminate","time":"20\d\d-.*Z"} {"noticeTime":"20/);
      const [seen] = (await reach(request, 'terminated')) as [Instance];
      expect(seen.stateReason).toContain('Spot');
      await end(request);
    });

    it('freezes, is cut off, fills up, and goes on as if nothing had been', async () => {
      const { request, nodes } = await make();
      const [node] = nodes as [Instance];
      await shell(node, 'true');
      for (const [fault, cure] of [
        ['freeze', 'thaw'],
        ['cut', 'join'],
      ] as const) {
        await machines.order(fault, { id: node.id });
        expect((await tryShell(node, 'true', 2)).code, fault).not.toBe(0);
        await machines.order(cure, { id: node.id });
        expect(await shell(node, 'echo back')).toBe('back');
      }
      await machines.order('fill', { id: node.id });
      expect(await shell(node, 'head -c 100000 /dev/zero >big')).toMatch(/No space left/);
      await machines.order('empty', { id: node.id });
      expect(await shell(node, 'head -c 100000 /dev/zero >big && echo fits')).toBe('fits');
      await end(request);
    });

    it('boots late, never answers, or answers with another key, as it is told', async () => {
      await machines.manner({ ssh: 'other-key' });
      const other = await make();
      await until('it answers with another key', async () =>
        /verification failed|IDENTIFICATION HAS CHANGED/.test((await tryShell(other.nodes[0] as Instance, 'true')).err)
          ? true
          : undefined,
      );
      await machines.manner({ ssh: 'never' });
      const silent = await make();
      await machines.manner({ bootSeconds: 2 });
      const late = await make();
      const refused = /refused|timed out|No route/;
      expect((await tryShell(late.nodes[0] as Instance, 'true', 1)).err).toMatch(refused);
      expect(await shell(late.nodes[0] as Instance, 'echo up')).toBe('up');
      expect((await tryShell(silent.nodes[0] as Instance, 'true', 2)).err).toMatch(refused);
      await machines.manner();
      for (const { request } of [other, silent, late]) await end(request);
    });

    it('makes sixteen at once, and leaves nothing', async () => {
      const began = Date.now();
      const { request, nodes } = await make(16);
      await Promise.all(nodes.map((node) => shell(node, 'true')));
      console.log(`machines: 16 answer SSH after ${Date.now() - began} ms`);
      await end(request);
      expect(await machines.rows()).toEqual([]);
      const { created, ...left } = await account.ledger();
      expect(created.length).toBeGreaterThan(20);
      expect(Object.values(left).flat()).toEqual([]);
    });
  });
}
