/** Figures, as a table for people and as JSON for programs. */
import { loadavg } from 'node:os';

export interface Figure {
  readonly subject: string;
  readonly unit: string;
  readonly values: readonly number[];
  /** What it should be at most (or, with `least`, at least). */
  readonly target?: number;
  readonly least?: boolean;
  /** The value that the target is about; default: the median. */
  readonly judged?: number;
  readonly note?: string;
  /** Of the last minute, when it was measured. */
  readonly load: number;
}

export interface Skip {
  readonly subject: string;
  readonly why: string;
}

export interface Report {
  readonly figures: Figure[];
  readonly skips: Skip[];
}

/** Nearest rank; 0 < p ≤ 1. */
export function percentile(values: readonly number[], p: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * p) - 1)] ?? Number.NaN;
}

export function median(values: readonly number[]): number {
  return (
    (percentile(values, 0.5) +
      percentile(
        [...values].map((value) => -value),
        0.5,
      ) *
        -1) /
    2
  );
}

export function add(report: Report, figure: Omit<Figure, 'load'>): void {
  report.figures.push({ ...figure, load: loadavg()[0] ?? 0 });
}

export function met(figure: Figure): boolean | null {
  if (figure.target === undefined) return null;
  const value = figure.judged ?? median(figure.values);
  return figure.least === true ? value >= figure.target : value <= figure.target;
}

function short(value: number): string {
  return value >= 100 || Number.isInteger(value) ? String(Math.round(value)) : value.toPrecision(3);
}

export function table(report: Report): string {
  const rows = report.figures.map((figure) => {
    const { subject, unit, values, target, least, note = '', load } = figure;
    const reached = met(figure);
    return [
      subject,
      String(values.length),
      short(median(values)),
      short(Math.min(...values)),
      short(Math.max(...values)),
      unit,
      target === undefined ? '' : `${least === true ? '>=' : '<='} ${target}`,
      reached === null ? '' : reached ? 'met' : 'MISSED',
      load.toFixed(1),
      note,
    ];
  });
  const header = ['SUBJECT', 'N', 'MEDIAN', 'MIN', 'MAX', 'UNIT', 'TARGET', '', 'LOAD', 'NOTE'];
  const widths = header.map((title, at) => Math.max(title.length, ...rows.map((row) => (row[at] ?? '').length)));
  const lines = [header, ...rows].map((row) =>
    row
      .map((cell, at) => (at >= 1 && at <= 4 ? cell.padStart(widths[at] ?? 0) : cell.padEnd(widths[at] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
  return [...lines, ...report.skips.map(({ subject, why }) => `SKIPPED ${subject}: ${why}`)].join('\n');
}
