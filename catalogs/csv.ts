/** A catalogue as CSV: read strictly, since a wrong price costs money, and every refusal says the file, the line and the field. */
import { CsvError, parse } from 'csv-parse/sync';
import { canonicalName, findAccelerator } from '../model/accelerators.ts';
import { StyxError } from '../model/errors.ts';
import type { CatalogRow } from './catalog.ts';
import { type Dialect, dialectOf, type Field } from './csv-dialects.ts';

const MAX_BYTES = 64 * 2 ** 20;
const MAX_ROWS = 500_000;
const MAX_RECORD_CHARS = 16_384;
const MAX_NAME_CHARS = 128;

/** A row with the line that it ends on. */
export interface CsvRow {
  readonly row: CatalogRow;
  readonly line: number;
}

/**
 * Rows of a catalogue in our columns or in SkyPilot's, as they stand. Names of accelerators become canonical, and memory that
 * the file does not give is that of the table.
 * @throws invalid, with file and line, at the first thing that is wrong
 */
export function readCatalogCsv(bytes: Uint8Array, file: string, cloud: string): { dialect: Dialect; rows: CsvRow[] } {
  if (bytes.length > MAX_BYTES) throw refusal(file, null, `is larger than ${MAX_BYTES / 2 ** 20} MiB`);
  const rows: CsvRow[] = [];
  let found: { readonly dialect: Dialect; readonly at: ReadonlyMap<Field, number>; readonly width: number } | null =
    null;
  const onRecord = (cells: string[], line: number): void => {
    if (found === null) {
      const { dialect, at } = dialectOf(cells, (message) => refusal(file, line, message));
      found = { dialect, at, width: cells.length };
      return;
    }
    if (cells.length !== found.width) {
      throw refusal(file, line, `has ${cells.length} fields; the header has ${found.width}`);
    }
    if (rows.length === MAX_ROWS) throw refusal(file, line, `is one row too many: at most ${MAX_ROWS} are read`);
    rows.push({ row: new RowReader(found.dialect, found.at, cells, file, line).row(cloud), line });
  };
  eachRecord(utf8(bytes, file), file, onRecord);
  const { dialect } = found ?? { dialect: null };
  if (dialect === null) throw refusal(file, 1, 'is empty: a header of columns is expected');
  return { dialect, rows };
}

function eachRecord(text: string, file: string, take: (cells: string[], line: number) => void): void {
  try {
    parse(text, {
      bom: true,
      record_delimiter: ['\r\n', '\n'],
      skip_empty_lines: true,
      relax_column_count: true,
      max_record_size: MAX_RECORD_CHARS,
      on_record: (cells: string[], { lines }) => {
        take(cells, lines);
        return null;
      },
    });
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    const line = typeof error.lines === 'number' ? error.lines : null;
    throw refusal(file, line, `is no CSV: ${error.message}`);
  }
}

function utf8(bytes: Uint8Array, file: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return refuseEncoding(bytes, file);
  }
}

function refuseEncoding(bytes: Uint8Array, file: string): never {
  let line = 1;
  for (let start = 0; start < bytes.length; line++) {
    const end = bytes.indexOf(0x0a, start);
    const part = bytes.subarray(start, end < 0 ? bytes.length : end);
    // U+FFFD in the text itself is refused as well: it marks what somebody else could not read.
    if (new TextDecoder().decode(part).includes('\ufffd')) break;
    start = end < 0 ? bytes.length : end + 1;
  }
  throw refusal(file, line, 'is not UTF-8 text');
}

export function refusal(file: string, line: number | null, message: string): StyxError {
  return new StyxError('invalid', `${file}${line === null ? '' : `:${line}`}: ${message}`, {
    hint: 'docs/catalogs.md says which columns a catalogue has. Correct the file, or move it away to use the prices that Styx brings.',
  });
}

class RowReader {
  readonly dialect: Dialect;
  readonly at: ReadonlyMap<Field, number>;
  readonly cells: readonly string[];
  readonly file: string;
  readonly line: number;

  constructor(dialect: Dialect, at: ReadonlyMap<Field, number>, cells: readonly string[], file: string, line: number) {
    this.dialect = dialect;
    this.at = at;
    this.cells = cells;
    this.file = file;
    this.line = line;
  }

