import { describe, test } from 'vitest';
import { AwsCloud } from '../../clouds/aws/aws.ts';
import { Account, motoPython } from '../stand-ins/aws/account.ts';
import { conformance } from './conformance.ts';
import { keyPair } from './local-lab.ts';

const python = motoPython();

if ('reason' in python) {
  console.warn(`SKIPPED test/clouds/aws: ${python.reason}`);
  describe('AWS as a cloud', () => test.skip(`needs moto: ${python.reason}`, () => {}));
} else {
  conformance('AWS on moto', async () => {
    const account = await Account.start();
    account.enter();
    await account.order('regions', { 'us-east-1': true, 'us-east-2': true, 'us-west-2': true });
    await account.order('timing', { pending: 0.2, stopping: 0.2, ending: 0.2 });
    return {
      cloud: new AwsCloud({ home: account.home, lookEvery: 50, settle: 500 }),
      authorizedKey: keyPair().public,
      patience: 20_000,
      limit: async (machines) => {
        const { instances } = await account.ledger();
        await account.order('capacity', machines === null ? {} : { '*': { '*': machines - instances.length } });
      },
      run: undefined,
      proveNothingLeft: async () => {
        const { created, ...left } = await account.ledger();
        if (created.length === 0 || Object.values(left).flat().length > 0) {
          throw new Error(`made ${created.length}, left ${JSON.stringify(left)}`);
        }
      },
      dispose: () => account.end(),
    };
  });
}
