/** Whose credentials AWS is asked with, and what `styx check aws` says of what they may do. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { ACTIONS, policyDocument } from '../../clouds/aws/actions.ts';
import { AwsCloud } from '../../clouds/aws/aws.ts';
import { CommandLine } from '../harness/command-line.ts';
import { Account, motoPython } from '../stand-ins/aws/account.ts';
import type { Fault } from '../stand-ins/aws/fault-proxy.ts';

const python = motoPython();
if ('reason' in python) console.warn(`SKIPPED test/clouds/aws-check: ${python.reason}`);
vi.setConfig({ testTimeout: 60_000, hookTimeout: 120_000 });

const SOMEWHERE = { region: 'us-east-1', zone: 'us-east-1a' };
const line = new CommandLine();
let account: Account;

/** As EC2 refuses a dry run, and the services that answer in JSON any call. */
function refused(action: string): Fault {
  const [service, name = ''] = action.split(':');
  const message = `You are not authorized to perform: ${action}. Encoded authorization failure message: AbC123`;
  return service === 'ec2'
    ? { action: name, do: { error: 'UnauthorizedOperation', status: 403, message } }
    : { action: name, do: { error: 'AccessDeniedException', status: 400, message } };
}

function fresh(): AwsCloud {
  return new AwsCloud({ home: account.home, lookEvery: 50, settle: 300 });
}