  row(cloud: string): CatalogRow {
    const written = this.name('accelerator');
    const accelerator = written === null ? null : canonicalName(written);
    const accelerators = accelerator === null ? null : { name: accelerator, count: this.count() };
    if (accelerators === null && this.text('count') !== '' && this.number('count', 1e6) !== 0) {
      throw this.wrong('accelerator', 'is empty, and there is a number of accelerators');
    }
    const instanceType = this.name('instanceType') ?? this.attachable(accelerator);
    const region = this.name('region');
    if (region === null) throw this.wrong('region', 'is empty');
    return {
      cloud,
      instanceType,
      region,
      zone: this.name('zone'),
      cpus: this.number('cpus', 1e5),
      memory: this.number('memory', 1e6),
      accelerators,
      acceleratorMemory: accelerators === null ? null : this.acceleratorMemory(accelerators.name, accelerators.count),
      price: this.number('price', 1e6),
      spotPrice: this.spotPrice(),
      arch: this.arch(),
    };
  }

  /** '' where the file lacks the column. */
  private text(field: Field): string {
    const index = this.at.get(field);
    return index === undefined ? '' : (this.cells[index] ?? '');
  }

  private name(field: Field): string | null {
    const text = this.text(field).trim();
    if (text === '') return null;
    if (text.length > MAX_NAME_CHARS) throw this.wrong(field, `is longer than ${MAX_NAME_CHARS} characters`);
    // Names reach terminals and requests to clouds.
    if (/[\p{C}\p{Zl}\p{Zp}\ufffd]/u.test(text)) {
      throw this.wrong(field, `must be printable text, not ${JSON.stringify(text)}`);
    }
    return text;
  }

  private number(field: Field, most: number): number | null {
    const text = this.text(field).trim();
    if (text === '') return null;
    const value = Number(text);
    if (!/^\d+(\.\d*)?(e[-+]?\d+)?$/i.test(text) || value > most) {
      throw this.wrong(field, `must be a number from 0 to ${most}, not ${shown(text)}`);
    }
    return value;
  }

  /** SkyPilot's files have 0 where there is no spot price. */
  private spotPrice(): number | null {
    const price = this.number('spotPrice', 1e6);
    return price === 0 && this.dialect.lenient ? null : price;
  }

  private count(): number {
    const count = this.number('count', 1e5);
    if (count === null || count === 0) {
      throw this.wrong('count', `must be a number above 0 beside an accelerator, not ${shown(this.text('count'))}`);
    }
    return count;
  }

  private acceleratorMemory(name: string, count: number): number | null {
    const known = findAccelerator(name)?.memory ?? null;
    if (!this.dialect.lenient) return this.number('acceleratorMemory', 1e7) ?? known;
    const said = memoryIn(this.text('acceleratorMemory'), count);
    // Files say what drivers report, a little off the nominal size; far off it is another card of the name.
    return said === null || (known !== null && Math.abs(said - known) <= known / 4) ? known : said;
  }

  private attachable(accelerator: string | null): string {
    if (this.dialect.attachable !== null && accelerator !== null) {
      return accelerator.startsWith('tpu-') ? 'TPU-VM' : this.dialect.attachable;
    }
    throw this.wrong('instanceType', 'is empty');
  }

  private arch(): CatalogRow['arch'] {
    const text = this.text('arch').trim().toLowerCase();
    if (text === '') return null;
    if (/^(x86[_-]64|amd64|x64)$/.test(text)) return 'x86_64';
    if (/^(arm64|aarch64)$/.test(text)) return 'arm64';
    // Such as the i386 of AWS's oldest types.
    if (this.dialect.lenient) return null;
    throw this.wrong('arch', `must be x86_64 or arm64, not ${shown(text)}`);
  }

  private wrong(field: Field, message: string): StyxError {
    return refusal(this.file, this.line, `${this.dialect.columns[field]} ${message}`);
  }
}

function shown(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);
}

/** GiB of one, from `{'Gpus': […], 'TotalGpuMemoryInMiB': 327680}`: what stands in `Gpus` is of one in some files and of all in others. */
function memoryIn(text: string, count: number): number | null {
  const mib = Number(/TotalGpuMemoryInMiB'?\s*:\s*(\d{1,9})/.exec(text)?.[1] ?? 0);
  return mib === 0 ? null : Math.round((mib / 1024 / count) * 1000) / 1000;
}
