/** Machines that an autostop rule could not stop are not asked for. */
import { describe, expect, test } from 'vitest';
import { onStoppable } from '../../client/clouds.ts';
import { alternativesOf } from '../../model/alternatives.ts';
import { parseTask } from '../../model/parse-task.ts';

async function asked(resources: string, down = false): Promise<(string | boolean | null)[][]> {
  const task = parseTask(`resources: ${resources}\nrun: echo`, { file: 'test.yaml' });
  const { resources: left } = await onStoppable(task, { idleMinutes: 5, down, waitFor: 'jobs_and_ssh' });
  return alternativesOf(left).map(({ cloud, useSpot }) => [cloud, useSpot]);
}

describe('under a rule that stops', () => {
  test('of several alternatives those that cannot be stopped are left out, in the order of the rest', async () => {
    expect(await asked('{infra: aws, any_of: [{use_spot: true}, {use_spot: false}]}')).toEqual([['aws', false]]);
    expect(
      await asked('{ordered: [{infra: aws, use_spot: true}, {infra: local, use_spot: true}, {infra: aws}]}'),
    ).toEqual([
      ['local', true],
      ['aws', false],
    ]);
  });

  test('one that any cloud may give is asked of those that can', async () => {
    expect(await asked('{use_spot: true}')).toEqual([['local', true]]);
    expect(await asked('{cpus: 2}')).toEqual([[null, false]]);
  });

  test('a task for which no others are left is refused with what to do', async () => {
    await expect(asked('{infra: aws, use_spot: true}')).rejects.toMatchObject({
      kind: 'invalid',
      message: 'autostop: spot machines of AWS cannot be stopped, only ended',
      hint: expect.stringContaining('--down'),
    });
  });
});

test('under a rule that ends machines all are asked for', async () => {
  expect(await asked('{infra: aws, any_of: [{use_spot: true}, {use_spot: false}]}', true)).toEqual([
    ['aws', true],
    ['aws', false],
  ]);
});
