import type { Command } from 'commander';
import type { CatalogSource } from '../../catalogs/catalog.ts';
import { type CatalogFile, catalogFiles, loadCatalog } from '../../catalogs/load.ts';
import { StyxError } from '../../model/errors.ts';
import type { ScheduleOptions } from '../catalog-schedule.ts';
import type { UpdateCommandOptions } from '../catalog-update.ts';
import { ageOf } from '../gpu-tables.ts';
import { configOption, debugOption, outputOption } from '../options.ts';
import { type CommonOptions, runCommand } from '../run.ts';
import { formatTable, plain } from '../table.ts';

export function configure(command: Command): void {
  const update = command
    .command('update')
    .description('fetch prices from the clouds themselves; without names from all that can be asked')
    .argument('[cloud...]', 'such as aws, azure, lambda')
    .option('--force', 'believe prices that moved tenfold, and lists that lost most of their rows');
  outputOption(debugOption(update)).action((clouds: string[], options: UpdateCommandOptions) =>
    runCommand(options, async (context) => (await import('../catalog-update.ts')).updateAll(clouds, options, context)),
  );
  const schedule = command
    .command('schedule')
    .description('have prices fetched by themselves, by the server; without options: show when')
    .argument('[cloud...]', 'with --every or --cron: these alone; default: all that can be asked')
    .option('--every <time>', 'such as 24h')
    .option('--cron <times>', 'five fields in UTC, such as "0 4 * * *"')
    .option('--off', 'no longer');
  outputOption(configOption(debugOption(schedule))).action((clouds: string[], options: ScheduleOptions) =>
    runCommand(options, async (context) =>
      (await import('../catalog-schedule.ts')).scheduleUpdates(clouds, options, context),
    ),
  );
  const status = command
    .command('status')
    .description('show how old the prices of each cloud are, and where they are from');
  outputOption(debugOption(status)).action((options: CommonOptions) =>
    runCommand(options, async () => {
      const shown = await Promise.all(catalogFiles().map(statusOf));
      process.stdout.write(`${options.output === 'json' ? JSON.stringify(shown, null, 2) : statusText(shown)}\n`);
      return shown.some(({ problem }) => problem !== null) ? 1 : 0;
    }),
  );
}

/** docs/cli.md describes this shape. */
interface CatalogStatus {
  readonly cloud: string;
  /** null of a file that cannot be read, as all below. */
  readonly rows: number | null;
  /** null: there are none, or their date is not known. */
  readonly prices: string | null;
  readonly spotPrices: string | null;
  readonly hasPrices: boolean;
  readonly hasSpotPrices: boolean;
  readonly undated: boolean;
  readonly bytes: number | null;
  readonly own: boolean;
  /** By `catalog update`. */
  readonly fetched: boolean;
  readonly path: string;
  readonly sources: readonly CatalogSource[];
  readonly problem: string | null;
}

async function statusOf(file: CatalogFile): Promise<CatalogStatus> {
  const { cloud, own, fetched, path } = file;
  try {
    const { catalog, bytes } = await loadCatalog(file);
    const { prices, spotPrices, undated, sources } = catalog.info;
    const has = { hasPrices: catalog.has('price'), hasSpotPrices: catalog.has('spotPrice') };
    const rows = catalog.length;
    return { cloud, rows, prices, spotPrices, ...has, undated, bytes, own, fetched, path, sources, problem: null };
  } catch (error) {
    if (!(error instanceof StyxError)) throw error;
    const has = { hasPrices: false, hasSpotPrices: false };
    const unknown = { rows: null, prices: null, spotPrices: null, ...has, undated: true, bytes: null, sources: [] };
    return { cloud, ...unknown, own, fetched, path, problem: error.message };
  }
}

function statusText(shown: readonly CatalogStatus[], now = Date.now()): string {
  const rows = shown.map((one) => [
    one.cloud,
    one.rows === null ? '-' : String(one.rows),
    dateText(one.hasPrices, one.prices, one.undated, now),
    dateText(one.hasSpotPrices, one.spotPrices, false, now),
    one.bytes === null ? '-' : `${(one.bytes / 1_000).toFixed(1)} kB`,
    one.problem !== null ? 'cannot be read, see below' : sourceText(one),
  ]);
  const problems = shown.flatMap(({ problem }) => (problem === null ? [] : [`Error: ${plain(problem)}`]));
  const starred = shown.some(({ undated, prices }) => undated && prices !== null);
  return [
    formatTable(['CLOUD', 'ROWS', 'PRICES', 'SPOT_PRICES', 'SIZE', 'SOURCE'], rows),
    '',
    ...(starred ? ['* The oldest date that is known; of part of the prices it is not.'] : []),
    '`-o json` shows every source and its commit.',
    ...problems,
  ].join('\n');
}

function dateText(has: boolean, date: string | null, undated: boolean, now: number): string {
  if (!has) return '-';
  return date === null ? 'unknown' : `${date}${undated ? '*' : ''} (${ageOf(date, now)})`;
}

function sourceText({ own, fetched, path, sources }: CatalogStatus): string {
  if (own) return `your own: ${path}`;
  return fetched ? `fetched: ${sources[0]?.from ?? path}` : repositories(sources);
}

/** Without the paths in them. */
function repositories(sources: readonly CatalogSource[]): string {
  return [...new Set(sources.map(({ from }) => from.split(' ')[0]))].join(', ');
}
