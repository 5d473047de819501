import { expect, test } from 'vitest';
import { Progress } from '../../cli/progress.ts';

function recorder(isTTY: boolean) {
  const written: string[] = [];
  return { isTTY, columns: 60, written, write: (text: string) => written.push(text) };
}

test('in a pipe says each thing once, in plain lines', () => {
  const stream = recorder(false);
  const progress = new Progress(stream, {});
  for (const text of ['one', 'one', 'two']) progress.update(text);
  progress.update('its own', 'a');
  progress.update('two');
  progress.line('a line');
  progress.stop();
  expect(stream.written.join('')).toBe('one\ntwo\na: its own\na line\n');
});

test('on a terminal keeps to one line and leaves none of it behind', () => {
  const stream = recorder(true);
  const progress = new Progress(stream, {});
  progress.update('x'.repeat(200));
  progress.line('kept');
  progress.stop();
  const drawn = stream.written.filter((text) => text.includes('xxx'));
  expect(drawn).toHaveLength(2);
  for (const text of drawn) expect(text.replace('\r\x1b[2K', '').length).toBeLessThan(60);
  expect(stream.written.at(-1)).toBe('\r\x1b[2K');
  expect(stream.written.join('')).toContain('\r\x1b[2Kkept\n');
});

test('does not animate on a dumb terminal', () => {
  const stream = recorder(true);
  const progress = new Progress(stream, { TERM: 'dumb' });
  progress.update('one');
  progress.stop();
  expect(stream.written).toEqual(['one\n']);
});
