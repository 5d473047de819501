import { expect, test } from 'vitest';
import { ANY_MACHINE, type ResourceRequest } from '../../model/machines.ts';
import { morePlaces } from '../../model/more-places.ts';

const WAIT = 'With --retry-until-up it is tried until there is room.';

test.each<[string, Partial<ResourceRequest>, string]>([
  ['anything', {}, ''],
  ['a zone', { cloud: 'a', region: 'r', zone: 'z' }, 'To have more places, name no zone. '],
  ['a cloud, on spot', { cloud: 'a', useSpot: true }, 'To have more places, name no cloud, or do without spot. '],
  [
    'one of two regions',
    { region: 'r', others: [{ ...ANY_MACHINE, region: 's' }] },
    'To have more places, name no region. ',
  ],
  ['a region, or any', { region: 'r', others: [ANY_MACHINE] }, ''],
  [
    '3 of a type',
    { instanceType: 't', numNodes: 3 },
    'To have more places, name sizes in place of the instance type, or ask for fewer than 3 nodes. ',
  ],
])('who asks for %s in vain hears what would have to change, and nothing that is free already', (_, asked, told) => {
  expect(morePlaces({ ...ANY_MACHINE, ...asked })).toBe(told + WAIT);
});
