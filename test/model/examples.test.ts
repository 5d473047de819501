import { readdirSync, readFileSync } from 'node:fs';
import { expect, it, test } from 'vitest';
import { parseJob, parsePool, parseTask } from '../../model/parse-task.ts';
import { validateTask } from '../../model/task-schema.ts';

const folder = new URL('../../examples/', import.meta.url);
const files = readdirSync(folder).filter((name) => name.endsWith('.yaml'));

test('there are at least a dozen examples', () => {
  expect(files.length).toBeGreaterThanOrEqual(12);
});

it.each(files)('%s is a task, and its first line says how to run it', (file) => {
  const text = readFileSync(new URL(file, folder), 'utf8');
  const managed = text.includes('job_recovery:');
  const pool = /^pool:/m.test(text);
  const read = pool ? parsePool : parseJob;
  const task = managed || pool ? read(text, { file }).task : parseTask(text, { file });
  expect(validateTask(task)).toEqual(task);
  if (!pool) expect(task.run).toBeTruthy();
  expect(text.split('\n')[0]).toMatch(
    new RegExp(`^# .{20,}: styx (launch|exec|jobs launch|jobs pool apply) .*examples/${file}( .*)?$`),
  );
});
