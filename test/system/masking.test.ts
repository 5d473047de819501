import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Masker, maskText } from '../../system/masking.ts';

function masked(text: string, values: readonly string[], cuts: readonly number[] = []): string {
  const masker = new Masker(values);
  const bytes = Buffer.from(text);
  const edges = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length];
  const pieces = edges.slice(1).map((edge, at) => masker.push(bytes.subarray(edges[at], edge)));
  return Buffer.concat([...pieces, masker.end()]).toString();
}

test('every value is masked, wherever the stream is cut, and nothing else is changed', () => {
  const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'ü', '\n'), maxLength: 30 });
  const value = fc.string({ unit: fc.constantFrom('a', 'b', 'ü'), minLength: 4, maxLength: 6 });
  fc.assert(
    fc.property(
      letters,
      fc.array(value, { minLength: 1, maxLength: 3 }),
      letters,
      fc.array(fc.nat()),
      (before, values, after, cuts) => {
        const text = before + values.join('-') + after;
        const result = masked(text, values, cuts);
        expect(result).toBe(masked(text, values));
        for (const each of values) expect(result).not.toContain(each);
        expect(result.replaceAll('*****', '').length).toBeLessThan(text.length);
      },
    ),
  );
  expect(masked('no secret here\n', ['hunter2'], [3, 5, 9])).toBe('no secret here\n');
});

test('each line of a value that has several is masked by itself', () => {
  expect(maskText('x -----BEGIN y\n  abcdef\n', ['-----BEGIN\nabcdef\n'])).toBe('x ***** y\n  *****\n');
});

test('a value that begins like another is masked whole', () => {
  expect(maskText('hunter2hunter2', ['hunter2', 'hunter2hunter2'])).toBe('*****');
});

test('a value that begins like another is masked whole where the stream is cut after the other', () => {
  const values = ['hunter2', 'hunter2-long'];
  expect(masked('x hunter2-long', values, [9])).toBe('x *****');
  expect(masked('x hunter2-lo', values, [9])).toBe('x *****-lo');
  expect(masked('x hunter2', values, [9])).toBe('x *****');
});

test('values of less than four bytes are left, since they would mask what is no secret', () => {
  expect(maskText('1 abc true', ['1', 'abc', ''])).toBe('1 abc true');
});

test('a stream is shown as it comes where no value can begin', () => {
  const masker = new Masker(['hunter2']);
  expect(masker.push(Buffer.from('Password: ')).toString()).toBe('Password: ');
  expect(masker.push(Buffer.from('hunt')).toString()).toBe('');
  expect(masker.push(Buffer.from('ing')).toString()).toBe('hunting');
});
