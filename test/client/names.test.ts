import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isGlob, matchesGlob, nearest } from '../../client/names.ts';

const name = fc.stringMatching(/^[a-zA-Z][a-zA-Z0-9._-]{0,12}[a-zA-Z0-9]$/);

describe('globs', () => {
  test('a name without glob characters matches itself alone', () => {
    fc.assert(
      fc.property(name, name, (one, other) => {
        expect(isGlob(one)).toBe(false);
        expect(matchesGlob(one, one)).toBe(true);
        expect(matchesGlob(one, other)).toBe(one === other);
      }),
    );
  });

  test('a star stands for any part of a name, a question mark for one character', () => {
    fc.assert(
      fc.property(name, fc.nat(), fc.nat(), (whole, a, b) => {
        const from = Math.min(a % whole.length, b % whole.length);
        const to = Math.max(a % whole.length, b % whole.length);
        expect(matchesGlob(`${whole.slice(0, from)}*${whole.slice(to)}`, whole)).toBe(true);
        expect(matchesGlob(`${whole.slice(0, from)}?${whole.slice(from + 1)}`, whole)).toBe(true);
        expect(matchesGlob(`${whole}?`, whole)).toBe(false);
      }),
    );
  });

  test.each([
    ['train-[0-9]', 'train-7', true],
    ['train-[0-9]', 'train-x', false],
    ['train-[!0-9]', 'train-x', true],
    ['train-[!0-9]', 'train-7', false],
    ['train-[]', 'train-', false],
    ['a.b*', 'axb1', false],
    ['[z-a]', 'b', false],
    ['[', '[', true],
  ])('%s against %s is %s', (glob, text, expected) => {
    expect(matchesGlob(glob, text)).toBe(expected);
  });

  test('no glob can break the matcher', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'*?[]!^-\\a.b(') }), name, (glob, text) => {
        expect(typeof matchesGlob(glob, text)).toBe('boolean');
      }),
    );
  });
});

describe('suggestions', () => {
  test('names what was probably meant, nearest first', () => {
    expect(nearest('helo', ['world', 'hello', 'help'])).toEqual(['hello', 'help']);
    expect(nearest('train', ['train-big-1', 'other'])).toEqual(['train-big-1']);
  });

  test('names nothing when nothing is near', () => {
    expect(nearest('xyz', ['hello', 'world'])).toEqual([]);
  });
});
