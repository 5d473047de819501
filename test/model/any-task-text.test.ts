import * as fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { stringify } from 'yaml';
import { parseTask } from '../../model/parse-task.ts';
import { TaskError, type TaskProblem } from '../../model/task-error.ts';
import { validateTask } from '../../model/task-schema.ts';
import { holds } from './holds.ts';

function parse(text: string) {
  return parseTask(text, { file: 'task.yaml' });
}

/** Parses, or tells what is wrong; anything else is a failure of the test. */
function outcome(text: string): TaskProblem[] {
  try {
    expect(validateTask(parse(text))).toEqual(parse(text));
    return [];
  } catch (error) {
    if (!(error instanceof TaskError)) throw error;
    expect(error.problems.length).toBeGreaterThan(0);
    return [...error.problems];
  }
}

const anyScalar = fc.oneof(fc.string(), fc.double(), fc.integer(), fc.boolean(), fc.constant(null));
const fieldNames = [
  ...['name', 'resources', 'num_nodes', 'envs', 'setup', 'run', 'max_duration', 'job_demand', 'queue', 'infra', 'cpus'],
  ...[
    'memory',
    'accelerators',
    'autostop',
    'priority',
    'use_spot',
    'idle_minutes',
    'down',
    'gpus',
    'workdir',
    '<<',
    '__proto__',
  ],
];
const likely = fc.letrec((tie) => ({
  value: fc.oneof({ maxDepth: 4 }, anyScalar, tie('map'), fc.array(tie('value'), { maxLength: 3 })),
  map: fc.dictionary(fc.oneof(fc.constantFrom(...fieldNames), fc.string()), tie('value'), { maxKeys: 8 }),
})).map;

describe('any text', () => {
  test('parses to a valid task or gives problems with lines', () => {
    const pieces = fc.constantFrom(
      ': ',
      '\n',
      '  ',
      '- ',
      '{',
      '}',
      '[',
      ']',
      '"',
      "'",
      '&a ',
      '*a',
      '!!str ',
      '|\n',
      '? ',
      '#',
      '\t',
      '---',
      'run',
      '\0',
      '%',
    );
    const noise = fc
      .array(fc.oneof(pieces, fc.string({ unit: 'binary' })), { maxLength: 40 })
      .map((parts) => parts.join(''));
    const texts = fc.oneof(
      noise,
      fc.string({ unit: 'binary' }),
      likely.map((value) => stringify(value)),
    );
    const law = fc.property(texts, (text) => {
      for (const problem of outcome(text)) {
        expect(problem.line).toBeGreaterThan(0);
        expect(problem.column).toBeGreaterThan(0);
      }
    });
    holds(law, 2000);
  });

  const kilobytes = 256 * 1024;
  it.each([
    '[',
    '{',
    '- ',
    'a: ',
    '"',
    "'",
    '? ',
    '&a ',
    '*a ',
    'a\n',
    'a: b\n',
    '}',
    ']',
    '-\n',
    'a:\n',
    '[a, ',
    '|\n',
    '!',
    '%',
    '\0',
    '---\n',
    '>',
    '\u{1F600}',
  ])('of 256 kB of %j is read or refused within a second', (piece) => {
    const text = piece.repeat(Math.floor(kilobytes / Buffer.byteLength(piece)));
    const before = process.cpuUsage();
    outcomeOnce(text);
    const used = process.cpuUsage(before);
    expect((used.user + used.system) / 1000).toBeLessThan(1000);
  });
});

function outcomeOnce(text: string): void {
  try {
    parse(text);
  } catch (error) {
    expect(error).toBeInstanceOf(TaskError);
  }
}
