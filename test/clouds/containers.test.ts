/** Which clouds run a task in a container of its image. */
import { expect, test } from 'vitest';
import { LocalCloud } from '../../clouds/local/local.ts';
import { offersOf } from '../../clouds/offers.ts';
import { ANY_MACHINE } from '../../model/machines.ts';

test('the local cloud offers nothing for a container, and says why', async () => {
  const cloud = new LocalCloud('/nonexistent', {});
  const asked = { ...ANY_MACHINE, wants: { container: { image: 'team/train:2' } } };
  const { offers, reasons } = await offersOf([cloud], asked);
  expect(offers).toEqual([]);
  expect(reasons).toMatchObject([
    {
      kind: 'invalid',
      message: expect.stringMatching(/image_id names the container team\/train:2: the local cloud runs no containers/),
    },
  ]);
  expect((await offersOf([cloud], ANY_MACHINE)).offers.length).toBeGreaterThan(0);
});
