/** Values as tables show them, in the forms that SkyPilot's users know. */
import { formatDuration } from '../model/duration.ts';
import type { AutostopRule } from '../model/task.ts';

/** `10m`, `2h`, `10m (down)`, `-`. */
export function formatAutostop(rule: AutostopRule | null): string {
  if (rule === null) return '-';
  const minutes = rule.idleMinutes;
  const time = minutes > 0 && minutes % 60 === 0 ? `${minutes / 60}h` : `${minutes}m`;
  return rule.down ? `${time} (down)` : time;
}

const AGES: readonly (readonly [number, string, string])[] = [
  [86_400 * 365, 'yr', 'yrs'],
  [86_400 * 30, 'mo', 'mos'],
  [86_400 * 7, 'week', 'weeks'],
  [86_400, 'day', 'days'],
  [3_600, 'hr', 'hrs'],
  [60, 'min', 'mins'],
  [1, 'sec', 'secs'],
];

/** `3 mins ago`; `-` for no time. Times are milliseconds since the epoch. */
export function formatAge(at: number | null, now = Date.now()): string {
  if (at === null || at <= 0) return '-';
  const seconds = Math.max(0, Math.floor((now - at) / 1_000));
  for (const [size, one, many] of AGES) {
    const count = Math.floor(seconds / size);
    if (count > 0) return `${count} ${count === 1 ? one : many} ago`;
  }
  return 'just now';
}

/** Of what has not started `-`, of what runs until now. */
export function formatSpan(from: number | null, to: number | null, now = Date.now()): string {
  return from === null ? '-' : formatDuration(((to ?? now) - from) / 1_000);
}

export function formatMoney(dollars: number): string {
  return `$ ${dollars.toFixed(dollars > 0 && dollars < 0.1 ? 4 : 2)}`;
}

/** ISO 8601 in UTC, for programs; null for no time. */
export function isoTime(at: number | null): string | null {
  return at === null || at <= 0 ? null : new Date(at).toISOString();
}

/** Text of at most `chars` characters, cut with an ellipsis. */
export function clip(text: string, chars: number): string {
  return text.length <= chars ? text : `${text.slice(0, chars - 1)}…`;
}

/** `cloud/region/zone` as a column shows it: `local (local-a)`, `-` while there is no place. */
export function infraName(infra: string | null): string {
  const [cloud, region, zone] = (infra ?? '').split('/');
  if (!cloud) return '-';
  const place = zone || region;
  return place ? `${cloud} (${place})` : cloud;
}

/** `2026-03-01 14:05:09` */
export function localTime(at: number): string {
  return new Date(at - new Date(at).getTimezoneOffset() * 60_000).toISOString().slice(0, 19).replace('T', ' ');
}
