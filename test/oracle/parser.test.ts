/** SkyPilot's own parser is the judge: generated files get the same verdict and the same values, but for the differences listed here. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { missingSources } from '../../cli/mount-sources.ts';
import { parseTaskFile } from '../../model/parse-task.ts';
import type { TaskFile } from '../../model/spec/file.ts';
import { TaskError, type TaskProblem } from '../../model/task-error.ts';
import { type Answer, ourView, theirView } from './compare.ts';
import { MORE_HERE, REFUSED_HERE, withChoices } from './differences.ts';
import { taskFile } from './generate.ts';
import { skypilotPython } from './venv.ts';

const FILES = 1200;
const python = skypilotPython();
if ('reason' in python) console.warn(`SKIPPED test/oracle: ${python.reason}`);

const here = process.cwd();
let home = '';
const texts = Array.from({ length: FILES }, (_, seed) => taskFile(seed));
let answers: Answer[] = [];

function verdict(text: string): TaskFile | readonly TaskProblem[] {
  try {
    return parseTaskFile(text, { file: 'task.yaml', check: missingSources });
  } catch (error) {
    if (error instanceof TaskError) return error.problems;
    throw error;
  }
}

describe.skipIf('reason' in python)('as SkyPilot 0.14.1', () => {
  beforeAll(() => {
    if ('reason' in python) return;
    home = mkdtempSync(join(tmpdir(), 'styx-oracle-'));
    process.chdir(home);
    mkdirSync(join(home, 'src'));
    writeFileSync(join(home, 'data.csv'), '');
    const result = spawnSync(python.python, [join(import.meta.dirname, 'skypilot.py')], {
      cwd: home,
      encoding: 'utf8',
      input: JSON.stringify(texts),
      maxBuffer: 1 << 28,
      env: { PATH: process.env.PATH, HOME: home, SKYPILOT_DISABLE_USAGE_COLLECTION: '1' },
    });
    expect(result.status, result.stderr).toBe(0);
    answers = JSON.parse(result.stdout);
  }, 120_000);

  afterAll(() => {
    process.chdir(here);
    rmSync(home, { recursive: true, force: true });
  });

  test('accepts and rejects the same generated files', () => {
    const differing = texts.flatMap((text, index) => {
      const answer = answers[index] as Answer;
      const read = verdict(text);
      if ('kind' in read === answer.ok) return [];
      if (!('kind' in read)) {
        const open = read.filter((problem) => !REFUSED_HERE.some((one) => one.covers(problem)));
        return open.length === 0
          ? []
          : [`${index}: accepted there, here ${open.map(({ path, message }) => `${path}: ${message}`)}\n${text}`];
      }
      const error = answer.ok ? '' : answer.error;
      return MORE_HERE.some((one) => one.covers(error, text))
        ? []
        : [`${index}: accepted here, there ${error}\n${text}`];
    });
    expect(differing.slice(0, 14).join('\n')).toBe('');
  });

  test('understands the same of what both accept', () => {
    let compared = 0;
    for (const [index, text] of texts.entries()) {
      const answer = answers[index] as Answer;
      const read = verdict(text);
      if (!answer.ok || !('kind' in read)) continue;
      compared++;
      expect(ourView(read), `${index}\n${text}`).toEqual(withChoices(theirView(answer), text));
    }
    expect(compared).toBeGreaterThan(FILES / 4);
  });
});
