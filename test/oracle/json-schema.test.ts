/** Editors must not find fault with what the parser takes. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseTaskFile } from '../../model/parse-task.ts';
import { taskJsonSchema } from '../../model/spec/json-schema.ts';
import { printTaskFile } from '../../model/spec/print.ts';
import { TaskError } from '../../model/task-error.ts';
import { taskFile } from './generate.ts';
import { skypilotPython } from './venv.ts';

const FILES = 1500;
const python = skypilotPython();
if ('reason' in python) console.warn(`SKIPPED test/oracle/json-schema: ${python.reason}`);

/** Files of one task that the parser takes: as written, and as printed. Nothing in a field, and dates, JSON has no schema for. */
function accepted(): string[] {
  return Array.from({ length: FILES }, (_, seed) => taskFile(seed)).flatMap((text) => {
    if (/null|---|\d{4}-\d\d-\d\d/.test(text)) return [];
    try {
      return [text, printTaskFile(parseTaskFile(text, { file: 'task.yaml' }))];
    } catch (error) {
      if (error instanceof TaskError) return [];
      throw error;
    }
  });
}

function faults(files: readonly string[]): string[][] {
  if ('reason' in python) return [];
  const { status, stdout, stderr } = spawnSync(python.python, [join(import.meta.dirname, 'schema.py')], {
    encoding: 'utf8',
    input: JSON.stringify({ schema: taskJsonSchema(), files }),
    maxBuffer: 1 << 28,
  });
  expect(status, stderr).toBe(0);
  return JSON.parse(stdout);
}

describe.skipIf('reason' in python)('the JSON Schema', () => {
  test('accepts what the parser accepts', () => {
    const files = accepted();
    expect(files.length).toBeGreaterThan(FILES / 4);
    const wrong = faults(files).flatMap((found, index) =>
      found.length === 0 ? [] : [`${found.join('\n')}\n${files[index]}`],
    );
    expect(wrong.slice(0, 5).join('\n')).toBe('');
  });

  test('finds unknown fields and values of the wrong kind', () => {
    const files = [
      'runn: x',
      'resources: {cpu: 4}',
      'resources: {autostop: {idle: 4}}',
      'num_nodes: many',
      'file_mounts: {/a: 5}',
    ];
    expect(faults(files).map((found) => found.length > 0)).toEqual(files.map(() => true));
  });
});
