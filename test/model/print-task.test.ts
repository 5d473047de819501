import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseTaskFile } from '../../model/parse-task.ts';
import type { TaskFile } from '../../model/spec/file.ts';
import { printTaskFile } from '../../model/spec/print.ts';
import { TaskError } from '../../model/task-error.ts';
import { taskFile } from '../oracle/generate.ts';
import { holds } from './holds.ts';

function parse(text: string): TaskFile | null {
  try {
    return parseTaskFile(text, { file: 'task.yaml' });
  } catch (error) {
    if (error instanceof TaskError) return null;
    throw error;
  }
}

/** Equality of what there is: maps without prototypes and with are the same. */
const plain = (value: unknown) => JSON.parse(JSON.stringify(value));

test('what is printed is parsed as the same again, and printed as the same', () => {
  let accepted = 0;
  const law = fc.property(fc.nat({ max: 2 ** 31 }), (seed) => {
    const file = parse(taskFile(seed));
    if (file === null) return;
    accepted++;
    const printed = printTaskFile(file);
    const again = parse(printed);
    expect(plain(again), printed).toEqual(plain(file));
    expect(printTaskFile(again as TaskFile)).toBe(printed);
  });
  holds(law, 1500);
  expect(accepted).toBeGreaterThan(500);
});

test('any text comes back from print as it was', () => {
  const text = fc.string({ unit: 'binary' }).filter((value) => !value.includes('\0'));
  const name = fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,10}$/).filter((key) => key !== '__proto__');
  const law = fc.property(text, fc.dictionary(name, text, { noNullPrototype: true }), text, (run, envs, label) => {
    const source = JSON.stringify({ run, envs, resources: { labels: { key: label } } });
    const file = parse(source);
    if (file?.kind !== 'task') throw new Error(`refused: ${source}`);
    expect(file.task).toMatchObject({ run, envs });
    expect(plain(parse(printTaskFile(file)))).toEqual(plain(file));
  });
  holds(law, 500);
});
