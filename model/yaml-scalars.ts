/** Plain YAML 1.1 scalars as PyYAML reads them, so that task files mean here what they mean to SkyPilot. */

import { timestamp } from './yaml-timestamps.ts';

export type ScalarValue = string | number | boolean | Date | null;

export interface Scalar {
  readonly value: ScalarValue;
  /** What Python's `str()` makes of the value: `True`, `1.0`, `None`. */
  readonly text: string;
}

const NULL = /^(?:~|null|Null|NULL|)$/;
const TRUE = /^(?:yes|Yes|YES|true|True|TRUE|on|On|ON)$/;
const FALSE = /^(?:no|No|NO|false|False|FALSE|off|Off|OFF)$/;
const INTEGER = /^[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0[0-7_]*|[1-9][0-9_]*)$/;
const SEXAGESIMAL = /^[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+$/;
const FLOAT = /^(?:[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?)$/;
const SEXAGESIMAL_FLOAT = /^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*$/;
const INFINITE = /^[-+]?\.(?:inf|Inf|INF)$/;
const NOT_A_NUMBER = /^\.(?:nan|NaN|NAN)$/;
/** Longer digits than these are nobody's number, and BigInt takes quadratic time. */
const MAX_DIGITS = 1000;

export function plainScalar(source: string): Scalar {
  if (NULL.test(source)) return { value: null, text: 'None' };
  if (TRUE.test(source)) return { value: true, text: 'True' };
  if (FALSE.test(source)) return { value: false, text: 'False' };
  if (source.length > MAX_DIGITS) return { value: source, text: source };
  const integer = integerOf(source);
  if (integer !== null) return { value: Number(integer), text: integer.toString() };
  if (FLOAT.test(source)) {
    const value = Number(source.replaceAll('_', ''));
    if (!Number.isNaN(value)) return { value, text: floatText(value) };
  }
  if (SEXAGESIMAL_FLOAT.test(source)) {
    const parts = source.replace(/^[-+]/, '').replaceAll('_', '').split(':').map(Number);
    const size = parts.reduce((sum, part) => sum * 60 + part, 0);
    const value = source.startsWith('-') ? -size : size;
    return { value, text: floatText(value) };
  }
  if (INFINITE.test(source)) {
    return source.startsWith('-')
      ? { value: Number.NEGATIVE_INFINITY, text: '-inf' }
      : { value: Number.POSITIVE_INFINITY, text: 'inf' };
  }
  if (NOT_A_NUMBER.test(source)) return { value: Number.NaN, text: 'nan' };
  return timestamp(source) ?? { value: source, text: source };
}

function integerOf(source: string): bigint | null {
  const negative = source.startsWith('-');
  const digits = source.replace(/^[-+]/, '').replaceAll('_', '');
  let value: bigint;
  if (SEXAGESIMAL.test(source)) {
    value = digits.split(':').reduce((sum, part) => sum * 60n + BigInt(part), 0n);
  } else if (INTEGER.test(source)) {
    if (/^0[bx]$/.test(digits)) return null;
    value = /^0[0-7]+$/.test(digits) ? BigInt(`0o${digits.slice(1)}`) : BigInt(digits);
  } else return null;
  return negative ? -value : value;
}

/** Python's repr of a finite or infinite float. */
function floatText(value: number): string {
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  if (value === 0) return Object.is(value, -0) ? '-0.0' : '0.0';
  const size = Math.abs(value);
  if (size >= 1e16 || size < 1e-4) {
    const [digits = '', exponent = ''] = value.toExponential().split('e');
    return `${digits}e${exponent[0]}${exponent.slice(1).padStart(2, '0')}`;
  }
  return Number.isInteger(value) ? `${value}.0` : String(value);
}
