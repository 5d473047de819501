import * as fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { stringify } from 'yaml';
import { parseTask, parseTaskFile } from '../../model/parse-task.ts';
import { fieldDocs } from '../../model/spec/json-schema.ts';
import type { Task, WrittenTask } from '../../model/task.ts';
import { TaskError, type TaskProblem } from '../../model/task-error.ts';
import { validateTask } from '../../model/task-schema.ts';
import { taskFile } from '../oracle/generate.ts';
import { holds } from './holds.ts';

function parse(text: string) {
  return parseTask(text, { file: 'task.yaml' });
}

/** As the client hands it on: with snapshots of its files, its secrets closed. */
function submitted({ secrets, workdir, fileMounts, ...task }: WrittenTask): Task {
  const snapshot = { manifest: 'a'.repeat(64), kind: 'directory', files: 1, bytes: 2 } as const;
  return {
    ...task,
    secrets: Object.fromEntries(Object.keys(secrets).map((name) => [name, { $secret: 'key', box: 'x' }])),
    ...(workdir === undefined ? {} : { workdir: { ...workdir, snapshot } }),
    ...(fileMounts === undefined ? {} : { fileMounts: fileMounts.map((mount) => ({ ...mount, snapshot })) }),
  };
}

/** Parses, or tells what is wrong; anything else is a failure of the test. */
function outcome(text: string): TaskProblem[] {
  try {
    parseTaskFile(text, { file: 'task.yaml' });
    const task = submitted(parse(text));
    expect(validateTask(task)).toEqual(task);
    return [];
  } catch (error) {
    if (!(error instanceof TaskError)) throw error;
    expect(error.problems.length).toBeGreaterThan(0);
    return [...error.problems];
  }
}

const anyScalar = fc.oneof(fc.string(), fc.double(), fc.integer(), fc.boolean(), fc.constant(null));
const fieldNames = [
  ...new Set(fieldDocs().flatMap(({ path }) => path.split('.'))),
  ...['execution', 'primary_tasks', 'termination_delay', '<<', '__proto__', 'constructor', 'toString'],
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
      fc
        .array(likely, { minLength: 2, maxLength: 3 })
        .map((values) => values.map((value) => stringify(value)).join('---\n')),
      fc.tuple(fc.nat(), fc.nat(), fc.nat(5), fc.string()).map(([seed, at, cut, put]) => {
        const text = taskFile(seed);
        const from = at % (text.length + 1);
        return text.slice(0, from) + put + text.slice(from + cut);
      }),
    );
    const law = fc.property(texts, (text) => {
      for (const problem of outcome(text)) {
        expect(problem.line).toBeGreaterThan(0);
        expect(problem.column).toBeGreaterThan(0);
      }
    });
    holds(law, 700);
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
    withinSecond(piece.repeat(Math.floor(kilobytes / Buffer.byteLength(piece))));
  });

  it.each([
    ['of a megabyte of nothing in particular', Buffer.alloc(1 << 20, '\u0001{[:-\n"é').toString()],
    ['of a megabyte of one line', 'a'.repeat(1 << 20)],
    ['with 20,000 unknown fields', Array.from({ length: 19_000 }, (_, i) => `resourcf${i}: 1`).join('\n')],
    [
      'with 10,000 unknown fields far down',
      `config: {kubernetes: {${Array.from({ length: 9000 }, (_, i) => `pod_confiq${i}: 1`).join(', ')}}}`,
    ],
    ['with 10,000 ranges of ports', `resources: {ports: [${Array(9000).fill('1-65535').join(', ')}]}`],
    [
      'with a thousand alternatives of a thousand accelerators',
      `resources: {accelerators: {${Array.from({ length: 1500 }, (_, i) => `A${i}: 1`).join(', ')}}, any_of: [${Array(1500).fill('{}').join(', ')}]}`,
    ],
    [
      'with a long value put in thousands of times',
      `envs: {A: ${'x'.repeat(100_000)}}\nworkdir: ${'$A'.repeat(60_000)}`,
    ],
    [
      'with thousands of sources',
      `file_mounts: {/a: {name: b, source: [${Array.from({ length: 15_000 }, (_, i) => `x${i}`).join(', ')}]}}`,
    ],
    ['of thousands of documents', '---\nrun: x\n'.repeat(15_000)],
    [
      'with a bomb of aliases in every document',
      Array(20)
        .fill(
          `a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]`,
        )
        .join('\n---\n'),
    ],
  ])('%s is read or refused within a second', (_, text) => withinSecond(text));
});

function withinSecond(text: string): void {
  const before = process.cpuUsage();
  outcomeOnce(text);
  const used = process.cpuUsage(before);
  expect((used.user + used.system) / 1000).toBeLessThan(1000);
}

function outcomeOnce(text: string): void {
  try {
    parse(text);
  } catch (error) {
    expect(error).toBeInstanceOf(TaskError);
  }
}
