/** Logs are JSON for programs and lines for people, and neither can be made to lie by what is logged. */
import { expect, test } from 'vitest';
import { StyxError } from '../../model/errors.ts';
import { createLog } from '../../system/log.ts';
import { checkLogLevel } from '../../system/log-levels.ts';
import { lastWords, logLineJson, logLineText } from '../../system/log-text.ts';

function logged(level: string | undefined, say: (log: ReturnType<typeof createLog>) => void): string[] {
  const lines: string[] = [];
  const env = level === undefined ? {} : { STYX_LOG_LEVEL: level };
  say(createLog('worker', env, { write: (line) => lines.push(line.trimEnd()) }));
  return lines;
}

test('a line is JSON with part, level, time and the ids that it was given', () => {
  const [line = ''] = logged(undefined, (log) => log.info({ cluster: 'default/c' }, 'cluster is UP'));
  const entry = JSON.parse(line);
  expect(entry).toMatchObject({ part: 'worker', level: 'info', cluster: 'default/c', msg: 'cluster is UP' });
  expect(new Date(entry.time).toISOString()).toBe(entry.time);
});

test.each([
  [undefined, ['info', 'warn']],
  ['', ['info', 'warn']],
  ['debug', ['debug', 'info', 'warn']],
  ['error', []],
])('with STYX_LOG_LEVEL=%s it says %j', (level, said) => {
  const lines = logged(level, (log) => {
    log.debug('a');
    log.info('b');
    log.warn('c');
  });
  expect(lines.map((line) => JSON.parse(line).level)).toEqual(said);
});

test('a level that is none is refused with the nearest, and said by what has nobody to refuse', () => {
  expect(() => checkLogLevel({ STYX_LOG_LEVEL: 'inof' })).toThrow(
    "STYX_LOG_LEVEL is 'inof'; it can be trace, debug, info, warn, error",
  );
  expect(() => checkLogLevel({ STYX_LOG_LEVEL: 'warm' })).toThrow(
    expect.objectContaining({ hint: 'Did you mean warn?' }),
  );
  expect(logged('inof', (log) => log.info('works')).map((line) => JSON.parse(line).level)).toEqual(['warn', 'info']);
});

test('an error is told with its kind and its causes, and without what hangs on it', () => {
  const error = Object.assign(new StyxError('auth', 'no rights', { cause: new Error('401') }), {
    request: 'Bearer abc',
  });
  const [line = ''] = logged(undefined, (log) => log.error({ error }, 'it failed'));
  expect(line).not.toContain('Bearer');
  expect(JSON.parse(line).error).toMatchObject({ kind: 'auth', message: 'no rights' });
  expect(JSON.parse(line).error.stack).toMatch(/no rights[\s\S]*caused by: Error: 401/);
  expect(logLineText(line)).toMatch(/^\d{4}-\d\d-\d\d [\d:.]{12} ERROR it failed\n {4}StyxError: no rights/);
  expect(lastWords(line)).toBe('it failed: no rights');
});

test('people read one line each, with the ids at its end', () => {
  const [line = ''] = logged(undefined, (log) => log.warn({ cluster: 'default/c', node: 1 }, 'node 1 is gone'));
  expect(logLineText(line)).toMatch(/^[\d-]{10} [\d:.]{12} WARN {2}node 1 is gone \(cluster=default\/c, node=1\)$/);
});

test('what is logged can neither begin a line nor steer the terminal', () => {
  const evil = 'a\n2026-01-01 00:00:00.000 INFO forged \u001b[31m\u202e';
  const [line = ''] = logged(undefined, (log) => log.info({ reason: evil }, evil));
  const text = logLineText(line);
  expect(text.split('\n').length).toBe(1);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what must not be there
  expect(text).not.toMatch(/[\u0000-\u001f\u202e]/);
});

test.each(['', 'plain words', '{"not": "ours"}', '{broken', 'null'])(
  'a line of somebody else is left as it is: %s',
  (line) => {
    expect(logLineText(line)).toBe(line);
    expect(JSON.parse(logLineJson('temporal', line))).toEqual({ part: 'temporal', msg: line });
  },
);