describe.skipIf('reason' in python)('credentials of AWS', () => {
  beforeAll(async () => {
    account = await Account.start();
    account.enter();
  });

  afterEach(async () => {
    vi.unstubAllEnvs();
    await account.calm();
  });

  afterAll(async () => {
    await account?.end();
    await line.end();
  });

  test('`styx check aws` shows account and identity, tries every action as a dry run, and changes nothing', async () => {
    const { out } = await line.ok('check', 'aws');
    expect(out).toMatch(/^aws: enabled \[.*spot.*\]\n {2}identity: arn:aws:\S+, account \d{12}\n/);
    const tried = account.proxy.log.map(({ action, body }) => ({ action, body }));
    const names = Object.keys(ACTIONS).map((action) => action.split(':')[1]);
    expect(new Set(tried.map(({ action }) => action))).toEqual(new Set(names));
    const wet = tried.filter(({ body }) => new URLSearchParams(body).get('DryRun') !== 'true');
    expect(new Set(wet.map(({ action }) => action))).toEqual(
      new Set(['GetCallerIdentity', 'GetServiceQuota', 'GetParameters']),
    );
    expect((await account.ledger()).created).toEqual([]);
    const [report] = await line.json('check', 'aws');
    expect(report).toMatchObject({
      cloud: 'aws',
      enabled: true,
      problems: [],
      account: expect.stringMatching(/^\d{12}$/),
    });
    expect(report.identity).toContain(report.account);
  });

  test('`styx check aws` names the rights that are missing, those and no others, and exits with 6', async () => {
    const missing = ['ec2:RunInstances', 'ec2:DeleteSecurityGroup', 'ec2:DescribeVpcs', 'ssm:GetParameters'];
    account.proxy.faults = missing.map(refused);
    const { code, out } = await line.styx('check', 'aws');
    expect(code).toBe(6);
    const said = /These rights are missing: (.*)\. `styx check aws --policy` prints all that are needed\./.exec(
      out,
    )?.[1];
    expect(said?.split(', ').toSorted()).toEqual(missing.toSorted());
    expect(out).toMatch(/^aws: disabled\n/);
    expect(out).toMatch(/identity: arn:aws:\S+, account \d{12}/);
  });

  test.each(Object.keys(ACTIONS).filter((action) => action !== 'sts:GetCallerIdentity'))(
    'a refusal of %s is told as that right',
    async (action) => {
      account.proxy.faults = [refused(action)];
      const { ok, problems } = await fresh().check();
      expect(ok).toBe(false);
      expect(problems).toEqual([expect.stringContaining(`These rights are missing: ${action}. `)]);
    },
  );

  test.each([
    [{ error: 'InternalError', status: 500 }, 'transient'],
    [{ error: 'ExpiredToken', message: 'The security token included in the request is expired' }, 'auth'],
  ])('an answer of %o says nothing of rights: the check fails', async (fault, kind) => {
    account.proxy.faults = [{ action: 'StopInstances', do: fault }];
    await expect(fresh().check()).rejects.toMatchObject({ kind });
  });

  test('`styx check aws --policy` prints the policy made of the list of actions, and asks nobody', async () => {
    account.proxy.log.length = 0;
    const { out } = await line.ok('check', 'aws', '--policy');
    const policy = JSON.parse(out) as { Statement: { Action: string | string[] }[] };
    expect(policy).toEqual(policyDocument());
    expect(policy.Statement.flatMap(({ Action }) => Action)).toEqual(expect.arrayContaining(Object.keys(ACTIONS)));
    expect(account.proxy.log).toEqual([]);
  });

  /** Makes a profile the one in use whose credentials a command prints; `print` sets what it prints. */
  function profile(name: string): (key: string) => void {
    const said = join(account.home, 'aws', `${name}.json`);
    const config = join(account.home, 'aws', `${name}.config`);
    writeFileSync(config, `[default]\nregion = us-west-2\n[profile ${name}]\ncredential_process = cat ${said}\n`);
    vi.stubEnv('AWS_CONFIG_FILE', config);
    vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', '/dev/null');
    vi.stubEnv('AWS_PROFILE', name);
    return (key) => {
      const Expiration = new Date(Date.now() + 3_600_000).toISOString();
      const identity = { Version: 1, AccessKeyId: key, SecretAccessKey: 'none', SessionToken: 'token', Expiration };
      writeFileSync(said, JSON.stringify(identity));
    };
  }

  /** The access key that a call is signed with. */
  async function keyOf(cloud: AwsCloud): Promise<string | undefined> {
    account.proxy.log.length = 0;
    await cloud.list(SOMEWHERE, { placementKey: 'none', tags: { any: 'thing' } });
    return account.proxy.log.at(-1)?.key;
  }

  test('AWS_PROFILE names a profile whose credential_process gives the credentials, refused ones are asked for anew', async () => {
    const print = profile('work');
    print('AKIAPROCESS1');
    const cloud = fresh();
    expect(await keyOf(cloud)).toBe('AKIAPROCESS1');
    account.proxy.faults = [{ times: 1, do: { error: 'ExpiredToken', message: 'it is expired' } }];
    await expect(keyOf(cloud)).rejects.toMatchObject({ kind: 'auth' });
    print('AKIAPROCESS2');
    expect(await keyOf(cloud)).toBe('AKIAPROCESS2');
  });

  test('credentials that a profile gives are read anew within seconds, before the old ones expire', async () => {
    const print = profile('long');
    print('AKIALONG1');
    const cloud = fresh();
    expect(await keyOf(cloud)).toBe('AKIALONG1');
    print('AKIALONG2');
    let key = await keyOf(cloud);
    for (const end = Date.now() + 40_000; key !== 'AKIALONG2' && Date.now() < end; await sleep(500)) {
      key = await keyOf(cloud);
    }
    expect(key).toBe('AKIALONG2');
  });

  test('another profile of the files, or other files, need no new start either', async () => {
    profile('first')('AKIAFIRST');
    const cloud = fresh();
    expect(await keyOf(cloud)).toBe('AKIAFIRST');
    profile('second')('AKIASECOND');
    account.proxy.faults = [{ times: 1, do: { error: 'InvalidClientTokenId', message: 'no such key' } }];
    await expect(keyOf(cloud)).rejects.toMatchObject({ kind: 'auth' });
    expect(await keyOf(cloud)).toBe('AKIASECOND');
  });

  test('a profile that is not there, or whose command fails, is refused as auth, and nothing is asked', async () => {
    profile('broken');
    account.proxy.log.length = 0;
    for (const name of ['broken', 'nobody']) {
      vi.stubEnv('AWS_PROFILE', name);
      await expect(fresh().check()).rejects.toMatchObject({ kind: 'auth' });
    }
    expect(account.proxy.log).toEqual([]);
  });
});
