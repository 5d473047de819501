/** Lengths of time as people write them. */

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };
const DURATION = /^(?:\d+(?:\.\d+)?\s*[smhdw]\s*)+$/i;
const PART = /(\d+(?:\.\d+)?)\s*([smhdw])/gi;

/** Seconds of `10h`, `30m`, `1h 30m`, `1.5d`; units s, m, h, d, w. null when it is none, or has no unit. */
export function parseDuration(text: string): number | null {
  const trimmed = text.trim();
  if (trimmed.length > 100 || !DURATION.test(trimmed)) return null;
  let seconds = 0;
  for (const [, count, unit] of trimmed.matchAll(PART))
    seconds += Number(count) * (SECONDS[(unit ?? '').toLowerCase()] ?? 0);
  return Number.isFinite(seconds) ? seconds : null;
}

/** The two largest units of a number of seconds, rounded down: `2h 5m`, `45s`, `3d`. Negative counts as 0. */
export function formatDuration(seconds: number): string {
  let rest = Math.max(0, Math.floor(seconds));
  const parts: string[] = [];
  for (const [unit, size] of [
    ['d', 86_400],
    ['h', 3600],
    ['m', 60],
    ['s', 1],
  ] as const) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0) parts.push(`${count}${unit}`);
    else if (parts.length > 0) break;
    if (parts.length === 2) break;
  }
  return parts.join(' ') || '0s';
}

/** `0.4s`, `12s`, `1h 5m`. */
export function spanText(ms: number): string {
  return ms < 10_000 ? `${(Math.max(0, ms) / 1_000).toFixed(1)}s` : formatDuration(ms / 1_000);
}
