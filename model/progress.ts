/**
 * How much of its work a job says is done: the last line of the file that STYX_PROGRESS names, a fraction from 0 to 1 (`0.42`) or a
 * percentage (`42%`). What it says is what another try need not do again: a job with checkpoints reports what is saved.
 */
const LINE = /^(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*(%?)$/i;

/** `problem`: why a line says nothing, for people. */
export function readProgress(line: string): { fraction: number; problem: null } | { fraction: null; problem: string } {
  const [, digits, exponent = '', percent] = LINE.exec(line.trim()) ?? [];
  const fraction = Number(`${digits}${exponent}`) / (percent === '%' ? 100 : 1);
  if (digits !== undefined && fraction >= 0 && fraction <= 1) return { fraction, problem: null };
  const problem = `STYX_PROGRESS: '${line.slice(0, 40)}' is neither a number from 0 to 1 nor a percentage; it counts for nothing`;
  return { fraction: null, problem };
}

/** `42 %`, `99.9 %`: rounded down, so that only what is done shows as such. */
export function formatProgress(fraction: number): string {
  return `${Math.floor(fraction * 1_000 + 1e-9) / 10} %`;
}
