/** What of AWS is decided without asking anybody: kinds of errors, rights, images, quotas, and who has credentials. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { catalog } from '../../catalogs/load.ts';
import { previewOffers } from '../../client/clouds.ts';
import { ACTIONS, policyDocument } from '../../clouds/aws/actions.ts';
import { Api } from '../../clouds/aws/api.ts';
import { AwsCloud } from '../../clouds/aws/aws.ts';
import { hasCredentials } from '../../clouds/aws/credentials.ts';
import { CODES, classify } from '../../clouds/aws/errors.ts';
import { imageParameters } from '../../clouds/aws/images.ts';
import { quotaOf } from '../../clouds/aws/quotas.ts';
import { ERROR_KINDS, StyxError } from '../../model/errors.ts';
import { ANY_MACHINE } from '../../model/machines.ts';

function answered(name: string, status: number | undefined, message = 'said so'): Error {
  return Object.assign(new Error(message), { name, $metadata: { httpStatusCode: status }, $response: {} });
}

test.each([
  ['InsufficientInstanceCapacity', 500, 'capacity'],
  ['InsufficientFreeAddressesInSubnet', 400, 'capacity'],
  ['VcpuLimitExceeded', 400, 'quota'],
  ['MaxSpotInstanceCountExceeded', 400, 'quota'],
  ['PendingVerification', 400, 'quota'],
  ['OptInRequired', 401, 'quota'],
  ['UnauthorizedOperation', 403, 'auth'],
  ['ExpiredToken', 400, 'auth'],
  ['RequestExpired', 400, 'auth'],
  ['CredentialsProviderError', undefined, 'auth'],
  ['RequestLimitExceeded', 503, 'throttled'],
  ['InvalidInstanceID.NotFound', 400, 'not-found'],
  ['InvalidAMIID.NotFound', 400, 'invalid'],
  ['Unavailable', 503, 'transient'],
  ['ECONNRESET', undefined, 'transient'],
  // Not in the table.
  ['InvalidNetworkThing.NotFound', 400, 'not-found'],
  ['NatGatewayLimitExceeded', 400, 'quota'],
  ['NobodyHeardOfThis', 502, 'transient'],
  ['NobodyHeardOfThis', 400, 'invalid'],
  ['NobodyHeardOfThis', 403, 'auth'],
])('%s (HTTP %s) is %s', (code, status, kind) => {
  expect(classify(answered(code, status)).kind).toBe(kind);
});

test('a code of the table means the same whatever the HTTP status and the message', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...CODES.entries()),
      fc.option(fc.integer({ min: 100, max: 599 }), { nil: undefined }),
      fc.string().filter((text) => !/expired|not yet current/i.test(text)),
      ([code, meaning], status, message) => {
        const failure = classify(answered(code, status, message));
        expect(failure.kind).toBe(meaning.kind);
        expect(failure.message).toContain('AWS');
      },
    ),
  );
});

test('whatever is thrown is an error of a kind', () => {
  fc.assert(
    fc.property(fc.anything(), (thrown) => {
      const failure = classify(thrown);
      expect(failure).toBeInstanceOf(StyxError);
      expect(ERROR_KINDS).toContain(failure.kind);
    }),
    { examples: [[{ toString: null }], [Object.create(null)]] },
  );
});

test('a refusal is told without its encoded blob, and a wrong clock as such', () => {
  const said = 'You are not authorized to perform: ec2:RunInstances. Encoded authorization failure message: AbC123';
  expect(classify(answered('UnauthorizedOperation', 403, said)).message).toBe(
    'AWS: UnauthorizedOperation: You are not authorized to perform: ec2:RunInstances.',
  );
  const clock = classify(answered('InvalidSignatureException', 403, 'Signature not yet current: 20260101'));
  expect(clock).toMatchObject({ kind: 'auth', hint: expect.stringContaining('clock') });
});

test('what is not in the list of actions cannot be called, and the policy is that list', async () => {
  const api = new Api({});
  await expect(api.call('us-east-1', 'ec2:TerminateEverything' as never, {} as never)).rejects.toMatchObject({
    kind: 'internal',
  });
  const { Statement } = policyDocument() as { Statement: { Action: string | string[]; Condition?: object }[] };
  const allowed = Statement.flatMap(({ Action }) => Action);
  const besides = ['ec2:CreateTags', 'iam:CreateServiceLinkedRole'];
  expect(allowed.toSorted()).toEqual([...Object.keys(ACTIONS), ...besides].toSorted());
  expect(allowed.filter((action) => action.includes('*'))).toEqual([]);
  for (const { Action, Condition } of Statement) {
    if ([Action].flat().some((action) => /Terminate|Delete|Stop|Modify/.test(action))) {
      expect(Condition).toEqual({ Null: { 'aws:ResourceTag/styx-placement': 'false' } });
    }
  }
});

test('without credentials AWS asks nobody, offers nothing, and a launch elsewhere does not hear of it', async () => {
  const home = mkdtempSync(join(tmpdir(), 'styx-aws-'));
  try {
    const environment = { HOME: home, AWS_EC2_METADATA_DISABLED: 'true' };
    expect(hasCredentials(environment)).toBe(false);
    const cloud = new AwsCloud({ home, environment });
    expect(await cloud.places()).toEqual([]);
    for (const name of ['aws', null]) {
      await expect(cloud.offers({ ...ANY_MACHINE, cloud: name })).rejects.toMatchObject({ kind: 'auth' });
    }
    const offers = await previewOffers(ANY_MACHINE);
    expect(new Set(offers.map((offer) => offer.cloud))).toEqual(new Set(['local']));
    const asked = previewOffers({ ...ANY_MACHINE, cloud: 'aws' });
    await expect(asked).rejects.toMatchObject({ kind: 'auth', hint: expect.stringContaining('aws configure') });
    await expect(cloud.check()).rejects.toMatchObject({ kind: 'auth' });
    const file = join(home, 'credentials');
    writeFileSync(file, '[default]\naws_access_key_id = x\n');
    expect(hasCredentials({ ...environment, AWS_SHARED_CREDENTIALS_FILE: file })).toBe(true);
    expect(hasCredentials({ ...environment, AWS_PROFILE: 'work' })).toBe(true);
  } finally {
    rmSync(home, { recursive: true });
  }
});

test('every type of the catalogue has a quota or is known to have none, and an image or a reason', async () => {
  const without = new Set<string>();
  for (const { instanceType, arch, accelerators } of (await catalog('aws')).shapes) {
    if (quotaOf(instanceType, false) === null) without.add(instanceType.split('.')[0] as string);
    try {
      for (const name of imageParameters(arch, accelerators?.name ?? null)) expect(name).toMatch(/^\/aws\/service\//);
    } catch (error) {
      expect(error).toMatchObject({ kind: 'invalid' });
    }
  }
  expect([...without].filter((family) => !/^mac|^u|^hpc/.test(family))).toEqual([]);
  expect(quotaOf('p5.48xlarge', true)?.code).toBe('L-7212CCBC');
  expect(quotaOf('g6e.xlarge', false)?.code).toBe('L-DB2E81BA');
  expect(quotaOf('im4gn.large', false)?.code).toBe('L-1216C47A');
});
