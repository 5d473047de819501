/** Plain YAML 1.1 timestamps, which PyYAML turns into dates: what Python's `str()` makes of them. */

const DATE = /^(\d{4})-(\d\d)-(\d\d)$/;
const TIME =
  /^(\d{4})-(\d\d?)-(\d\d?)(?:[Tt]|[ \t]+)(\d\d?):(\d\d):(\d\d)(?:\.(\d*))?(?:[ \t]*(?:(Z)|([-+])(\d\d?)(?::(\d\d))?))?$/;

/** null: not a timestamp, or one of no calendar. */
export function timestamp(source: string): { value: Date; text: string } | null {
  if (source.length > 60) return null;
  const day = DATE.exec(source);
  if (day !== null) {
    const value = dateOf(day.slice(1, 4).map(Number));
    return value === null ? null : { value, text: source };
  }
  const moment = TIME.exec(source);
  if (moment === null) return null;
  const parts = moment.slice(1, 7).map(Number);
  const value = dateOf(parts);
  if (value === null) return null;
  const [year, ...rest] = parts;
  const [month, date, hour, minute, second] = rest.map((part) => String(part).padStart(2, '0'));
  const fraction = (moment[7] ?? '').slice(0, 6).padEnd(6, '0');
  const shown = Number(fraction) === 0 ? '' : `.${fraction}`;
  const text = `${String(year).padStart(4, '0')}-${month}-${date} ${hour}:${minute}:${second}${shown}${zone(moment)}`;
  return { value, text };
}

function zone([, , , , , , , , utc, sign, hours, minutes]: RegExpExecArray): string {
  if (utc !== undefined) return '+00:00';
  if (sign === undefined) return '';
  return `${sign}${String(hours).padStart(2, '0')}:${minutes ?? '00'}`;
}

function dateOf([year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0]: readonly number[]): Date | null {
  const date = new Date(Date.UTC(2000, 0, 1));
  date.setUTCFullYear(year, month - 1, day);
  date.setUTCHours(hour, minute, second);
  const same = date.getUTCMonth() === month - 1 && date.getUTCDate() === day && date.getUTCSeconds() === second;
  return same && year > 0 && hour < 24 && minute < 60 ? date : null;
}
