import { readdirSync, readFileSync } from 'node:fs';
import { expect, it, test } from 'vitest';
import { parseSubmission } from '../../model/parse-pipeline.ts';
import { parseJob, parsePool, parseTask } from '../../model/parse-task.ts';
import type { WrittenTask } from '../../model/task.ts';
import { validateTask } from '../../model/task-schema.ts';

const folder = new URL('../../examples/', import.meta.url);
const files = readdirSync(folder).filter((name) => name.endsWith('.yaml'));

function tasksOf(text: string, file: string): readonly WrittenTask[] {
  if (/^---$/m.test(text)) {
    const written = parseSubmission(text, { file });
    return written.kind === 'pipeline' ? written.tasks.map(({ task }) => task) : [written.task];
  }
  return [text.includes('job_recovery:') ? parseJob(text, { file }).task : parseTask(text, { file })];
}

test('there are at least a dozen examples', () => {
  expect(files.length).toBeGreaterThanOrEqual(12);
});

it.each(files)('%s is a task, and its first line says how to run it', (file) => {
  const text = readFileSync(new URL(file, folder), 'utf8');
  const pool = /^pool:/m.test(text);
  for (const task of pool ? [parsePool(text, { file }).task] : tasksOf(text, file)) {
    expect(validateTask(task)).toEqual(task);
    if (!pool) expect(task.run).toBeTruthy();
  }
  expect(text.split('\n')[0]).toMatch(
    new RegExp(`^# .{20,}: styx (launch|exec|jobs launch|jobs pool apply) .*examples/${file}( .*)?$`),
  );
});
