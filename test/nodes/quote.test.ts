import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { shellCommand, shellQuote } from '../../nodes/quote.ts';

const words = fc.array(
  fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: fc.constantFrom(...'\'"\\$`!*?~ \n\t;&|<>(){}[]#=-a') })),
  {
    minLength: 1,
    maxLength: 20,
  },
);

test('any text without NUL comes through a shell as it was', () => {
  fc.assert(
    fc.property(words, (texts) => {
      const clean = texts.map((text) => text.replaceAll('\0', '').toWellFormed());
      const output = execFileSync('/bin/sh', ['-c', `printf '%s\\0' ${clean.map(shellQuote).join(' ')}`]);
      expect(output.toString()).toBe(clean.map((text) => `${text}\0`).join(''));
    }),
    { numRuns: 60 },
  );
});

test('NUL is refused', () => {
  expect(() => shellQuote('a\0b')).toThrow(RangeError);
});

test('a program whose name looks like an assignment is still a program', () => {
  expect(() => execFileSync('/bin/sh', ['-c', shellCommand(['A=1'])], { stdio: 'ignore' })).toThrow();
});
