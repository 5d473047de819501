import { describe, expect, it } from 'vitest';
import { plainScalar } from '../../model/yaml-scalars.ts';

describe('a plain scalar', () => {
  it.each([
    ['yes', true, 'True'],
    ['Off', false, 'False'],
    ['y', 'y', 'y'],
    ['yEs', 'yEs', 'yEs'],
    ['0755', 493, '493'],
    ['0o755', '0o755', '0o755'],
    ['08', '08', '08'],
    ['0x1F', 31, '31'],
    ['0b101', 5, '5'],
    ['12:30', 750, '750'],
    ['1:30:15', 5415, '5415'],
    ['-1:30', -90, '-90'],
    ['1:30.5', 90.5, '90.5'],
    ['01:30', '01:30', '01:30'],
    ['3.10', 3.1, '3.1'],
    ['1.2.3', '1.2.3', '1.2.3'],
    ['1e3', '1e3', '1e3'],
    ['1.0e+3', 1000, '1000.0'],
    ['1_000', 1000, '1000'],
    ['.5', 0.5, '0.5'],
    ['5.', 5, '5.0'],
    ['-.inf', Number.NEGATIVE_INFINITY, '-inf'],
    ['~', null, 'None'],
    ['None', 'None', 'None'],
  ])('%s is read as PyYAML does', (source, value, text) => {
    expect(plainScalar(source)).toEqual({ value, text });
  });

  it.each([
    ['2024-01-01', '2024-01-01'],
    ['2001-12-14t21:59:43.10-05:00', '2001-12-14 21:59:43.100000-05:00'],
    ['2001-12-14 21:59:43', '2001-12-14 21:59:43'],
    ['2001-1-2 3:04:05Z', '2001-01-02 03:04:05+00:00'],
  ])('%s is a date, and as text %s', (source, text) => {
    expect(plainScalar(source)).toEqual({ value: expect.any(Date), text });
  });

  it.each(['2024-13-01', '2024-1-1', '20240101x', '2024-01-01 25:00:00'])('%s is no date', (source) => {
    expect(plainScalar(source).value).toBe(source);
  });
});
