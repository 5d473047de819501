/** `styx catalog update`: several clouds at once, each of which succeeds or fails for itself. */
import type { QuarantinedPrice } from '../catalogs/update/checks.ts';
import { MissingCredential } from '../catalogs/update/credentials.ts';
import { findPriceApi, PRICE_APIS } from '../catalogs/update/sources.ts';
import type { SpotUpdate } from '../catalogs/update/spot.ts';
import { type CatalogUpdate, updateCatalog } from '../catalogs/update/update.ts';
import { ERROR_POLICIES, type Failure, StyxError } from '../model/errors.ts';
import type { CommonOptions, Context } from './run.ts';
import { plain } from './table.ts';

export interface UpdateCommandOptions extends CommonOptions {
  readonly force?: boolean;
}

/** docs/cli.md describes this shape. */
interface CloudUpdate {
  readonly cloud: string;
  /** Skipped: no credentials, and nobody named this cloud. */
  readonly outcome: 'updated' | 'skipped' | 'failed';
  readonly update: CatalogUpdate | null;
  readonly problem: Failure | null;
}

/** More are named in JSON alone. */
const SHOWN = 10;

/** The exit code: 1 when a cloud failed that was to be updated. */
export async function updateAll(
  named: readonly string[],
  options: UpdateCommandOptions,
  { progress, onDetach }: Pick<Context, 'progress' | 'onDetach'>,
): Promise<number> {
  const apis = named.length === 0 ? PRICE_APIS : [...new Set(named.map(findPriceApi))];
  onDetach('Interrupted; the next `styx catalog update` goes on where this one was.');
  const results = await Promise.all(
    apis.map(async ({ cloud }): Promise<CloudUpdate> => {
      progress.update('asking for prices', cloud);
      try {
        const update = await updateCatalog(cloud, {
          force: options.force === true,
          onProgress: (text) => progress.update(plain(text), cloud),
        });
        return { cloud, outcome: 'updated', update, problem: null };
      } catch (error) {
        const skipped = named.length === 0 && error instanceof MissingCredential;
        return { cloud, outcome: skipped ? 'skipped' : 'failed', update: null, problem: failureOf(error) };
      } finally {
        progress.end(cloud);
      }
    }),
  );
  progress.stop();
  const text = options.output === 'json' ? JSON.stringify(results, null, 2) : results.flatMap(linesOf).join('\n');
  process.stdout.write(`${text}\n`);
  return results.some(({ outcome }) => outcome === 'failed') ? 1 : 0;
}

/** Whatever it was, the other clouds go on. */
function failureOf(error: unknown): Failure {
  if (error instanceof StyxError) return error.toFailure();
  return { kind: 'internal', message: error instanceof Error ? error.message : String(error) };
}

function linesOf({ cloud, outcome, update, problem }: CloudUpdate): string[] {
  if (update === null) {
    const { kind = 'internal', message = '', hint } = problem ?? {};
    return [`${cloud}: ${outcome}: ${plain(message)}. ${plain(hint ?? ERROR_POLICIES[kind].hint)}`];
  }
  const { rows, added, removed, changed, quarantined, leftOut, carried, pages, spot } = update;
  const unread = pages.unchanged + pages.resumed;
  return [
    `${cloud}: ${rows} rows; ${changed} with new prices, ${added} new, ${removed} gone (${pages.fetched} pages read${unread === 0 ? '' : `, ${unread} known already`})`,
    ...(spot === null ? [] : spotLines(spot)),
    ...listed(carried, 'types have no price in the list, and stay as they were', plain),
    ...listed(leftOut, 'left out, since no catalogue says what they have', plain),
    ...listed(quarantined, 'not believed, and left as before (--force takes them)', priceText),
  ];
}

function spotLines({ regions, fetched, kept, problem }: SpotUpdate): string[] {
  if (problem !== null) {
    const hint = problem.hint === null ? '' : `. ${problem.hint}`;
    return [`  spot prices stay as they were: ${plain(`${problem.message}${hint}`)}`];
  }
  return [
    `  spot prices of ${regions} regions (${fetched} read, ${regions - fetched} known already)`,
    ...listed(kept, 'regions keep the spot prices that they had', ({ region, why }) => plain(`${region} (${why})`)),
  ];
}

function listed<T>(all: readonly T[], what: string, text: (one: T) => string): string[] {
  if (all.length === 0) return [];
  const rest = all.length > SHOWN ? `, and ${all.length - SHOWN} more` : '';
  return [`  ${all.length} ${what}: ${all.slice(0, SHOWN).map(text).join(', ')}${rest}`];
}

function priceText({ instanceType, region, zone, kind, before, fetched }: QuarantinedPrice): string {
  const place = zone ?? region;
  return plain(`${instanceType} in ${place} ${kind === 'price' ? '' : 'as spot '}from $${before} to $${fetched}`);
}
