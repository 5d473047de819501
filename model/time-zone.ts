/** Moments as a time zone's clocks show them. Pure: the zones are those of the runtime. */
import { StyxError } from './errors.ts';
import { nearestWord } from './spelling.ts';

/** The zone's own spelling. @throws invalid */
export function checkedZone(text: string): string {
  const zones = Intl.supportedValuesOf('timeZone');
  // Offsets are no zones: servers do not know them.
  if (/^[A-Za-z]/.test(text)) {
    try {
      return new Intl.DateTimeFormat('en', { timeZone: text }).resolvedOptions().timeZone;
    } catch {
      // Told below.
    }
  }
  const city = zones.find((zone) => zone.split('/').at(-1)?.toLowerCase() === text.toLowerCase().replaceAll(' ', '_'));
  const near = city ?? nearestWord(text, ['UTC', ...zones]);
  throw new StyxError('invalid', `${JSON.stringify(text.slice(0, 60))} is no time zone`, {
    hint: near === null ? 'Zones are such as UTC, Europe/Berlin and America/New_York.' : `Did you mean ${near}?`,
  });
}

/** `2030-01-02 09:00:00`, as clocks there show it. */
export function zoneTime(at: number, zone: string): string {
  return new Intl.DateTimeFormat('sv-SE', { timeZone: zone, dateStyle: 'short', timeStyle: 'medium' }).format(at);
}

/** `2030-01-02 09:00:00 Europe/Berlin (08:00:00 UTC)`; the date of UTC too where it is another one. */
export function zoneAndUtc(at: number, zone: string): string {
  const utc = zoneTime(at, 'UTC');
  if (zone === 'UTC') return `${utc} UTC`;
  const local = zoneTime(at, zone);
  return `${local} ${zone} (${utc.slice(0, 10) === local.slice(0, 10) ? utc.slice(11) : utc} UTC)`;
}

const MOMENT = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(:\d\d)?)?(Z|[+-]\d\d:\d\d)?$/i;

/** `2030-01-02`, `2030-01-02T15:04`, with seconds, with `Z` or `+02:00`; without those it is the zone's time. ms. @throws invalid naming `what` */
export function parseMoment(text: string, zone: string, what: string): number {
  const match = MOMENT.exec(text.trim());
  const [, date = '', time = '00:00', seconds = ':00', offset] = match ?? [];
  const utc = Date.parse(`${date}T${time}${seconds}Z`);
  // Dates such as 30 February are rolled over by some readers.
  if (match === null || Number.isNaN(utc) || !new Date(utc).toISOString().startsWith(date)) {
    throw new StyxError('invalid', `${what} ${JSON.stringify(text.slice(0, 60))} is no date`, {
      hint: 'Dates are such as 2030-01-31, 2030-01-31T15:04 and 2030-01-31T15:04:05Z.',
    });
  }
  if (offset !== undefined) return Date.parse(`${date}T${time}${seconds}${offset.toUpperCase()}`);
  // What clocks show less what it is in UTC; once more, since it may be another one there.
  const first = utc - offsetAt(utc, zone);
  return utc - offsetAt(first, zone);
}

function offsetAt(at: number, zone: string): number {
  return Date.parse(`${zoneTime(at, zone).replace(' ', 'T')}Z`) - Math.floor(at / 1_000) * 1_000;
}
