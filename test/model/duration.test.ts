import * as fc from 'fast-check';
import { expect, it, test } from 'vitest';
import { formatDuration, parseDuration } from '../../model/duration.ts';
import { holds } from './holds.ts';

it.each([
  ['10h', 36_000],
  ['30m', 1800],
  ['45s', 45],
  ['1h 30m', 5400],
  ['1H30M', 5400],
  ['1.5d', 129_600],
  [' 2w ', 1_209_600],
])('%j is %d seconds', (text, seconds) => {
  expect(parseDuration(text)).toBe(seconds);
});

it.each(['', '10', 'h', '-1h', '1x', '1h30', '1 hour', '1e3s', `${'1h'.repeat(60)}`])('%j is no duration', (text) => {
  expect(parseDuration(text)).toBeNull();
});

it.each([
  [45, '45s'],
  [0, '0s'],
  [-5, '0s'],
  [59.9, '59s'],
  [60, '1m'],
  [7500, '2h 5m'],
  [7501, '2h 5m'],
  [3601, '1h'],
  [259_200, '3d'],
  [90_061, '1d 1h'],
])('%d seconds are shown as %j', (seconds, text) => {
  expect(formatDuration(seconds)).toBe(text);
});

test('what is shown reads back as no more than was meant, and less by no more than the smaller unit', () => {
  const law = fc.property(fc.nat(), (seconds) => {
    const back = parseDuration(formatDuration(seconds)) ?? -1;
    expect(back).toBeLessThanOrEqual(seconds);
    expect(seconds - back).toBeLessThan(Math.max(1, seconds / 24));
  });
  holds(law, 500);
});
